/* SPDX-License-Identifier: Apache-2.0 */
/* newborn: a child that was forked and waits, and has not run another program yet: the one moment
 * at which it is certain that nothing but what its parent says will come of it. Needs no privilege:
 * /proc/PID/stat and status are for everybody. */
#ifndef WRIT_AGENT_NEWBORN_H
#define WRIT_AGENT_NEWBORN_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Fields of /proc/PID/stat, proc(5). Pure. WRIT_EPROTO: not such a text. */
struct writ_newborn_stat {
	uint64_t pid, ppid, flags, threads;
	char state;
};
WRIT_MUST writ_rc writ_newborn_parse(
	struct writ_str text, struct writ_newborn_stat *ret, struct writ_err *err);

struct writ_newborn {
	pid_t pid;
	int pidfd; /* owned */
	int proc;  /* owned: /proc/PID of this very process */
};

/* Holds pid and checks it: a child of parent, of the same user and group in every respect (real,
 * effective, saved), with one thread, that has not run another program since the fork.
 * WRIT_EUNAUTH: it is not, or has ended. *ret needs writ_newborn_close after WRIT_OK. */
WRIT_MUST writ_rc writ_newborn_open(pid_t pid, pid_t parent, uid_t uid, gid_t gid,
	struct writ_newborn *ret, struct writ_err *err);
/* Its v2 cgroup now: appended to path, which holds cap bytes. WRIT_EUNAUTH: it has ended. */
WRIT_MUST writ_rc writ_newborn_cgroup(
	const struct writ_newborn *n, char *path, size_t cap, struct writ_err *err);
void writ_newborn_close(struct writ_newborn *n); /* idempotent */

/* The v2 path in the text of /proc/PID/cgroup; empty when there is none. Borrowed. */
struct writ_str writ_cgroup_v2_path(struct writ_str text);

#endif
