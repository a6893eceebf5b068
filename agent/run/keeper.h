/* SPDX-License-Identifier: Apache-2.0 */
/* keeper: a small process that makes, fills and empties the cgroups of launches. It alone keeps the
 * right to change cgroups, it checks for itself what it puts where, and it outlives the agent for
 * as long as it takes to clean up. docs/adr/0014-writ-run.md. */
#ifndef WRIT_AGENT_KEEPER_H
#define WRIT_AGENT_KEEPER_H

#include "run/cells.h"

#include <stdint.h>

#define WRIT_KEEPER_CELLS_MAX 512
#define WRIT_KEEPER_PATH_MAX  512
#define WRIT_KEEPER_GRACE_MS  2000 /* from the agent's end to SIGKILL for what it launched */

enum writ_keeper_op {
	WRIT_KEEPER_READY = 1, /* the first answer, unasked */
	WRIT_KEEPER_PUT,       /* a newborn into a cell of its own */
	WRIT_KEEPER_END,       /* the end of all in a cell; answered when the cell is gone */
};

/* One datagram each, over a SOCK_SEQPACKET pair between processes of one binary. */
struct writ_keeper_ask {
	uint32_t op;
	int32_t pid, parent;
	uint32_t uid, gid;
	char id[WRIT_CELL_ID + 4]; /* NUL-terminated */
};
struct writ_keeper_answer {
	uint32_t op;
	uint32_t rc; /* writ_rc */
	char id[WRIT_CELL_ID + 4];
	char path[WRIT_KEEPER_PATH_MAX]; /* of the cell, as /proc/PID/cgroup has it */
	char why[WRIT_ERR_MAX];
	uint32_t swept, left; /* with READY: see struct writ_cells */
};

/* Forks it; call before this process has threads. *ret: our end, non-blocking. Closing it ends the
 * keeper, after it has cleaned up. root: NULL: "/sys/fs/cgroup". Fails as writ_cells_open does. */
WRIT_MUST writ_rc writ_keeper_start(
	const char *root, int *ret, struct writ_keeper_answer *ready, struct writ_err *err);

#endif
