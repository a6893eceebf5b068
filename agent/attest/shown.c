/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/shown.h"

bool writ_selector_show(struct writ_str text, struct writ_buf *out)
{
	struct writ_str rest = text, type, name;
	if (!writ_str_cut(&rest, ':', &type) || !writ_str_starts(rest, WRIT_STR("env:"))) {
		writ_buf_add_str(out, text);
		return false;
	}
	bool has_name = writ_str_cut(&rest, '=', &name);
	writ_buf_add_str(out, writ_strn(text.p, type.n + 1));
	writ_buf_add_str(out, has_name ? name : WRIT_STR("env:"));
	writ_buf_add_cstr(out, has_name ? "=" WRIT_REDACTED : WRIT_REDACTED);
	return true;
}

size_t writ_selectors_show(const struct writ_selectors *s, const char *sep, struct writ_buf *out)
{
	size_t hidden = 0;
	for (size_t i = 0; i < s->n; i++) {
		if (i)
			writ_buf_add_cstr(out, sep);
		hidden += writ_selector_show(writ_selectors_at(s, i).text, out);
	}
	return hidden;
}
