/* SPDX-License-Identifier: Apache-2.0 */
/* health: whose configuration a file is. */
#ifndef WRIT_CLI_HEALTH_H
#define WRIT_CLI_HEALTH_H

#include "base/err.h"

/* *name: "writ-agent" or "writ-server", by the file's first block. Blocks on the file. */
WRIT_MUST writ_rc writ_config_owner(const char *path, const char **name, struct writ_err *err);

#endif
