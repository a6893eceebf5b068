/* SPDX-License-Identifier: Apache-2.0 */
/* csr: PKCS#10 requests (RFC 2986), DER. Any thread. */
#ifndef WRIT_CRYPTO_CSR_H
#define WRIT_CRYPTO_CSR_H

#include "crypto/key.h"

#define WRIT_CSR_MAX   (16 * 1024)
#define WRIT_CSR_NAMES 64

/* What a request says. Only MintX509SVID uses more than the key; extensions are never copied. */
struct writ_csr {
	struct writ_pubkey key;
	size_t n_uris, n_dns;
	char *uris[WRIT_CSR_NAMES]; /* owned; no NUL inside, ASCII */
	char *dns[WRIT_CSR_NAMES];
	uint8_t *subject; /* DER of the Name; owned */
	size_t subject_len;
};

/* Parses, checks the signature with the request's own key, checks the key (no OpenSSL decoder runs
 * for P-256 and P-384). Refused as well: bytes behind it, more than one URI name, a wish to be a
 * CA. WRIT_EINVAL: "malformed CSR: ..." or "invalid CSR signature: ..."; *ret is zeroed on failure.
 * Whether the URI is one the caller may have is not judged here. */
WRIT_MUST writ_rc writ_csr_parse(
	const void *der, size_t n, struct writ_csr *ret, struct writ_err *err);
/* The same checks with only the key taken. */
WRIT_MUST writ_rc writ_csr_key(
	const void *der, size_t n, struct writ_pubkey *ret, struct writ_err *err);
void writ_csr_done(struct writ_csr *c);

/* Builds a request: subject C=US, O=SPIRE; uri and dns may be empty. */
WRIT_MUST writ_rc writ_csr_build(const struct writ_key *k, const char *uri, const char *const *dns,
	size_t n_dns, struct writ_buf *der, struct writ_err *err);

#endif
