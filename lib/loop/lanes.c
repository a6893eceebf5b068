/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/lanes.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"

enum state { WAITING = 1, RUNNING, FINISHED };

#define FAMILY (UINT64_C(1) << 63) /* their numbers are apart from those of customers */

struct customer { /* or a family of them */
	uint64_t key;
	unsigned running, waiting;
};

struct thread {
	struct writ_lanes *lanes;
	pthread_t id;
};

struct writ_lanes {
	struct writ_lanes_limits limits;
	struct writ_poll *poll;
	struct writ_timer *timer;
	struct writ_list told_nobody; /* jobs, the oldest first: they have one deadline */
	int bell, ring;               /* who sends to the one wakes the loop by the other */
	pthread_mutex_t lock;         /* of all below */
	pthread_cond_t work, gone;
	struct writ_list waiting, finished; /* by `queue` */
	struct writ_map customers;
	unsigned n_waiting, n_idle, n_threads, n_ended;
	bool stopping;
	struct thread *threads; /* limits.threads of them */
};

/* --- customers; locked --- */

static struct customer *customer_of(struct writ_lanes *l, uint64_t key)
{
	struct customer *c = writ_map_get(&l->customers, writ_strn(&key, sizeof(key)));
	if (c)
		return c;
	c = writ_alloc(sizeof(*c));
	c->key = key;
	(void)writ_map_put(&l->customers, writ_strn(&c->key, sizeof(c->key)), c);
	return c;
}

static void settle(struct writ_lanes *l, struct customer *c)
{
	if (c->running || c->waiting)
		return;
	(void)writ_map_remove(&l->customers, writ_strn(&c->key, sizeof(c->key)));
	writ_free(c);
}

/* Those that a job is counted in: how many. */
static size_t counted_in(
	struct writ_lanes *l, const struct writ_lane_job *j, struct customer *ret[2])
{
	ret[0] = customer_of(l, j->key);
	if (!j->family)
		return 1;
	ret[1] = customer_of(l, FAMILY | j->family);
	return 2;
}

/* Adds to what runs and waits. The last job of a customer ends him. */
static void count(struct writ_lanes *l, const struct writ_lane_job *j, int running, int waiting)
{
	struct customer *c[2];
	size_t n = counted_in(l, j, c);
	for (size_t i = 0; i < n; i++) {
		c[i]->running += (unsigned)running;
		c[i]->waiting += (unsigned)waiting;
		settle(l, c[i]);
	}
	l->n_waiting += (unsigned)waiting;
}

static bool is_full(unsigned n, unsigned max)
{
	return max && n >= max;
}

static void leave_queue(struct writ_lanes *l, struct writ_lane_job *j, int running)
{
	writ_list_remove(&j->queue);
	count(l, j, running, -1);
}

static bool has_lane(struct writ_lanes *l, const struct writ_lane_job *j)
{
	struct customer *c[2];
	size_t n = counted_in(l, j, c);
	return !is_full(c[0]->running, l->limits.threads_a_key) &&
		(n < 2 || !is_full(c[1]->running, l->limits.threads_a_family));
}

static bool may_wait(struct writ_lanes *l, const struct writ_lane_job *j)
{
	struct customer *c[2];
	size_t n = counted_in(l, j, c);
	return l->n_waiting < l->limits.waiting &&
		!is_full(c[0]->waiting, l->limits.waiting_a_key) &&
		(n < 2 || !is_full(c[1]->waiting, l->limits.waiting_a_family));
}

/* --- threads --- */

/* The first whose customer has a lane left. Locked. */
static struct writ_lane_job *pick(struct writ_lanes *l)
{
	WRIT_LIST_EACH (it, &l->waiting) {
		struct writ_lane_job *j = writ_container(it, struct writ_lane_job, queue);
		if (!has_lane(l, j))
			continue;
		leave_queue(l, j, 1);
		j->state = RUNNING;
		return j;
	}
	return NULL;
}

