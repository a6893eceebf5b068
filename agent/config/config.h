/* SPDX-License-Identifier: Apache-2.0 */
/* config: writ-agent's configuration, checked. Read-only once it is loaded. */
#ifndef WRIT_AGENT_CONFIG_H
#define WRIT_AGENT_CONFIG_H

#include "config/node.h"
#include "config/runtime.h"

#define WRIT_AGENT_CONFIG_PATH "/etc/writ/agent.conf"

enum writ_agent_key_type { WRIT_AGENT_EC_P256, WRIT_AGENT_RSA_2048 };
enum writ_agent_bundle_format { WRIT_AGENT_BUNDLE_PEM, WRIT_AGENT_BUNDLE_SPIFFE };

/* Plugins: is_on tells which the file names; the others hold defaults. */
struct writ_agent_key_disk { /* KeyManager "disk" */
	bool is_on;
	char *directory;
};

struct writ_agent_unix { /* WorkloadAttestor "unix" */
	bool is_on;
	bool discover_workload_path;
	int64_t workload_size_limit; /* bytes that are hashed at most; 0 no limit, negative: no hash
				      */
};

struct writ_agent_plugin { /* one without keys */
	bool is_on;
};

/* Who may claim which identities with `writ run`. Uid and gid: -1: not looked at, never both. */
struct writ_agent_run_rule {
	int64_t uid, gid;
	char *prefix; /* "/agents/dev": checked */
	bool children;
};
struct writ_agent_run {
	bool is_on;
	struct writ_conf_list allow; /* struct writ_agent_run_rule */
};

struct writ_agent_config {
	char *trust_domain; /* lower case, checked */
	char *server_address;
	uint16_t server_port;
	char *socket_path, *admin_socket_path, *data_dir;
	bool admin_socket_chosen; /* the file names it: then it has to work */
	struct writ_conf_log log;
	char *audit_log_file; /* NULL: with the log */
	/* Whom to trust at the first contact. None of them is fine when the agent has state
	 * already. */
	char *trust_bundle_path, *trust_bundle_url; /* at most one; NULL: not set */
	int trust_bundle_format;                    /* enum writ_agent_bundle_format */
	bool insecure_bootstrap;
	bool has_bootstrap; /* one of the three is set */
	char *join_token;   /* secret; NULL: not set */
	char *join_token_file;
	int workload_x509_svid_key_type; /* enum writ_agent_key_type */
	bool disable_sds_api;
	bool allow_foreign_namespaces; /* start although the host's processes are not all visible */
	bool discover_workload_path;   /* whether exe and its hash become selectors: the one that
					  counts */
	int64_t max_connections_per_uid, max_connections_per_process;
	struct writ_agent_run run;
	struct writ_conf_health health;
	struct writ_conf_telemetry telemetry;
	const struct writ_conf_node *plugins; /* while loading; NULL then */
	struct writ_agent_key_disk key_disk;
	struct writ_agent_plugin key_memory, join_token_attestor;
	struct writ_agent_nodes nodes; /* the other node attestors */
	struct writ_agent_unix unix_attestor;
	struct writ_agent_systemd systemd_attestor;
	struct writ_agent_plugin container_attestor, slurm_attestor, cgroup_attestor;
	struct writ_agent_docker docker_attestor;
	struct writ_agent_k8s k8s_attestor;
	/* Asked whenever an entry asks for its selectors; named, for every caller. */
	struct writ_agent_plugin process_attestor, script_attestor, lineage_attestor;
};

/* Reads path; source (may be NULL) brings variables and what the command line says over the keys of
 * the `agent` block. d gets every mistake and warning, whatever is returned. *ret is touched only
 * on success; the caller's then, until done. Blocks on the file. */
WRIT_MUST writ_rc writ_agent_config_load(const char *path, const struct writ_conf_source *source,
	struct writ_conf_diags *d, struct writ_agent_config *ret, struct writ_err *err);
void writ_agent_config_done(struct writ_agent_config *c);
void writ_agent_config_print_help(struct writ_buf *out); /* for writ-agent.conf(5) */

#endif
