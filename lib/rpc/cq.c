/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/cq.h"

#include "base/mem.h"
#include "front/hub.h"

#include <assert.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BATCH        64    /* events that one wake-up of the loop may wait for */
#define FETCHED_MAX  100   /* events that gRPC takes from the kernel at once */
#define LAST_LOOK_US 50000 /* after something was done to a socket */

struct event {
	struct tag *tag;
	bool ok;
};

struct events {
	struct event *p;
	size_t n, cap;
};

struct writ_cq {
	struct writ_cq *next;
	struct writ_loop *loop;
	struct writ_hub *hub;           /* relayed; else NULL */
	grpc_completion_queue *grpc;    /* of all tags */
	grpc_completion_queue *sockets; /* relayed: has none, but gRPC's sockets; else NULL */
	struct writ_due last_look;
	pthread_t thread;
	int refs;
	bool running; /* inside run(): the loop's thread */
	pthread_mutex_t lock;
	struct events in;  /* under lock */
	bool posted;       /* under lock: `task` is on its way to the loop */
	struct events out; /* the loop's: emptied before it is swapped with `in` */
	struct writ_task task;
	struct events own; /* the loop's: what it completed itself */
	bool own_posted;
	struct writ_task own_task;
};

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct writ_cq *all;

static void append(struct events *e, const struct event *p, size_t n)
{
	if (e->n + n > e->cap) {
		e->cap = (e->n + n) * 2;
		e->p = writ_realloc(e->p, e->cap * sizeof(*e->p));
	}
	memcpy(e->p + e->n, p, n * sizeof(*p));
	e->n += n;
}

static void hand_over(struct writ_cq *q, const struct event *batch, size_t n)
{
	pthread_mutex_lock(&q->lock);
	append(&q->in, batch, n);
	bool wake = !q->posted;
	q->posted = true;
	pthread_mutex_unlock(&q->lock);
	if (wake)
		writ_loop_post(q->loop, &q->task);
}

/* The thread. What has already happened goes along with the event that woke it. */
static void *drain(void *arg)
{
	struct writ_cq *q = arg;
	gpr_timespec now = gpr_time_0(GPR_CLOCK_MONOTONIC),
		     never = gpr_inf_future(GPR_CLOCK_MONOTONIC);
	for (;;) {
		struct event batch[BATCH];
		size_t n = 0;
		grpc_event e = grpc_completion_queue_next(q->grpc, never, NULL);
		while (e.type == GRPC_OP_COMPLETE) {
			batch[n++] = (struct event){ e.tag, e.success != 0 };
			if (n == BATCH)
				break;
			e = grpc_completion_queue_next(q->grpc, now, NULL);
		}
		if (n > 0)
			hand_over(q, batch, n);
		if (e.type == GRPC_QUEUE_SHUTDOWN)
			return NULL;
	}
}

static void call(struct writ_cq *q, struct events *e)
{
	q->running = true;
	for (size_t i = 0; i < e->n; i++)
		e->p[i].tag->done(e->p[i].tag, e->p[i].ok);
	q->running = false;
	e->n = 0;
}

/* On the loop. */
static void run(struct writ_task *t)
{
	struct writ_cq *q = writ_container(t, struct writ_cq, task);
	pthread_mutex_lock(&q->lock);
	struct events batch = q->in;
	q->in = q->out;
	q->posted = false;
	pthread_mutex_unlock(&q->lock);
	call(q, &batch);
	q->out = batch;
}

/* What is completed meanwhile gets a task of its own. */
static void run_own(struct writ_task *t)
{
	struct writ_cq *q = writ_container(t, struct writ_cq, own_task);
	struct events batch = q->own;
	q->own = (struct events){ 0 };
	q->own_posted = false;
	call(q, &batch);
	if (q->own.p)
		writ_free(batch.p);
	else
		q->own = batch;
}

void writ_cq_enter(struct writ_cq *q)
{
	grpc_completion_queue_thread_local_cache_init(q->grpc);
}

void writ_cq_leave(struct writ_cq *q)
{
	void *tag = NULL;
	int ok = 0;
	if (grpc_completion_queue_thread_local_cache_flush(q->grpc, &tag, &ok) != 1)
		return;
	append(&q->own, &(struct event){ tag, ok != 0 }, 1);
	if (!q->own_posted)
		writ_loop_post(q->loop, &q->own_task);
	q->own_posted = true;
}

/* Each call takes one event of one socket, and waits for nothing. */
static void take(struct writ_cq *q, unsigned times)
{
	const gpr_timespec past = gpr_inf_past(GPR_CLOCK_MONOTONIC);
	for (unsigned i = 0; i < times; i++) {
		writ_cq_enter(q);
		grpc_event e = grpc_completion_queue_next(q->sockets, past, NULL);
		writ_cq_leave(q);
		assert(e.type == GRPC_QUEUE_TIMEOUT);
		(void)e;
	}
}

