/* SPDX-License-Identifier: Apache-2.0 */
/* tables: what may stand in writ-server's configuration. Private to server/config. */
#ifndef WRIT_SERVER_CONFIG_TABLES_H
#define WRIT_SERVER_CONFIG_TABLES_H

#include "config/config.h"

extern const struct writ_conf_table writ_server_config_table; /* of the file */
extern const struct writ_conf_plugin_set writ_server_config_plugins;

#endif
