/* SPDX-License-Identifier: Apache-2.0 */
#include "api/key_proof.h"

#include "crypto/digest.h"
#include "spiffe/id.h"

#include <string.h>

#define VERSION 1
#define CONTEXT "writ-key-proof-v1" /* with its NUL */

/* A field of two length bytes and that many more. */
static bool take(struct writ_str *s, size_t max, struct writ_str *ret)
{
	if (s->n < 2)
		return false;
	const uint8_t *p = (const uint8_t *)s->p;
	size_t n = (size_t)p[0] << 8 | p[1];
	if (n == 0 || n > max || n > s->n - 2)
		return false;
	*ret = (struct writ_str){ s->p + 2, n };
	s->p += 2 + n;
	s->n -= 2 + n;
	return true;
}

writ_rc writ_key_claim_parse(
	struct writ_str payload, struct writ_key_claim *ret, struct writ_err *err)
{
	struct writ_key_claim claim;
	if (payload.n == 0 || payload.p[0] != VERSION)
		return writ_fail(err, WRIT_EINVAL, "malformed key proof: not version %d", VERSION);
	payload.p++;
	payload.n--;
	if (!take(&payload, WRIT_ID_MAX, &claim.agent_id))
		return writ_fail(err, WRIT_EINVAL, "malformed key proof: no agent ID");
	if (!take(&payload, WRIT_SPKI_MAX, &claim.spki))
		return writ_fail(err, WRIT_EINVAL, "malformed key proof: no public key");
	if (payload.n)
		return writ_fail(err, WRIT_EINVAL, "malformed key proof: %zu bytes behind its end",
			payload.n);
	*ret = claim;
	return WRIT_OK;
}

writ_rc writ_key_proof_verify(const struct writ_key_claim *claim,
	const uint8_t challenge[WRIT_KEY_PROOF_CHALLENGE], struct writ_str csr, struct writ_str sig,
	struct writ_pubkey *key, struct writ_err *err)
{
	uint8_t text[sizeof(CONTEXT) + WRIT_KEY_PROOF_CHALLENGE + WRIT_SHA256_LEN];
	memcpy(text, CONTEXT, sizeof(CONTEXT));
	memcpy(text + sizeof(CONTEXT), challenge, WRIT_KEY_PROOF_CHALLENGE);
	writ_sha256(csr.p, csr.n, text + sizeof(CONTEXT) + WRIT_KEY_PROOF_CHALLENGE);
	writ_rc rc = writ_pubkey_from_spki(claim->spki.p, claim->spki.n, key, err);
	return rc == WRIT_OK ? writ_pubkey_verify(key, text, sizeof(text), sig.p, sig.n, err) : rc;
}
