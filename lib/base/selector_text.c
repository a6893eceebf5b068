/* SPDX-License-Identifier: Apache-2.0 */
#include "base/selector_text.h"

#include "base/mem.h"

bool writ_selector_tells(struct writ_str selector)
{
	static const char *const common[] = { "unix:gid:", "unix:group:", "unix:supplementary_",
		"caps:", "seccomp:", "nnp:", "ns:" };
	for (size_t i = 0; i < WRIT_COUNT(common); i++)
		if (writ_str_starts(selector, writ_cstr(common[i])))
			return false;
	return true;
}
