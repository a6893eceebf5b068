/* SPDX-License-Identifier: Apache-2.0 */
/* startup: does this process see the others as the host sees them? In a foreign namespace every
 * pid, user and cgroup it reads would be somebody else's. */
#ifndef WRIT_ATTEST_STARTUP_H
#define WRIT_ATTEST_STARTUP_H

#include <stdint.h>

#include "base/err.h"

struct writ_startup_rules {
	/* Serve the processes of a container or of one user only: `writ dev`, tests. What
	 * /proc/self says is checked all the same. */
	bool allow_foreign_namespaces;
	const char *proc; /* NULL: "/proc" */
};

/* WRIT_EPRECOND: the agent must not start like this; the message says what to change. */
WRIT_MUST writ_rc writ_startup_check(const struct writ_startup_rules *rules, struct writ_err *err);

/* Does the kernel give a pidfd of who connected (SO_PEERPIDFD, since Linux 6.5)? */
bool writ_startup_has_peer_pidfd(void);
/* kernel.pid_max, where that matters: without the above a caller is pinned by its number, a moment
 * after it connected, and numbers must not come round in that moment. 0: it need not be mentioned.
 * proc: NULL: "/proc". */
uint64_t writ_startup_few_pids(const char *proc, bool has_peer_pidfd);

#endif
