/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of NodeAttestor "k8s_psat". */
#include "config/config.h"
#include "config/tables.h"

#include "base/mem.h"

#include <string.h>

#define CLUSTER(member) .offset = offsetof(struct writ_server_k8s_cluster, member)

static const struct writ_conf_field cluster_fields[] = {
	{ .type = WRIT_CONF_LABEL, CLUSTER(name) },
	{ .key = "service_account_allow_list",
		.type = WRIT_CONF_STRINGS,
		.flags = WRIT_CONF_REQUIRED,
		CLUSTER(service_account_allow_list),
		.help = "Service accounts of agents, each with its namespace: "
			"\"spire:spire-agent\"." },
	{ .key = "audience",
		.type = WRIT_CONF_STRINGS,
		.def = "spire-server",
		CLUSTER(audience),
		.help = "Audiences, one of which the token has to be for; an empty list: the API "
			"server's own." },
	{ .key = "kube_config_file",
		.type = WRIT_CONF_PATH,
		CLUSTER(kube_config_file),
		.help = "Kubeconfig in JSON (kubectl config view --raw --minify --flatten -o "
			"json); without it the server has to be a pod of the cluster." },
	{ .key = "allowed_node_label_keys",
		.type = WRIT_CONF_STRINGS,
		CLUSTER(allowed_node_label_keys),
		.help = "Labels of nodes that become selectors." },
	{ .key = "allowed_pod_label_keys",
		.type = WRIT_CONF_STRINGS,
		CLUSTER(allowed_pod_label_keys),
		.help = "Labels of pods that become selectors." },
	{ .key = "use_pod_uid_for_agent_id",
		.type = WRIT_CONF_BOOL,
		.def = "false",
		CLUSTER(use_pod_uid_for_agent_id),
		.help = "Whether an agent's SPIFFE ID ends with its pod's UID instead of its "
			"node's." },
};
static const struct writ_conf_table cluster_table = { "NodeAttestor \"k8s_psat\".clusters",
	cluster_fields, WRIT_COUNT(cluster_fields), sizeof(struct writ_server_k8s_cluster) };

#define AT(member) .offset = offsetof(struct writ_server_k8s_psat, member)

static const struct writ_conf_field fields[] = {
	{ .type = WRIT_CONF_PRESENT, AT(is_on) },
	{ .key = "clusters",
		.type = WRIT_CONF_BLOCK,
		.flags = WRIT_CONF_REPEATED,
		.block = &cluster_table,
		AT(clusters),
		.help = "Kubernetes clusters that agents may come from, each by a name of yours." },
};
const struct writ_conf_table writ_server_k8s_psat_table = { "NodeAttestor \"k8s_psat\"", fields,
	WRIT_COUNT(fields), sizeof(struct writ_server_k8s_psat) };

/* A segment of a SPIFFE ID's path: SPIFFE-ID 2.2. */
static bool is_segment(const char *s)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789.-_";
	return *s && strspn(s, allowed) == strlen(s) && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

static void check_cluster(const struct writ_server_k8s_cluster *c, struct writ_conf_pos pos,
	struct writ_conf_diags *d)
{
	if (!is_segment(c->name))
		writ_conf_diag_add(d, WRIT_CONF_ERROR, pos,
			"clusters has %s, which cannot stand in a SPIFFE ID: use letters, digits, "
			"dots, dashes and underscores",
			WRIT_CONF_Q(c->name));
	for (size_t i = 0; i < c->service_account_allow_list.n; i++) {
		const char *a = c->service_account_allow_list.items[i], *colon = strchr(a, ':');
		if (!colon || colon == a || !colon[1] || strchr(colon + 1, ':'))
			writ_conf_diag_add(d, WRIT_CONF_ERROR, pos,
				"service_account_allow_list has %s: write \"namespace:account\"",
				WRIT_CONF_Q(a));
	}
}

void writ_server_config_check_k8s_psat(
	const struct writ_server_k8s_psat *c, struct writ_conf_pos pos, struct writ_conf_diags *d)
{
	const struct writ_server_k8s_cluster *all = c->clusters.items;
	if (!c->clusters.n)
		writ_conf_diag_add(d, WRIT_CONF_WARNING, pos,
			"k8s_psat has no clusters: no agent can attest with it");
	for (size_t i = 0; i < c->clusters.n; i++)
		check_cluster(&all[i], pos, d);
}
