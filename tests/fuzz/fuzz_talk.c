/* SPDX-License-Identifier: Apache-2.0 */
/* What decodes as a question or an answer between the agent's processes encodes to the same bytes.
 */
#include "attestor/talk.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(WRIT_TALK_REPLY_MAX);
	struct writ_talk_request q;
	struct writ_talk_reply r;
	if (writ_talk_get_request(writ_strn(p, n), &q, NULL) == WRIT_OK) {
		writ_talk_put_request(&q, &b);
		assert(b.n == n && memcmp(b.p, p, n) == 0);
	}
	writ_buf_reset(&b);
	if (writ_talk_get_reply(writ_strn(p, n), &r, NULL) == WRIT_OK) {
		writ_talk_put_reply(&r, &b);
		assert(b.n == n && memcmp(b.p, p, n) == 0);
	}
	return 0;
}
