/* SPDX-License-Identifier: Apache-2.0 */
#include "front/relay_impl.h"

#include <sys/socket.h>
#include <unistd.h>

#define LINGER_US 1000000 /* for the peer to read our last bytes before the socket goes */

static void side_init(struct writ_relay_side *s, int fd, size_t max)
{
	*s = (struct writ_relay_side){ .fd = fd, .watch = { .fd = -1 }, .out = WRIT_BUF(max) };
}

static void side_close(struct writ_relay *r, struct writ_relay_side *s)
{
	writ_watch_stop(r->hub, &s->watch);
	if (s->fd >= 0)
		(void)close(s->fd);
	/* Its other end sees that, shuts down in turn, and sees that, too. */
	if (s->fd >= 0 && s == &r->far)
		writ_hub_stir(r->hub, 2);
	s->fd = -1;
	writ_buf_done(&s->out);
	s->out_off = 0;
}

static void tell_end(struct writ_relay *r, struct writ_relay_side *s)
{
	if (!s->shut)
		(void)shutdown(s->fd, SHUT_WR);
	s->shut = true;
	if (s == &r->far)
		writ_hub_stir(r->hub, 1);
}

void writ_relay_stop(struct writ_relay *r)
{
	if (r->dead)
		return;
	r->dead = true;
	writ_due_stop(r->hub, &r->due);
	writ_later_stop(&r->again);
	writ_tls_free(r->tls);
	r->tls = NULL;
	side_close(r, &r->near);
	side_close(r, &r->far);
	writ_buf_done(&r->held);
}

void writ_relay_end(struct writ_relay *r, enum writ_relay_end how, const char *why)
{
	if (r->dead)
		return;
	writ_relay_stop(r);
	r->ops->ended(r, how, why);
}

/* The peer's last byte is passed on. For HTTP/2 that is the end: nothing answers a connection that
 * is half closed. */
void writ_relay_near_ended(struct writ_relay *r)
{
	if (r->guard || r->lingering || r->far.ended || r->far.broken) {
		writ_relay_end(r, WRIT_RELAY_CLOSED, "the peer closed the connection");
		return;
	}
	if (!writ_side_waiting(&r->far))
		tell_end(r, &r->far);
}

/* The backend's last byte is passed on, or waits to be. */
void writ_relay_far_ended(struct writ_relay *r)
{
	if (r->dead || writ_side_waiting(&r->near))
		return;
	if (r->tls && !r->near.shut)
		writ_tls_shutdown(r->tls);
	tell_end(r, &r->near);
	bool over = r->guard || r->near.ended || r->far.broken;
	if (!over)
		return;                    /* raw: the other half may live on */
	if (r->near.ended || r->is_unix) { /* what a Unix socket holds stays readable */
		writ_relay_end(r, WRIT_RELAY_CLOSED, "the backend closed the connection");
		return;
	}
	/* Closing a TCP socket with bytes unread resets it, and our last words with it. */
	side_close(r, &r->far);
	r->lingering = true;
	r->paused = false;
	writ_buf_done(&r->held);
	writ_due_set(r->hub, &r->due, writ_hub_now_us(r->hub) + LINGER_US);
}

void writ_relay_update(struct writ_relay *r)
{
	if (!r->dead && r->far.broken && r->far.ended && !r->lingering)
		writ_relay_far_ended(r); /* whole now: it neither sends nor takes bytes */
	if (r->dead)
		return;
	bool read = writ_relay_can_read_near(r);
	uint32_t near = read ? EPOLLIN : 0;
	/* While nobody reads, the end of the peer must still wake us. Raw bytes are delivered after
	 * it. */
	if (!read && r->guard)
		near |= EPOLLRDHUP;
	if (writ_side_waiting(&r->near) || (read && r->tls_read_wants_write))
		near |= EPOLLOUT;
	writ_watch_set(r->hub, &r->near.watch, near);
	if (r->far.fd < 0)
		return;
	uint32_t far = writ_relay_can_read_far(r) ? EPOLLIN : 0;
	if (writ_side_waiting(&r->far))
		far |= EPOLLOUT;
	writ_watch_set(r->hub, &r->far.watch, far);
}

static void unwatch(struct writ_relay *r, struct writ_relay_side *s)
{
	writ_watch_stop(r->hub, &s->watch);
	s->unwatched = true;
	if (s == &r->far)
		writ_hub_stir(r->hub, 1);
}

