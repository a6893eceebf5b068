/* SPDX-License-Identifier: Apache-2.0 */
/* op: a long operation as one struct. tick() holds the whole conversation as a switch over states;
 * each callback stores its result and calls writ_op_tick. Contract: start never completes
 * synchronously, exactly one completion, cancel is idempotent and completes with WRIT_ECANCELED, a
 * deadline is mandatory. All calls are for the loop thread. A tick that finds op->rc set while
 * something it cannot stop (a job) still runs returns, and goes to done at the tick that the job's
 * done() asks for. */
#ifndef WRIT_LOOP_OP_H
#define WRIT_LOOP_OP_H

#include "loop/loop.h"

struct writ_op;

struct writ_op_spec {
	const char *name;
	const char *const
		*states; /* names, index = state; state 0 is the first, the last is "done" */
	const uint32_t
		*next; /* next[s]: bit mask of the states that may follow s; done may follow all */
	int done;      /* number of the done state */
	void (*tick)(struct writ_op
			*op); /* one step; on op->rc != WRIT_OK it must clean up and go to done */
	void (*abort)(
		struct writ_op *op); /* stops whatever the current state waits for; may be NULL */
};

struct writ_op {
	const struct writ_op_spec *spec;
	struct writ_loop *loop;
	int state;
	writ_rc rc; /* set by failure, deadline or cancel; first one wins */
	struct writ_err err;
	struct writ_timer *deadline;
	int64_t limit_ms; /* the deadline as it was given */
	struct writ_task posted;
	bool tick_posted, finished;
	void (*complete)(
		struct writ_op *op, void *arg); /* once, from the loop, last: may free the op */
	void *arg;
};

/* Arms the deadline, deadline_ms from now (more than 0), and posts the first tick. Fills in all of
 * *op. */
void writ_op_start(struct writ_op *op, const struct writ_op_spec *spec, struct writ_loop *loop,
	int64_t deadline_ms, void (*complete)(struct writ_op *op, void *arg), void *arg);
void writ_op_to(struct writ_op *op, int state); /* asserts that the table allows it */
void writ_op_tick(struct writ_op *op);          /* posts a tick: never runs inside the caller */
void writ_op_fail(struct writ_op *op, const struct writ_err *err); /* abort, rc, tick */
void writ_op_cancel(struct writ_op *op); /* as fail with WRIT_ECANCELED; idempotent */
void writ_op_done(struct writ_op *op);   /* called by tick in the done state: completes */

#endif
