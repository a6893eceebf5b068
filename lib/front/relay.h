/* SPDX-License-Identifier: Apache-2.0 */
/* relay: plain bytes between a peer's socket (near: Unix, TCP or TLS) and a backend's (far), with a
 * guard in between where it is HTTP/2. At most one read is held back in each direction; who cannot
 * be written to stops the other from being read. Inside lib/front only; loop thread. */
#ifndef WRIT_FRONT_RELAY_H
#define WRIT_FRONT_RELAY_H

#include "base/buf.h"
#include "front/guard.h"
#include "front/hub.h"
#include "tls/tls.h"

#include <sys/types.h>

#define WRIT_RELAY_IDLE_MAX 64

struct writ_relay;

enum writ_relay_end {
	WRIT_RELAY_CLOSED, /* one of the two ends closed or broke */
	WRIT_RELAY_KILLED, /* the guard or the credentials said so */
	WRIT_RELAY_CUT,    /* writ_relay_stop */
};

struct writ_relay_ops {
	/* guarded: preface and SETTINGS are there. Must give the far end with writ_relay_attach, or
	 * say false: then the owner has stopped the relay. */
	bool (*open)(struct writ_relay *r);
	void (*opened)(struct writ_relay
			*r); /* the first bytes are in the far socket; may stop the relay */
	void (*moved)(struct writ_relay *r);  /* bytes went through; may be NULL */
	void (*paused)(struct writ_relay *r); /* the guard slowed it down; may be NULL */
	/* Once, last: both sockets are closed. Not inside writ_relay_stop. Must not free r: events
	 * may be at hand. */
	void (*ended)(struct writ_relay *r, enum writ_relay_end how, const char *why);
};

struct writ_relay_side {
	struct writ_watch watch;
	int fd;              /* owned; -1: none */
	struct writ_buf out; /* bytes that wait to be written to it */
	size_t out_off;
	bool ended;     /* it will send no more */
	bool shut;      /* it was told that no more will come */
	bool unwatched; /* it hung up while nobody could read: read it to its end without epoll */
	bool broken;    /* it takes no more bytes */
};

struct writ_relay {
	struct writ_hub *hub;
	const struct writ_relay_ops *ops;
	struct writ_relay_side near, far;
	struct writ_tls *tls; /* owned; NULL: plain */
	bool tls_read_wants_write;
	bool is_unix; /* near is a Unix socket: each message must carry the credentials of pid */
	pid_t pid;
	struct writ_guard *guard; /* borrowed; NULL: raw bytes */
	struct writ_buf held;     /* read, but not let through yet */
	/* ACKs that nobody waits for: they go up with the bytes that come next, so that they do not
	 * wake the backend for nothing. */
	uint8_t idle[WRIT_RELAY_IDLE_MAX];
	uint8_t n_idle;
	bool paused, dead, lingering;
	bool ping_due; /* a PING of ours waits for a boundary */
	uint8_t ping[8];
	size_t discarded;    /* bytes thrown away while lingering */
	struct writ_due due; /* end of the pause or of lingering */
	struct writ_later again;
};

/* Takes near_fd and tls. Does not watch anything yet. */
void writ_relay_init(struct writ_relay *r, struct writ_hub *h, const struct writ_relay_ops *ops,
	int near_fd, struct writ_tls *tls);
/* Begins to read the near side; far may come later (guarded: by open). try_now: there may be bytes
 * already. */
WRIT_MUST writ_rc writ_relay_start(struct writ_relay *r, bool try_now, struct writ_err *err);
/* Takes far_fd. */
WRIT_MUST writ_rc writ_relay_attach(struct writ_relay *r, int far_fd, struct writ_err *err);
void writ_relay_pause_until(struct writ_relay *r, int64_t at_us);
/* Sends an HTTP/2 PING as soon as it may; guard->answered tells of the ACK. */
void writ_relay_ping(struct writ_relay *r, const uint8_t payload[8]);
/* Closes both sockets at once and frees what the relay owns; ops->ended is not called. Idempotent.
 */
void writ_relay_stop(struct writ_relay *r);
size_t writ_relay_buffered(const struct writ_relay *r); /* bytes held in this process now */

#endif
