/* SPDX-License-Identifier: Apache-2.0 */
#include "front/conn.h"
#include "front/identity.h"
#include "front/registry.h"

#include "base/mem.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_reap(struct writ_later *l)
{
	struct writ_conn *c = writ_container(l, struct writ_conn, reap);
	struct writ_front *f = c->front;
	writ_challenge_fail_all(c);
	if (!f->dead && c->announced && f->cfg.closed)
		f->cfg.closed(f->cfg.arg, c->peer, c->why.msg);
	else if (!f->dead && !c->announced)
		writ_front_tell_refused(f, c->peer->addr, &c->why);
	if (!f->dead) /* else it goes with the front */
		writ_conn_free(c);
}

void writ_conn_free(struct writ_conn *c)
{
	writ_list_remove(&c->node);
	writ_later_stop(&c->reap);
	writ_guard_done(&c->guard);
	writ_peer_unref(c->peer);
	writ_free(c);
}

/* What this connection spent beyond what is free goes to its source's account: once, and without
 * what it had inherited, which was paid by waiting. */
static void settle(struct writ_conn *c, bool at_fault)
{
	struct writ_front *f = c->front;
	int64_t now = writ_hub_now_us(f->hub);
	int64_t owed = f->cfg.http2 ? writ_guard_owed_us(&c->guard, now) : 0;
	if (at_fault)
		owed += f->cfg.limits.fault_ms * 1000;
	writ_guard_leave(&c->guard);
	writ_debt_add(&c->claim.source->debt, owed, f->cfg.limits.debt_ms * 1000, now);
	writ_claim_leave(&f->sources, &c->claim, now);
}

void writ_conn_end(struct writ_conn *c, enum writ_relay_end how, writ_rc rc, const char *why)
{
	struct writ_front *f = c->front;
	if (c->state == WRIT_CONN_DEAD)
		return;
	writ_fail(&c->why, rc, "%s", why);
	writ_handshake_leave(c);
	c->state = WRIT_CONN_DEAD;
	f->stats.killed += how == WRIT_RELAY_KILLED;
	f->stats.cut += how == WRIT_RELAY_CUT;
	writ_relay_stop(&c->relay);
	writ_closep(&c->backend_fd);
	c->backend_fd = -1;
	writ_due_stop(f->hub, &c->due);
	writ_peer_gone(c->peer);
	settle(c, how == WRIT_RELAY_KILLED || (how == WRIT_RELAY_CLOSED && !c->announced));
	f->n_conns--;
	writ_later_ask(f->hub, &c->reap);
}

static void on_due(struct writ_due *d)
{
	struct writ_conn *c = writ_container(d, struct writ_conn, due);
	static const char *const texts[] = {
		[WRIT_CONN_HELLO] = "nothing came before the deadline",
		[WRIT_CONN_HANDSHAKE] = "the TLS handshake was not done before the deadline",
		[WRIT_CONN_START] = "no HTTP/2 preface and SETTINGS before the deadline",
		[WRIT_CONN_OPEN] = "no backend before the deadline",
		[WRIT_CONN_RELAY] = "idle for too long",
	};
	if (c->state == WRIT_CONN_DELAYED) {
		writ_due_set(c->front->hub, &c->due, c->start_by_us);
		writ_conn_begin(c);
		return;
	}
	writ_conn_end(c, WRIT_RELAY_CLOSED, WRIT_ETIMEOUT, texts[c->state]);
}

/* --- the relay's questions
 * ------------------------------------------------------------------------ */

static struct writ_conn *conn_of(struct writ_relay *r)
{
	return writ_container(r, struct writ_conn, relay);
}

static bool on_open(struct writ_relay *r)
{
	struct writ_conn *c = conn_of(r);
	struct writ_err err = { .rc = WRIT_OK };
	int pair[2] = { -1, -1 };
	writ_rc rc = WRIT_OK;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
		rc = writ_fail_errno(&err, errno, "make a socket pair");
	else
		rc = writ_relay_attach(r, pair[0], &err);
	c->backend_fd = pair[1];
	if (rc != WRIT_OK)
		writ_conn_end(c, WRIT_RELAY_CLOSED, rc, err.msg);
	return rc == WRIT_OK;
}

static void watch_idle(struct writ_conn *c)
{
	struct writ_front *f = c->front;
	if (!f->cfg.limits.idle_ms)
		return;
	if (c->guard.n_open)
		writ_due_stop(f->hub, &c->due);
	else if (!c->due.pos)
		writ_due_set(
			f->hub, &c->due, writ_hub_now_us(f->hub) + f->cfg.limits.idle_ms * 1000);
}

static void on_opened(struct writ_relay *r)
{
	struct writ_conn *c = conn_of(r);
	struct writ_front *f = c->front;
	int fd = c->backend_fd;
	c->backend_fd = -1;
	c->state = WRIT_CONN_RELAY;
	writ_due_stop(f->hub, &c->due);
	watch_idle(c);
	c->announced = true;
	writ_registry_put(f, fd, c->peer);
	f->cfg.ready(f->cfg.arg, fd, c->peer);
}

