/* SPDX-License-Identifier: Apache-2.0 */
/* rules: who may start something under which identity: the run block of the configuration. What no
 * rule allows is refused. Pure. */
#ifndef WRIT_AGENT_RUN_RULES_H
#define WRIT_AGENT_RUN_RULES_H

#include "config/config.h"

#include <sys/types.h>

struct writ_run_user {
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* supplementary ones, as the kernel names them */
	size_t n_groups;
};

/* "/agents/dev/foo": a path of a SPIFFE ID, not empty, not below /spire. */
WRIT_MUST writ_rc writ_run_path_check(struct writ_str path, struct writ_err *err);
/* WRIT_OK: some rule lets this user claim path, for children of the command too where that is
 * asked. WRIT_EDENIED: the text has the line of configuration that would allow it. */
WRIT_MUST writ_rc writ_run_allowed(const struct writ_agent_run *run,
	const struct writ_run_user *user, struct writ_str path, bool children,
	struct writ_err *err);

#endif
