/* SPDX-License-Identifier: Apache-2.0 */
/* hub: the sockets of all fronts and dials of a loop, in one epoll set of their own that the loop
 * watches as one descriptor. A connection costs one epoll_ctl(2) a socket instead of libuv's four,
 * and its deadlines cost no timer handle. Loop thread only. Nothing is freed while events are
 * handed out: owners free themselves in a writ_later. */
#ifndef WRIT_FRONT_HUB_H
#define WRIT_FRONT_HUB_H

#include "base/list.h"
#include "loop/loop.h"

#include <stddef.h>
#include <sys/epoll.h>

struct writ_hub;

#define WRIT_UP_MAX   (16 * 1024) /* one read from a client */
#define WRIT_DOWN_MAX (64 * 1024) /* one read from a backend */
#define WRIT_SPARE    64          /* room in front of and behind them, for frames of our own */

/* The hub of this loop, made when it is the first; a reference. SIGPIPE is ignored from here on if
 * nobody handles it: OpenSSL writes with write(2). */
WRIT_MUST writ_rc writ_hub_get(struct writ_loop *l, struct writ_hub **ret, struct writ_err *err);
void writ_hub_put(struct writ_hub *h);
struct writ_loop *writ_hub_loop(const struct writ_hub *h);
/* Scratch for one read, good until the callback returns. Shared by all connections: an idle one
 * owns no buffer. */
uint8_t *writ_hub_up(struct writ_hub *h);
uint8_t *writ_hub_down(struct writ_hub *h);
int64_t writ_hub_now_us(struct writ_hub *h); /* monotonic; read once for each round of events */

/* The other ends of relays' far sockets may belong to a library of this process: it need not have
 * the kernel wake a thread for each byte, it can be told. look() runs after the events at hand;
 * at most `times` sockets have something for it. One for each hub; NULL: nobody. */
void writ_hub_set_beyond(struct writ_hub *h, void (*look)(void *arg, unsigned times), void *arg);
/* Something was done to a far socket that its other end will notice. */
void writ_hub_stir(struct writ_hub *h, unsigned times);

/* A socket, level-triggered. EPOLLERR and EPOLLHUP are always reported while it is watched. */
struct writ_watch {
	int fd;        /* not owned; -1: not watched */
	uint32_t mask; /* what the kernel watches now */
	void (*ready)(struct writ_watch *w, uint32_t events);
};
WRIT_MUST writ_rc writ_watch_start(
	struct writ_hub *h, struct writ_watch *w, int fd, uint32_t mask, struct writ_err *err);
void writ_watch_set(
	struct writ_hub *h, struct writ_watch *w, uint32_t mask); /* no call when it is the same */
void writ_watch_stop(
	struct writ_hub *h, struct writ_watch *w); /* before the fd is closed; idempotent */

/* A deadline, embedded in its owner; all zero: none. */
struct writ_due {
	int64_t at_us;
	size_t pos; /* place in the heap, from 1; 0: not in it */
	void (*fire)(struct writ_due *d);
};
void writ_due_set(
	struct writ_hub *h, struct writ_due *d, int64_t at_us); /* replaces an earlier one */
void writ_due_stop(struct writ_hub *h, struct writ_due *d);

/* Work for after the events at hand, embedded in its owner; run once for each ask. */
struct writ_later {
	struct writ_list node;
	void (*run)(struct writ_later *l);
};
void writ_later_init(struct writ_later *l, void (*run)(struct writ_later *l));
void writ_later_ask(struct writ_hub *h, struct writ_later *l); /* idempotent until it runs */
void writ_later_stop(struct writ_later *l);

#endif
