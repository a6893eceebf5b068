/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#define AGAIN_MS 10

struct writ_target {
	struct writ_loop *loop;
	const struct writ_gate_address *to;
	int fd;
	struct writ_poll *poll;
	/* The deadline; soon, when the outcome was known at once or is to be tried again. */
	struct writ_timer *timer;
	int64_t until_ms;
	bool failed, again;
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
		writ_fail_errno(&t->err, e, "connect to the target %s", t->to->text);
	}
	finish(t);
}

static void arm(struct writ_target *t);

static void on_timer(void *arg)
{
	struct writ_target *t = arg;
	if (t->again && writ_mono_ms() < t->until_ms) {
		arm(t);
		return;
	}
	if (!t->failed && (t->poll || t->again)) {
		t->failed = true;
		writ_fail(&t->err, WRIT_ETIMEOUT, "the target %s did not accept in time",
			t->to->text);
	}
	finish(t);
}

static writ_rc begin(struct writ_target *t, bool *at_once)
{
	const struct writ_gate_address *a = t->to;
	t->again = false;
	if (t->fd < 0)
		t->fd = socket(a->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->fd < 0)
		return writ_fail_errno(&t->err, errno, "a socket to the target %s", a->text);
	if (a->addr.ss_family != AF_UNIX) {
		const int on = 1;
		(void)setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
	*at_once = connect(t->fd, (const struct sockaddr *)&a->addr, a->len) == 0;
	if (*at_once)
		return WRIT_OK;
	/* A Unix socket whose queue is full does not say when it has room. */
	t->again = errno == EAGAIN && a->addr.ss_family == AF_UNIX;
	if (t->again)
		return WRIT_OK;
	if (errno != EINPROGRESS)
		return writ_fail_errno(&t->err, errno, "connect to the target %s", a->text);
	writ_rc rc = writ_poll_new(t->loop, t->fd, on_ready, t, &t->poll, &t->err);
	if (rc == WRIT_OK)
		writ_poll_set(t->poll, WRIT_WRITABLE);
	return rc;
}

static void arm(struct writ_target *t)
{
	bool at_once = false;
	t->failed = begin(t, &at_once) != WRIT_OK;
	int64_t left = t->until_ms - writ_mono_ms();
	if (t->failed || at_once)
		left = 0;
	else if (t->again && left > AGAIN_MS)
		left = AGAIN_MS;
	writ_timer_start(t->timer, left);
}

struct writ_target *writ_target_connect(struct writ_loop *loop, const struct writ_gate_address *a,
	int64_t deadline_ms, void (*done)(void *arg, int fd, const struct writ_err *err), void *arg)
{
	struct writ_target *t = writ_alloc(sizeof(*t));
	*t = (struct writ_target){ .loop = loop,
		.to = a,
		.fd = -1,
		.until_ms = writ_mono_ms() + deadline_ms,
		.done = done,
		.arg = arg };
	t->timer = writ_timer_new(loop, on_timer, t);
	arm(t);
	return t;
}

void writ_target_cancel(struct writ_target *t)
{
	if (t)
		destroy(t);
}
