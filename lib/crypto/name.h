/* SPDX-License-Identifier: Apache-2.0 */
/* name: X.501 names (RFC 5280 4.1.2.4) as bytes, and serial numbers as text. Pure; any thread. */
#ifndef WRIT_CRYPTO_NAME_H
#define WRIT_CRYPTO_NAME_H

#include "crypto/der.h"

/* The last byte of the attribute types 2.5.4.x used here. */
enum { WRIT_ATTR_CN = 3, WRIT_ATTR_SERIAL = 5, WRIT_ATTR_COUNTRY = 6, WRIT_ATTR_ORGANIZATION = 10 };

struct writ_attr {
	uint8_t type;
	const char *value; /* UTF-8; NULL or "": left out */
};

/* Appends a Name of these attributes, each in a set of its own: PrintableString where that can say
 * it, else UTF8String. */
void writ_name_add(struct writ_buf *b, const struct writ_attr *attrs, size_t n);
/* Is this one whole, well-formed Name of at most 1 KiB, with text values only? For names that came
 * from a peer. */
bool writ_name_ok(struct writ_der name);

/* The last attribute 2.5.4.type of a Name that is a UTF8String, PrintableString or IA5String, as it
 * stands there; empty when there is none. */
struct writ_str writ_name_attr(struct writ_der name, uint8_t type);

/* A non-negative INTEGER's octets (at most 20) in decimal. */
void writ_serial_dec(struct writ_der octets, char out[64]);

#endif
