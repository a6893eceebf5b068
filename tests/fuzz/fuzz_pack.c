/* SPDX-License-Identifier: Apache-2.0 */
#include "store/pack.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_str in = writ_strn(p, n), rest = in, item;
	struct writ_buf out = WRIT_BUF(1 << 20);
	while (writ_pack_next(&rest, &item))
		writ_pack_add(&out, item);
	if (writ_pack_valid(in, NULL) && !writ_str_eq(writ_buf_str(&out), in))
		abort();
	if (writ_pack_is_set(in) &&
		(!writ_pack_within(in, in) || !writ_pack_match(in, in, WRIT_MATCH_SUPERSET)))
		abort();
	writ_buf_done(&out);
	return 0;
}
