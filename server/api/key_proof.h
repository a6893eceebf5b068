/* SPDX-License-Identifier: Apache-2.0 */
/* key_proof: how an agent whose certificate is over shows that it holds the key of it. Source of
 * the format: docs/protocol/key-proof.txt. Pure. */
#ifndef WRIT_API_KEY_PROOF_H
#define WRIT_API_KEY_PROOF_H

#include "crypto/key.h"

#define WRIT_KEY_PROOF_TYPE      "writ_key"
#define WRIT_KEY_PROOF_CHALLENGE 32
#define WRIT_KEY_PROOF_AGE_S     (30 * 86400) /* since the certificate ended */

struct writ_key_claim {
	struct writ_str agent_id, spki; /* borrowed */
};

/* WRIT_EINVAL: "malformed key proof: ...". Whether the ID is a SPIFFE ID is not judged. */
WRIT_MUST writ_rc writ_key_claim_parse(
	struct writ_str payload, struct writ_key_claim *ret, struct writ_err *err);
/* Is sig by the claim's key, over the challenge and this CSR? *key gets that key. About 0.1 ms. */
WRIT_MUST writ_rc writ_key_proof_verify(const struct writ_key_claim *claim,
	const uint8_t challenge[WRIT_KEY_PROOF_CHALLENGE], struct writ_str csr, struct writ_str sig,
	struct writ_pubkey *key, struct writ_err *err);

#endif
