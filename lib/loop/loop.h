/* SPDX-License-Identifier: Apache-2.0 */
/* loop: the one thread that owns a process's mutable state, over libuv. All functions are for the
 * loop thread unless a comment says otherwise. Handles here are opaque and heap-allocated; after a
 * close or free call no callback of that handle runs any more. No callback ever runs inside the
 * call that asked for it. */
#ifndef WRIT_LOOP_LOOP_H
#define WRIT_LOOP_LOOP_H

#include "base/list.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct writ_loop;
struct uv_loop_s;

WRIT_MUST writ_rc writ_loop_new(struct writ_loop **ret, struct writ_err *err);
void writ_loop_run(struct writ_loop *l);  /* until writ_loop_stop */
void writ_loop_stop(struct writ_loop *l); /* any thread */
/* Runs the loop until *flag is true or the deadline (monotonic ms) passes; for CLI-like callers
 * that want a synchronous answer. False: the deadline came first. */
bool writ_loop_run_until(struct writ_loop *l, const bool *flag, int64_t deadline_ms);
/* Waits for jobs still running, closes what is left of the loop's own handles. Every timer, poll,
 * signal and child must be closed before, and threads that post joined: aborts with the kind of
 * handle. */
void writ_loop_free(struct writ_loop *l);
struct uv_loop_s *writ_loop_uv(struct writ_loop *l);
bool writ_loop_is_current(const struct writ_loop *l); /* is this the loop's thread? any thread */

/* A message to the loop, from any thread. The node is embedded in the sender's object; run() is
 * called once on the loop thread, and may free or post it again. Order is kept per sender. */
struct writ_task {
	struct writ_task *next;
	void (*run)(struct writ_task *t);
};
void writ_loop_post(struct writ_loop *l, struct writ_task *t);

/* Timers: one shot, re-armed by start. */
struct writ_timer;
struct writ_timer *writ_timer_new(struct writ_loop *l, void (*fire)(void *arg), void *arg);
void writ_timer_start(
	struct writ_timer *t, int64_t ms); /* replaces an earlier start; at least 1 ms */
void writ_timer_stop(struct writ_timer *t);
bool writ_timer_active(const struct writ_timer *t);
void writ_timer_free(struct writ_timer *t); /* NULL is fine */

/* Readiness of a file descriptor, level-triggered. The poll does not own the fd, but makes it
 * non-blocking; free the poll before closing the fd. WRIT_HANGUP: the peer will send no more. An
 * error of the socket comes as WRIT_HANGUP | WRIT_READABLE whatever was asked for, and stops the
 * poll until the next writ_poll_set. */
enum { WRIT_READABLE = 1, WRIT_WRITABLE = 2, WRIT_HANGUP = 4 };
struct writ_poll;
WRIT_MUST writ_rc writ_poll_new(struct writ_loop *l, int fd, void (*ready)(void *arg, int events),
	void *arg, struct writ_poll **ret, struct writ_err *err);
void writ_poll_set(struct writ_poll *p, int events); /* 0 stops; WRIT_HANGUP may be asked alone */
void writ_poll_free(struct writ_poll *p);

/* CPU or blocking work on the pool: work() on another thread, then done() on the loop. The struct
 * is embedded in the caller's object, which must live until done(). */
struct writ_job {
	struct writ_loop *loop;
	void (*work)(struct writ_job *j);
	void (*done)(struct writ_job *j);
	void *impl;
};
void writ_job_run(struct writ_loop *l, struct writ_job *j);
/* Ends the pool's threads: the last act of a process, after every loop was freed. OpenSSL keeps a
 * random generator for each thread, which is wiped and freed with it. */
void writ_job_shutdown(void);

/* A thread of its own with a queue: for a database connection, which is always touched by one
 * thread. Tasks run in order; batch lets the owner see how many are waiting (group commit). batch
 * NULL: each task's run. */
struct writ_worker;
WRIT_MUST writ_rc writ_worker_start(const char *name,
	void (*batch)(void *arg, struct writ_task *first), void *arg, struct writ_worker **ret,
	struct writ_err *err);
void writ_worker_submit(
	struct writ_worker *w, struct writ_task *t); /* any thread; batch() gets all that wait */
void writ_worker_stop(struct writ_worker *w);        /* finishes what was submitted, joins, frees */

/* Signals, as events of the loop. */
struct writ_signal;
WRIT_MUST writ_rc writ_signal_new(struct writ_loop *l, int signum,
	void (*fire)(void *arg, int signum), void *arg, struct writ_signal **ret,
	struct writ_err *err);
void writ_signal_free(struct writ_signal *s);

#endif