/* Locked. The loop empties the whole list when it has heard, so once is enough. By send(2), not
 * over an eventfd: a process that looks at files needs no write(2) then, and may lose it. */
static void finish(struct writ_lanes *l, struct writ_lane_job *j)
{
	bool heard = writ_list_empty(&l->finished);
	j->state = FINISHED;
	writ_list_push(&l->finished, &j->queue);
	while (heard && send(l->bell, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

static void *run_thread(void *arg)
{
	struct thread *t = arg;
	struct writ_lanes *l = t->lanes;
	(void)pthread_mutex_lock(&l->lock);
	while (!l->stopping) {
		struct writ_lane_job *j = pick(l);
		if (!j) {
			l->n_idle++;
			(void)pthread_cond_wait(&l->work, &l->lock);
			l->n_idle--;
			continue;
		}
		(void)pthread_mutex_unlock(&l->lock);
		j->work(j);
		(void)pthread_mutex_lock(&l->lock);
		count(l, j, -1, 0);
		finish(l, j);
	}
	l->n_ended++;
	(void)pthread_cond_signal(&l->gone);
	(void)pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* Locked. One that cannot be had is not missed as long as there are others. */
static void add_thread(struct writ_lanes *l)
{
	sigset_t all, before;
	if (l->n_waiting <= l->n_idle || l->n_threads == l->limits.threads)
		return;
	struct thread *t = &l->threads[l->n_threads];
	*t = (struct thread){ .lanes = l };
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&t->id, NULL, run_thread, t) == 0)
		l->n_threads++;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* --- the loop's side --- */

static void watch_deadline(struct writ_lanes *l)
{
	if (writ_list_empty(&l->told_nobody)) {
		writ_timer_stop(l->timer);
		return;
	}
	const struct writ_lane_job *j =
		writ_container(l->told_nobody.next, struct writ_lane_job, node);
	int64_t left = j->deadline_ms_at - writ_mono_ms();
	writ_timer_start(l->timer, left > 1 ? left : 1);
}

static void tell(struct writ_lane_job *j, writ_rc fate)
{
	if (j->told)
		return;
	j->told = true;
	writ_list_remove(&j->node);
	j->done(j, fate);
}

static void on_ring(void *arg, int events)
{
	struct writ_lanes *l = arg;
	char c;
	(void)events;
	while (recv(l->ring, &c, 1, MSG_DONTWAIT) > 0)
		;
	for (;;) {
		(void)pthread_mutex_lock(&l->lock);
		struct writ_list *node = writ_list_pop(&l->finished);
		(void)pthread_mutex_unlock(&l->lock);
		if (!node)
			break;
		struct writ_lane_job *j = writ_container(node, struct writ_lane_job, queue);
		tell(j, j->refused ? WRIT_EBUSY : WRIT_OK);
		j->drop(j);
	}
	watch_deadline(l);
}

static void on_deadline(void *arg)
{
	struct writ_lanes *l = arg;
	int64_t now = writ_mono_ms();
	while (!writ_list_empty(&l->told_nobody)) {
		struct writ_lane_job *j =
			writ_container(l->told_nobody.next, struct writ_lane_job, node);
		if (now < j->deadline_ms_at)
			break;
		(void)pthread_mutex_lock(&l->lock);
		int state = j->state;
		if (state == WAITING)
			leave_queue(l, j, 0);
		(void)pthread_mutex_unlock(&l->lock);
		if (state == FINISHED) /* in time after all: the ring has it */
			break;
		tell(j, WRIT_ETIMEOUT);
		if (state == WAITING)
			j->drop(j);
	}
	watch_deadline(l);
}

writ_rc writ_lanes_new(struct writ_loop *loop, const struct writ_lanes_limits *limits,
	struct writ_lanes **ret, struct writ_err *err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) != 0)
		return writ_fail_errno(err, errno, "make a socket pair");
	struct writ_lanes *l = writ_alloc(sizeof(*l));
	l->limits = *limits;
	l->bell = pair[0];
	l->ring = pair[1];
	writ_rc rc = writ_poll_new(loop, l->ring, on_ring, l, &l->poll, err);
	if (rc != WRIT_OK) {
		(void)close(l->bell);
		(void)close(l->ring);
		writ_free(l);
		return rc;
	}
	writ_poll_set(l->poll, WRIT_READABLE);
	l->timer = writ_timer_new(loop, on_deadline, l);
	l->threads = writ_alloc(limits->threads * sizeof(*l->threads));
	writ_list_init(&l->told_nobody);
	writ_list_init(&l->waiting);
	writ_list_init(&l->finished);
	(void)pthread_mutex_init(&l->lock, NULL);
	(void)pthread_cond_init(&l->work, NULL);
	(void)pthread_cond_init(&l->gone, NULL);
	*ret = l;
	return WRIT_OK;
}

void writ_lanes_run(struct writ_lanes *l, struct writ_lane_job *j)
{
	j->told = j->refused = false;
	j->deadline_ms_at = writ_mono_ms() + l->limits.deadline_ms;
	writ_list_init(&j->queue);
	writ_list_push(&l->told_nobody, &j->node);
	(void)pthread_mutex_lock(&l->lock);
	j->refused = !may_wait(l, j);
	if (j->refused) {
		count(l, j, 0, 0);
		finish(l, j);
	} else {
		j->state = WAITING;
		count(l, j, 0, 1);
		writ_list_push(&l->waiting, &j->queue);
		add_thread(l);
		(void)pthread_cond_signal(&l->work);
	}
	(void)pthread_mutex_unlock(&l->lock);
	if (!writ_timer_active(l->timer))
		watch_deadline(l);
}

/* True when all threads have ended. */
static bool await_threads(struct writ_lanes *l, int64_t patience_ms)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_REALTIME, &until);
	int64_t ns = until.tv_nsec + patience_ms % 1000 * 1000000;
	until.tv_sec += patience_ms / 1000 + ns / 1000000000;
	until.tv_nsec = ns % 1000000000;
	int e = 0;
	while (l->n_ended < l->n_threads && e == 0)
		e = pthread_cond_timedwait(&l->gone, &l->lock, &until);
	return l->n_ended == l->n_threads;
}

