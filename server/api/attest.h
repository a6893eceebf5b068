/* SPDX-License-Identifier: Apache-2.0 */
/* attest: one AttestAgent stream. It lives in the call's memory; while something runs for it the
 * call waits, even when the agent is gone. Inside server/api only. */
#ifndef WRIT_API_ATTEST_H
#define WRIT_API_ATTEST_H

#include "api/issue.h"
#include "api/key_proof.h"
#include "api/token.h"

#define WRIT_ATTEST_ANSWER_MS 10000 /* for the answer to a challenge */

struct writ_attest {
	struct writ_call *call;
	struct writ_str csr_der;
	struct writ_csr_work csr;
	struct writ_agent_svid svid;
	uint8_t token[WRIT_KEY_HASH_LEN]; /* its hash */
	bool by_key;                      /* proof of the recorded key, else a token */
	struct writ_key_claim claim;
	uint8_t challenge[WRIT_KEY_PROOF_CHALLENGE];
	struct writ_timer *patience; /* the agent's answer is waited for */
	struct writ_str answer;
	struct writ_job verify;
	struct writ_pubkey old_key;
	struct writ_err verify_err;
};

void writ_attest_fail(struct writ_attest *t, writ_rc rc, const char *text);
/* Who it is has been settled: sign, record, answer. */
void writ_attest_issue(struct writ_attest *t, struct writ_str agent_id);

/* attest_key.c: the claim; the challenge goes out; the answer came. */
WRIT_MUST writ_rc writ_attest_take_claim(
	struct writ_attest *t, struct writ_str payload, struct writ_err *err);
void writ_attest_challenge(struct writ_attest *t);
void writ_attest_answered(struct writ_attest *t, struct writ_str answer);

#endif
