/* SPDX-License-Identifier: Apache-2.0 */
/* What stands after the end does not count, and what says nothing is not believed. */
#include "attest/auxv.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t more[512 + 32] = { 0 };
	bool is_fixed = writ_auxv_is_fixed(writ_strn(p, n));
	assert(n >= 8 || is_fixed);
	if (n % 16 != 0 || n > 512)
		return 0;
	if (n)
		memcpy(more, p, n);
	assert(writ_auxv_is_fixed(writ_strn(more, n + 32)) == is_fixed);
	return 0;
}
