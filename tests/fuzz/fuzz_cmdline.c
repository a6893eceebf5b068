/* SPDX-License-Identifier: Apache-2.0 */
/* What is taken for the script is one whole argument, and not the first. */
#include "attest/cmdline.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_str script;
	if (n == 0 ||
		writ_cmdline_script((enum writ_interp)(p[0] % (WRIT_INTERP_COUNT + 1)),
			writ_strn(p + 1, n - 1), &script, NULL) != WRIT_OK)
		return 0;
	const char *first = (const char *)p + 1;
	assert(script.n > 0 && !memchr(script.p, '\0', script.n));
	assert(script.p > first && script.p[-1] == '\0');
	assert(script.p + script.n == first + n - 1 || script.p[script.n] == '\0');
	return 0;
}
