/* SPDX-License-Identifier: Apache-2.0 */
#include "front/hub.h"

#include "base/clock.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#define EVENTS_MAX 64 /* handed out in one round */
#define ROUNDS_MAX 8  /* before the loop's other handles get their turn */

struct writ_hub {
	struct writ_list node; /* in hubs */
	int refs;
	struct writ_loop *loop;
	int epfd;
	struct writ_poll *poll;
	struct writ_timer *timer;
	int64_t armed_us; /* what timer is set to, 0: not */
	struct writ_due **heap;
	size_t n_heap, cap_heap;
	struct writ_list later;
	struct writ_task task; /* runs what was asked for outside of a round */
	bool posted, in_round;
	int64_t now_us;
	uint8_t *up, *down;
	void (*look)(void *arg, unsigned times); /* what is beyond the far sockets */
	void *look_arg;
	unsigned stirred;
};

/* One hub for each loop: a descriptor and two buffers, shared by everything on that thread. */
static pthread_mutex_t hubs_lock = PTHREAD_MUTEX_INITIALIZER;
static struct writ_list hubs = { &hubs, &hubs };

static void ignore_sigpipe(void)
{
	struct sigaction now;
	if (sigaction(SIGPIPE, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
		now.sa_handler == SIG_DFL) {
		now.sa_handler = SIG_IGN;
		(void)sigaction(SIGPIPE, &now, NULL);
	}
}

struct writ_loop *writ_hub_loop(const struct writ_hub *h)
{
	return h->loop;
}

uint8_t *writ_hub_up(struct writ_hub *h)
{
	return h->up + WRIT_SPARE;
}

uint8_t *writ_hub_down(struct writ_hub *h)
{
	return h->down + WRIT_SPARE;
}

int64_t writ_hub_now_us(struct writ_hub *h)
{
	if (!h->in_round)
		return writ_mono_us();
	if (!h->now_us)
		h->now_us = writ_mono_us();
	return h->now_us;
}

/* --- deadlines: a binary heap ------------------------------------------------------------------
 */

static void place(struct writ_hub *h, size_t pos, struct writ_due *d)
{
	h->heap[pos] = d;
	d->pos = pos;
}

static void sift_up(struct writ_hub *h, struct writ_due *d)
{
	size_t pos = d->pos;
	for (; pos > 1 && h->heap[pos / 2]->at_us > d->at_us; pos /= 2)
		place(h, pos, h->heap[pos / 2]);
	place(h, pos, d);
}

static void sift_down(struct writ_hub *h, struct writ_due *d)
{
	size_t pos = d->pos;
	for (;;) {
		size_t kid = pos * 2;
		if (kid > h->n_heap)
			break;
		if (kid < h->n_heap && h->heap[kid + 1]->at_us < h->heap[kid]->at_us)
			kid++;
		if (h->heap[kid]->at_us >= d->at_us)
			break;
		place(h, pos, h->heap[kid]);
		pos = kid;
	}
	place(h, pos, d);
}

/* The timer is only ever moved to an earlier time: that of a deadline gone fires for nothing and is
 * set anew. */
static void arm(struct writ_hub *h)
{
	if (!h->n_heap || (h->armed_us && h->armed_us <= h->heap[1]->at_us))
		return;
	int64_t wait = h->heap[1]->at_us - writ_mono_us();
	h->armed_us = h->heap[1]->at_us;
	writ_timer_start(h->timer, wait > 0 ? wait / 1000 + 1 : 1);
}

void writ_due_set(struct writ_hub *h, struct writ_due *d, int64_t at_us)
{
	if (d->pos && d->at_us == at_us)
		return;
	d->at_us = at_us;
	if (!d->pos) {
		if (h->n_heap + 1 >= h->cap_heap) {
			h->cap_heap = h->cap_heap ? h->cap_heap * 2 : 64;
			h->heap = writ_realloc(h->heap, h->cap_heap * sizeof(*h->heap));
		}
		place(h, ++h->n_heap, d);
	}
	sift_up(h, d);
	sift_down(h, d);
	arm(h);
}

void writ_due_stop(struct writ_hub *h, struct writ_due *d)
{
	if (!d->pos)
		return;
	struct writ_due *last = h->heap[h->n_heap--];
	if (last != d) {
		place(h, d->pos, last);
		sift_up(h, last);
		sift_down(h, last);
	}
	d->pos = 0;
}

static void fire_due(struct writ_hub *h)
{
	int64_t now = writ_hub_now_us(h);
	while (h->n_heap && h->heap[1]->at_us <= now) {
		struct writ_due *d = h->heap[1];
		writ_due_stop(h, d);
		d->fire(d);
	}
}

/* --- later -------------------------------------------------------------------------------------
 */

void writ_later_init(struct writ_later *l, void (*run)(struct writ_later *l))
{
	writ_list_init(&l->node);
	l->run = run;
}

static void post(struct writ_hub *h)
{
	if (h->posted)
		return;
	h->posted = true;
	h->refs++; /* the task's */
	writ_loop_post(h->loop, &h->task);
}

void writ_later_ask(struct writ_hub *h, struct writ_later *l)
{
	if (!writ_list_empty(&l->node))
		return;
	writ_list_push(&h->later, &l->node);
	if (!h->in_round)
		post(h);
}

void writ_later_stop(struct writ_later *l)
{
	writ_list_remove(&l->node);
}

void writ_hub_set_beyond(struct writ_hub *h, void (*look)(void *arg, unsigned times), void *arg)
{
	assert(!look || !h->look);
	h->look = look;
	h->look_arg = arg;
	h->stirred = 0;
}

void writ_hub_stir(struct writ_hub *h, unsigned times)
{
	if (!h->look)
		return;
	h->stirred += times;
	if (!h->in_round)
		post(h);
}

static void look_beyond(struct writ_hub *h)
{
	unsigned times = h->stirred;
	h->stirred = 0;
	if (times)
		h->look(h->look_arg, times);
}

/* What is asked for meanwhile waits for the next turn. */
static void run_later(struct writ_hub *h)
{
	struct writ_list now;
	writ_list_init(&now);
	struct writ_list *node;
	while ((node = writ_list_pop(&h->later)))
		writ_list_push(&now, node);
	while ((node = writ_list_pop(&now))) {
		struct writ_later *l = writ_container(node, struct writ_later, node);
		l->run(l); /* may free l */
	}
}

/* --- sockets -----------------------------------------------------------------------------------
 */

writ_rc writ_watch_start(
	struct writ_hub *h, struct writ_watch *w, int fd, uint32_t mask, struct writ_err *err)
{
	struct epoll_event e = { .events = mask, .data.ptr = w };
	if (epoll_ctl(h->epfd, EPOLL_CTL_ADD, fd, &e) != 0)
		return writ_fail_errno(err, errno, "watch a socket");
	w->fd = fd;
	w->mask = mask;
	return WRIT_OK;
}

void writ_watch_set(struct writ_hub *h, struct writ_watch *w, uint32_t mask)
{
	if (w->fd < 0 || w->mask == mask)
		return;
	struct epoll_event e = { .events = mask, .data.ptr = w };
	int rc = epoll_ctl(h->epfd, EPOLL_CTL_MOD, w->fd, &e);
	assert(rc == 0); /* it is in the set: nothing else can fail */
	(void)rc;
	w->mask = mask;
}

void writ_watch_stop(struct writ_hub *h, struct writ_watch *w)
{
	/* Closing is not enough: a child between fork and exec may hold the socket a moment longer.
	 */
	if (w->fd >= 0)
		(void)epoll_ctl(h->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	w->fd = -1;
	w->mask = 0;
}

/* --- rounds ------------------------------------------------------------------------------------
 */

static int hand_out(struct writ_hub *h)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(h->epfd, events, EVENTS_MAX, 0);
	for (int i = 0; i < n; i++) {
		struct writ_watch *w = events[i].data.ptr;
		if (w->fd >= 0) /* not stopped by an event before it */
			w->ready(w, events[i].events);
	}
	return n;
}

static void begin(struct writ_hub *h)
{
	h->refs++;
	h->in_round = true;
	h->now_us = 0;
}

static void end(struct writ_hub *h)
{
	look_beyond(h);
	run_later(h);
	for (int i = 1; i < ROUNDS_MAX && (!writ_list_empty(&h->later) || h->stirred); i++) {
		h->now_us = 0;
		(void)hand_out(h);
		look_beyond(h);
		run_later(h);
	}
	h->in_round = false;
	if (!writ_list_empty(&h->later) || h->stirred)
		post(h);
	writ_hub_put(h);
}

static void on_poll(void *arg, int events)
{
	struct writ_hub *h = arg;
	(void)events;
	begin(h);
	(void)hand_out(h);
	end(h);
}

static void on_timer(void *arg)
{
	struct writ_hub *h = arg;
	begin(h);
	h->armed_us = 0;
	fire_due(h);
	arm(h);
	end(h);
}

static void on_task(struct writ_task *t)
{
	struct writ_hub *h = writ_container(t, struct writ_hub, task);
	h->posted = false;
	begin(h);
	end(h);
	writ_hub_put(h);
}

/* --- life --------------------------------------------------------------------------------------
 */

static struct writ_hub *find(const struct writ_loop *l)
{
	WRIT_LIST_EACH (it, &hubs) {
		struct writ_hub *h = writ_container(it, struct writ_hub, node);
		if (h->loop == l)
			return h;
	}
	return NULL;
}

static writ_rc hub_new(struct writ_loop *l, struct writ_hub **ret, struct writ_err *err)
{
	struct writ_hub *h = writ_alloc(sizeof(*h));
	h->epfd = epoll_create1(EPOLL_CLOEXEC);
	writ_rc rc = h->epfd < 0 ? writ_fail_errno(err, errno, "make an epoll set")
				 : writ_poll_new(l, h->epfd, on_poll, h, &h->poll, err);
	if (rc != WRIT_OK) {
		if (h->epfd >= 0)
			(void)close(h->epfd);
		writ_free(h);
		return rc;
	}
	h->loop = l;
	h->timer = writ_timer_new(l, on_timer, h);
	h->task.run = on_task;
	h->up = writ_alloc(WRIT_UP_MAX + 2 * WRIT_SPARE);
	h->down = writ_alloc(WRIT_DOWN_MAX + 2 * WRIT_SPARE);
	writ_list_init(&h->later);
	writ_list_push(&hubs, &h->node);
	writ_poll_set(h->poll, WRIT_READABLE);
	*ret = h;
	return WRIT_OK;
}

writ_rc writ_hub_get(struct writ_loop *l, struct writ_hub **ret, struct writ_err *err)
{
	ignore_sigpipe();
	(void)pthread_mutex_lock(&hubs_lock);
	struct writ_hub *h = find(l);
	writ_rc rc = h ? WRIT_OK : hub_new(l, &h, err);
	if (rc == WRIT_OK) {
		h->refs++;
		*ret = h;
	}
	(void)pthread_mutex_unlock(&hubs_lock);
	return rc;
}

void writ_hub_put(struct writ_hub *h)
{
	if (!h || --h->refs)
		return;
	assert(!h->n_heap && writ_list_empty(&h->later));
	(void)pthread_mutex_lock(&hubs_lock);
	writ_list_remove(&h->node);
	(void)pthread_mutex_unlock(&hubs_lock);
	writ_poll_free(h->poll);
	writ_timer_free(h->timer);
	(void)close(h->epfd);
	writ_free(h->heap);
	writ_free(h->up);
	writ_free(h->down);
	writ_free(h);
}
