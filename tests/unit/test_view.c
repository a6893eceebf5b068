/* SPDX-License-Identifier: Apache-2.0 */
#include "registry_world.h"

#include "base/map.h"

static void only_agents_concerned_are_called(void **state)
{
	struct world *w = *state;
	int a = 0, b = 0, c = 0;
	attest(w, "spiffe://td/a", "3:z:1,");
	attest(w, "spiffe://td/b", "3:z:1,3:z:2,");
	attest(w, "spiffe://td/c", "");
	struct writ_watch *watch[] = {
		writ_registry_watch(w->r, S("spiffe://td/a"), bumped, &a),
		writ_registry_watch(w->r, S("spiffe://td/b"), bumped, &b),
		writ_registry_watch(w->r, S("spiffe://td/c"), bumped, &c),
	};
	create_one(w, "1", "spiffe://td/a", "spiffe://td/w1", "3:a:1,");
	assert_true(a == 1 && b == 0 && c == 0);
	create_one(w, "2", SERVER, "spiffe://td/group", "3:z:1,");
	assert_true(a == 1 && b == 0 && c == 0); /* nothing hangs under it yet */
	create_one(w, "3", "spiffe://td/group", "spiffe://td/w3", "3:a:1,");
	assert_true(a == 2 && b == 1 && c == 0);
	create_one(w, "4", "spiffe://td/w3", "spiffe://td/w4", "3:a:1,");
	assert_true(a == 3 && b == 2 && c == 0);
	create_one(w, "5", SERVER, "spiffe://td/w4", "3:z:2,");
	create_one(w, "6", "spiffe://td/nobody", "spiffe://td/w6", "3:a:1,");
	assert_true(a == 3 && b == 2 && c == 0);
	create_one(w, "7", "spiffe://td/w4", "spiffe://td/w7", "3:a:1,");
	assert_true(a == 4 && b == 3 && c == 0);
	/* A cycle: w7 is above w3 now as well. */
	create_one(w, "8", "spiffe://td/w7", "spiffe://td/group", "3:a:1,");
	struct writ_entry_list l = { 0 };
	writ_registry_authorized(w->r, S("spiffe://td/b"), &l);
	assert_int_equal(l.n, 4);
	writ_entry_list_done(&l);
	assert_non_null(writ_registry_authorized_entry(w->r, S("spiffe://td/b"), S("7")));
	assert_null(writ_registry_authorized_entry(w->r, S("spiffe://td/b"), S("2")));
	assert_null(writ_registry_authorized_entry(w->r, S("spiffe://td/c"), S("7")));
	assert_null(writ_registry_authorized_entry(w->r, S("spiffe://td/unknown"), S("7")));
	struct writ_node_edit ban = { .act = WRIT_NODE_BAN, .id = S("spiffe://td/b") };
	int before = b;
	assert_int_equal(edit(w, &ban).rc, WRIT_OK);
	assert_int_equal(b, before + 1);
	writ_registry_authorized(w->r, S("spiffe://td/b"), &l);
	assert_int_equal(l.n, 0);
	for (size_t i = 0; i < WRIT_COUNT(watch); i++)
		writ_registry_unwatch(watch[i]);
}

/* The closure, by brute force over all entries: entry i of `all` is in the set. */
static void closure(struct world *w, const char *agent, const struct writ_entry_list *all, bool *in)
{
	struct writ_map ids = { 0 };
	const struct writ_node *n = writ_registry_node(w->r, S(agent));
	bool more = n && !n->meta.banned;
	memset(in, 0, all->n);
	if (more)
		writ_map_put(&ids, S(agent), &ids);
	for (size_t i = 0; more && i < all->n; i++) {
		struct writ_str sel = writ_entry_get(all->v[i], WRIT_ENTRY_SELECTORS), s;
		bool fits = writ_is_utf8(sel.p, sel.n) &&
			writ_str_eq(writ_entry_get(all->v[i], WRIT_ENTRY_PARENT_ID), S(SERVER));
		while (fits && writ_pack_next(&sel, &s))
			fits = writ_pack_has(writ_node_get(n, WRIT_NODE_SELECTORS), s);
		if (fits)
			writ_map_put(&ids, writ_entry_get(all->v[i], WRIT_ENTRY_SPIFFE_ID), &ids);
	}
	while (more) {
		more = false;
		for (size_t i = 0; i < all->n; i++) {
			if (in[i] ||
				!writ_map_get(
					&ids, writ_entry_get(all->v[i], WRIT_ENTRY_PARENT_ID)))
				continue;
			in[i] = more = true;
			writ_map_put(&ids, writ_entry_get(all->v[i], WRIT_ENTRY_SPIFFE_ID), &ids);
		}
	}
	writ_map_done(&ids);
}

