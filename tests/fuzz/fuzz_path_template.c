/* SPDX-License-Identifier: Apache-2.0 */
/* A template that is accepted makes a path of SPIFFE's characters, whatever its fields hold. */
#include "config/path_template.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char *const fields[] = { "A", "B", "M.", NULL };
	const uint8_t *cut = n ? memchr(p, '\n', n) : NULL;
	struct writ_str text = writ_strn(p, cut ? (size_t)(cut - p) : n);
	struct writ_str value = cut ? writ_strn(cut + 1, n - text.n - 1) : WRIT_STR("v");
	const struct writ_path_value values[] = { { "A", value, false }, { "B", value, true },
		{ "M.x", WRIT_STR("m"), false } };
	struct writ_buf path = WRIT_BUF(2048);
	size_t at = 0;
	if (writ_path_template_check(text, fields, &at, NULL) != WRIT_OK)
		assert(at <= n);
	else if (writ_path_template_fill(text, values, 3, &path, NULL) == WRIT_OK)
		for (size_t i = 0; i < path.n; i++)
			assert(path.p[i] > ' ' && path.p[i] < 0x7f && !strchr("{}%\\", path.p[i]));
	writ_buf_done(&path);
	return 0;
}
