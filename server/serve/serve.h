/* SPDX-License-Identifier: Apache-2.0 */
/* serve: the serving process of writ-server, from its start under the monitor to its orderly end.
 */
#ifndef WRIT_SERVE_SERVE_H
#define WRIT_SERVE_SERVE_H

#include "config/config.h"

#define WRIT_SERVE_STOP_MS 10000

/* Runs until the monitor says so or is gone. control_fd: to the monitor, owned. The log is open. */
WRIT_MUST writ_rc writ_serve(
	const struct writ_server_config *cfg, int control_fd, struct writ_err *err);

#endif
