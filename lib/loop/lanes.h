/* SPDX-License-Identifier: Apache-2.0 */
/* lanes: blocking work for others that may be slow, or never end: a file whose owner does not
 * answer keeps a thread for good, and nothing can end it. So each customer (a key: the user) has a
 * few lanes of his own, every job has a deadline after which nobody waits for it any more, and what
 * hangs holds up nobody but the customer it hangs for. Loop thread, but for work(). */
#ifndef WRIT_LOOP_LANES_H
#define WRIT_LOOP_LANES_H

#include "loop/loop.h"

struct writ_lanes_limits {
	unsigned threads;       /* at most; those that hang count */
	unsigned threads_a_key; /* at most, of one customer */
	unsigned waiting;       /* jobs that have no thread yet */
	unsigned waiting_a_key;
	/* The same of all customers of one family together: one user who is many. 0: no limit. */
	unsigned threads_a_family, waiting_a_family;
	int64_t deadline_ms; /* from the moment a job is handed over */
};

/* Embedded in the caller's object, which lives until drop(). */
struct writ_lane_job {
	uint64_t key, family;                  /* family 0: none */
	void (*work)(struct writ_lane_job *j); /* on a thread of the lanes */
	/* On the loop, once, never inside writ_lanes_run. WRIT_OK: work() is done. WRIT_ETIMEOUT:
	 * it may still run, or never ran. WRIT_EBUSY: too many wait, work() never runs. */
	void (*done)(struct writ_lane_job *j, writ_rc fate);
	void (*drop)(struct writ_lane_job *j); /* on the loop, once, last: nobody touches j now */
	/* the lanes' own */
	struct writ_list node;  /* among those that nobody has been told about */
	struct writ_list queue; /* of its thread, or of those that wait */
	int64_t deadline_ms_at;
	int state;
	bool told, refused;
};

struct writ_lanes;

WRIT_MUST writ_rc writ_lanes_new(struct writ_loop *loop, const struct writ_lanes_limits *limits,
	struct writ_lanes **ret, struct writ_err *err);
void writ_lanes_run(struct writ_lanes *l, struct writ_lane_job *j);
/* Waits at most patience_ms for work that is under way; what has not come back by then is left to
 * itself, memory and thread, and its drop() never comes: for the end of a process. done() of what
 * is not told is not called. NULL is fine. */
void writ_lanes_free(struct writ_lanes *l, int64_t patience_ms);

#endif
