/* SPDX-License-Identifier: Apache-2.0 */
/* cells: cgroups for launches, in a folder where nobody but this agent can put a process. Pure v2,
 * or the v2 hierarchy beside v1: there cgroup.kill ends a whole launch at once, and names cannot be
 * changed. /sys/fs/cgroup/writ.run/AGENT/LAUNCH (writ.run-UID of an agent that is not root); AGENT
 * is locked while its agent lives, so that a later one can tell what was left behind. Blocks for as
 * long as the kernel moves processes: for the keeper's process. cgroups(7), cgroup-v2.rst. */
#ifndef WRIT_AGENT_CELLS_H
#define WRIT_AGENT_CELLS_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

#define WRIT_CELL_ID      32 /* hex digits */
#define WRIT_CELLS_FOLDER "writ.run"

struct writ_cells {
	int top;         /* owned: the folder of all agents of this user */
	char folder[32]; /* its name */
	int own;         /* owned, locked */
	char name[33];   /* of own */
	/* Folders of agents that are gone: removed, and those in which something would not end. */
	unsigned swept, left;
};

/* root: "/sys/fs/cgroup". Ends and removes what agents that are gone left behind. WRIT_EPRECOND: no
 * v2 hierarchy, or one that this process may not use; the message says what to change. */
WRIT_MUST writ_rc writ_cells_open(const char *root, struct writ_cells *ret, struct writ_err *err);
void writ_cells_close(
	struct writ_cells *c); /* removes its folders when they are empty; idempotent */

bool writ_cell_id_ok(const char *id);
WRIT_MUST writ_rc writ_cell_make(struct writ_cells *c, const char *id, struct writ_err *err);
WRIT_MUST writ_rc writ_cell_put(
	struct writ_cells *c, const char *id, pid_t pid, struct writ_err *err);
/* Everything in it gets SIGKILL, what is forked meanwhile included. */
WRIT_MUST writ_rc writ_cell_kill(struct writ_cells *c, const char *id, struct writ_err *err);
/* What is in it goes back to the hierarchy's root and lives on. */
void writ_cell_let_go(struct writ_cells *c, const char *id);
/* WRIT_EBUSY: some process in it has not ended yet. Not there: fine. */
WRIT_MUST writ_rc writ_cell_remove(struct writ_cells *c, const char *id, struct writ_err *err);

#endif
