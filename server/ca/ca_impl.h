/* SPDX-License-Identifier: Apache-2.0 */
/* ca_impl: what the parts of the CA manager share. Inside server/ca only. */
#ifndef WRIT_CA_CA_IMPL_H
#define WRIT_CA_CA_IMPL_H

#include "ca/ca.h"

#include "base/limiter.h"
#include "signer/signer.h"
#include "writ/signer/v1/signer.pb-c.h"

#define WRIT_CA_BATCHES 4 /* under way at the same time */

/* Up to 128 items on their way to the signer. */
struct writ_ca_batch {
	struct writ_signer_call call;
	struct writ_ca *ca;
	bool busy;
	size_t n;
	struct writ_ca_item *items[WRIT_SIGNER_BATCH_MAX]; /* NULL: cancelled */
};

/* Of its own, because what was posted to a loop cannot be called back. */
struct writ_ca_flush {
	struct writ_task task;
	struct writ_ca *ca; /* NULL: gone meanwhile */
};

struct writ_ca_queue {
	struct writ_list items;
	size_t n;
	struct writ_ca_flush *flush; /* while it is posted */
	struct writ_timer *timer;    /* of the oldest item */
	struct writ_ca_batch batches[WRIT_CA_BATCHES];
};

struct writ_ca_own { /* the server's own SVID */
	struct writ_ca_item item;
	bool asked;
	char *id;
	struct writ_key *key; /* of the one that is asked for */
	struct writ_pubkey pub;
	struct writ_svid *svid;
	int64_t renew_at_ms; /* wall clock */
	int64_t retry_at_ms; /* monotonic */
	struct writ_backoff backoff;
};

struct writ_ca {
	struct writ_loop *loop;
	struct writ_ca_config config; /* strings owned */
	struct writ_signer_port *port;
	const struct writ_ca_hooks *hooks;
	void *arg;
	struct writ_timer *timer;
	struct writ_authority cas[WRIT_CA_MAX];
	size_t n;
	bool up;             /* the signer can be asked */
	bool synced;         /* cas is what the signer has */
	bool busy;           /* a call or a change is under way */
	int64_t retry_at_ms; /* monotonic; 0: now */
	int64_t prune_at;    /* wall, seconds */
	struct writ_backoff backoff;
	unsigned failures;
	struct writ_err last;
	char *known[16]; /* owned: slots in the store that were not seen at the signer yet */
	size_t n_known;
	struct writ_signer_call call;
	int step; /* what call or change is for */
	struct writ_ca_change change;
	struct writ_ca_queue queue;
	struct writ_ca_own own;
};

void writ_ca_queue_init(struct writ_ca *ca);
void writ_ca_queue_done(struct writ_ca *ca);
void writ_ca_queue_flush(struct writ_ca *ca); /* soon */
void writ_ca_own_init(struct writ_ca *ca);
void writ_ca_own_done(struct writ_ca *ca);
/* Asks for a new one when it is time. Returns the monotonic ms until which nothing is to do. */
int64_t writ_ca_own_tick(struct writ_ca *ca, bool authority_changed);
void writ_ca_advance(struct writ_ca *ca);
void writ_ca_resync(struct writ_ca *ca); /* the signer is not what we thought it is: ask it */
/* protobuf-c takes char * for what it only reads; NULL becomes "". */
char *writ_ca_unconst(const char *s);

#endif
