/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the configuration about runtimes that are asked about callers. */
#include "config/config.h"
#include "config/tables.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define ACCOUNT     "/var/run/secrets/kubernetes.io/serviceaccount/"
#define SCHEME      "unix://"
#define FORMS_NOTE  "all forms of cgroup paths are known, and matched from the root only"
#define IMAGES_NOTE "image signatures are not checked: its selectors match no workload"

#define DOCKER(member) .offset = offsetof(struct writ_agent_docker, member)

static const struct writ_conf_field docker_fields[] = {
	{ .type = WRIT_CONF_PRESENT, DOCKER(is_on) },
	{ .key = "docker_socket_path",
		.type = WRIT_CONF_PATH,
		.def = "unix:///var/run/docker.sock",
		DOCKER(docker_socket_path),
		.help = "Socket of Docker's API. Used only while it and all folders above it are "
			"root's." },
	{ .key = "podman_socket_path",
		.type = WRIT_CONF_PATH,
		.def = "unix:///run/podman/podman.sock",
		DOCKER(podman_socket_path),
		.help = "Socket of root's podman; the same holds." },
	{ .key = "podman_socket_path_template",
		.type = WRIT_CONF_PATH,
		.def = "unix:///run/user/%d/podman/podman.sock",
		DOCKER(podman_socket_path_template),
		.help = "Socket of a user's podman, %d for the user ID. What it says is that "
			"user's "
			"word: podman-rootless:uid:N:... only." },
	{ .key = "docker_version",
		.type = WRIT_CONF_STRING,
		.max = 16,
		DOCKER(docker_version),
		.help = "Version of the API to ask for, such as \"1.41\"." },
	WRIT_CONF_IGNORE("container_id_cgroup_matchers", "", FORMS_NOTE),
	WRIT_CONF_IGNORE("sigstore", "", IMAGES_NOTE),
	WRIT_CONF_IGNORE("use_new_container_locator", "true", FORMS_NOTE),
	WRIT_CONF_IGNORE("verbose_container_locator_logs", "false", "the log says what was seen"),
	WRIT_CONF_IGNORE("docker_host", "", "it is for Windows: use docker_socket_path"),
};
const struct writ_conf_table writ_agent_docker_table = { "WorkloadAttestor \"docker\"",
	docker_fields, WRIT_COUNT(docker_fields), sizeof(struct writ_agent_docker) };

#define K8S(member) .offset = offsetof(struct writ_agent_k8s, member)

static const struct writ_conf_field k8s_fields[] = {
	{ .type = WRIT_CONF_PRESENT, K8S(is_on) },
	{ .key = "disable_container_selectors",
		.type = WRIT_CONF_BOOL,
		.def = "false",
		K8S(disable_container_selectors),
		.help = "Whether to give the pod's selectors alone, also while the container is "
			"not listed yet." },
	{ .key = "kubelet_read_only_port",
		.type = WRIT_CONF_INT,
		.def = "0",
		.max = 65535,
		K8S(kubelet_read_only_port),
		.help = "The kubelet's port without TLS, asked on 127.0.0.1 while root listens "
			"there; 0: the secure one." },
	{ .key = "kubelet_secure_port",
		.type = WRIT_CONF_PORT,
		.def = "10250",
		.min = 1,
		K8S(kubelet_secure_port),
		.help = "The kubelet's port with TLS." },
	{ .key = "kubelet_ca_path",
		.type = WRIT_CONF_PATH,
		.def = ACCOUNT "ca.crt",
		K8S(kubelet_ca_path),
		.help = "PEM file with the CAs that the kubelet's certificate has to chain to." },
	{ .key = "skip_kubelet_verification",
		.type = WRIT_CONF_BOOL,
		.def = "false",
		K8S(skip_kubelet_verification),
		.help = "Whether its certificate is not checked. It is then asked on 127.0.0.1, "
			"while root listens there." },
	{ .key = "token_path",
		.type = WRIT_CONF_PATH,
		.def = ACCOUNT "token",
		K8S(token_path),
		.help = "File with the token to show the kubelet." },
	{ .key = "certificate_path",
		.type = WRIT_CONF_PATH,
		K8S(certificate_path),
		.help = "PEM file with a client certificate, instead of the token." },
	{ .key = "private_key_path",
		.type = WRIT_CONF_PATH,
		K8S(private_key_path),
		.help = "PEM file with the key of that certificate." },
	{ .key = "use_anonymous_authentication",
		.type = WRIT_CONF_BOOL,
		.def = "false",
		K8S(use_anonymous_authentication),
		.help = "Whether to show the kubelet neither." },
	{ .key = "node_name_env",
		.type = WRIT_CONF_STRING,
		.def = "MY_NODE_NAME",
		K8S(node_name_env),
		.help = "Environment variable with the node's name." },
	{ .key = "node_name",
		.type = WRIT_CONF_STRING,
		.max = 253,
		K8S(node_name),
		.help = "Name or address of the node, where its kubelet is asked; 127.0.0.1 when "
			"neither is set, with a certificate for the machine's name." },
	{ .key = "max_poll_attempts",
		.type = WRIT_CONF_INT,
		.def = "10",
		.min = 1,
		.max = 60,
		K8S(max_poll_attempts),
		.help = "How often the kubelet is asked about a container that it does not list "
			"yet." },
	{ .key = "poll_retry_interval",
		.type = WRIT_CONF_DURATION,
		.def = "500ms",
		.min = 100,
		.max = 10000,
		K8S(poll_retry_interval_ms),
		.help = "Time between two of these." },
	WRIT_CONF_REFUSE("disable_kubelet_client", "false",
		"without the kubelet nothing is known of pods: remove it, or WorkloadAttestor "
		"\"k8s\""),
	WRIT_CONF_IGNORE("enable_namespace_labels", "false",
		"the API server is not asked: k8s:ns-label matches no workload"),
	WRIT_CONF_IGNORE("reload_interval", "1m", "the files are read for each request"),
	WRIT_CONF_IGNORE("sigstore", "", IMAGES_NOTE),
	WRIT_CONF_IGNORE("experimental", "", "the Broker API is not served"),
	WRIT_CONF_IGNORE("use_new_container_locator", "true", FORMS_NOTE),
	WRIT_CONF_IGNORE("verbose_container_locator_logs", "false", "the log says what was seen"),
};
const struct writ_conf_table writ_agent_k8s_table = { "WorkloadAttestor \"k8s\"", k8s_fields,
	WRIT_COUNT(k8s_fields), sizeof(struct writ_agent_k8s) };

