/* SPDX-License-Identifier: Apache-2.0 */
/* signer_impl: what the parts of the signer share. Inside server/signer only. */
#ifndef WRIT_SIGNER_SIGNER_IMPL_H
#define WRIT_SIGNER_SIGNER_IMPL_H

#include "signer/arena.h"
#include "signer/signer.h"
#include "writ/signer/v1/signer.pb-c.h"

/* Rule L12 of the profile: notBefore is now, or a little earlier for clocks that are behind. */
#define WRIT_SIGNER_BACKDATE_S 70

typedef Writ__Signer__V1__Request writ_signer_request;
typedef Writ__Signer__V1__Reply writ_signer_reply;

struct writ_signer {
	struct writ_signer_config config;
	struct writ_slot slots[WRIT_SIGNER_SLOTS_MAX]; /* the first n are in use */
	size_t n;
	struct writ_arena arena; /* of the request that is being answered */
	struct writ_buf certs;   /* of the batch that is being answered */
	uint64_t issued;
	int64_t sampled_at; /* the second of the last sample */
	unsigned samples;   /* in that second */
};

struct writ_slot *writ_signer_active(struct writ_signer *s); /* NULL: none */
/* Handlers: the reply's fields point into the arena or into the signer, until the next request. */
writ_rc writ_signer_prepare(struct writ_signer *s, const writ_signer_request *q,
	writ_signer_reply *r, struct writ_err *err);
writ_rc writ_signer_activate(struct writ_signer *s, const writ_signer_request *q,
	writ_signer_reply *r, struct writ_err *err);
writ_rc writ_signer_drop(struct writ_signer *s, const writ_signer_request *q, writ_signer_reply *r,
	struct writ_err *err);
writ_rc writ_signer_sign(struct writ_signer *s, const writ_signer_request *q, writ_signer_reply *r,
	struct writ_err *err);

/* Parses what was just signed and verifies it as a peer would. */
WRIT_MUST writ_rc writ_signer_recheck(struct writ_str der, const struct writ_anchors *issuer,
	const struct writ_pubkey *key, const char *uri, int64_t now, struct writ_cert **ret,
	struct writ_err *err);
WRIT_MUST writ_rc writ_signer_times_ok(
	int64_t not_before, int64_t not_after, int64_t now, struct writ_err *err);

#endif
