/* SPDX-License-Identifier: Apache-2.0 */
/* What a store takes, what it refuses, and what comes back. */
#include "store_kit.h"

#include "base/mem.h"
#include "check.h"

#include <stdlib.h>

#define S(text) writ_cstr(text)

static struct writ_node *node(uint64_t seq, const char *id, bool full)
{
	struct writ_node_spec spec = { .meta = { .seq = seq, .not_after = 5, .attested_at = 7 } };
	spec.text[WRIT_NODE_ID] = S(id);
	spec.text[WRIT_NODE_TYPE] = S("join_token");
	spec.text[WRIT_NODE_SERIAL] = S("123");
	if (full) {
		spec.text[WRIT_NODE_NEW_SERIAL] = S("456");
		spec.text[WRIT_NODE_SELECTORS] = S("3:a:b,");
		spec.text[WRIT_NODE_VERSION] = S("1.2");
		spec.meta.new_not_after = 6;
		spec.meta.banned = spec.meta.can_reattest = true;
		spec.meta.has_key = spec.meta.has_new_key = true;
		memset(spec.meta.key, 0xaa, sizeof(spec.meta.key));
		memset(spec.meta.new_key, 0xbb, sizeof(spec.meta.new_key));
	}
	struct writ_node *n = NULL;
	assert_int_equal(writ_node_new(&spec, &n, NULL), WRIT_OK);
	return n;
}

static void every_kind_of_row_comes_back_as_it_went(void **state)
{
	struct store_world *w = *state;
	store_open(w);
	struct writ_entry *e = store_entry(7, "e-1", "spiffe://td/a");
	struct writ_node *n1 = node(1, "spiffe://td/n1", false);
	struct writ_node *n2 = node(2, "spiffe://td/n2", true);
	struct writ_token t = { { 0xab }, 99, S("spiffe://td/agent/h"), S("spiffe://td/x") };
	struct writ_trust b = { S("td"), S("2:0x,2:1y,"), 12, 300 };
	struct writ_ca_slot ca = { S("aid"), S("active"), S("DER"), 10, 20 };
	struct writ_pair p = { S("epoch"), S("17") };
	const struct writ_change all[] = {
		{ WRIT_CHANGE_ENTRY_INSERT, { .entry = e } },
		{ WRIT_CHANGE_NODE_PUT, { .node = n1 } },
		{ WRIT_CHANGE_NODE_PUT, { .node = n2 } },
		{ WRIT_CHANGE_TOKEN_INSERT, { .token = &t } },
		{ WRIT_CHANGE_TRUST_PUT, { .trust = &b } },
		{ WRIT_CHANGE_CA_PUT, { .ca = &ca } },
		{ WRIT_CHANGE_PAIR_PUT, { .pair = &p } },
	};
	struct store_request r;
	assert_ok(store_apply(w, all, WRIT_COUNT(all), &r), r.tx.err);
	assert_int_equal(r.tx.revision, 1);
	store_close(w);
	struct store_dump d;
	store_open_and_dump(w, &d);
	assert_int_equal(d.revision, 1);
	assert_string_equal(writ_buf_cstr(&d.text),
		"pair epoch=17\n"
		"ca aid active DER 10 20\n"
		"trust td 2:0x,2:1y, 12 300\n"
		"entry 7 [spiffe://td/a] [spiffe://td/agent] [8:unix:u:1,8:unix:u:2,] [e-1]"
		" [3:far,] [1:b,1:a,] [hint] 60 61 3 2000 1000 4 @1\n"
		"node 1 [spiffe://td/n1] [join_token] [123] [] [] [] 5 0 7 0000 00 00 @1\n"
		"node 2 [spiffe://td/n2] [join_token] [123] [456] [3:a:b,] [1.2] 5 6 7 1111 aa bb "
		"@1\n"
		"token ab 99 spiffe://td/agent/h spiffe://td/x\n");
	writ_buf_done(&d.text);

	/* And all of it goes again; an update in between. */
	struct writ_entry *e2 = store_entry(7, "e-1", "spiffe://td/b");
	const struct writ_change update = { WRIT_CHANGE_ENTRY_UPDATE, { .entry = e2 } };
	assert_ok(store_apply(w, &update, 1, &r), r.tx.err);
	const struct writ_change gone[] = {
		{ WRIT_CHANGE_ENTRY_DELETE, { .key = S("e-1") } },
		{ WRIT_CHANGE_NODE_DELETE, { .key = S("spiffe://td/n1") } },
		{ WRIT_CHANGE_NODE_DELETE, { .key = S("spiffe://td/n2") } },
		{ WRIT_CHANGE_TOKEN_TAKE, { .key = writ_strn(t.hash, sizeof(t.hash)) } },
		{ WRIT_CHANGE_TRUST_DELETE, { .key = S("td") } },
		{ WRIT_CHANGE_CA_DELETE, { .key = S("aid") } },
		{ WRIT_CHANGE_PAIR_DELETE, { .key = S("epoch") } },
	};
	assert_ok(store_apply(w, gone, WRIT_COUNT(gone), &r), r.tx.err);
	store_close(w);
	store_open_and_dump(w, &d);
	assert_int_equal(d.text.n, 0);
	assert_int_equal(d.revision, 3);
	writ_buf_done(&d.text);
	writ_entry_unref(e);
	writ_entry_unref(e2);
	writ_node_unref(n1);
	writ_node_unref(n2);
}

