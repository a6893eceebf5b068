/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/codec.h"

uint64_t writ_get_number(struct writ_reader *r, size_t size)
{
	if (r->failed || r->rest.n < size) {
		r->failed = true;
		return 0;
	}
	uint64_t v = 0;
	for (size_t i = 0; i < size; i++)
		v |= (uint64_t)(unsigned char)r->rest.p[i] << (8 * i);
	r->rest = writ_strn(r->rest.p + size, r->rest.n - size);
	return v;
}

struct writ_str writ_get_bytes(struct writ_reader *r, size_t len_size, size_t max)
{
	uint64_t n = writ_get_number(r, len_size);
	if (r->failed || n > max || n > r->rest.n) {
		r->failed = true;
		return writ_strn(NULL, 0);
	}
	struct writ_str s = writ_strn(r->rest.p, (size_t)n);
	r->rest = writ_strn(r->rest.p + n, r->rest.n - (size_t)n);
	return s;
}

void writ_put_number(struct writ_buf *out, uint64_t v, size_t size)
{
	uint8_t b[8];
	for (size_t i = 0; i < size; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	writ_buf_add(out, b, size);
}

void writ_put_bytes(struct writ_buf *out, struct writ_str s, size_t len_size)
{
	writ_put_number(out, s.n, len_size);
	writ_buf_add_str(out, s);
}
