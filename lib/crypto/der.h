/* SPDX-License-Identifier: Apache-2.0 */
/* der: reads and writes the elements of DER (X.690), without meaning. The reader takes definite,
 * minimal lengths and low tag numbers only, never allocates, never reads behind its slice. Pure;
 * any thread. */
#ifndef WRIT_CRYPTO_DER_H
#define WRIT_CRYPTO_DER_H

#include "base/buf.h"

enum {
	WRIT_DER_BOOL = 0x01,
	WRIT_DER_INT = 0x02,
	WRIT_DER_BITS = 0x03,
	WRIT_DER_OCTETS = 0x04,
	WRIT_DER_NULL = 0x05,
	WRIT_DER_OID = 0x06,
	WRIT_DER_UTF8 = 0x0c,
	WRIT_DER_PRINTABLE = 0x13,
	WRIT_DER_UTC = 0x17,
	WRIT_DER_TIME = 0x18,
	WRIT_DER_SEQ = 0x30,
	WRIT_DER_SET = 0x31,
};

/* Bytes not read yet; or the inside of an element. */
struct writ_der {
	const uint8_t *p;
	size_t n;
};

/* For the initializer of a constant. */
#define WRIT_DER_LIT(bytes)                                                                        \
	{                                                                                          \
		(const uint8_t *)(bytes), sizeof(bytes) - 1                                        \
	}

struct writ_der writ_der(const void *p, size_t n);
bool writ_der_eq(struct writ_der a, struct writ_der b);
/* Cuts the first element off *at. body, whole: without and with its header; either may be NULL.
 * False: malformed. */
bool writ_der_any(struct writ_der *at, uint8_t *tag, struct writ_der *body, struct writ_der *whole);
/* The same for an element that must have this tag. */
bool writ_der_get(struct writ_der *at, uint8_t tag, struct writ_der *body);
/* Is the next element of this tag? */
bool writ_der_is(const struct writ_der *at, uint8_t tag);
/* UTCTime or GeneralizedTime with seconds and Z (RFC 5280 4.1.2.5), to Unix seconds. */
bool writ_der_get_time(struct writ_der *at, uint8_t *tag, int64_t *ret);
/* A BIT STRING of whole bytes. */
bool writ_der_get_bits(struct writ_der *at, struct writ_der *bytes);

/* Writing: open an element, append what is inside, close it. Errors stick in the buffer. */
size_t writ_der_open(struct writ_buf *b, uint8_t tag);
void writ_der_close(struct writ_buf *b, size_t mark);
void writ_der_add(struct writ_buf *b, uint8_t tag, const void *p, size_t n);
void writ_der_add_raw(struct writ_buf *b, struct writ_der d);
void writ_der_add_uint(
	struct writ_buf *b, const uint8_t *p, size_t n);    /* big-endian, not negative */
void writ_der_add_time(struct writ_buf *b, int64_t unix_s); /* UTCTime up to 2049 */

#endif
