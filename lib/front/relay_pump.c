/* SPDX-License-Identifier: Apache-2.0 */
/* How bytes move through the relay. */
#include "base/secret.h"
#include "front/relay_impl.h"

#include <string.h>

#define TURNS      4            /* reads of one connection before others get their turn */
#define LINGER_MAX (256 * 1024) /* bytes thrown away after the last word */

bool writ_relay_can_read_near(const struct writ_relay *r)
{
	if (r->dead || r->paused || r->near.ended)
		return false;
	if (r->lingering)
		return true;
	if (r->far.fd < 0) /* preface and SETTINGS, which the guard keeps short */
		return r->guard && !r->held.n;
	return !r->far.broken && !r->held.n && !writ_side_waiting(&r->far);
}

bool writ_relay_can_read_far(const struct writ_relay *r)
{
	return !r->dead && r->far.fd >= 0 && !r->far.ended && !writ_side_waiting(&r->near);
}

static void kill(struct writ_relay *r)
{
	const char *why = r->guard->why;
	uint8_t frame[WRIT_GUARD_FRAME];
	if (r->far.fd >= 0 && writ_guard_at_boundary(r->guard) && !writ_side_waiting(&r->near)) {
		writ_guard_goaway(r->guard, frame);
		writ_relay_write_near(r, frame, sizeof(frame));
	}
	writ_relay_end(r, WRIT_RELAY_KILLED, why);
}

/* Keeps bytes for which the backend need not be woken. False: they are to go now. */
static bool put_off(struct writ_relay *r, const uint8_t *p, size_t n)
{
	if (!r->guard || !r->guard->idle_words || n > sizeof(r->idle) - r->n_idle)
		return false;
	memcpy(r->idle + r->n_idle, p, n);
	r->n_idle = (uint8_t)(r->n_idle + n);
	return true;
}

/* In one write with what was put off, as far as p is the hub's scratch, which has room in front. */
static void write_up(struct writ_relay *r, uint8_t *p, size_t n)
{
	_Static_assert(WRIT_RELAY_IDLE_MAX <= WRIT_SPARE, "goes in front of the scratch");
	size_t first = n ? r->n_idle : 0;
	if (put_off(r, p, n))
		return;
	if (first && p == writ_hub_up(r->hub)) {
		p -= first;
		n += first;
		memcpy(p, r->idle, first);
	} else if (first) {
		writ_relay_write_far(r, r->idle, first);
	}
	if (first)
		r->n_idle = 0;
	writ_relay_write_far(r, p, n);
}

/* These bytes came from the near side; those that the guard holds back are kept until the pause is
 * over. */
static void pass_up(struct writ_relay *r, uint8_t *p, size_t n)
{
	enum writ_guard_verdict v = WRIT_GUARD_PASS;
	size_t pass = n;
	if (r->guard)
		v = writ_guard_up(r->guard, p, n, writ_hub_now_us(r->hub), &pass);
	if (v == WRIT_GUARD_KILL) {
		kill(r);
		return;
	}
	bool first = r->guard && r->guard->started && r->far.fd < 0;
	if (first && !r->ops->open(r))
		return;
	write_up(r, p, pass);
	if (v == WRIT_GUARD_PAUSE && !r->dead) {
		writ_buf_add(&r->held, p + pass, n - pass);
		writ_relay_pause_until(r, r->guard->resume_us);
		if (r->ops->paused)
			r->ops->paused(r);
	}
	if (first && !r->dead)
		r->ops->opened(r);
}

static bool discard(struct writ_relay *r, size_t n)
{
	r->discarded += n;
	if (r->discarded <= LINGER_MAX)
		return true;
	writ_relay_end(r, WRIT_RELAY_CLOSED, "the backend closed the connection");
	return false;
}

/* May there be bytes of which epoll will not tell? */
static bool near_has_more(const struct writ_relay *r)
{
	return r->near.unwatched || (r->tls && writ_tls_pending(r->tls));
}

void writ_relay_up(struct writ_relay *r)
{
	uint8_t *p = writ_hub_up(r->hub);
	for (int i = 0; i < TURNS; i++) {
		size_t n = 0;
		if (!writ_relay_can_read_near(r))
			return;
		enum writ_got got = writ_relay_read_near(r, p, WRIT_UP_MAX, &n);
		if (got == WRIT_GOT_END) {
			r->near.ended = true;
			writ_relay_near_ended(r);
		}
		if (got != WRIT_GOT_BYTES)
			return;
		if (!r->lingering)
			pass_up(r, p, n);
		else if (!discard(r, n))
			return;
		if (!near_has_more(r))
			return;
	}
	if (writ_relay_can_read_near(r))
		writ_later_ask(r->hub, &r->again);
}

/* Puts the PING that waits at the first boundary in these bytes; there is room behind them. */
static size_t put_ping(struct writ_relay *r, uint8_t *p, size_t n)
{
	int64_t now = writ_hub_now_us(r->hub);
	size_t at = writ_guard_down(r->guard, p, n, now, true);
	if (!writ_guard_at_boundary(r->guard))
		return n;
	memmove(p + at + WRIT_GUARD_FRAME, p + at, n - at);
	writ_guard_ping(r->guard, r->ping, p + at);
	r->ping_due = false;
	(void)writ_guard_down(r->guard, p + at + WRIT_GUARD_FRAME, n - at, now, false);
	return n + WRIT_GUARD_FRAME;
}

void writ_relay_down(struct writ_relay *r)
{
	uint8_t *p = writ_hub_down(r->hub);
	for (int i = 0; i < TURNS; i++) {
		size_t n = 0;
		if (!writ_relay_can_read_far(r))
			return;
		enum writ_got got = writ_relay_read_far(r, p, WRIT_DOWN_MAX, &n);
		if (got == WRIT_GOT_END) {
			r->far.ended = true;
			writ_relay_far_ended(r);
		}
		if (got != WRIT_GOT_BYTES)
			return;
		bool full = n == WRIT_DOWN_MAX;
		if (r->guard && r->ping_due)
			n = put_ping(r, p, n);
		else if (r->guard)
			(void)writ_guard_down(r->guard, p, n, writ_hub_now_us(r->hub), false);
		writ_relay_write_near(r, p, n);
		writ_wipe(p, n); /* what a server answers may be a private key */
		if (!full && !r->far.unwatched)
			return;
	}
	if (writ_relay_can_read_far(r))
		writ_later_ask(r->hub, &r->again);
}

void writ_relay_resume(struct writ_relay *r)
{
	struct writ_buf held = r->held;
	r->held = WRIT_BUF(held.max);
	r->paused = false;
	if (held.n)
		pass_up(r, held.p, held.n); /* may pause again */
	writ_buf_done(&held);
	if (writ_relay_can_read_near(r) && near_has_more(r))
		writ_relay_up(r);
}

void writ_relay_ping(struct writ_relay *r, const uint8_t payload[8])
{
	uint8_t frame[WRIT_GUARD_FRAME];
	memcpy(r->ping, payload, 8);
	r->ping_due = !writ_guard_at_boundary(r->guard);
	if (r->ping_due)
		return;
	writ_guard_ping(r->guard, payload, frame);
	writ_relay_write_near(r, frame, sizeof(frame));
	writ_relay_update(r);
}
