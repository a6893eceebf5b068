/* SPDX-License-Identifier: Apache-2.0 */
#include "registry_world.h"

#include <stdlib.h>

/* Sets as bits, to judge filters without the code under test. */
static unsigned bits_of(struct writ_str pack)
{
	struct writ_str item;
	unsigned bits = 0;
	while (writ_pack_next(&pack, &item))
		bits |= 1u << (item.p[item.n - 1] - '0');
	return bits;
}

static bool bits_match(unsigned c, unsigned given, enum writ_match m)
{
	switch (m) {
	case WRIT_MATCH_EXACT: return c == given;
	case WRIT_MATCH_SUBSET: return c && (c & ~given) == 0;
	case WRIT_MATCH_SUPERSET: return (given & ~c) == 0;
	case WRIT_MATCH_ANY: return (c & given) != 0;
	}
	return false;
}

static bool naive_passes(const struct writ_entry_filter *f, const struct writ_entry *e)
{
	if (f->spiffe_id.p && strcmp(f->spiffe_id.p, writ_entry_get(e, WRIT_ENTRY_SPIFFE_ID).p))
		return false;
	if (f->parent_id.p && strcmp(f->parent_id.p, writ_entry_get(e, WRIT_ENTRY_PARENT_ID).p))
		return false;
	if (f->hint.p && strcmp(f->hint.p, writ_entry_get(e, WRIT_ENTRY_HINT).p))
		return false;
	if (f->by_downstream && f->downstream != !!(e->meta.flags & WRIT_ENTRY_DOWNSTREAM))
		return false;
	if (f->selectors.on &&
		!bits_match(bits_of(writ_entry_get(e, WRIT_ENTRY_SELECTORS)),
			bits_of(f->selectors.set), f->selectors.match))
		return false;
	return !f->federates_with.on ||
		bits_match(bits_of(writ_entry_get(e, WRIT_ENTRY_FEDERATES_WITH)),
			bits_of(f->federates_with.set), f->federates_with.match);
}

static void list_all(struct world *w, const struct writ_entry_filter *f, size_t page_size,
	struct writ_entry_list *ret)
{
	char token[32] = "", next[32];
	struct writ_err err;
	do {
		struct writ_entry_list page = { 0 };
		assert_ok(
			writ_registry_list_entries(w->r, f, page_size, S(token), &page, next, &err),
			err);
		assert_true(page.n <= page_size);
		for (size_t i = 0; i < page.n; i++)
			writ_entry_list_add(ret, page.v[i]);
		writ_entry_list_done(&page);
		memcpy(token, next, sizeof(token));
	} while (token[0]);
}

static void populate(struct world *w)
{
	static const char *const tds[] = { "far-0", "far-1", "far-2", "far-3" };
	static const char *const feds[] = { "", "5:far-0,", "5:far-0,5:far-1,", "5:far-2,5:far-3,",
		"5:far-0,5:far-1,5:far-2,5:far-3," };
	static const char *const hints[] = { "", "h1", "h2" };
	struct writ_str der = S("CA");
	for (size_t i = 0; i < 4; i++) {
		struct writ_trust_edit e = { .td = S(tds[i]), .add = &der, .n_add = 1 };
		writ_registry_edit_trust(w->r, &e, NULL, NULL);
	}
	settle(w);
	for (int i = 0; i < 600; i++) {
		char parent[64], name[64], sel[64];
		struct writ_entry_request q = entry("", name_of(i % 3 ? 0 : below(w, 60), parent),
			name_of(below(w, 300), name), some_selectors(w, 1, sel));
		q.spec.text[WRIT_ENTRY_FEDERATES_WITH] = S(feds[below(w, 5)]);
		q.spec.text[WRIT_ENTRY_HINT] = S(hints[below(w, 3)]);
		q.spec.meta.flags = below(w, 2) ? WRIT_ENTRY_DOWNSTREAM : 0;
		writ_registry_create_entries(w->r, &q, 1, NULL, NULL);
	}
	settle(w);
}