static void drop_all(struct writ_list *list)
{
	struct writ_list *node;
	while ((node = writ_list_pop(list))) {
		struct writ_lane_job *j = writ_container(node, struct writ_lane_job, queue);
		writ_list_remove(&j->node);
		j->drop(j);
	}
}

void writ_lanes_free(struct writ_lanes *l, int64_t patience_ms)
{
	if (!l)
		return;
	writ_poll_free(l->poll);
	writ_timer_free(l->timer);
	(void)pthread_mutex_lock(&l->lock);
	l->stopping = true;
	(void)pthread_cond_broadcast(&l->work);
	while (!writ_list_empty(&l->waiting)) {
		struct writ_list *node = l->waiting.next;
		struct writ_lane_job *j = writ_container(node, struct writ_lane_job, queue);
		leave_queue(l, j, 0);
		writ_list_push(&l->finished, node);
	}
	bool all = await_threads(l, patience_ms);
	(void)pthread_mutex_unlock(&l->lock);
	drop_all(&l->finished);
	if (!all)
		return; /* threads that hang use it still */
	for (unsigned i = 0; i < l->n_threads; i++)
		(void)pthread_join(l->threads[i].id, NULL);
	(void)pthread_mutex_destroy(&l->lock);
	(void)pthread_cond_destroy(&l->work);
	(void)pthread_cond_destroy(&l->gone);
	writ_map_done(&l->customers);
	(void)close(l->bell);
	(void)close(l->ring);
	writ_free(l->threads);
	writ_free(l);
}