static void finish(struct writ_relay *r)
{
	writ_relay_update(r);
	if (!r->dead && r->ops->moved)
		r->ops->moved(r);
}

/* The peer's end while nobody reads from it. False: that was the end of the relay, too. */
static bool near_hung_up(struct writ_relay *r, uint32_t over)
{
	bool last = (over & EPOLLERR && !r->is_unix) || (over & EPOLLHUP && r->near.ended);
	if (r->guard || r->far.fd < 0 || last) {
		writ_relay_end(r, WRIT_RELAY_CLOSED, "the peer closed the connection");
		return false;
	}
	if (over & (EPOLLERR | EPOLLHUP))
		unwatch(r, &r->near);
	return true;
}

static void on_near(struct writ_watch *w, uint32_t events)
{
	struct writ_relay *r = writ_container(w, struct writ_relay, near.watch);
	const uint32_t over = events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP);
	if (over && !writ_relay_can_read_near(r) && !near_hung_up(r, over))
		return;
	if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP) && writ_side_waiting(&r->near)) {
		writ_relay_flush_near(r);
		writ_relay_down(r); /* nothing when bytes still wait, or when it ended */
	}
	if (events & EPOLLIN || over || r->tls_read_wants_write)
		writ_relay_up(r);
	finish(r);
}

static void on_far(struct writ_watch *w, uint32_t events)
{
	struct writ_relay *r = writ_container(w, struct writ_relay, far.watch);
	const uint32_t over = events & (EPOLLERR | EPOLLHUP);
	if (over && r->far.ended) {
		/* Hung up whole: what would still be written has no reader. */
		r->far.broken = true;
		r->far.out_off = r->far.out.n;
		unwatch(r, &r->far);
	} else if (over && !writ_relay_can_read_far(r)) {
		unwatch(r, &r->far);
	}
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		writ_relay_down(r);
	if (!r->dead && (events & EPOLLOUT || over) && r->far.fd >= 0 &&
		writ_side_waiting(&r->far)) {
		writ_relay_flush_far(r);
		if (!r->dead && !writ_side_waiting(&r->far))
			writ_relay_up(r);
	}
	finish(r);
}

static void on_again(struct writ_later *l)
{
	struct writ_relay *r = writ_container(l, struct writ_relay, again);
	writ_relay_down(r);
	if (!r->dead)
		writ_relay_up(r);
	finish(r);
}

static void on_due(struct writ_due *d)
{
	struct writ_relay *r = writ_container(d, struct writ_relay, due);
	if (r->lingering)
		writ_relay_end(r, WRIT_RELAY_CLOSED, "the backend closed the connection");
	else
		writ_relay_resume(r);
	finish(r);
}

void writ_relay_init(struct writ_relay *r, struct writ_hub *h, const struct writ_relay_ops *ops,
	int near_fd, struct writ_tls *tls)
{
	*r = (struct writ_relay){ .hub = h, .ops = ops, .tls = tls, .held = WRIT_BUF(WRIT_UP_MAX) };
	side_init(&r->near, near_fd, WRIT_DOWN_MAX + 2 * WRIT_GUARD_FRAME);
	side_init(&r->far, -1, 2 * WRIT_UP_MAX);
	r->near.watch.ready = on_near;
	r->far.watch.ready = on_far;
	r->due.fire = on_due;
	writ_later_init(&r->again, on_again);
}

writ_rc writ_relay_start(struct writ_relay *r, bool try_now, struct writ_err *err)
{
	if (r->near.watch.fd < 0) {
		writ_rc rc = writ_watch_start(r->hub, &r->near.watch, r->near.fd,
			writ_relay_can_read_near(r) ? EPOLLIN : EPOLLRDHUP, err);
		if (rc != WRIT_OK)
			return rc;
	}
	if (try_now)
		writ_relay_up(r);
	writ_relay_update(r);
	return WRIT_OK;
}

writ_rc writ_relay_attach(struct writ_relay *r, int far_fd, struct writ_err *err)
{
	r->far.fd = far_fd;
	return writ_watch_start(r->hub, &r->far.watch, far_fd, EPOLLIN, err);
}

void writ_relay_pause_until(struct writ_relay *r, int64_t at_us)
{
	r->paused = true;
	writ_due_set(r->hub, &r->due, at_us);
}

size_t writ_relay_buffered(const struct writ_relay *r)
{
	return writ_side_waiting(&r->near) + writ_side_waiting(&r->far) + r->held.n;
}