/* An agent's copy, kept by differences alone. */
struct replica {
	char agent[64];
	uint64_t since;
	struct writ_entry_list list;
	struct writ_watch *watch;
	int wakes;
	int fulls, diffs;
};

static void forget(struct replica *rep, struct writ_str id)
{
	for (size_t i = 0; i < rep->list.n; i++) {
		if (writ_str_eq(writ_entry_get(rep->list.v[i], WRIT_ENTRY_ID), id)) {
			writ_entry_unref(rep->list.v[i]);
			rep->list.v[i] = rep->list.v[--rep->list.n];
			return;
		}
	}
}

static void pull(struct world *w, struct replica *rep)
{
	struct writ_changes c;
	writ_registry_changes(w->r, S(rep->agent), rep->since, &c);
	rep->fulls += c.full;
	rep->diffs += !c.full;
	if (c.full)
		writ_entry_list_done(&rep->list);
	for (size_t i = 0; i < c.n_removed; i++)
		forget(rep, S(c.removed[i]));
	for (size_t i = 0; i < c.entries.n; i++) {
		forget(rep, writ_entry_get(c.entries.v[i], WRIT_ENTRY_ID));
		writ_entry_list_add(&rep->list, c.entries.v[i]);
	}
	rep->since = c.revision;
	writ_changes_done(&c);
}

static void compare(struct world *w, const struct replica *rep, int step)
{
	struct writ_entry_list all = { 0 };
	bool in[512];
	all_entries(w, &all);
	assert_true(all.n <= WRIT_COUNT(in));
	closure(w, rep->agent, &all, in);
	size_t want = 0, have = 0;
	for (size_t i = 0; i < all.n; i++) {
		want += in[i];
		for (size_t k = 0; in[i] && k < rep->list.n; k++)
			have += rep->list.v[k] == all.v[i];
		struct writ_entry *e = writ_registry_authorized_entry(
			w->r, S(rep->agent), writ_entry_get(all.v[i], WRIT_ENTRY_ID));
		assert_ptr_equal(e, in[i] ? all.v[i] : NULL);
	}
	if (have != want || rep->list.n != want)
		fail_msg("step %d, %s: has %zu, %zu of them right, should have %zu", step,
			rep->agent, rep->list.n, have, want);
	writ_entry_list_done(&all);
}

static void change_entry(struct world *w, int step)
{
	char id[32], parent[64], name[64], sel[64];
	unsigned p = below(w, NAMES + AGENTS + 2);
	if (p >= NAMES + AGENTS)
		snprintf(parent, sizeof(parent), SERVER);
	else
		name_of(p, parent);
	snprintf(id, sizeof(id), "e%u", below(w, 40));
	struct writ_entry_request q =
		entry(id, parent, name_of(below(w, NAMES), name), some_selectors(w, 1, sel));
	struct writ_str ids = S(id);
	switch (below(w, 4)) {
	case 0: writ_registry_delete_entries(w->r, &ids, 1, NULL, NULL); break;
	case 1:
		q.mask = below(w, WRIT_MASK_ALL) | 1;
		writ_registry_update_entries(w->r, &q, 1, NULL, NULL);
		break;
	default: writ_registry_create_entries(w->r, &q, 1, NULL, NULL); break;
	}
	(void)step;
}

