/* SPDX-License-Identifier: Apache-2.0 */
/* tables: what may stand in writ-agent's configuration. Private to agent/config. */
#ifndef WRIT_AGENT_CONFIG_TABLES_H
#define WRIT_AGENT_CONFIG_TABLES_H

#include "config/config.h"

extern const struct writ_conf_table writ_agent_config_table; /* of the file */
extern const struct writ_conf_plugin_set writ_agent_config_plugins;

/* node_tables.c */
extern const struct writ_conf_table writ_agent_docker_table; /* runtime_tables.c */
extern const struct writ_conf_table writ_agent_k8s_table;
extern const struct writ_conf_table writ_agent_systemd_table;
extern const struct writ_conf_table writ_agent_x509pop_table;
extern const struct writ_conf_table writ_agent_sshpop_table;
extern const struct writ_conf_table writ_agent_http_challenge_table; /* http_challenge.c */
extern const struct writ_conf_table writ_agent_k8s_psat_table;       /* k8s_psat.c */
extern const struct writ_conf_table writ_agent_tpm_devid_table;      /* tpm_devid.c */

#endif
