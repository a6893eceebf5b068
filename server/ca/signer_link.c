/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/signer_link.h"

#include "base/clock.h"
#include "base/mem.h"
#include "signer/frame.h"
#include "writ/signer/v1/signer.pb-c.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* A few requests of the largest size; callers keep fewer than this under way. */
#define OUT_MAX (4 * (WRIT_FRAME_MAX + WRIT_FRAME_HEAD))

struct writ_signer_link {
	struct writ_signer_port port;
	struct writ_loop *loop;
	const struct writ_signer_link_events *events;
	void *arg;
	int fd;
	struct writ_poll *poll;
	struct writ_timer *timer;
	struct writ_list calls; /* under way, oldest first */
	size_t n_calls;
	uint64_t last_id;
	struct writ_buf in, out;
};

static void disconnect(struct writ_signer_link *l)
{
	if (l->fd < 0)
		return;
	writ_poll_free(l->poll);
	l->poll = NULL;
	writ_closep(&l->fd);
	l->fd = -1;
	writ_timer_stop(l->timer);
	writ_buf_done(&l->in);
	writ_buf_done(&l->out);
}

static void finish(struct writ_signer_link *l, struct writ_signer_call *c, writ_rc rc,
	const Writ__Signer__V1__Reply *reply, const struct writ_err *err)
{
	writ_list_remove(&c->node);
	l->n_calls--;
	c->done(c, rc, reply, err);
}

static void break_down(struct writ_signer_link *l, const char *why)
{
	struct writ_err err;
	struct writ_list *node;
	struct writ_list all;
	(void)writ_fail(&err, WRIT_EUNAVAIL, "signer: %s", why);
	disconnect(l);
	/* A done() may call again at once: that one is for the next connection. */
	writ_list_init(&all);
	while ((node = writ_list_pop(&l->calls)))
		writ_list_push(&all, node);
	while ((node = writ_list_pop(&all)))
		finish(l, writ_container(node, struct writ_signer_call, node), WRIT_EUNAVAIL, NULL,
			&err);
	l->events->down(l->arg);
}

static void arm(struct writ_signer_link *l)
{
	int64_t first = INT64_MAX, now = writ_mono_ms();
	WRIT_LIST_EACH (node, &l->calls) {
		const struct writ_signer_call *c =
			writ_container(node, struct writ_signer_call, node);
		first = c->deadline_ms < first ? c->deadline_ms : first;
	}
	if (first == INT64_MAX)
		writ_timer_stop(l->timer);
	else
		writ_timer_start(l->timer, first > now ? first - now : 1);
}

static void late(void *arg)
{
	struct writ_signer_link *l = arg;
	int64_t now = writ_mono_ms();
	bool any = false;
	WRIT_LIST_EACH (node, &l->calls)
		any = any ||
			writ_container(node, struct writ_signer_call, node)->deadline_ms <= now;
	if (!any) {
		arm(l);
		return;
	}
	break_down(l, "no answer in time");
	l->events->stuck(l->arg);
}

static struct writ_signer_call *find(struct writ_signer_link *l, uint64_t id)
{
	WRIT_LIST_EACH (node, &l->calls) {
		struct writ_signer_call *c = writ_container(node, struct writ_signer_call, node);
		if (c->id == id)
			return c;
	}
	return NULL;
}

/* The error of an answer, with a code that we know. */
static writ_rc of_reply(const Writ__Signer__V1__Reply *r, struct writ_err *err)
{
	if (r->rc == 0)
		return WRIT_OK;
	writ_rc rc = r->rc > 0 && r->rc < WRIT_RC_COUNT ? (writ_rc)r->rc : WRIT_EINTERNAL;
	return writ_fail(err, rc, "signer: %s", r->error);
}

static bool take_reply(struct writ_signer_link *l, struct writ_str frame)
{
	struct writ_err err = { 0 };
	Writ__Signer__V1__Reply *r =
		writ__signer__v1__reply__unpack(NULL, frame.n, (const uint8_t *)frame.p);
	struct writ_signer_call *c = r ? find(l, r->id) : NULL;
	writ_frame_drop(&l->in, frame);
	if (c)
		finish(l, c, of_reply(r, &err), r, &err);
	if (r)
		writ__signer__v1__reply__free_unpacked(r, NULL);
	return c != NULL;
}

