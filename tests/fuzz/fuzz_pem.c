/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a text block by block ends, and each block prints to one that reads the same. */
#include "crypto/digest.h"
#include "crypto/key.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_str at = writ_strn(p, n);
	struct writ_buf der = WRIT_BUF(4096), text = WRIT_BUF(8192), again = WRIT_BUF(4096);
	struct writ_key *k = NULL;
	char label[32], same[32];
	size_t left = at.n + 1;
	if (writ_key_from_pem(at, &k, NULL) == WRIT_OK)
		writ_key_unref(k);
	while (at.n < left && writ_pem_next(&at, label, &der, NULL) == WRIT_OK) {
		writ_buf_reset(&text);
		writ_pem_add(&text, label, der.p, der.n);
		struct writ_str one = writ_buf_str(&text);
		assert(at.n < left && writ_pem_next(&one, same, &again, NULL) == WRIT_OK);
		assert(!strcmp(label, same) &&
			writ_str_eq(writ_buf_str(&der), writ_buf_str(&again)));
		left = at.n;
	}
	writ_buf_done(&der);
	writ_buf_done(&text);
	writ_buf_done(&again);
	return 0;
}
