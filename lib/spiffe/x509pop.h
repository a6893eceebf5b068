/* SPDX-License-Identifier: Apache-2.0 */
/* x509pop: the messages of SPIRE's node attestor of that name, both ways. Source of the format:
 * SPIRE 1.15, JSON with bytes in base64:
 *   payload    {"certificates":[leaf, intermediates...]}                     each DER
 *   challenge  {"rsa_signature":{"nonce"},"ecdsa_signature":null}            or the other one null
 *   answer     {"rsa_signature":{"nonce","signature"},"ecdsa_signature":null}
 *              {"rsa_signature":null,"ecdsa_signature":{"nonce","r","s"}}
 * What is signed is crypto/pop.h's. Errors are WRIT_EINVAL. Pure. */
#ifndef WRIT_SPIFFE_X509POP_H
#define WRIT_SPIFFE_X509POP_H

#include "crypto/cert.h"
#include "crypto/pop.h"

#define WRIT_X509POP_CERTS_MAX   5
#define WRIT_X509POP_PAYLOAD_MAX (56 * 1024)
#define WRIT_X509POP_ANSWER_MAX  2048

/* max: of the leaf and its intermediates, at most WRIT_X509POP_CERTS_MAX. certs (that many) gets *n
 * references. */
WRIT_MUST writ_rc writ_x509pop_parse(struct writ_str payload, size_t max, struct writ_cert **certs,
	size_t *n, struct writ_err *err);
WRIT_MUST writ_rc writ_x509pop_print(
	struct writ_cert *const *certs, size_t n, struct writ_buf *out, struct writ_err *err);

struct writ_x509pop_challenge {
	bool is_rsa;
	uint8_t nonce[WRIT_POP_NONCE];
};
WRIT_MUST writ_rc writ_x509pop_challenge_parse(
	struct writ_str text, struct writ_x509pop_challenge *ret, struct writ_err *err);
void writ_x509pop_challenge_print(const struct writ_x509pop_challenge *c, struct writ_buf *out);

struct writ_x509pop_answer {
	uint8_t nonce[WRIT_POP_NONCE];
	struct writ_pop_sig sig;
};
WRIT_MUST writ_rc writ_x509pop_answer_parse(
	struct writ_str text, struct writ_x509pop_answer *ret, struct writ_err *err);
void writ_x509pop_answer_print(const struct writ_x509pop_answer *a, struct writ_buf *out);

#endif
