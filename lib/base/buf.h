/* SPDX-License-Identifier: Apache-2.0 */
/* buf: bytes that grow up to a maximum named at the start. Errors stick: append freely, check once.
 */
#ifndef WRIT_BASE_BUF_H
#define WRIT_BASE_BUF_H

#include "base/str.h"

struct writ_buf {
	uint8_t *p; /* owned; always followed by a NUL once anything was appended */
	size_t n;
	size_t cap;
	size_t max;
	bool failed; /* an append went over max: n stays what it was */
};

#define WRIT_BUF(maximum) ((struct writ_buf){ .max = (maximum) })

void writ_buf_done(struct writ_buf *b);  /* frees; b is an empty buffer of the same maximum then */
void writ_buf_wipe(struct writ_buf *b);  /* as done, but overwrites the bytes first */
void writ_buf_reset(struct writ_buf *b); /* n = 0, keeps the memory */
void writ_buf_add(struct writ_buf *b, const void *p, size_t n);
void writ_buf_add_str(struct writ_buf *b, struct writ_str s);
void writ_buf_add_cstr(struct writ_buf *b, const char *s);
void writ_buf_add_byte(struct writ_buf *b, uint8_t c);
void writ_buf_addf(struct writ_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Makes room for n more bytes and returns where they go, NULL over the maximum; then writ_buf_grew.
 */
uint8_t *writ_buf_room(struct writ_buf *b, size_t n);
void writ_buf_grew(struct writ_buf *b, size_t n);
void writ_buf_drop(struct writ_buf *b, size_t n);       /* removes n bytes at the front */
struct writ_str writ_buf_str(const struct writ_buf *b); /* borrowed, until the next change */
const char *writ_buf_cstr(const struct writ_buf *b);    /* the same, NUL-terminated */
/* The bytes as an owned C string; b is empty then. NULL when the buffer had failed. */
char *writ_buf_steal(struct writ_buf *b);
/* WRIT_ELIMIT with "what: larger than N bytes" when an append had failed. */
WRIT_MUST writ_rc writ_buf_check(const struct writ_buf *b, const char *what, struct writ_err *err);

/* Appends s as the inside of a JSON string (without the quotes): quotes, backslash, control bytes
 * and directional marks escaped, bytes that are not UTF-8 replaced by U+FFFD. */
void writ_buf_add_json(struct writ_buf *b, struct writ_str s);

#endif
