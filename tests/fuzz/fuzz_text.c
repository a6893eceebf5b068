/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_str s = writ_strn(p, n);
	struct writ_buf out = WRIT_BUF(1 << 20);
	int64_t ms, back;
	char text[64];
	if (writ_parse_duration_ms(s, &ms, NULL) == WRIT_OK) {
		struct writ_str printed = writ_cstr(writ_format_duration(ms, text, sizeof(text)));
		if (ms < 0 || writ_parse_duration_ms(printed, &back, NULL) != WRIT_OK || back != ms)
			abort();
	}
	writ_buf_add_json(&out, s);
	bool bad = !out.failed && !writ_is_utf8(out.p, out.n);
	for (size_t i = 0; i < out.n; i++)
		bad = bad || out.p[i] < 0x20 || out.p[i] == 0x7f;
	if (bad)
		abort();
	writ_buf_done(&out);
	return 0;
}