static void the_issuance_index_is_searched_by_serial_and_by_id(void **state)
{
	struct store_world *w = *state;
	store_open(w);
	struct writ_issued rows[] = {
		{ S("1"), S("spiffe://td/a"), S("e"), S("agent"), { 1 }, 10, 20 },
		{ S("2"), S("spiffe://td/a"), S("e"), S("agent"), { 2 }, 11, 30 },
		{ S("3"), S("spiffe://td/b"), S("e"), S("agent"), { 3 }, 12, 40 },
		{ S("3"), S("spiffe://td/b"), S("e"), S("agent"), { 3 }, 12, 40 },
	};
	struct writ_change add[4];
	for (size_t i = 0; i < WRIT_COUNT(add); i++)
		add[i] = (struct writ_change){ WRIT_CHANGE_ISSUED_ADD, { .issued = &rows[i] } };
	struct store_request r;
	assert_ok(store_apply(w, add, WRIT_COUNT(add), &r), r.tx.err);

	struct writ_issued_query q = { .spiffe_id = S("spiffe://td/a"), .limit = 10 };
	r = (struct store_request){ .tx.query = &q };
	store_submit(w, &r, NULL, 0);
	store_settle(w);
	assert_ok(r.tx.rc, r.tx.err);
	assert_int_equal(q.n, 2);
	assert_string_equal(q.rows[0].serial.p, "2");
	assert_int_equal(q.rows[1].key[0], 1);
	writ_issued_query_done(&q);

	const struct writ_change prune = { WRIT_CHANGE_ISSUED_PRUNE, { .before = 40 } };
	assert_ok(store_apply(w, &prune, 1, &r), r.tx.err);
	q = (struct writ_issued_query){ .serial = S("2") };
	r = (struct store_request){ .tx.query = &q };
	store_submit(w, &r, NULL, 0);
	store_settle(w);
	assert_int_equal(q.n, 0);
	assert_int_equal(r.tx.revision, 2); /* a read takes none */
	writ_issued_query_done(&q);
}

#define CROWD 200

static int by_revision(const void *a, const void *b)
{
	const struct store_request *x = a, *y = b;
	return x->tx.revision < y->tx.revision ? -1 : x->tx.revision > y->tx.revision;
}

