/* SPDX-License-Identifier: Apache-2.0 */
/* What decodes encodes to the same bytes, requests and answers. */
#include "attest/wire.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_str in = writ_strn(p, n);
	struct writ_buf out = WRIT_BUF(WRIT_WIRE_ANSWER_MAX);
	struct writ_snapshot s;
	struct writ_answer a;
	if (writ_request_decode(in, &s, NULL) == WRIT_OK) {
		writ_request_encode(&s, &out);
		writ_snapshot_done(&s);
		assert(writ_str_eq(in, writ_buf_str(&out)));
	} else if (writ_answer_decode(in, &a, NULL) == WRIT_OK) {
		writ_answer_encode(&a, &out);
		writ_answer_done(&a);
		assert(writ_str_eq(in, writ_buf_str(&out)));
	}
	writ_buf_done(&out);
	return 0;
}
