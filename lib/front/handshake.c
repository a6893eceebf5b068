/* SPDX-License-Identifier: Apache-2.0 */
/* TLS handshakes: each costs a millisecond of this thread, so a second holds only so many; the rest
 * wait, each source in a queue of its own, and the sources take turns: a flood from one address
 * delays that address. */
#include "front/conn.h"

#include "base/mem.h"

#include <unistd.h>

static void failed(struct writ_conn *c, const struct writ_err *err)
{
	c->front->stats.handshakes_failed++;
	writ_conn_end(c, WRIT_RELAY_CLOSED, err->rc, err->msg);
}

static void finished(struct writ_conn *c)
{
	const char *id = writ_tls_peer_id(c->relay.tls);
	if (id) {
		c->peer->cert = writ_cert_ref(writ_tls_peer_cert(c->relay.tls));
		writ_free(c->peer->spiffe_id);
		c->peer->spiffe_id = writ_strdup(id);
	}
	c->relay.near.watch.ready = c->relay_ready;
	writ_conn_secured(c);
}

static void step(struct writ_conn *c)
{
	struct writ_err err = { .rc = WRIT_OK };
	switch (writ_tls_handshake(c->relay.tls, &err)) {
	case WRIT_TLS_DONE: finished(c); return;
	case WRIT_TLS_WANT_READ:
		writ_watch_set(c->front->hub, &c->relay.near.watch, EPOLLIN);
		return;
	case WRIT_TLS_WANT_WRITE:
		writ_watch_set(c->front->hub, &c->relay.near.watch, EPOLLOUT);
		return;
	default: failed(c, &err); return;
	}
}

static void start(struct writ_conn *c)
{
	struct writ_err err = { .rc = WRIT_OK };
	struct writ_tls_ctx *ctx = c->front->cfg.tls(c->front->cfg.arg);
	c->state = WRIT_CONN_HANDSHAKE;
	writ_rc rc = ctx
		? writ_tls_new(ctx, c->relay.near.fd, &c->relay.tls, &err)
		: writ_fail(&err, WRIT_EUNAVAIL, "there is no certificate to serve with yet");
	if (rc == WRIT_OK)
		step(c);
	else
		failed(c, &err);
}

static void serve_queue(struct writ_front *f)
{
	while (!writ_list_empty(&f->handshake_turns)) {
		int64_t wait = writ_bucket_wait_ms(&f->handshakes, 1);
		if (wait > 0) {
			writ_due_set(
				f->hub, &f->handshake_due, writ_hub_now_us(f->hub) + wait * 1000);
			return;
		}
		struct writ_source *src = writ_container(
			writ_list_pop(&f->handshake_turns), struct writ_source, turn);
		struct writ_conn *c =
			writ_container(writ_list_pop(&src->waiting), struct writ_conn, waiting);
		if (!writ_list_empty(&src->waiting))
			writ_list_push(&f->handshake_turns, &src->turn);
		(void)writ_bucket_take(&f->handshakes, 1);
		start(c);
	}
}

void writ_handshake_on_due(struct writ_due *d)
{
	serve_queue(writ_container(d, struct writ_front, handshake_due));
}

void writ_handshake_leave(struct writ_conn *c)
{
	if (writ_list_empty(&c->waiting))
		return;
	writ_list_remove(&c->waiting);
	if (writ_list_empty(&c->claim.source->waiting))
		writ_list_remove(&c->claim.source->turn);
}

static void queue(struct writ_conn *c)
{
	struct writ_front *f = c->front;
	writ_watch_set(f->hub, &c->relay.near.watch, EPOLLRDHUP);
	if (writ_list_empty(&c->claim.source->waiting))
		writ_list_push(&f->handshake_turns, &c->claim.source->turn);
	writ_list_push(&c->claim.source->waiting, &c->waiting);
	if (!f->handshake_due.pos)
		serve_queue(f);
}

static void on_socket(struct writ_watch *w, uint32_t events)
{
	struct writ_conn *c = writ_container(w, struct writ_conn, relay.near.watch);
	if (c->state == WRIT_CONN_HANDSHAKE)
		step(c);
	else if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
		writ_conn_end(c, WRIT_RELAY_CLOSED, WRIT_EUNAVAIL,
			"the peer closed the connection before the TLS handshake");
	else
		queue(c);
}

void writ_handshake_wait(struct writ_conn *c)
{
	struct writ_err err = { .rc = WRIT_OK };
	c->state = WRIT_CONN_HELLO;
	c->relay_ready = c->relay.near.watch.ready;
	c->relay.near.watch.ready = on_socket;
	if (writ_watch_start(c->front->hub, &c->relay.near.watch, c->relay.near.fd, EPOLLIN,
		    &err) != WRIT_OK)
		writ_conn_end(c, WRIT_RELAY_CLOSED, err.rc, err.msg);
}
