/* SPDX-License-Identifier: Apache-2.0 */
/* runtime: what the configuration says about runtimes that are asked about callers, with SPIRE's
 * key names; members of struct writ_agent_config. */
#ifndef WRIT_AGENT_CONFIG_RUNTIME_H
#define WRIT_AGENT_CONFIG_RUNTIME_H

#include "conf/common.h"

struct writ_agent_config;

#define WRIT_AGENT_SYSTEM_BUS "/run/dbus/system_bus_socket"

struct writ_agent_docker { /* WorkloadAttestor "docker" */
	bool is_on;
	char *docker_socket_path, *podman_socket_path; /* absolute paths once checked */
	char *podman_socket_path_template;             /* with one %d */
	char *docker_version;                          /* NULL: none */
};

struct writ_agent_k8s { /* WorkloadAttestor "k8s" */
	bool is_on;
	bool disable_container_selectors, skip_kubelet_verification, use_anonymous_authentication;
	int64_t kubelet_read_only_port; /* 0: the secure one */
	uint16_t kubelet_secure_port;
	char *kubelet_ca_path;
	char *token_path;
	char *certificate_path, *private_key_path; /* both or none */
	char *node_name, *node_name_env;           /* NULL: not set */
	int64_t max_poll_attempts, poll_retry_interval_ms;
};

struct writ_agent_systemd { /* WorkloadAttestor "systemd" */
	bool is_on;
	char *system_bus_socket_path; /* absolute once checked; NULL: the block is not there */
};

/* Checks and completes them; mistakes go to d. */
void writ_agent_check_runtimes(
	struct writ_agent_config *c, const struct writ_conf_node *root, struct writ_conf_diags *d);
/* Takes the node's name from the environment, where the file does not say it. */
void writ_agent_take_node_name(
	struct writ_agent_k8s *k, const char *(*env)(void *arg, const char *name));

#endif
