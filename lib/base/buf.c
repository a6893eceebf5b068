/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "base/mem.h"
#include "base/secret.h"

#include <stdio.h>
#include <string.h>

void writ_buf_done(struct writ_buf *b)
{
	writ_free(b->p);
	*b = WRIT_BUF(b->max);
}

void writ_buf_wipe(struct writ_buf *b)
{
	if (b->p)
		writ_wipe(b->p, b->cap);
	writ_buf_done(b);
}

void writ_buf_reset(struct writ_buf *b)
{
	b->n = 0;
	b->failed = false;
	if (b->p)
		b->p[0] = 0;
}

uint8_t *writ_buf_room(struct writ_buf *b, size_t n)
{
	if (b->failed || n > b->max - b->n) {
		b->failed = true;
		return NULL;
	}
	size_t need = b->n + n + 1;
	if (need > b->cap) {
		size_t cap = b->cap ? b->cap : 64;
		while (cap < need)
			cap *= 2;
		if (cap > b->max + 1)
			cap = b->max + 1;
		/* Not realloc: old bytes may be a secret, and must not stay behind in the heap. */
		uint8_t *p = writ_alloc(cap);
		if (b->n)
			memcpy(p, b->p, b->n);
		if (b->p)
			writ_wipe(b->p, b->n);
		writ_free(b->p);
		b->p = p;
		b->cap = cap;
	}
	return b->p + b->n;
}

void writ_buf_grew(struct writ_buf *b, size_t n)
{
	b->n += n;
	b->p[b->n] = 0;
}

void writ_buf_add(struct writ_buf *b, const void *p, size_t n)
{
	uint8_t *at = writ_buf_room(b, n);
	if (!at)
		return;
	if (n)
		memcpy(at, p, n);
	writ_buf_grew(b, n);
}

void writ_buf_add_str(struct writ_buf *b, struct writ_str s)
{
	writ_buf_add(b, s.p, s.n);
}

void writ_buf_add_cstr(struct writ_buf *b, const char *s)
{
	writ_buf_add(b, s, strlen(s));
}

void writ_buf_add_byte(struct writ_buf *b, uint8_t c)
{
	writ_buf_add(b, &c, 1);
}

void writ_buf_addf(struct writ_buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	char *at = n < 0 ? NULL : (char *)writ_buf_room(b, (size_t)n);
	if (at) {
		vsnprintf(at, (size_t)n + 1, fmt, again);
		writ_buf_grew(b, (size_t)n);
	}
	va_end(again);
}

void writ_buf_drop(struct writ_buf *b, size_t n)
{
	if (!b->p)
		return;
	b->n = n < b->n ? b->n - n : 0;
	memmove(b->p, b->p + n, b->n);
	b->p[b->n] = 0;
}

struct writ_str writ_buf_str(const struct writ_buf *b)
{
	return writ_strn(b->p, b->n);
}

const char *writ_buf_cstr(const struct writ_buf *b)
{
	return b->p ? (const char *)b->p : "";
}

char *writ_buf_steal(struct writ_buf *b)
{
	if (b->failed)
		return NULL;
	char *s = b->p ? (char *)b->p : writ_strdup("");
	*b = WRIT_BUF(b->max);
	return s;
}

writ_rc writ_buf_check(const struct writ_buf *b, const char *what, struct writ_err *err)
{
	if (!b->failed)
		return WRIT_OK;
	return writ_fail(err, WRIT_ELIMIT, "%s: larger than %zu bytes", what, b->max);
}

/* Bytes from the front of s that are one valid UTF-8 character above ASCII, or 0. */
static size_t wide_char(struct writ_str s)
{
	for (size_t k = 2; k <= 4 && k <= s.n; k++) {
		if (writ_is_utf8(s.p, k))
			return k;
	}
	return 0;
}

/* The code point of a character of two or three bytes that moves terminals or reorders what is read
 * (C1 controls, line separators, directional marks), or 0. */
static unsigned unseen(struct writ_str s, size_t k)
{
	const unsigned char *c = (const unsigned char *)s.p;
	if (k == 2 && c[0] == 0xc2 && c[1] < 0xa0)
		return c[1];
	if (k != 3 || c[0] != 0xe2)
		return 0;
	unsigned code = 0x2000u | (c[1] & 0x3fu) << 6 | (c[2] & 0x3fu);
	bool hidden = code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
		(code >= 0x2066 && code <= 0x2069);
	return hidden ? code : 0;
}

/* Appends the character above ASCII at the front of s; bytes used. */
static size_t add_wide(struct writ_buf *b, struct writ_str s)
{
	size_t k = wide_char(s);
	unsigned code = unseen(s, k);
	if (code)
		writ_buf_addf(b, "\\u%04x", code);
	else if (k)
		writ_buf_add(b, s.p, k);
	else
		writ_buf_add_cstr(b, "\xef\xbf\xbd");
	return k ? k : 1;
}

void writ_buf_add_json(struct writ_buf *b, struct writ_str s)
{
	while (s.n) {
		unsigned char c = (unsigned char)s.p[0];
		size_t k = 1;
		if (c == '"' || c == '\\')
			writ_buf_addf(b, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			writ_buf_addf(b, "\\u%04x", c);
		else if (c < 0x80)
			writ_buf_add_byte(b, c);
		else
			k = add_wide(b, s);
		s.p += k;
		s.n -= k;
	}
}