static void read_some(struct writ_signer_link *l)
{
	struct writ_err err;
	struct writ_str frame;
	writ_rc rc = writ_frame_fill(l->fd, &l->in, NULL, &err);
	while (!rc) {
		rc = writ_frame_peek(&l->in, WRIT_FRAME_MAX, &frame, &err);
		if (!rc && !take_reply(l, frame))
			rc = writ_fail(&err, WRIT_EPROTO, "an answer that nobody asked for");
		if (l->fd < 0) /* a done() broke it */
			return;
	}
	if (rc != WRIT_ENOENT && rc != WRIT_EBUSY)
		break_down(l, rc == WRIT_EUNAVAIL ? "it is gone" : err.msg);
	else
		arm(l);
}

static bool write_some(struct writ_signer_link *l)
{
	while (l->out.n) {
		ssize_t k = send(l->fd, l->out.p, l->out.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return errno == EAGAIN;
		writ_buf_drop(&l->out, (size_t)k);
	}
	return true;
}

static void ready(void *arg, int events)
{
	struct writ_signer_link *l = arg;
	if ((events & WRIT_WRITABLE) && !write_some(l)) {
		break_down(l, "it is gone");
		return;
	}
	if (events & (WRIT_READABLE | WRIT_HANGUP))
		read_some(l);
	if (l->fd >= 0)
		writ_poll_set(l->poll, WRIT_READABLE | (l->out.n ? WRIT_WRITABLE : 0));
}

static writ_rc call(struct writ_signer_port *p, struct writ_signer_call *c,
	Writ__Signer__V1__Request *q, struct writ_err *err)
{
	struct writ_signer_link *l = writ_container(p, struct writ_signer_link, port);
	if (l->fd < 0)
		return writ_fail(err, WRIT_EUNAVAIL, "signer: not there now");
	if (l->n_calls == WRIT_SIGNER_CALLS_MAX)
		return writ_fail(
			err, WRIT_EBUSY, "signer: %d calls are under way", WRIT_SIGNER_CALLS_MAX);
	q->id = l->last_id + 1;
	size_t n = writ__signer__v1__request__get_packed_size(q), start = writ_frame_start(&l->out);
	uint8_t *at = n <= WRIT_FRAME_MAX ? writ_buf_room(&l->out, n) : NULL;
	if (at)
		writ_buf_grew(&l->out, writ__signer__v1__request__pack(q, at));
	else
		l->out.failed = true;
	writ_rc rc = writ_frame_end(&l->out, start, err);
	if (rc)
		return rc;
	c->id = ++l->last_id;
	c->deadline_ms = writ_mono_ms() + (c->wait_ms ? c->wait_ms : WRIT_SIGNER_WAIT_MS);
	writ_list_init(&c->node);
	writ_list_push(&l->calls, &c->node);
	l->n_calls++;
	arm(l);
	/* Written at once; what fails is seen by the poll. */
	(void)write_some(l);
	writ_poll_set(l->poll, WRIT_READABLE | (l->out.n ? WRIT_WRITABLE : 0));
	return WRIT_OK;
}

struct writ_signer_link *writ_signer_link_new(
	struct writ_loop *loop, const struct writ_signer_link_events *events, void *arg)
{
	struct writ_signer_link *l = writ_alloc(sizeof(*l));
	*l = (struct writ_signer_link){ .port = { call },
		.loop = loop,
		.events = events,
		.arg = arg,
		.fd = -1,
		.in = WRIT_BUF(WRIT_FRAME_MAX + WRIT_FRAME_HEAD),
		.out = WRIT_BUF(OUT_MAX) };
	l->timer = writ_timer_new(loop, late, l);
	writ_list_init(&l->calls);
	return l;
}

void writ_signer_link_free(struct writ_signer_link *l)
{
	if (!l)
		return;
	disconnect(l);
	while (writ_list_pop(&l->calls))
		;
	writ_timer_free(l->timer);
	writ_free(l);
}

writ_rc writ_signer_link_attach(struct writ_signer_link *l, int fd, struct writ_err *err)
{
	if (l->fd >= 0)
		break_down(l, "replaced");
	writ_rc rc = writ_poll_new(l->loop, fd, ready, l, &l->poll, err);
	if (rc) {
		writ_closep(&fd);
		return rc;
	}
	l->fd = fd;
	writ_poll_set(l->poll, WRIT_READABLE);
	l->events->up(l->arg);
	return WRIT_OK;
}

bool writ_signer_link_is_up(const struct writ_signer_link *l)
{
	return l->fd >= 0;
}

struct writ_signer_port *writ_signer_link_port(struct writ_signer_link *l)
{
	return &l->port;
}
