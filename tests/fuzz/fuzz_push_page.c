/* SPDX-License-Identifier: Apache-2.0 */
/* A page token that is read can be printed and is read again as the same. */
#include "push/page.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_push_page a = { 0 }, b = { 0 };
	char text[WRIT_PUSH_PAGE_TEXT];
	if (writ_push_page_parse(writ_strn(p, n), &a, NULL) != WRIT_OK)
		return 0;
	writ_push_page_print(&a, text);
	assert(writ_push_page_parse(writ_cstr(text), &b, NULL) == WRIT_OK);
	assert(a.epoch == b.epoch && a.revision == b.revision && a.full == b.full);
	assert(a.after == b.after);
	return 0;
}
