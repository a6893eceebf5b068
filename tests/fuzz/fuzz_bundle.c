/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle document that is taken prints as one with the same authorities. */
#include "spiffe/bundle.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_bundle *b = NULL, *again = NULL;
	struct writ_buf doc = WRIT_BUF(4 * WRIT_BUNDLE_BYTES_MAX);
	if (writ_bundle_parse_jwks(WRIT_STR("td"), writ_strn(p, n), &b, NULL) == WRIT_OK) {
		assert(writ_bundle_print_jwks(b, &doc, NULL) == WRIT_OK);
		assert(writ_bundle_parse_jwks(WRIT_STR("td"), writ_buf_str(&doc), &again, NULL) ==
			WRIT_OK);
		assert(writ_bundle_same_cas(b, again) &&
			b->refresh_hint_s == again->refresh_hint_s);
	}
	writ_bundle_unref(b);
	writ_bundle_unref(again);
	writ_buf_done(&doc);
	return 0;
}
