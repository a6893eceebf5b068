/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/emit.h"

#include <stdio.h>

#include "base/mem.h"

void writ_emit(struct writ_answer *out, const char *type, const char *key, struct writ_str value)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(WRIT_SELECTOR_VALUE_MAX);
	struct writ_err why;
	writ_buf_add_cstr(&text, key);
	if (*key)
		writ_buf_add_byte(&text, ':');
	writ_buf_add_str(&text, value);
	writ_rc rc = writ_buf_check(&text, *key ? key : type, &why);
	if (rc == WRIT_OK && value.n == 0)
		rc = writ_fail(&why, WRIT_EINVAL, "empty");
	if (rc == WRIT_OK)
		rc = writ_selectors_add(
			&out->selectors, writ_cstr(type), writ_buf_str(&text), &why);
	if (rc != WRIT_OK)
		writ_answer_note(out, "%s%s%s withheld: %s", type, *key ? ":" : "", key, why.msg);
}

void writ_emit_number(struct writ_answer *out, const char *type, const char *key, uint64_t value)
{
	char text[24];
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	writ_emit(out, type, key, writ_cstr(text));
}
