/* SPDX-License-Identifier: Apache-2.0 */
/* conn: one connection of a front, from accept to the last callback. Inside lib/front only. */
#ifndef WRIT_FRONT_CONN_H
#define WRIT_FRONT_CONN_H

#include "base/limiter.h"
#include "front/front.h"
#include "front/relay.h"
#include "front/source.h"

struct writ_front {
	struct writ_front_config cfg;
	struct writ_hub *hub;
	struct writ_watch listener;
	int listen_fd,
		spare_fd; /* the spare is given up to refuse somebody when descriptors are out */
	bool is_unix, dead;
	bool some_uids; /* in a user namespace: overflow_uid is nobody in particular */
	uid_t overflow_uid;
	struct writ_due accept_again;
	struct writ_list conns;
	size_t n_conns;
	uint64_t next_id;
	struct writ_sources sources;
	struct writ_bucket handshakes;
	struct writ_list handshake_turns; /* sources with connections that wait for a handshake */
	struct writ_due handshake_due;
	struct writ_front_stats stats;
	struct writ_later bury;
};

enum writ_conn_state {
	WRIT_CONN_DELAYED, /* pays its source's debt: not even looked at */
	WRIT_CONN_HELLO,   /* TLS: waits for the first byte, then for its turn */
	WRIT_CONN_HANDSHAKE,
	WRIT_CONN_START, /* http2: waits for preface and SETTINGS */
	WRIT_CONN_OPEN,  /* raw: waits for its backend */
	WRIT_CONN_RELAY,
	WRIT_CONN_DEAD,
};

struct writ_conn {
	struct writ_list node;    /* in front.conns */
	struct writ_list waiting; /* in source.waiting */
	struct writ_front *front;
	struct writ_peer *peer;
	struct writ_claim claim;
	enum writ_conn_state state;
	bool announced; /* ready() or open() was called: closed() is due */
	struct writ_relay relay;
	struct writ_guard guard;
	void (*relay_ready)(
		struct writ_watch *w, uint32_t events); /* while the handshake has the socket */
	int backend_fd;      /* the backend's end between socketpair and ready() */
	struct writ_due due; /* end of the delay, start deadline, idle deadline: by state */
	int64_t start_by_us, idle_since_us;
	struct writ_list asked; /* challenges that wait for their PING */
	struct writ_list sent;  /* challenges whose PING is under way */
	struct writ_err why;    /* of the end */
	struct writ_later reap;
};

struct writ_conn *writ_conn_new(
	struct writ_front *f, int fd, struct writ_peer *p, const struct writ_claim *claim);
void writ_conn_begin(struct writ_conn *c); /* after the delay, if any */
void writ_conn_secured(
	struct writ_conn *c); /* what follows the handshake, or accept where there is none */
/* Closes both ends at once; the callbacks follow when the events at hand are done. */
void writ_conn_end(struct writ_conn *c, enum writ_relay_end how, writ_rc rc, const char *why);
void writ_conn_free(struct writ_conn *c); /* dead ones */

/* accept.c */
void writ_front_on_listener(struct writ_watch *w, uint32_t events);
void writ_front_on_accept_again(struct writ_due *d);
void writ_front_tell_refused(struct writ_front *f, const char *addr, const struct writ_err *why);

/* handshake.c */
void writ_handshake_wait(struct writ_conn *c); /* for the first byte */
void writ_handshake_on_due(struct writ_due *d);
void writ_handshake_leave(struct writ_conn *c); /* gives up its place in the queue */

/* challenge.c */
void writ_challenge_answered(struct writ_conn *c);
void writ_challenge_fail_all(struct writ_conn *c);

#endif
