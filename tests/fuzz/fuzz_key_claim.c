/* SPDX-License-Identifier: Apache-2.0 */
/* A claim of a key proof that is read is what it is printed from: version, ID, key, nothing else.
 */
#include "api/key_proof.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_key_claim c;
	if (writ_key_claim_parse(writ_strn(p, n), &c, NULL) != WRIT_OK)
		return 0;
	assert(p[0] == 1 && c.agent_id.n > 0 && c.spki.n > 0);
	assert(n == 5 + c.agent_id.n + c.spki.n);
	assert(c.agent_id.p == (const char *)p + 3);
	return 0;
}