#define SYSTEMD(member) .offset = offsetof(struct writ_agent_systemd, member)

static const struct writ_conf_field systemd_fields[] = {
	{ .type = WRIT_CONF_PRESENT, SYSTEMD(is_on) },
	{ .key = "system_bus_socket_path",
		.type = WRIT_CONF_PATH,
		.def = "unix://" WRIT_AGENT_SYSTEM_BUS,
		SYSTEMD(system_bus_socket_path),
		.help = "Socket of the system's D-Bus, where systemd:fragment_path is asked for "
			"while an entry names it. Used only while it and all folders above it are "
			"root's." },
};
const struct writ_conf_table writ_agent_systemd_table = { "WorkloadAttestor \"systemd\"",
	systemd_fields, WRIT_COUNT(systemd_fields), sizeof(struct writ_agent_systemd) };

static void complain(const struct writ_conf_node *root, struct writ_conf_diags *d, const char *text)
{
	writ_conf_diag_add(d, WRIT_CONF_ERROR, writ_conf_where(root, "plugins", ""), "%s", text);
}

/* "unix:///run/x" -> "/run/x" */
static void check_socket(
	char *path, const struct writ_conf_node *root, struct writ_conf_diags *d, const char *key)
{
	char text[128];
	size_t n = sizeof(SCHEME) - 1;
	if (!path)
		return;
	if (strncmp(path, SCHEME, n) == 0)
		memmove(path, path + n, strlen(path + n) + 1);
	(void)snprintf(text, sizeof(text),
		"%s is not \"unix:///path\": a runtime is asked over its Unix socket only", key);
	if (path[0] != '/')
		complain(root, d, text);
}

static void check_docker(const struct writ_agent_docker *c, const struct writ_conf_node *root,
	struct writ_conf_diags *d)
{
	const char *t = c->podman_socket_path_template;
	check_socket(c->docker_socket_path, root, d, "docker_socket_path");
	check_socket(c->podman_socket_path, root, d, "podman_socket_path");
	check_socket(c->podman_socket_path_template, root, d, "podman_socket_path_template");
	const char *mark = t ? strchr(t, '%') : NULL;
	if (t && (!mark || mark[1] != 'd' || strchr(mark + 1, '%')))
		complain(root, d, "podman_socket_path_template needs one %d, for the user ID");
	for (const char *v = c->docker_version; v && *v; v++) {
		if ((*v < '0' || *v > '9') && *v != '.') {
			complain(root, d, "docker_version is a number such as \"1.41\"");
			break;
		}
	}
}

static void check_k8s(
	struct writ_agent_k8s *c, const struct writ_conf_node *root, struct writ_conf_diags *d)
{
	if (!c->certificate_path != !c->private_key_path)
		complain(root, d,
			"certificate_path and private_key_path of WorkloadAttestor \"k8s\" go "
			"together");
	if (c->certificate_path || c->use_anonymous_authentication)
		writ_free(writ_steal(c->token_path));
	if (c->use_anonymous_authentication && c->certificate_path)
		complain(root, d,
			"use_anonymous_authentication would set certificate_path aside: remove "
			"one");
	if (c->node_name && !c->node_name[0])
		writ_free(writ_steal(c->node_name));
}

void writ_agent_check_runtimes(
	struct writ_agent_config *c, const struct writ_conf_node *root, struct writ_conf_diags *d)
{
	if (c->docker_attestor.is_on)
		check_docker(&c->docker_attestor, root, d);
	check_socket(c->systemd_attestor.system_bus_socket_path, root, d, "system_bus_socket_path");
	if (c->k8s_attestor.is_on)
		check_k8s(&c->k8s_attestor, root, d);
}

void writ_agent_take_node_name(
	struct writ_agent_k8s *k, const char *(*env)(void *arg, const char *name))
{
	if (!k->is_on || k->node_name || !k->node_name_env)
		return;
	const char *name = env(NULL, k->node_name_env);
	if (name && *name)
		k->node_name = writ_strdup(name);
}
