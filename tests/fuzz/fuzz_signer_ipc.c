/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from the serving process: answered or refused, never more than one frame of answer, and no
 * answer without an active CA carries a certificate. */
#include "signer/frame.h"
#include "signer/signer.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_keys *keys;
	struct writ_record record = { .fd = -1, .in = WRIT_BUF(WRIT_RECORD_BATCH_MAX) };
	struct writ_signer *s;
	struct writ_buf out = WRIT_BUF(WRIT_FRAME_MAX);
	if (writ_keys_open(WRIT_STR("memory"), NULL, &keys, NULL) != WRIT_OK)
		return 0;
	const struct writ_signer_config c = { "example.org", keys, &record, NULL };
	assert(writ_signer_new(&c, &s, NULL) == WRIT_OK);
	writ_rc rc = writ_signer_handle(s, writ_strn(p, n), &out, NULL);
	assert(rc == WRIT_EPROTO ? out.n == 0 : rc == WRIT_OK && out.n <= WRIT_FRAME_MAX);
	writ_signer_free(s);
	writ_record_done(&record);
	writ_keys_close(keys);
	writ_buf_done(&out);
	return 0;
}
