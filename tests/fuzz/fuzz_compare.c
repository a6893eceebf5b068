/* SPDX-License-Identifier: Apache-2.0 */
/* An entry (first line) held against a caller (second): what is missing is missing, and nothing
 * else. */
#include "admin/compare.h"

#include <assert.h>

static void read_set(struct writ_str line, struct writ_selectors *s)
{
	struct writ_str one;
	writ_selectors_init(s);
	for (int i = 0; line.n && i < 32; i++) {
		(void)writ_str_cut(&line, ' ', &one);
		(void)!writ_selectors_add_text(s, one, NULL);
	}
	writ_selectors_seal(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_str notes = writ_strn(p, n), one, two;
	struct writ_selectors entry, caller;
	struct writ_part part;
	size_t has = 0;
	(void)writ_str_cut(&notes, '\n', &one);
	(void)writ_str_cut(&notes, '\n', &two);
	read_set(one, &entry);
	read_set(two, &caller);
	const struct writ_have have = { &caller, notes, writ_attestors, 0 };
	struct writ_score s = writ_score_of(&entry, &caller);
	for (size_t i = 0; i < entry.n; i++) {
		writ_compare(&entry, i, &have, &part);
		size_t kind = writ_kind_of(writ_attestors, part.selector);
		assert(kind > 0 && kind <= part.selector.n);
		assert(!part.instead.n || (!part.has && part.others == 1));
		assert(!part.instead.n ||
			writ_str_starts(part.instead, writ_strn(part.selector.p, kind)));
		has += part.has;
	}
	assert(s.has == has && s.has + s.missing == entry.n);
	assert(entry.n == 0 || writ_selectors_match(&entry, &caller) == (s.missing == 0));
	writ_selectors_done(&entry);
	writ_selectors_done(&caller);
	return 0;
}
