/* SPDX-License-Identifier: Apache-2.0 */
/* spawn: one process becomes two: the one that goes on serves callers and has no capability left,
 * its child attests them. Before the first thread. */
#ifndef WRIT_ATTESTOR_SPAWN_H
#define WRIT_ATTESTOR_SPAWN_H

#include "attestor/serve.h"

#include <sys/types.h>

/* *fd: this process's end of the talk, for writ_attest_link_new. The child never returns; it ends
 * with this process, or when fd is closed. */
WRIT_MUST writ_rc writ_attestor_spawn(
	const struct writ_attestor_config *cfg, int *fd, pid_t *pid, struct writ_err *err);

#endif