static void look(void *arg, unsigned times)
{
	struct writ_cq *q = arg;
	take(q, times);
	if (!q->last_look.pos)
		writ_due_set(q->hub, &q->last_look, writ_hub_now_us(q->hub) + LAST_LOOK_US);
}

/* While gRPC waits for room in a socket, a thread of its own polls all of them, and leaves when
 * there is room: what it has fetched by then and not come to is left to whoever looks next. */
static void on_last_look(struct writ_due *d)
{
	take(writ_container(d, struct writ_cq, last_look), FETCHED_MAX);
}

void writ_cq_stir(struct writ_cq *q)
{
	if (q->hub)
		writ_hub_stir(q->hub, 1);
}

/* Signals are the loop's business: none may land on this thread. */
static void start(struct writ_cq *q)
{
	sigset_t every, before;
	sigfillset(&every);
	pthread_sigmask(SIG_SETMASK, &every, &before);
	int rc = pthread_create(&q->thread, NULL, drain, q);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) { /* nor could gRPC, which waits for threads of its own when it ends */
		fprintf(stderr,
			"writ: start a thread: %s; more are needed (TasksMax=, ulimit -u)\n",
			strerror(rc));
		_exit(1);
	}
	pthread_setname_np(q->thread, "grpc-cq");
}

static struct writ_cq *make(struct writ_loop *l, struct writ_hub *hub)
{
	struct writ_cq *q = writ_alloc(sizeof(*q));
	q->loop = l;
	q->hub = hub;
	q->task.run = run;
	q->own_task.run = run_own;
	pthread_mutex_init(&q->lock, NULL);
	if (hub) {
		const grpc_completion_queue_attributes events = {
			.version = GRPC_CQ_VERSION_MINIMUM_FOR_CALLBACKABLE,
			.cq_completion_type = GRPC_CQ_NEXT,
			.cq_polling_type = GRPC_CQ_NON_POLLING
		};
		q->grpc = grpc_completion_queue_create(
			grpc_completion_queue_factory_lookup(&events), &events, NULL);
		q->sockets = grpc_completion_queue_create_for_next(NULL);
		q->last_look.fire = on_last_look;
		writ_hub_set_beyond(hub, look, q);
	} else {
		q->grpc = grpc_completion_queue_create_for_next(NULL);
	}
	start(q);
	return q;
}

static struct writ_cq *find(struct writ_loop *l, bool relayed)
{
	struct writ_cq *q = all;
	while (q && (q->loop != l || (q->hub != NULL) != relayed))
		q = q->next;
	return q;
}

writ_rc writ_cq_get(struct writ_loop *l, bool relayed, struct writ_cq **ret, struct writ_err *err)
{
	struct writ_hub *hub = NULL;
	writ_rc rc = WRIT_OK;
	pthread_mutex_lock(&all_lock);
	struct writ_cq *q = find(l, relayed);
	if (!q && relayed)
		rc = writ_hub_get(l, &hub, err);
	if (!q && rc == WRIT_OK) {
		q = make(l, hub);
		q->next = all;
		all = q;
	}
	if (rc == WRIT_OK) {
		q->refs++;
		*ret = q;
	}
	pthread_mutex_unlock(&all_lock);
	return rc;
}

static void forget(struct writ_cq *q)
{
	struct writ_cq **at = &all;
	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
}

static void end_sockets(struct writ_cq *q)
{
	if (!q->hub)
		return;
	writ_hub_set_beyond(q->hub, NULL, NULL);
	writ_due_stop(q->hub, &q->last_look);
	writ_hub_put(q->hub);
	grpc_completion_queue_shutdown(q->sockets);
	const gpr_timespec past = gpr_inf_past(GPR_CLOCK_MONOTONIC);
	while (grpc_completion_queue_next(q->sockets, past, NULL).type != GRPC_QUEUE_SHUTDOWN)
		;
	grpc_completion_queue_destroy(q->sockets);
}

void writ_cq_put(struct writ_cq *q)
{
	pthread_mutex_lock(&all_lock);
	bool last = --q->refs == 0;
	if (last)
		forget(q);
	pthread_mutex_unlock(&all_lock);
	if (!last)
		return;
	assert(!q->running);
	grpc_completion_queue_shutdown(q->grpc);
	pthread_join(q->thread, NULL);
	assert(!q->posted && q->in.n == 0 && !q->own_posted && q->own.n == 0);
	grpc_completion_queue_destroy(q->grpc);
	end_sockets(q);
	pthread_mutex_destroy(&q->lock);
	writ_free(q->in.p);
	writ_free(q->out.p);
	writ_free(q->own.p);
	writ_free(q);
}

grpc_completion_queue *writ_cq_grpc(const struct writ_cq *q)
{
	return q->grpc;
}

grpc_completion_queue *writ_cq_sockets(const struct writ_cq *q)
{
	return q->sockets;
}
