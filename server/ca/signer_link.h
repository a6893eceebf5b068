/* SPDX-License-Identifier: Apache-2.0 */
/* signer_link: the serving process's end of the talk with the signer: calls go out in order,
 * answers come back by id, each with a deadline. It comes up whenever the monitor hands over a
 * socket, and goes down when that breaks; calls under way then fail with WRIT_EUNAVAIL. Asking
 * again is for the caller, who knows what the new signer knows. On the loop. */
#ifndef WRIT_CA_SIGNER_LINK_H
#define WRIT_CA_SIGNER_LINK_H

#include "base/list.h"
#include "loop/loop.h"

#define WRIT_SIGNER_WAIT_MS   5000
#define WRIT_SIGNER_CALLS_MAX 32 /* under way at the same time */

struct Writ__Signer__V1__Request;
struct Writ__Signer__V1__Reply;

/* Embedded in the caller's object; stays until done. */
struct writ_signer_call {
	/* rc and err: of the talk, or what the signer answered (reply is there then too, else NULL;
	 * borrowed). */
	void (*done)(struct writ_signer_call *c, writ_rc rc,
		const struct Writ__Signer__V1__Reply *reply, const struct writ_err *err);
	int64_t wait_ms;       /* 0: WRIT_SIGNER_WAIT_MS */
	struct writ_list node; /* the link's, as the rest */
	uint64_t id;
	int64_t deadline_ms;
};

/* What a CA manager needs of a link; tests have another one. */
struct writ_signer_port {
	/* Sends a request (its id is set here). Once WRIT_OK is returned done() follows, never
	 * before. WRIT_EUNAVAIL: down. WRIT_ELIMIT: too large. WRIT_EBUSY: too many under way. */
	writ_rc (*call)(struct writ_signer_port *p, struct writ_signer_call *c,
		struct Writ__Signer__V1__Request *q, struct writ_err *err);
};

struct writ_signer_link_events {
	void (*up)(void *arg);
	void (*down)(void *arg); /* after the calls under way have failed */
	void (*stuck)(
		void *arg); /* no answer in time: the connection was cut; ask for a new signer */
};

struct writ_signer_link;
struct writ_signer_link *writ_signer_link_new(
	struct writ_loop *loop, const struct writ_signer_link_events *events, void *arg);
void writ_signer_link_free(
	struct writ_signer_link *l); /* done() is not called any more; NULL is fine */
WRIT_MUST writ_rc writ_signer_link_attach(
	struct writ_signer_link *l, int fd, struct writ_err *err); /* owns fd, even on failure */
bool writ_signer_link_is_up(const struct writ_signer_link *l);
struct writ_signer_port *writ_signer_link_port(struct writ_signer_link *l);

#endif
