/* SPDX-License-Identifier: Apache-2.0 */
/* child: one program that the monitor keeps running: start, how it ended, when to start it again.
 */
#ifndef WRIT_MONITOR_CHILD_H
#define WRIT_MONITOR_CHILD_H

#include "base/err.h"
#include "base/limiter.h"

#include <sys/types.h>

#define WRIT_CHILD_FDS      3
#define WRIT_CHILD_FIRST_FD 3 /* the first of fds gets this number, the next the next */

struct writ_child {
	const char *name;      /* for the log */
	pid_t pid;             /* 0: not running */
	int64_t started_ms;    /* monotonic, as all below */
	int64_t restart_at_ms; /* 0: not planned */
	struct writ_backoff backoff;
	unsigned short_lives; /* in a row */
	bool useful;          /* it has worked in this life: set by whoever sees that */
};

void writ_child_init(struct writ_child *c, const char *name);
struct writ_program {
	const char *path;
	char *const *argv;
	char *const *envp; /* NULL: ours */
};
/* Runs it; fds become 3, 4, 5 there, everything else is closed. The caller's fds stay its own. */
WRIT_MUST writ_rc writ_child_start(struct writ_child *c, const struct writ_program *p,
	const int *fds, size_t n, struct writ_err *err);
/* After waitpid said that it ended. Plans the restart; false: it has died too often, give up. */
bool writ_child_ended(struct writ_child *c);
void writ_child_signal(const struct writ_child *c, int signum); /* not running: nothing */

#endif
