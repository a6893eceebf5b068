/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop_impl.h"

#include "base/mem.h"

#include <assert.h>

struct writ_poll {
	uv_poll_t uv; /* first: closed and freed as one block */
	void (*ready)(void *arg, int events);
	void *arg;
	int wanted; /* what the owner asked for */
	int armed;  /* what libuv watches: wanted, and perhaps WRIT_READABLE and WRIT_HANGUP besides
		     */
};

static void on_ready(uv_poll_t *h, int status, int uv_events);

static void arm(struct writ_poll *p, int events)
{
	int mask = (events & WRIT_READABLE ? UV_READABLE : 0) |
		(events & WRIT_WRITABLE ? UV_WRITABLE : 0) |
		(events & WRIT_HANGUP ? UV_DISCONNECT : 0);
	int rc = mask ? uv_poll_start(&p->uv, mask, on_ready) : uv_poll_stop(&p->uv);
	assert(rc == 0);
	(void)rc;
	p->armed = events;
}

static void on_ready(uv_poll_t *h, int status, int uv_events)
{
	struct writ_poll *p = writ_container(h, struct writ_poll, uv);
	int events = (uv_events & UV_READABLE ? WRIT_READABLE : 0) |
		(uv_events & UV_WRITABLE ? WRIT_WRITABLE : 0) |
		(uv_events & UV_DISCONNECT ? WRIT_HANGUP : 0);
	if (status < 0) {
		/* EPOLLERR. libuv has stopped the handle, and calls it a bad descriptor. */
		p->armed = 0;
		events = p->wanted ? WRIT_HANGUP | WRIT_READABLE : 0;
	} else {
		events &= p->wanted;
		if (!events)
			arm(p, p->wanted);
	}
	if (events)
		p->ready(p->arg, events); /* may free p */
}

writ_rc writ_poll_new(struct writ_loop *l, int fd, void (*ready)(void *arg, int events), void *arg,
	struct writ_poll **ret, struct writ_err *err)
{
	assert(writ_loop_is_current(l));
	struct writ_poll *p = writ_alloc(sizeof(*p));
	int rc = uv_poll_init(&l->uv, &p->uv, fd);
	if (rc != 0) {
		writ_free(p);
		return writ_fail_errno(err, -rc, "watch file descriptor %d", fd);
	}
	p->ready = ready;
	p->arg = arg;
	*ret = p;
	return WRIT_OK;
}

void writ_poll_set(struct writ_poll *p, int events)
{
	p->wanted = events;
	/* A change costs libuv two epoll_ctl(2). Reading is mostly paused for a moment only, so it
	 * is really stopped when something comes that nobody wants; a socket is writable all the
	 * time. */
	int surplus = p->armed & ~events;
	bool covered = (events & ~p->armed) == 0 && !(surplus & WRIT_WRITABLE);
	if (!covered)
		arm(p, events);
}

void writ_poll_free(struct writ_poll *p)
{
	if (p)
		writ_loop_close_and_free((uv_handle_t *)&p->uv);
}
