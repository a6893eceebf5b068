/* SPDX-License-Identifier: Apache-2.0 */
/* startup: does this process see the others as the host sees them? In a foreign namespace every
 * pid, user and cgroup it reads would be somebody else's. */
#ifndef WRIT_ATTEST_STARTUP_H
#define WRIT_ATTEST_STARTUP_H

#include "base/err.h"

struct writ_startup_rules {
	/* Serve the processes of a container or of one user only: `writ dev`, tests. What
	 * /proc/self says is checked all the same. */
	bool allow_foreign_namespaces;
	const char *proc; /* NULL: "/proc" */
};

/* WRIT_EPRECOND: the agent must not start like this; the message says what to change. */
WRIT_MUST writ_rc writ_startup_check(const struct writ_startup_rules *rules, struct writ_err *err);

#endif
