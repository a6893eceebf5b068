/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of NodeAttestor "k8s_psat". */
#include "config/config.h"
#include "config/tables.h"

#include "base/mem.h"

#define AT(member) .offset = offsetof(struct writ_agent_k8s_psat, member)

static const struct writ_conf_field fields[] = {
	{ .type = WRIT_CONF_PRESENT, AT(is_on) },
	{ .key = "cluster",
		.type = WRIT_CONF_STRING,
		.flags = WRIT_CONF_REQUIRED,
		.max = 253,
		AT(cluster),
		.help = "Name of the Kubernetes cluster, as the server's configuration has it." },
	{ .key = "token_path",
		.type = WRIT_CONF_PATH,
		.def = "/var/run/secrets/tokens/spire-agent",
		AT(token_path),
		.help = "File that Kubernetes projects the agent's service account token into." },
};
const struct writ_conf_table writ_agent_k8s_psat_table = { "NodeAttestor \"k8s_psat\"", fields,
	WRIT_COUNT(fields), sizeof(struct writ_agent_k8s_psat) };
