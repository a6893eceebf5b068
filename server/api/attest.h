/* SPDX-License-Identifier: Apache-2.0 */
/* attest: one AttestAgent stream. It lives in the call's memory; while something runs for it the
 * call waits, even when the agent is gone. Inside server/api only. */
#ifndef WRIT_API_ATTEST_H
#define WRIT_API_ATTEST_H

#include "api/issue.h"
#include "api/key_proof.h"
#include "api/token.h"
#include "node/attestor.h"

#define WRIT_ATTEST_USED      "attestation data has already been used to attest an agent"
#define WRIT_ATTEST_ANSWER_MS 10000 /* for the answer to a challenge */

struct writ_attest {
	struct writ_call *call;
	struct writ_str csr_der;
	struct writ_csr_work csr;
	struct writ_agent_svid svid;
	uint8_t token[WRIT_KEY_HASH_LEN]; /* its hash */
	bool by_key;                      /* proof of the recorded key */
	const char *type;                 /* of the attestation, for the registry */
	struct writ_key_claim claim;
	uint8_t challenge[WRIT_KEY_PROOF_CHALLENGE];
	struct writ_timer *patience; /* the agent's answer is waited for */
	struct writ_str answer;
	struct writ_job verify;
	struct writ_pubkey old_key;
	struct writ_err verify_err;
	/* A node attestor's: by NULL is none. */
	struct writ_node_exchange node;
	struct writ_job step;
	struct writ_str input; /* of the step */
	struct writ_err step_err;
	bool answering; /* the step is respond, not begin */
	struct writ_str agent_id, selectors;
};

void writ_attest_fail(struct writ_attest *t, writ_rc rc, const char *text);
/* Who it is has been settled: sign, record, answer. */
void writ_attest_issue(struct writ_attest *t, struct writ_str agent_id);

/* The challenge goes out, and the answer gets WRIT_ATTEST_ANSWER_MS. */
void writ_attest_ask(struct writ_attest *t, const void *challenge, size_t n);
/* The agent proved who it is, and is banned. */
void writ_attest_deny_banned(struct writ_attest *t);
/* Checks the request for a certificate; what comes after is the caller's. */
void writ_attest_check_csr(struct writ_attest *t);

/* attest_node.c: the payload; the answer came; the certificate's key was checked. */
WRIT_MUST writ_rc writ_attest_take_payload(struct writ_attest *t,
	const struct writ_node_attestor *by, struct writ_str payload, struct writ_err *err);
void writ_attest_node_begin(struct writ_attest *t);
void writ_attest_node_answered(struct writ_attest *t, struct writ_str answer);
void writ_attest_node_issue(struct writ_attest *t);

/* attest_key.c: the claim; the challenge goes out; the answer came. */
WRIT_MUST writ_rc writ_attest_take_claim(
	struct writ_attest *t, struct writ_str payload, struct writ_err *err);
void writ_attest_challenge(struct writ_attest *t);
void writ_attest_answered(struct writ_attest *t, struct writ_str answer);

#endif
