/* SPDX-License-Identifier: Apache-2.0 */
/* Both readers of requests agree, nothing may follow a request, and what is read has no NUL in it.
 */
#include "base/mem.h"
#include "crypto/csr.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_pubkey k;
	struct writ_csr c;
	writ_rc rc = writ_csr_parse(p, n, &c, NULL);
	assert(writ_csr_key(p, n, &k, NULL) == rc);
	assert(rc == WRIT_OK ? writ_pubkey_eq(&k, &c.key) && c.n_uris <= 1
			     : !c.subject && !c.n_uris);
	if (rc == WRIT_OK) {
		WRIT_AUTO(writ_freep) uint8_t *more = writ_alloc(n + 1);
		memcpy(more, p, n);
		assert(writ_csr_key(more, n + 1, &k, NULL) == WRIT_EINVAL);
	}
	writ_csr_done(&c);
	return 0;
}