static void every_filter_agrees_with_a_naive_model(void **state)
{
	struct world *w = *state;
	static const char *const fed_sets[] = { "5:far-0,", "5:far-0,5:far-1,",
		"5:far-2,5:far-3," };
	populate(w);
	struct writ_entry_list all = { 0 };
	all_entries(w, &all);
	assert_true(all.n > 400);
	size_t hits = 0;
	for (int round = 0; round < 1500; round++) {
		char a[64], b[64], c[64];
		struct writ_entry_filter f = { 0 };
		if (below(w, 4) == 0)
			f.spiffe_id = S(name_of(below(w, 310), a));
		if (below(w, 3) == 0)
			f.parent_id = S(name_of(below(w, 3) ? 0 : below(w, 61), b));
		if (below(w, 3) == 0)
			f.hint = S(below(w, 3) ? "h1" : "");
		f.by_downstream = below(w, 3) == 0;
		f.downstream = below(w, 2);
		f.selectors.on = below(w, 2);
		f.selectors.match = below(w, 4);
		f.selectors.set = S(some_selectors(w, 1, c));
		f.federates_with.on = below(w, 3) == 0;
		f.federates_with.match = below(w, 4);
		f.federates_with.set = S(fed_sets[below(w, 3)]);
		struct writ_entry_list got = { 0 };
		size_t n = 0, k = 0;
		list_all(w, &f, 1 + below(w, 40), &got);
		struct writ_err err;
		assert_ok(writ_registry_count_entries(w->r, &f, &n, &err), err);
		assert_int_equal(n, got.n);
		for (size_t i = 0; i < all.n; i++) {
			if (naive_passes(&f, all.v[i]))
				assert_ptr_equal(k < got.n ? got.v[k++] : NULL, all.v[i]);
		}
		assert_int_equal(k, got.n);
		hits += got.n;
		writ_entry_list_done(&got);
	}
	assert_true(hits > 1000);
	writ_entry_list_done(&all);
}

static void malformed_filters_and_tokens_are_refused(void **state)
{
	struct world *w = *state;
	struct writ_err err;
	struct writ_entry_list l = { 0 };
	char next[32];
	struct writ_entry_filter f = { .selectors = { .on = true } };
	assert_fails(writ_registry_list_entries(w->r, &f, 10, S(""), &l, next, &err), WRIT_EINVAL,
		err, "malformed selectors filter: empty selector set");
	f = (struct writ_entry_filter){ .federates_with = { .on = true } };
	assert_fails(writ_registry_list_entries(w->r, &f, 10, S(""), &l, next, &err), WRIT_EINVAL,
		err, "malformed federates with filter: empty trust domain set");
	f = (struct writ_entry_filter){ 0 };
	static const char *const tokens[] = { "x", "0", "zzzzzzzzzzzzzzzz", "00000000000000001" };
	for (size_t i = 0; i < WRIT_COUNT(tokens); i++)
		assert_fails(writ_registry_list_entries(w->r, &f, 10, S(tokens[i]), &l, next, &err),
			WRIT_EINVAL, err, "page token");
}