static void change_node(struct world *w)
{
	static const enum writ_node_act acts[] = { WRIT_NODE_ATTEST, WRIT_NODE_ATTEST,
		WRIT_NODE_ATTEST, WRIT_NODE_BAN, WRIT_NODE_REMOVE, WRIT_NODE_REMOVE };
	char id[64], sel[64];
	struct writ_node_edit e = { .act = acts[below(w, WRIT_COUNT(acts))],
		.id = S(name_of(NAMES + below(w, AGENTS), id)),
		.type = S("t"),
		.serial = S("s"),
		.selectors = S(some_selectors(w, 0, sel)) };
	writ_registry_edit_node(w->r, &e, NULL, NULL);
}

static void replicas_kept_by_differences_equal_the_closure(void **state)
{
	struct world *w = *state;
	static struct replica reps[AGENTS];
	memset(reps, 0, sizeof(reps));
	for (unsigned i = 0; i < AGENTS; i++) {
		name_of(NAMES + i, reps[i].agent);
		attest(w, reps[i].agent, "3:s:0,3:s:1,");
		reps[i].watch = writ_registry_watch(w->r, S(reps[i].agent), bumped, &reps[i].wakes);
		pull(w, &reps[i]);
	}
	for (int step = 0; step < 4000; step++) {
		unsigned burst = 1 + below(w, 4);
		for (unsigned i = 0; i < burst; i++) {
			if (below(w, 12) == 0)
				change_node(w);
			else
				change_entry(w, step);
		}
		settle(w);
		for (unsigned i = 0; i < AGENTS; i++) {
			/* One that was not woken has nothing to fetch. */
			if (reps[i].wakes)
				pull(w, &reps[i]);
			reps[i].wakes = 0;
			compare(w, &reps[i], step);
		}
	}
	int diffs = 0;
	for (unsigned i = 0; i < AGENTS; i++) {
		diffs += reps[i].diffs;
		writ_registry_unwatch(reps[i].watch);
		writ_entry_list_done(&reps[i].list);
	}
	assert_true(diffs > 500);
}

static void what_lies_too_far_back_is_told_in_full(void **state)
{
	struct world *w = *state;
	attest(w, "spiffe://td/a", "");
	create_one(w, "x", "spiffe://td/a", "spiffe://td/x", "3:a:1,");
	struct writ_changes c;
	uint64_t since = writ_registry_revision(w->r);
	writ_registry_changes(w->r, S("spiffe://td/a"), 0, &c);
	assert_true(c.full);
	writ_changes_done(&c);
	/* 16,384 changes later the first ones are forgotten. */
	static struct writ_entry_request q[2000];
	static struct writ_str ids[2000];
	static char names[2000][2][64];
	for (unsigned i = 0; i < WRIT_COUNT(q); i++) {
		snprintf(names[i][0], 64, "id-%u", i);
		ids[i] = S(names[i][0]);
		q[i] = entry(names[i][0], "spiffe://td/else", name_of(i, names[i][1]), "3:a:1,");
	}
	for (int i = 0; i < 5; i++) {
		if (i == 4) {
			writ_registry_changes(w->r, S("spiffe://td/a"), since, &c);
			assert_false(c.full);
			assert_int_equal(c.entries.n + c.n_removed, 0);
			writ_changes_done(&c);
		}
		writ_registry_create_entries(w->r, q, WRIT_COUNT(q), NULL, NULL);
		writ_registry_delete_entries(w->r, ids, WRIT_COUNT(ids), NULL, NULL);
		settle(w);
	}
	writ_registry_changes(w->r, S("spiffe://td/a"), since, &c);
	assert_true(c.full);
	assert_int_equal(c.entries.n, 1);
	writ_changes_done(&c);
	assert_int_equal(count(w), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(only_agents_concerned_are_called),
		T(replicas_kept_by_differences_equal_the_closure),
		T(what_lies_too_far_back_is_told_in_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