static void on_moved(struct writ_relay *r)
{
	struct writ_conn *c = conn_of(r);
	if (c->guard.answered)
		writ_challenge_answered(c);
	if (c->state == WRIT_CONN_RELAY && c->front->cfg.http2)
		watch_idle(c);
}

static void on_paused(struct writ_relay *r)
{
	conn_of(r)->front->stats.shaped++;
}

static void on_ended(struct writ_relay *r, enum writ_relay_end how, const char *why)
{
	static const writ_rc codes[] = { [WRIT_RELAY_CLOSED] = WRIT_EUNAVAIL,
		[WRIT_RELAY_KILLED] = WRIT_EPROTO,
		[WRIT_RELAY_CUT] = WRIT_EDENIED };
	writ_conn_end(conn_of(r), how, codes[how], why);
}

static const struct writ_relay_ops ops = {
	.open = on_open,
	.opened = on_opened,
	.moved = on_moved,
	.paused = on_paused,
	.ended = on_ended,
};

/* --- life
 * ------------------------------------------------------------------------------------------ */

struct writ_conn *writ_conn_new(
	struct writ_front *f, int fd, struct writ_peer *p, const struct writ_claim *claim)
{
	struct writ_conn *c = writ_alloc(sizeof(*c));
	int64_t now = writ_hub_now_us(f->hub), delay = writ_debt_left_us(&claim->source->debt, now);
	writ_list_push(&f->conns, &c->node);
	writ_list_init(&c->waiting);
	writ_list_init(&c->asked);
	writ_list_init(&c->sent);
	c->front = f;
	c->peer = p;
	p->conn_id = ++f->next_id;
	p->conn = c;
	c->claim = *claim;
	c->backend_fd = -1;
	writ_later_init(&c->reap, on_reap);
	writ_guard_init(&c->guard, &f->cfg.limits, now);
	writ_guard_join(&c->guard, &claim->source->streams);
	writ_relay_init(&c->relay, f->hub, &ops, fd, NULL);
	c->relay.is_unix = f->is_unix;
	c->relay.pid = p->pid;
	c->relay.guard = f->cfg.http2 ? &c->guard : NULL;
	c->due.fire = on_due;
	c->start_by_us = now + delay + f->cfg.limits.start_ms * 1000;
	c->state = delay ? WRIT_CONN_DELAYED : WRIT_CONN_HELLO;
	f->stats.shaped += delay > 0;
	writ_due_set(f->hub, &c->due, delay ? now + delay : c->start_by_us);
	f->n_conns++;
	return c;
}

void writ_conn_begin(struct writ_conn *c)
{
	if (c->front->cfg.tls)
		writ_handshake_wait(c);
	else
		writ_conn_secured(c);
}

void writ_conn_secured(struct writ_conn *c)
{
	struct writ_front *f = c->front;
	struct writ_err err = { .rc = WRIT_OK };
	c->state = f->cfg.http2 ? WRIT_CONN_START : WRIT_CONN_OPEN;
	/* What strangers may ask for is short. */
	if (f->cfg.tls && !c->peer->cert && f->cfg.limits.stranger_data)
		c->guard.stream_data = f->cfg.limits.stranger_data;
	/* The client writes right after connecting, most often: its first bytes are there. */
	if (writ_relay_start(&c->relay, true, &err) != WRIT_OK) {
		writ_conn_end(c, WRIT_RELAY_CLOSED, err.rc, err.msg);
		return;
	}
	if (f->cfg.http2 || c->state == WRIT_CONN_DEAD)
		return;
	c->announced = true;
	writ_due_set(f->hub, &c->due, writ_hub_now_us(f->hub) + f->cfg.limits.backend_ms * 1000);
	f->cfg.open(f->cfg.arg, c, c->peer);
}

void writ_front_backend(struct writ_conn *c, int fd)
{
	struct writ_err err = { .rc = WRIT_OK };
	if (c->state != WRIT_CONN_OPEN) {
		(void)close(fd);
		return;
	}
	c->state = WRIT_CONN_RELAY;
	writ_due_stop(c->front->hub, &c->due);
	writ_rc rc = writ_relay_attach(&c->relay, fd, &err);
	if (rc == WRIT_OK)
		rc = writ_relay_start(&c->relay, true, &err);
	if (rc != WRIT_OK)
		writ_conn_end(c, WRIT_RELAY_CLOSED, rc, err.msg);
}

void writ_front_refuse(struct writ_conn *c, const char *why)
{
	if (c->state == WRIT_CONN_OPEN)
		writ_conn_end(c, WRIT_RELAY_CLOSED, WRIT_EDENIED, why);
}
