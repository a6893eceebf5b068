/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include "base/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

struct writ_target {
	int fd;
	struct writ_poll *poll;
	struct writ_timer *timer; /* the deadline, or 0 ms when the outcome was known at once */
	const char *text;
	bool failed;
	struct writ_err err;
	void (*done)(void *arg, int fd, const struct writ_err *err);
	void *arg;
};

static void destroy(struct writ_target *t)
{
	writ_poll_free(t->poll);
	writ_timer_free(t->timer);
	if (t->fd >= 0)
		close(t->fd);
	writ_free(t);
}

static void finish(struct writ_target *t)
{
	void (*done)(void *, int, const struct writ_err *) = t->done;
	void *arg = t->arg;
	struct writ_err err = t->err;
	writ_poll_free(writ_steal(t->poll)); /* before its descriptor changes hands */
	int fd = t->failed ? -1 : writ_steal_fd(t->fd);
	destroy(t);
	done(arg, fd, &err);
}

static void on_ready(void *arg, int events)
{
	struct writ_target *t = arg;
	int e = 0;
	socklen_t n = sizeof(e);
	(void)events;
	if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &e, &n) != 0)
		e = errno;
	if (e) {
		t->failed = true;
		writ_fail_errno(&t->err, e, "connect to the target %s", t->text);
	}
	finish(t);
}

static void on_timer(void *arg)
{
	struct writ_target *t = arg;
	if (!t->failed && t->poll) {
		t->failed = true;
		writ_fail(&t->err, WRIT_ETIMEOUT, "the target %s did not accept in time", t->text);
	}
	finish(t);
}

static writ_rc begin(struct writ_target *t, struct writ_loop *loop,
	const struct writ_gate_address *a, bool *at_once)
{
	t->fd = socket(a->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->fd < 0)
		return writ_fail_errno(&t->err, errno, "a socket to the target %s", a->text);
	if (a->addr.ss_family != AF_UNIX) {
		const int on = 1;
		(void)setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
	*at_once = connect(t->fd, (const struct sockaddr *)&a->addr, a->len) == 0;
	if (!*at_once && errno != EINPROGRESS)
		return writ_fail_errno(&t->err, errno, "connect to the target %s", a->text);
	if (*at_once)
		return WRIT_OK;
	writ_rc rc = writ_poll_new(loop, t->fd, on_ready, t, &t->poll, &t->err);
	if (rc == WRIT_OK)
		writ_poll_set(t->poll, WRIT_WRITABLE);
	return rc;
}

struct writ_target *writ_target_connect(struct writ_loop *loop, const struct writ_gate_address *a,
	int64_t deadline_ms, void (*done)(void *arg, int fd, const struct writ_err *err), void *arg)
{
	struct writ_target *t = writ_alloc(sizeof(*t));
	bool at_once = false;
	*t = (struct writ_target){ .fd = -1, .text = a->text, .done = done, .arg = arg };
	t->timer = writ_timer_new(loop, on_timer, t);
	t->failed = begin(t, loop, a, &at_once) != WRIT_OK;
	writ_timer_start(t->timer, t->failed || at_once ? 0 : deadline_ms);
	return t;
}

void writ_target_cancel(struct writ_target *t)
{
	if (t)
		destroy(t);
}
