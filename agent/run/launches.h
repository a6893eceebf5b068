/* SPDX-License-Identifier: Apache-2.0 */
/* launches: the commands that run under an identity of their own now, and which processes belong to
 * them. A launch is one cgroup that only the keeper can fill; being in it is what gives the
 * selectors run:id and run:as. Loop thread. */
#ifndef WRIT_AGENT_LAUNCHES_H
#define WRIT_AGENT_LAUNCHES_H

#include "attest/selectors.h"
#include "base/log.h"
#include "base/str.h"
#include "loop/loop.h"
#include "run/keeper.h"

#define WRIT_LAUNCHES_MAX     256
#define WRIT_LAUNCHES_PER_UID 64

struct writ_launches;
struct writ_launch;

struct writ_launches_config {
	struct writ_loop *loop;
	int keeper;               /* owned from now on, whatever happens */
	struct writ_audit *audit; /* borrowed; NULL: launches go to the log only */
	/* A launch is over: what its processes were given is to be taken back, at once. */
	void (*over)(void *arg, const char *id);
	void *arg;
};
WRIT_MUST writ_rc writ_launches_new(
	const struct writ_launches_config *cfg, struct writ_launches **ret, struct writ_err *err);
/* From now on what ends is left to the keeper, which gives commands time to end by themselves. */
void writ_launches_stop(struct writ_launches *ls);
void writ_launches_free(struct writ_launches *ls); /* ends the keeper; NULL is fine */

struct writ_launch_spec {
	const char *as; /* copied */
	pid_t parent, pid;
	uid_t uid;
	gid_t gid;
	bool children; /* of the command: they are meant too */
	/* Once: it runs, and the command may go on. */
	void (*started)(void *arg, struct writ_launch *l);
	/* Once, last: why is NULL after the command's own end, when its cgroup is gone. */
	void (*ended)(void *arg, const struct writ_err *why);
	void *arg;
};
/* WRIT_ELIMIT: too many. WRIT_EUNAVAIL: no keeper. After WRIT_OK ended is called, never inside. */
WRIT_MUST writ_rc writ_launch_start(struct writ_launches *ls, const struct writ_launch_spec *spec,
	struct writ_launch **ret, struct writ_err *err);
const char *writ_launch_id(const struct writ_launch *l);
/* Whoever asked for it is gone: ends all in it; neither function is called any more. */
void writ_launch_drop(struct writ_launch *l);

/* How a process stands to the launches there are. */
enum writ_run_place {
	WRIT_RUN_NONE,  /* in none */
	WRIT_RUN_MEANT, /* it has the selectors run:id and run:as, which were added to out */
	WRIT_RUN_CHILD, /* in the cgroup of one that means its command alone */
};
/* Why WRIT_RUN_CHILD has neither: a line beside the attestors' notes. */
#define WRIT_RUN_CHILD_NOTE                                                                        \
	"run:id and run:as withheld: its launch means its command alone (writ run -children)"
/* Reads /proc/PID/cgroup, and only when there are launches. pidfd: of that process, which must be
 * known to be the caller; out is not sealed afterwards. */
enum writ_run_place writ_launches_select(
	struct writ_launches *ls, pid_t pid, int pidfd, struct writ_selectors *out);
/* The same, and all that it has: own (sealed) and what was added, sealed into ret, which needs
 * writ_selectors_done. */
enum writ_run_place writ_launches_merge(struct writ_launches *ls, pid_t pid, int pidfd,
	const struct writ_selectors *own, struct writ_selectors *ret);
/* May this process, which its user's rules allow to claim path, do so where it is? Outside of
 * launches, yes. In one that means it, paths below the launch's own. Else WRIT_EDENIED: what a
 * command was made to start must not get by asking what it was not given. */
WRIT_MUST writ_rc writ_launches_may_claim(
	struct writ_launches *ls, pid_t pid, int pidfd, struct writ_str path, struct writ_err *err);
size_t writ_launches_count(const struct writ_launches *ls);

#endif
