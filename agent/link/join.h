/* SPDX-License-Identifier: Apache-2.0 */
/* join: one AttestAgent exchange, by join token, by proof of the recorded key
 * (docs/protocol/key-proof.txt), or by a prover. Loop thread. */
#ifndef WRIT_AGENT_JOIN_H
#define WRIT_AGENT_JOIN_H

#include "link/convert.h"
#include "node/prover.h"

struct writ_join;

struct writ_join_outcome {
	writ_rc rc; /* WRIT_OK: svid is there */
	struct writ_err err;
	int code; /* gRPC status */
	Spire__Api__Types__PermissionDeniedDetails__Reason reason;
	struct writ_svid *svid; /* borrowed: take a reference */
	bool reattestable;
};

struct writ_join_config {
	struct writ_loop *loop; /* for the prover */
	struct writ_channel *channel;
	struct writ_str td;
	const struct writ_secret *token; /* by token; NULL: not so */
	struct writ_prover *prover;      /* by it, started; borrowed until done. NULL: not so */
	struct writ_str payload;         /* the prover's; copied */
	const struct writ_svid *old;     /* by key: the SVID that is over. Referenced */
	struct writ_key *key;            /* the new one; referenced */
	struct writ_str csr;             /* copied */
	int64_t deadline_ms;
	/* Exactly once, never inside start; the join is gone after it. */
	void (*done)(void *arg, struct writ_join *j, const struct writ_join_outcome *o);
	void *arg;
};

/* Failures come through done. */
struct writ_join *writ_join_start(const struct writ_join_config *cfg);

/* The claim, and the bytes to sign: pure, for tests and the one server that checks them. */
WRIT_MUST writ_rc writ_proof_claim(
	struct writ_str agent_id, struct writ_str spki, struct writ_buf *out, struct writ_err *err);
#define WRIT_PROOF_CHALLENGE 32
#define WRIT_PROOF_LEN       (18 + WRIT_PROOF_CHALLENGE + 32)
void writ_proof_message(const uint8_t challenge[WRIT_PROOF_CHALLENGE], struct writ_str csr,
	uint8_t out[WRIT_PROOF_LEN]);

#endif
