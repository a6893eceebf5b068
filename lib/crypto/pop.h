/* SPDX-License-Identifier: Apache-2.0 */
/* pop: proof of possession by a signature over two nonces, as SPIRE's x509pop does it: the message
 * is SHA-256(challenge's nonce, answer's nonce), and it is that hash that is signed: RSA as PSS
 * with SHA-256, ECDSA as the bare numbers r and s. Any thread. */
#ifndef WRIT_CRYPTO_POP_H
#define WRIT_CRYPTO_POP_H

#include "crypto/digest.h"
#include "crypto/key.h"

#define WRIT_POP_NONCE  32
#define WRIT_POP_NUMBER 66 /* bytes of r or s at most; WRIT_ECDSA_NUMBER_MAX */

struct writ_pop_sig {
	bool is_rsa;
	size_t n_a, n_b;
	uint8_t a[WRIT_SIG_MAX];    /* RSA: the signature; ECDSA: r, big-endian */
	uint8_t b[WRIT_POP_NUMBER]; /* ECDSA: s */
};

void writ_pop_message(const uint8_t challenge[WRIT_POP_NONCE], const uint8_t answer[WRIT_POP_NONCE],
	uint8_t out[WRIT_SHA256_LEN]);
WRIT_MUST writ_rc writ_pop_sign(const struct writ_key *k, const uint8_t message[WRIT_SHA256_LEN],
	struct writ_pop_sig *ret, struct writ_err *err);
/* The key (a SubjectPublicKeyInfo) is loaded and checked as by writ_pubkey_from_spki; then one
 * verification. WRIT_ECRYPTO: the signature is not by that key, or not of its kind. */
WRIT_MUST writ_rc writ_pop_verify(struct writ_str spki, const uint8_t message[WRIT_SHA256_LEN],
	const struct writ_pop_sig *sig, struct writ_err *err);
bool writ_pop_is_rsa(enum writ_key_type type); /* also for RSA of other sizes (WRIT_KEY_OTHER) */
/* Which kind of signature a key is for, from its header alone: nothing is computed. WRIT_EINVAL:
 * neither. */
WRIT_MUST writ_rc writ_pop_kind(struct writ_str spki, bool *is_rsa, struct writ_err *err);

#endif