static void pages_keep_their_place_while_entries_come_and_go(void **state)
{
	struct world *w = *state;
	static struct writ_entry_request q[2000];
	static char names[2000][2][64];
	for (unsigned i = 0; i < WRIT_COUNT(q); i++) {
		snprintf(names[i][0], 64, "id-%u", i);
		q[i] = entry(names[i][0], "spiffe://td/p", name_of(i, names[i][1]), "3:a:1,");
	}
	writ_registry_create_entries(w->r, q, WRIT_COUNT(q), NULL, NULL);
	settle(w);
	char token[32] = "", next[32];
	struct writ_err err;
	unsigned seen[2000] = { 0 }, deleted = 0, pages = 0;
	do {
		struct writ_entry_list page = { 0 };
		assert_ok(writ_registry_list_entries(w->r, &(struct writ_entry_filter){ 0 }, 100,
				  S(token), &page, next, &err),
			err);
		for (size_t i = 0; i < page.n; i++) {
			const char *id = writ_entry_get(page.v[i], WRIT_ENTRY_ID).p;
			if (strncmp(id, "id-", 3) == 0)
				seen[strtoul(id + 3, NULL, 10)]++;
		}
		writ_entry_list_done(&page);
		/* Delete behind: the table closes its holes on the way. */
		static struct writ_str ids[150];
		for (size_t i = 0; i < WRIT_COUNT(ids); i++)
			ids[i] = S(names[deleted + i < 1900 ? deleted + i : 1900][0]);
		if (deleted < 100 * (pages + 1))
			writ_registry_delete_entries(w->r, ids, 100, NULL, NULL);
		deleted += 100;
		if (pages < 3)
			create_one(w, "", "spiffe://td/p", name_of(5000 + pages, names[0][1]),
				"3:a:1,");
		settle(w);
		pages++;
		memcpy(token, next, sizeof(token));
	} while (token[0]);
	for (unsigned i = 0; i < 2000; i++)
		assert_int_equal(seen[i], 1);
}

static void agents_are_listed_by_their_filters(void **state)
{
	struct world *w = *state;
	for (int i = 0; i < 60; i++) {
		char id[64], serial[16];
		snprintf(serial, sizeof(serial), "%d", i);
		struct writ_node_edit e = { .act = WRIT_NODE_ATTEST,
			.id = S(name_of((unsigned)i, id)),
			.type = S(i % 2 ? "join_token" : "x509pop"),
			.serial = S(serial),
			.selectors = S(i % 3 ? "3:s:1,3:s:2," : "3:s:1,"),
			.not_after = 100 + i,
			.can_reattest = i % 4 == 0 };
		writ_registry_edit_node(w->r, &e, NULL, NULL);
		e.act = WRIT_NODE_BAN;
		if (i % 5 == 0)
			writ_registry_edit_node(w->r, &e, NULL, NULL);
	}
	settle(w);
	const struct {
		struct writ_node_filter f;
		size_t want;
	} cases[] = {
		{ { .by_banned = false }, 60 },
		{ { .type = S("join_token") }, 30 },
		{ { .by_banned = true, .banned = true }, 12 },
		{ { .by_banned = true }, 48 },
		{ { .by_can_reattest = true, .can_reattest = true }, 15 },
		{ { .expires_before = 110 }, 10 },
		{ { .selectors = { true, WRIT_MATCH_EXACT, S("3:s:1,") } }, 20 },
		{ { .selectors = { true, WRIT_MATCH_SUPERSET, S("3:s:1,") } }, 60 },
		{ { .selectors = { true, WRIT_MATCH_ANY, S("3:s:2,") } }, 40 },
		{ { .type = S("x509pop"), .by_banned = true, .banned = true }, 6 },
	};
	for (size_t i = 0; i < WRIT_COUNT(cases); i++) {
		size_t n = 0, total = 0;
		char token[32] = "", next[32];
		struct writ_err err;
		assert_ok(writ_registry_count_nodes(w->r, &cases[i].f, &n, &err), err);
		assert_int_equal(n, cases[i].want);
		do {
			struct writ_node_list l = { 0 };
			assert_ok(writ_registry_list_nodes(
					  w->r, &cases[i].f, 7, S(token), &l, next, &err),
				err);
			total += l.n;
			writ_node_list_done(&l);
			memcpy(token, next, sizeof(token));
		} while (token[0]);
		assert_int_equal(total, cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_filter_agrees_with_a_naive_model),
		T(malformed_filters_and_tokens_are_refused),
		T(pages_keep_their_place_while_entries_come_and_go),
		T(agents_are_listed_by_their_filters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
