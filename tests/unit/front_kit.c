/* SPDX-License-Identifier: Apache-2.0 */
#include "front_kit.h"

#include "check.h"
#include "loop_kit.h"

#include <sys/socket.h>
#include <unistd.h>

const char rig_hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

static struct writ_tls_ctx *in_force(void *arg)
{
	return ((struct rig *)arg)->server;
}

static void keep(struct writ_peer **to, struct writ_peer *p)
{
	writ_peer_unref(*to);
	*to = writ_peer_ref(p);
}

static void on_ready(void *arg, int fd, struct writ_peer *peer)
{
	struct rig *x = arg;
	x->ready++;
	x->fd = fd;
	keep(&x->peer, peer);
}

static void on_open(void *arg, struct writ_conn *c, struct writ_peer *peer)
{
	struct rig *x = arg;
	x->opened++;
	x->conn = c;
	keep(&x->peer, peer);
}

static void on_closed(void *arg, struct writ_peer *peer, const char *why)
{
	struct rig *x = arg;
	(void)peer;
	x->closed++;
	(void)snprintf(x->why, sizeof(x->why), "%s", why);
}

static void on_refused(void *arg, const char *addr, const struct writ_err *why)
{
	struct rig *x = arg;
	(void)addr;
	x->refused++;
	x->refused_rc = why->rc;
	(void)snprintf(x->why, sizeof(x->why), "%s", why->msg);
}

void rig_open(struct rig *x, const struct writ_front_limits *limits, bool http2,
	enum writ_tls_peer_mode mode)
{
	struct writ_err err;
	int fd;
	*x = (struct rig){ .fd = -1 };
	const struct kit_ctx server = { .server = true,
		.h2 = http2,
		.ca = KIT_A,
		.id = "spiffe://a.test/server",
		.trust = KIT_A,
		.peer = mode };
	x->server = kit_ctx(&server);
	assert_ok(writ_loop_new(&x->loop, &err), err);
	assert_ok(writ_listen_tcp("127.0.0.1", 0, &fd, &x->port, &err), err);
	const struct writ_front_config cfg = { .loop = x->loop,
		.name = "test",
		.limits = limits ? *limits : WRIT_FRONT_LIMITS,
		.tls = in_force,
		.http2 = http2,
		.ready = on_ready,
		.open = on_open,
		.closed = on_closed,
		.refused = on_refused,
		.arg = x };
	assert_ok(writ_front_start(&cfg, fd, &x->front, &err), err);
}

void rig_close(struct rig *x)
{
	writ_peer_unref(x->peer);
	if (x->fd >= 0)
		close(x->fd);
	writ_front_free(x->front);
	writ_loop_free(x->loop);
	writ_tls_ctx_unref(x->server);
}

void rig_turn(struct rig *x, int64_t ms)
{
	loop_kit_turn(x->loop, ms);
}

void rig_wait(struct rig *x, const int *counter, int n)
{
	loop_kit_count(x->loop, counter, n, x->why);
}

void rig_get(struct rig *x, int fd, void *p, size_t n)
{
	loop_kit_get(x->loop, fd, p, n);
}

bool rig_over(struct rig *x, int fd)
{
	return loop_kit_over(x->loop, fd);
}

static void on_done(
	void *arg, writ_rc rc, const struct writ_err *err, int fd, struct writ_peer *peer)
{
	struct call *c = arg;
	c->done++;
	c->rc = rc;
	c->fd = fd;
	c->peer = writ_peer_ref(peer);
	if (err)
		(void)snprintf(c->why, sizeof(c->why), "%s", err->msg);
	if (c->free_in_callback)
		writ_dial_free(c->dial);
}

static void on_dial_closed(void *arg, const char *why)
{
	struct call *c = arg;
	c->closed++;
	(void)snprintf(c->why, sizeof(c->why), "%s", why);
}

void rig_dial(struct rig *x, struct call *c, const char *host, uint16_t port,
	const struct kit_ctx *client, int64_t ms)
{
	struct writ_tls_ctx *ctx = kit_ctx(client);
	const struct writ_dial_config cfg = { .loop = x->loop,
		.host = host,
		.port = port,
		.tls = ctx,
		.deadline_ms = ms,
		.done = on_done,
		.closed = on_dial_closed,
		.arg = c };
	*c = (struct call){ .fd = -1 };
	c->dial = writ_dial_start(&cfg);
	writ_tls_ctx_unref(ctx);
	assert_int_equal(c->done, 0); /* never inside start */
}

void rig_hang_up(struct call *c)
{
	if (!c->free_in_callback)
		writ_dial_free(c->dial);
	writ_peer_unref(c->peer);
	if (c->fd >= 0)
		close(c->fd);
	*c = (struct call){ .fd = -1 };
}
