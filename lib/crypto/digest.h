/* SPDX-License-Identifier: Apache-2.0 */
/* digest: SHA-1 and SHA-256 over OpenSSL, and the text forms of bytes: base64 and PEM. Any thread.
 */
#ifndef WRIT_CRYPTO_DIGEST_H
#define WRIT_CRYPTO_DIGEST_H

#include "base/buf.h"

#define WRIT_SHA256_LEN 32
#define WRIT_SHA1_LEN   20

void writ_sha256(const void *p, size_t n,
	uint8_t out[WRIT_SHA256_LEN]); /* aborts when OpenSSL cannot hash */
void writ_sha1(const void *p, size_t n,
	uint8_t out[WRIT_SHA1_LEN]); /* for key identifiers only (RFC 5280 4.2.1.2) */
/* Hashes from fd's position 0 to its end with pread; WRIT_ELIMIT when the file is larger than max.
 */
WRIT_MUST writ_rc writ_sha256_file(
	int fd, uint64_t max, uint8_t out[WRIT_SHA256_LEN], struct writ_err *err);

void writ_base64_add(struct writ_buf *out, const void *p, size_t n);    /* RFC 4648 4, padded */
void writ_base64url_add(struct writ_buf *out, const void *p, size_t n); /* RFC 4648 5, no padding */
WRIT_MUST writ_rc writ_base64_decode(
	struct writ_str s, struct writ_buf *out, struct writ_err *err); /* strict */
WRIT_MUST writ_rc writ_base64url_decode(
	struct writ_str s, struct writ_buf *out, struct writ_err *err); /* strict */

/* Appends one PEM block of that label ("CERTIFICATE", "PRIVATE KEY"), lines of 64. */
void writ_pem_add(struct writ_buf *out, const char *label, const void *der, size_t n);
/* The next block in *text: label and DER; *text moves behind it. WRIT_ENOENT when none is left.
 * Text between blocks is passed over; a block that does not end or decode is WRIT_EINVAL with its
 * line number. */
WRIT_MUST writ_rc writ_pem_next(
	struct writ_str *text, char label[32], struct writ_buf *der, struct writ_err *err);

#endif
