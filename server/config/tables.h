/* SPDX-License-Identifier: Apache-2.0 */
/* tables: what may stand in writ-server's configuration. Private to server/config. */
#ifndef WRIT_SERVER_CONFIG_TABLES_H
#define WRIT_SERVER_CONFIG_TABLES_H

#include "config/config.h"

extern const struct writ_conf_table writ_server_config_table; /* of the file */
extern const struct writ_conf_plugin_set writ_server_config_plugins;

/* node_tables.c */
extern const struct writ_conf_table writ_server_x509pop_table;
extern const struct writ_conf_table writ_server_sshpop_table;
/* http_challenge.c */
extern const struct writ_conf_table writ_server_http_challenge_table;
void writ_server_config_check_http_challenge(const struct writ_server_http_challenge *c,
	struct writ_conf_pos pos, struct writ_conf_diags *d);
/* k8s_psat.c */
extern const struct writ_conf_table writ_server_k8s_psat_table;
void writ_server_config_check_k8s_psat(
	const struct writ_server_k8s_psat *c, struct writ_conf_pos pos, struct writ_conf_diags *d);
extern const struct writ_conf_table writ_server_tpm_devid_table; /* tpm_devid.c */
void writ_server_config_check_nodes(
	struct writ_server_config *c, const struct writ_conf_node *root, struct writ_conf_diags *d);

#endif
