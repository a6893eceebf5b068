/* SPDX-License-Identifier: Apache-2.0 */
/* A SPIFFE ID that is taken is made of exactly its checked parts; rules match what they name. */
#include "base/mem.h"
#include "spiffe/id.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_id id = { .uri = writ_strn(NULL, 0) };
	struct writ_str s = writ_strn(p, n);
	WRIT_AUTO(writ_freep) char *again = NULL;
	struct writ_allow a = { 0 };
	if (writ_id_parse(s, &id, NULL) == WRIT_OK) {
		assert(writ_id_make(id.td, id.path, &again, NULL) == WRIT_OK);
		assert(writ_str_eq(s, writ_cstr(again)) && strlen(again) == n);
	}
	if (writ_allow_add(&a, s, NULL) == WRIT_OK && id.path.n && again)
		assert(writ_allow_match(&a, s, NULL));
	writ_allow_done(&a);
	return 0;
}
