/* SPDX-License-Identifier: Apache-2.0 */
#include "store/pack.h"

#include <stdlib.h>

#define DIGITS_MAX 9 /* of a length: under 1 GB */

void writ_pack_add(struct writ_buf *out, struct writ_str item)
{
	writ_buf_addf(out, "%zu:", item.n);
	writ_buf_add_str(out, item);
	writ_buf_add_byte(out, ',');
}

static int by_bytes(const void *a, const void *b)
{
	return writ_str_cmp(*(const struct writ_str *)a, *(const struct writ_str *)b);
}

void writ_pack_set(struct writ_buf *out, struct writ_str *items, size_t n)
{
	if (n > 1)
		qsort(items, n, sizeof(*items), by_bytes);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || !writ_str_eq(items[i], items[i - 1]))
			writ_pack_add(out, items[i]);
	}
}

bool writ_pack_next(struct writ_str *pack, struct writ_str *item)
{
	size_t len = 0, i = 0;
	while (i < pack->n && i < DIGITS_MAX && pack->p[i] >= '0' && pack->p[i] <= '9')
		len = len * 10 + (size_t)(pack->p[i++] - '0');
	if (i == 0 || (i > 1 && pack->p[0] == '0') || i == pack->n || pack->p[i] != ':')
		return false;
	i++;
	if (pack->n - i <= len || pack->p[i + len] != ',')
		return false;
	*item = (struct writ_str){ pack->p + i, len };
	pack->p += i + len + 1;
	pack->n -= i + len + 1;
	return true;
}

bool writ_pack_valid(struct writ_str pack, size_t *n)
{
	struct writ_str item;
	size_t count = 0;
	while (writ_pack_next(&pack, &item))
		count++;
	if (n)
		*n = count;
	return pack.n == 0;
}

bool writ_pack_is_set(struct writ_str pack)
{
	struct writ_str item, before = { NULL, 0 };
	while (writ_pack_next(&pack, &item)) {
		if (before.p && writ_str_cmp(before, item) >= 0)
			return false;
		before = item;
	}
	return pack.n == 0;
}

bool writ_pack_has(struct writ_str pack, struct writ_str item)
{
	struct writ_str it;
	while (writ_pack_next(&pack, &it)) {
		if (writ_str_eq(it, item))
			return true;
	}
	return false;
}

/* Walks two sets together: how many items of a are in b, and how many a has. */
static void meet(struct writ_str a, struct writ_str b, size_t *both, size_t *all)
{
	struct writ_str x, y;
	bool have = writ_pack_next(&b, &y);
	*both = *all = 0;
	while (writ_pack_next(&a, &x)) {
		while (have && writ_str_cmp(y, x) < 0)
			have = writ_pack_next(&b, &y);
		*both += have && writ_str_eq(x, y);
		++*all;
	}
}

bool writ_pack_within(struct writ_str a, struct writ_str b)
{
	size_t both, all;
	meet(a, b, &both, &all);
	return both == all;
}

bool writ_pack_match(struct writ_str candidate, struct writ_str given, enum writ_match match)
{
	size_t both, all;
	switch (match) {
	case WRIT_MATCH_EXACT: return writ_str_eq(candidate, given);
	case WRIT_MATCH_SUBSET: return candidate.n && writ_pack_within(candidate, given);
	case WRIT_MATCH_SUPERSET: return writ_pack_within(given, candidate);
	case WRIT_MATCH_ANY: meet(candidate, given, &both, &all); return both > 0;
	}
	return false;
}
