/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/shown.h"

bool writ_selector_show(struct writ_str text, struct writ_buf *out)
{
	struct writ_str rest = text, type, name;
	bool is_selector = writ_str_cut(&rest, ':', &type);
	if (writ_str_eq(type, WRIT_STR("podman-rootless"))) { /* uid:N: is in front of it */
		(void)writ_str_cut(&rest, ':', &name);
		(void)writ_str_cut(&rest, ':', &name);
	}
	if (!is_selector || !writ_str_starts(rest, WRIT_STR("env:"))) {
		writ_buf_add_str(out, text);
		return false;
	}
	size_t shown = text.n - rest.n;
	bool has_name = writ_str_cut(&rest, '=', &name);
	writ_buf_add_str(out, writ_strn(text.p, shown));
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
