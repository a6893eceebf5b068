/* SPDX-License-Identifier: Apache-2.0 */
#include "push/page.h"

#include <inttypes.h>
#include <stdio.h>

void writ_push_page_print(const struct writ_push_page *p, char out[WRIT_PUSH_PAGE_TEXT])
{
	snprintf(out, WRIT_PUSH_PAGE_TEXT, "%" PRIu64 ".%" PRIu64 ".%d.%" PRIu64, p->epoch,
		p->revision, p->full, p->after);
}

writ_rc writ_push_page_parse(struct writ_str s, struct writ_push_page *ret, struct writ_err *err)
{
	uint64_t v[4] = { 0 };
	struct writ_str part;
	for (size_t i = 0; i < 4; i++) {
		bool cut = writ_str_cut(&s, '.', &part);
		if (cut != (i < 3) ||
			writ_parse_u64(part, 0, i == 2 ? 1 : UINT64_MAX, &v[i], NULL) != WRIT_OK)
			return writ_fail(err, WRIT_EINVAL, "malformed page token");
	}
	*ret = (struct writ_push_page){ v[0], v[1], v[2] == 1, v[3] };
	return WRIT_OK;
}
