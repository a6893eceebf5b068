/* SPDX-License-Identifier: Apache-2.0 */
/* codec: numbers and byte strings as wire.h and attestor/talk.h write them: little-endian, strings
 * after their length. Pure. */
#ifndef WRIT_ATTEST_CODEC_H
#define WRIT_ATTEST_CODEC_H

#include "base/buf.h"

/* A reader that sticks at the first thing that is not there: read freely, check once. */
struct writ_reader {
	struct writ_str rest;
	bool failed;
};

uint64_t writ_get_number(struct writ_reader *r, size_t size); /* of size bytes, at most 8 */
/* Borrowed from what is read; longer than max fails. */
struct writ_str writ_get_bytes(struct writ_reader *r, size_t len_size, size_t max);
void writ_put_number(struct writ_buf *out, uint64_t v, size_t size);
void writ_put_bytes(struct writ_buf *out, struct writ_str s, size_t len_size);

#endif
