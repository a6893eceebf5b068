/* SPDX-License-Identifier: Apache-2.0 */
/* loop_impl: the loop from inside. For the files of lib/loop only. */
#ifndef WRIT_LOOP_LOOP_IMPL_H
#define WRIT_LOOP_LOOP_IMPL_H

#include "loop/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

struct writ_loop {
	uv_loop_t uv;
	uv_async_t wake;  /* another thread posted, or asked to stop */
	uv_idle_t more;   /* active while `local` is not empty: the loop does not sleep then */
	uv_timer_t until; /* of writ_loop_run_until */
	/* Active while somebody waits for something: a timer or a task of this very iteration may
	 * have brought it, and the loop would sleep all the same. */
	uv_prepare_t before_sleep;
	const bool *awaited; /* of writ_loop_run_until; NULL: the loop waits for its own end */
	_Atomic(struct writ_task *) inbox;    /* from other threads, latest first */
	struct writ_task *local, **local_end; /* posted by the loop's own thread, in order */
	uv_idle_cb on_more;
	_Atomic pthread_t owner;
	atomic_bool stop;
	size_t jobs; /* started, done() still to come */
};

/* Runs what was posted; what those tasks post in turn waits for the next iteration after some
 * rounds. */
void writ_loop_drain(struct writ_loop *l);
bool writ_loop_has_tasks(struct writ_loop *l);
/* The loop that this thread is inside of, or NULL. */
struct writ_loop **writ_loop_here(void);

/* Closes a handle that is the first member of a block from writ_alloc, and frees the block when
 * libuv lets go of it. */
void writ_loop_close_and_free(uv_handle_t *h);

#endif