static void concurrent_transactions_share_commits_and_have_gap_free_revisions(void **state)
{
	struct store_world *w = *state;
	store_open(w);
	static struct store_request r[CROWD];
	static struct writ_change c[CROWD][2];
	memset(r, 0, sizeof(r));
	for (int i = 0; i < CROWD; i++) {
		char id[32], name[64];
		/* Every fifth breaks a rule with its second change: nothing of it may stay. */
		snprintf(id, sizeof(id), "id-%d", i);
		snprintf(name, sizeof(name), "spiffe://td/w/%d", i);
		c[i][0] = (struct writ_change){ WRIT_CHANGE_ENTRY_INSERT,
			{ .entry = store_entry((uint64_t)i + 1, id, name) } };
		c[i][1] = (struct writ_change){ WRIT_CHANGE_NODE_DELETE, { .key = S("nobody") } };
		store_submit(w, &r[i], c[i], i % 5 == 4 ? 2 : 1);
	}
	store_settle(w);
	struct writ_store_stats stats;
	writ_store_stats_get(w->store, &stats);
	assert_true(stats.commits < CROWD / 4);
	assert_int_equal(stats.transactions, CROWD);
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(r[i].tx.rc, i % 5 == 4 ? WRIT_EPRECOND : WRIT_OK);
		writ_entry_unref(c[i][0].u.entry);
	}
	qsort(r, CROWD, sizeof(r[0]), by_revision);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(r[i].tx.revision, i < CROWD / 5 ? 0 : i - CROWD / 5 + 1);
	store_close(w);
	struct store_dump d;
	store_open_and_dump(w, &d);
	assert_int_equal(d.entries, CROWD - CROWD / 5);
	assert_int_equal(d.revision, CROWD - CROWD / 5);
	writ_buf_done(&d.text);
}

static void a_second_entry_of_the_same_id_or_key_is_refused(void **state)
{
	struct store_world *w = *state;
	store_open(w);
	struct writ_entry *e[] = { store_entry(1, "a", "spiffe://td/x"),
		store_entry(2, "a", "spiffe://td/y"), store_entry(3, "b", "spiffe://td/x") };
	for (int i = 0; i < 3; i++) {
		struct store_request r;
		struct writ_change c = { WRIT_CHANGE_ENTRY_INSERT, { .entry = e[i] } };
		assert_int_equal(store_apply(w, &c, 1, &r), i ? WRIT_EEXIST : WRIT_OK);
		writ_entry_unref(e[i]);
	}
}

static void one_of_64_takes_a_token(void **state)
{
	struct store_world *w = *state;
	store_open(w);
	struct writ_token t = { { 1, 2, 3 }, 99, S("spiffe://td/a"), S("") };
	struct writ_change put = { WRIT_CHANGE_TOKEN_INSERT, { .token = &t } };
	struct store_request first;
	assert_ok(store_apply(w, &put, 1, &first), first.tx.err);
	static struct store_request r[64];
	struct writ_change take = { WRIT_CHANGE_TOKEN_TAKE,
		{ .key = writ_strn(t.hash, sizeof(t.hash)) } };
	memset(r, 0, sizeof(r));
	for (size_t i = 0; i < WRIT_COUNT(r); i++)
		store_submit(w, &r[i], &take, 1);
	store_settle(w);
	int winners = 0;
	for (size_t i = 0; i < WRIT_COUNT(r); i++) {
		winners += r[i].tx.rc == WRIT_OK;
		assert_true(r[i].tx.rc == WRIT_OK || r[i].tx.rc == WRIT_EPRECOND);
	}
	assert_int_equal(winners, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, store_enter, store_leave)
	const struct CMUnitTest tests[] = {
		T(every_kind_of_row_comes_back_as_it_went),
		T(the_issuance_index_is_searched_by_serial_and_by_id),
		T(concurrent_transactions_share_commits_and_have_gap_free_revisions),
		T(a_second_entry_of_the_same_id_or_key_is_refused),
		T(one_of_64_takes_a_token),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
