/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP answer: the body is the same whatever the pieces it comes in, and never over its maximum.
 */
#include "front/http.h"

#include <assert.h>

#define MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static writ_rc read_body(
	const struct writ_http_head *h, struct writ_str s, size_t step, struct writ_http_body *b)
{
	writ_rc rc = WRIT_OK;
	writ_http_body_init(b, h, MAX, false);
	for (size_t i = 0; rc == WRIT_OK && i < s.n; i += step)
		rc = writ_http_body_feed(
			b, writ_strn(s.p + i, s.n - i < step ? s.n - i : step), NULL);
	return rc == WRIT_OK ? writ_http_body_end(b, NULL) : rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_http_head h;
	struct writ_http_body whole, pieces;
	if (writ_http_parse_head(writ_strn(p, n), &h, NULL) != WRIT_OK)
		return 0;
	assert(h.n <= n && h.status >= 200 && h.status <= 599);
	struct writ_str body = writ_strn(p + h.n, n - h.n);
	writ_rc a = read_body(&h, body, n, &whole), b = read_body(&h, body, 1, &pieces);
	assert(a == b);
	if (a == WRIT_OK)
		assert(whole.bytes.n <= MAX &&
			writ_str_eq(writ_buf_str(&whole.bytes), writ_buf_str(&pieces.bytes)));
	writ_http_body_done(&whole);
	writ_http_body_done(&pieces);
	return 0;
}
