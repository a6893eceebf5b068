/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's state file: what is taken prints to something that is taken again, the same. */
#include "state/state.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_state a = { .svid = NULL }, b = { .svid = NULL };
	struct writ_buf text = WRIT_BUF(WRIT_STATE_MAX);
	if (writ_state_parse(writ_strn(p, n), WRIT_STR("td"), &a, NULL) != WRIT_OK)
		return 0;
	assert(writ_state_print(&a, &text, NULL) == WRIT_OK);
	assert(writ_state_parse(writ_buf_str(&text), WRIT_STR("td"), &b, NULL) == WRIT_OK);
	assert(!a.svid == !b.svid && a.reattestable == b.reattestable);
	writ_state_done(&a);
	writ_state_done(&b);
	writ_buf_wipe(&text);
	return 0;
}
