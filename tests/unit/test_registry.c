/* SPDX-License-Identifier: Apache-2.0 */
#include "registry_world.h"

#include "base/clock.h"

static void entries_survive_a_restart(void **state)
{
	struct world *w = *state;
	struct writ_entry_request q =
		entry("", "spiffe://td/agent", "spiffe://td/w", "3:a:1,3:a:2,");
	q.spec.meta.x509_ttl_s = 77;
	q.spec.meta.flags = WRIT_ENTRY_ADMIN;
	q.spec.text[WRIT_ENTRY_DNS_NAMES] = S("1:x,");
	q.spec.text[WRIT_ENTRY_HINT] = S("h");
	struct answer a = create(w, &q, 1);
	assert_int_equal(a.rc, WRIT_OK);
	assert_int_equal(a.items[0].rc, WRIT_OK);
	assert_int_equal(strlen(a.items[0].id), 36);
	assert_int_equal(a.revision, 1);
	for (int round = 0; round < 2; round++) {
		const struct writ_entry *e = writ_registry_entry(w->r, S(a.items[0].id));
		assert_non_null(e);
		assert_string_equal(writ_entry_get(e, WRIT_ENTRY_SELECTORS).p, "3:a:1,3:a:2,");
		assert_string_equal(writ_entry_get(e, WRIT_ENTRY_HINT).p, "h");
		assert_int_equal(e->meta.x509_ttl_s, 77);
		assert_int_equal(e->meta.flags, WRIT_ENTRY_ADMIN);
		assert_int_equal(e->meta.revision_number, 0);
		assert_int_equal(e->meta.changed_at, 1);
		assert_int_equal(writ_registry_revision(w->r), 1);
		close_world(w);
		open_world(w);
	}
}

static void a_similar_entry_is_refused_and_shown(void **state)
{
	struct world *w = *state;
	struct writ_entry_request q[] = {
		entry("one", "spiffe://td/p", "spiffe://td/w", "3:a:1,"),
		entry("two", "spiffe://td/p", "spiffe://td/w", "3:a:1,"),
		entry("one", "spiffe://td/p", "spiffe://td/v", "3:a:1,"),
		entry("three", "spiffe://td/p", "spiffe://td/w", "3:a:1,3:b:1,"),
		entry("four", "spiffe://td/p", "spiffe://other/w", "3:a:1,"),
	};
	struct answer a = create(w, q, WRIT_COUNT(q));
	static const writ_rc want[] = { WRIT_OK, WRIT_EEXIST, WRIT_EEXIST, WRIT_OK, WRIT_EINVAL };
	for (size_t i = 0; i < WRIT_COUNT(want); i++)
		assert_int_equal(a.items[i].rc, want[i]);
	assert_string_equal(a.items[1].msg, "similar entry already exists");
	assert_string_equal(a.items[1].id, "one");
	assert_string_equal(a.items[4].id, "");
	assert_int_equal(count(w), 2);
	a = create_one(w, "five", "spiffe://td/p", "spiffe://td/w", "3:a:1,");
	assert_int_equal(a.items[0].rc, WRIT_EEXIST);
	assert_string_equal(a.items[0].id, "one");
	assert_int_equal(a.revision, 0);
}

static void uniqueness_holds_for_requests_in_flight(void **state)
{
	struct world *w = *state;
	static struct answer a[50];
	memset(a, 0, sizeof(a));
	for (int i = 0; i < 50; i++) {
		struct writ_entry_request q[] = {
			entry("", "spiffe://td/p", "spiffe://td/w", "3:a:1,"),
			entry("", "spiffe://td/p", "spiffe://td/w", "3:a:2,"),
		};
		/* The other way round every second time: no deadlock. */
		struct writ_entry_request swap = q[0];
		if (i % 2) {
			q[0] = q[1];
			q[1] = swap;
		}
		writ_registry_create_entries(w->r, q, 2, answered, &a[i]);
	}
	settle(w);
	int made = 0;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(a[i].calls, 1);
		made += (a[i].items[0].rc == WRIT_OK) + (a[i].items[1].rc == WRIT_OK);
	}
	assert_int_equal(made, 2);
	assert_int_equal(count(w), 2);
	assert_int_equal(writ_registry_revision(w->r), 1);
}

static void a_delete_and_a_create_of_the_same_key_follow_each_other(void **state)
{
	struct world *w = *state;
	create_one(w, "old", "spiffe://td/p", "spiffe://td/w", "3:a:1,");
	struct answer del = { 0 }, add = { 0 }, update = { 0 };
	struct writ_str id = S("old");
	struct writ_entry_request q = entry("new", "spiffe://td/p", "spiffe://td/w", "3:a:1,");
	struct writ_entry_request u = entry("old", "spiffe://td/p", "spiffe://td/x", "3:a:1,");
	writ_registry_delete_entries(w->r, &id, 1, answered, &del);
	writ_registry_create_entries(w->r, &q, 1, answered, &add);
	writ_registry_update_entries(w->r, &u, 1, answered, &update);
	settle(w);
	assert_int_equal(del.items[0].rc, WRIT_OK);
	assert_int_equal(add.items[0].rc, WRIT_OK);
	assert_int_equal(update.items[0].rc, WRIT_ENOENT);
	assert_int_equal(count(w), 1);
	assert_non_null(writ_registry_entry(w->r, S("new")));
}

static void an_update_takes_what_its_mask_names(void **state)
{
	struct world *w = *state;
	create_one(w, "a", "spiffe://td/p", "spiffe://td/a", "3:a:1,");
	create_one(w, "b", "spiffe://td/p", "spiffe://td/b", "3:a:1,");
	struct writ_entry_request q[] = {
		entry("a", "spiffe://td/q", "spiffe://td/b", "3:a:2,"),
		entry("b", "", "spiffe://td/a", ""),
		entry("b", "", "spiffe://td/spire/x", ""),
		entry("none", "", "", ""),
	};
	q[0].mask = 1u << WRIT_ENTRY_PARENT_ID | WRIT_MASK_X509_TTL | WRIT_MASK_ADMIN;
	q[0].spec.meta.x509_ttl_s = 99;
	q[0].spec.meta.flags = WRIT_ENTRY_ADMIN | WRIT_ENTRY_DOWNSTREAM;
	q[1].mask = 1u << WRIT_ENTRY_SPIFFE_ID;
	q[2].mask = 1u << WRIT_ENTRY_SPIFFE_ID;
	struct answer a = { 0 };
	writ_registry_update_entries(w->r, q, WRIT_COUNT(q), answered, &a);
	settle(w);
	assert_int_equal(a.items[0].rc, WRIT_OK);
	assert_int_equal(a.items[0].revision_number, 1);
	assert_int_equal(a.items[1].rc, WRIT_OK); /* a has left its place by then */
	assert_int_equal(a.items[2].rc, WRIT_EINVAL);
	assert_int_equal(a.items[3].rc, WRIT_ENOENT);
	const struct writ_entry *e = writ_registry_entry(w->r, S("a"));
	assert_string_equal(writ_entry_get(e, WRIT_ENTRY_PARENT_ID).p, "spiffe://td/q");
	assert_string_equal(writ_entry_get(e, WRIT_ENTRY_SPIFFE_ID).p, "spiffe://td/a");
	assert_string_equal(writ_entry_get(e, WRIT_ENTRY_SELECTORS).p, "3:a:1,");
	assert_int_equal(e->meta.flags, WRIT_ENTRY_ADMIN);
	assert_int_equal(e->meta.x509_ttl_s, 99);
	/* Back into what is b's place now: refused, nothing changed. */
	q[0].mask = 1u << WRIT_ENTRY_PARENT_ID;
	q[0].spec.text[WRIT_ENTRY_PARENT_ID] = S("spiffe://td/p");
	writ_registry_update_entries(w->r, q, 1, answered, &a);
	settle(w);
	assert_int_equal(a.items[0].rc, WRIT_EEXIST);
	assert_string_equal(a.items[0].id, "b");
	assert_int_equal(writ_registry_entry(w->r, S("a"))->meta.revision_number, 1);
}

static void what_the_store_refuses_never_shows_in_memory(void **state)
{
	struct world *w = *state;
	create_one(w, "a", "spiffe://td/p", "spiffe://td/a", "3:a:1,");
	broken = true;
	struct answer a = create_one(w, "b", "spiffe://td/p", "spiffe://td/b", "3:a:1,");
	assert_int_equal(a.rc, WRIT_EIO);
	assert_int_equal(a.items[0].rc, WRIT_EIO);
	assert_non_null(strstr(a.msg, "on fire"));
	struct writ_str id = S("a");
	writ_registry_delete_entries(w->r, &id, 1, answered, &a);
	settle(w);
	assert_int_equal(a.items[0].rc, WRIT_EIO);
	assert_int_equal(count(w), 1);
	broken = false;
	a = create_one(w, "b", "spiffe://td/p", "spiffe://td/b", "3:a:1,");
	assert_int_equal(a.items[0].rc, WRIT_OK);
	assert_int_equal(a.revision, 2);
}

static void expired_entries_go_by_themselves(void **state)
{
	struct world *w = *state;
	struct writ_entry_request q[3] = {
		entry("gone", "spiffe://td/p", "spiffe://td/a", "3:a:1,"),
		entry("stays", "spiffe://td/p", "spiffe://td/b", "3:a:1,"),
		entry("later", "spiffe://td/p", "spiffe://td/c", "3:a:1,"),
	};
	q[0].spec.meta.expires_at = writ_wall_s() - 5;
	q[2].spec.meta.expires_at = writ_wall_s() + 5000;
	create(w, q, 3);
	bool never = false;
	int64_t end = writ_mono_ms() + PATIENCE_MS;
	while (count(w) != 2 && writ_mono_ms() < end)
		(void)writ_loop_run_until(w->loop, &never, writ_mono_ms() + 1);
	assert_null(writ_registry_entry(w->r, S("gone")));
	assert_non_null(writ_registry_entry(w->r, S("later")));
}

static void federation_needs_the_bundle(void **state)
{
	struct world *w = *state;
	struct writ_entry_request q = entry("a", "spiffe://td/p", "spiffe://td/a", "3:a:1,");
	q.spec.text[WRIT_ENTRY_FEDERATES_WITH] = S("3:far,");
	struct answer a = create(w, &q, 1);
	assert_int_equal(a.items[0].rc, WRIT_EINVAL);
	assert_string_equal(a.items[0].msg, "unable to find federated bundle \"far\"");
	struct writ_str der = S("CA1");
	struct writ_trust_edit e = { .td = S("far"), .add = &der, .n_add = 1 };
	writ_registry_edit_trust(w->r, &e, answered, &a);
	settle(w);
	assert_int_equal(create(w, &q, 1).items[0].rc, WRIT_OK);
}

/* --- agents, tokens, bundles --- */

static void an_agent_goes_through_its_life(void **state)
{
	struct world *w = *state;
	uint8_t key[WRIT_KEY_HASH_LEN] = { 1 }, key2[WRIT_KEY_HASH_LEN] = { 2 };
	struct writ_node_edit e = { .act = WRIT_NODE_RENEW, .id = S("spiffe://td/n") };
	assert_int_equal(edit(w, &e).rc, WRIT_ENOENT);
	e = (struct writ_node_edit){ .act = WRIT_NODE_ATTEST,
		.id = S("spiffe://td/n"),
		.type = S("join_token"),
		.serial = S("1"),
		.selectors = S("3:a:1,"),
		.not_after = 100,
		.key = key };
	assert_int_equal(edit(w, &e).rc, WRIT_OK);
	e.act = WRIT_NODE_RENEW;
	e.serial = S("2");
	e.not_after = 200;
	e.key = key2;
	assert_int_equal(edit(w, &e).rc, WRIT_OK);
	const struct writ_node *n = writ_registry_node(w->r, S("spiffe://td/n"));
	assert_ptr_equal(writ_registry_node_by_serial(w->r, S("1")), n);
	assert_ptr_equal(writ_registry_node_by_serial(w->r, S("2")), n);
	assert_int_equal(n->meta.not_after, 100);
	/* Both are valid until the new one is seen. */
	e.act = WRIT_NODE_PROMOTE;
	e.serial = S("1");
	assert_int_equal(edit(w, &e).revision, 0);
	e.serial = S("2");
	assert_int_equal(edit(w, &e).rc, WRIT_OK);
	close_world(w);
	open_world(w);
	n = writ_registry_node(w->r, S("spiffe://td/n"));
	assert_null(writ_registry_node_by_serial(w->r, S("1")));
	assert_ptr_equal(writ_registry_node_by_serial(w->r, S("2")), n);
	assert_int_equal(n->meta.key[0], 2);
	assert_false(n->meta.has_new_key);
	e = (struct writ_node_edit){
		.act = WRIT_NODE_REPORT, .id = S("spiffe://td/n"), .version = S("1.0")
	};
	assert_int_equal(edit(w, &e).rc, WRIT_OK);
	char big[300];
	memset(big, 'v', sizeof(big));
	e.version = writ_strn(big, 256);
	assert_int_equal(edit(w, &e).rc, WRIT_EINVAL);

	/* A renewal that was under way when it was banned comes too late. */
	struct answer ban = { 0 }, renew = { 0 };
	e = (struct writ_node_edit){ .act = WRIT_NODE_BAN, .id = S("spiffe://td/n") };
	writ_registry_edit_node(w->r, &e, answered, &ban);
	e = (struct writ_node_edit){
		.act = WRIT_NODE_RENEW, .id = S("spiffe://td/n"), .serial = S("3")
	};
	writ_registry_edit_node(w->r, &e, answered, &renew);
	settle(w);
	assert_int_equal(ban.rc, WRIT_OK);
	assert_int_equal(renew.rc, WRIT_EDENIED);
	n = writ_registry_node(w->r, S("spiffe://td/n"));
	assert_true(n->meta.banned);
	assert_int_equal(writ_node_get(n, WRIT_NODE_SERIAL).n, 0);
	assert_null(writ_registry_node_by_serial(w->r, S("2")));
	e = (struct writ_node_edit){
		.act = WRIT_NODE_ATTEST, .id = S("spiffe://td/n"), .serial = S("4")
	};
	struct answer a = edit(w, &e);
	assert_int_equal(a.rc, WRIT_EDENIED);
	assert_string_equal(a.msg, "agent is banned");
	e.act = WRIT_NODE_REMOVE;
	assert_int_equal(edit(w, &e).rc, WRIT_OK);
	assert_null(writ_registry_node(w->r, S("spiffe://td/n")));
}

static void one_of_64_attestations_gets_the_token(void **state)
{
	struct world *w = *state;
	for (int round = 0; round < 20; round++) {
		static struct answer a[64];
		struct writ_token t = { .hash = { (uint8_t)round, 7 },
			.expires_at = writ_wall_s() + (round == 19 ? -5 : 60),
			.agent_id = S("spiffe://td/spire/agent/join_token/h") };
		struct answer made = { 0 };
		memset(a, 0, sizeof(a));
		writ_registry_create_token(w->r, &t, NULL, answered, &made);
		/* No need to wait for it to be there. */
		for (size_t i = 0; i < WRIT_COUNT(a); i++)
			writ_registry_take_token(w->r, t.hash, answered, &a[i]);
		settle(w);
		assert_int_equal(made.rc, WRIT_OK);
		int got = 0;
		for (size_t i = 0; i < WRIT_COUNT(a); i++) {
			assert_int_equal(a[i].calls, 1);
			got += a[i].rc == (round == 19 ? WRIT_EEXPIRED : WRIT_OK);
			assert_true(a[i].rc == WRIT_OK || a[i].rc == WRIT_ENOENT || round == 19);
		}
		assert_int_equal(got, 1);
		assert_null(writ_registry_token(w->r, t.hash));
	}
	close_world(w);
	open_world(w);
	struct answer a = { 0 };
	writ_registry_take_token(w->r, (const uint8_t[32]){ 3, 7 }, answered, &a);
	settle(w);
	assert_int_equal(a.rc, WRIT_ENOENT);
	assert_string_equal(a.msg, "join token does not exist or has already been used");
}

static void a_token_s_entry_comes_and_goes_with_it(void **state)
{
	struct world *w = *state;
	const char *agent = "spiffe://td/spire/agent/join_token/h";
	struct writ_token t = { .hash = { 1 }, .expires_at = 99, .agent_id = S(agent) };
	struct writ_entry_request q = entry("made", agent, "spiffe://td/host",
		"46:spiffe_id:spiffe://td/spire/agent/join_token/h,");
	struct answer a = { 0 };
	writ_registry_create_token(w->r, &t, &q, answered, &a);
	settle(w);
	assert_int_equal(a.rc, WRIT_OK);
	assert_non_null(writ_registry_entry(w->r, S("made")));
	writ_registry_create_token(w->r, &t, &q, answered, &a);
	settle(w);
	assert_int_equal(a.rc, WRIT_EEXIST);
	t.hash[0] = 2;
	q.spec.text[WRIT_ENTRY_SPIFFE_ID] = S("spiffe://td/spire/no");
	writ_registry_create_token(w->r, &t, &q, answered, &a);
	settle(w);
	assert_int_equal(a.rc, WRIT_EINVAL);
	assert_null(writ_registry_token(w->r, t.hash));
	attest(w, agent, "");
	create_one(w, "other", agent, "spiffe://td/x", "3:a:1,");
	struct writ_node_edit e = { .act = WRIT_NODE_REMOVE, .id = S(agent) };
	assert_int_equal(edit(w, &e).rc, WRIT_OK);
	assert_null(writ_registry_entry(w->r, S("made")));
	assert_non_null(writ_registry_entry(w->r, S("other")));
}

static void a_bundle_counts_its_changes(void **state)
{
	struct world *w = *state;
	struct writ_str cas[] = { S("CA1"), S("CA2"), S("CA3") };
	struct answer a = { 0 };
	int calls = 0;
	struct writ_watch *watch = writ_registry_watch_trust(w->r, bumped, &calls);
	const struct {
		struct writ_trust_edit edit;
		const char *cas;
		int sequence, calls;
	} steps[] = {
		{ { .add = cas, .n_add = 2 }, "4:0CA1,4:0CA2,", 1, 1 },
		{ { .add = cas, .n_add = 2 }, "4:0CA1,4:0CA2,", 1, 1 },
		{ { .add = cas, .n_add = 3 }, "4:0CA1,4:0CA2,4:0CA3,", 2, 2 },
		{ { .taint = cas, .n_taint = 1 }, "4:1CA1,4:0CA2,4:0CA3,", 3, 3 },
		{ { .add = cas, .n_add = 1 }, "4:1CA1,4:0CA2,4:0CA3,", 3, 3 },
		{ { .remove = cas, .n_remove = 1, .set_hint = true, .refresh_hint_s = 9 },
			"4:0CA2,4:0CA3,", 4, 4 },
	};
	for (size_t i = 0; i < WRIT_COUNT(steps); i++) {
		struct writ_trust_edit e = steps[i].edit;
		e.td = S("td");
		writ_registry_edit_trust(w->r, &e, answered, &a);
		settle(w);
		assert_int_equal(a.rc, WRIT_OK);
		const struct writ_trust *t = writ_registry_trust(w->r, S("td"));
		assert_string_equal(t->cas.p, steps[i].cas);
		assert_int_equal(t->sequence, steps[i].sequence);
		assert_int_equal(calls, steps[i].calls);
	}
	writ_registry_unwatch(watch);
	struct writ_ca_slot ca = { S("id"), S("active"), S("DER"), 1, 2 };
	struct writ_pair p = { S("k"), S("v") };
	writ_registry_put_ca(w->r, &ca, answered, &a);
	writ_registry_put_value(w->r, &p, answered, &a);
	close_world(w);
	open_world(w);
	assert_int_equal(writ_registry_trust(w->r, S("td"))->refresh_hint_s, 9);
	assert_string_equal(writ_registry_ca(w->r, 0)->state.p, "active");
	assert_string_equal(writ_registry_value(w->r, S("k"))->p, "v");
	ca.state = p.value = S("");
	writ_registry_put_ca(w->r, &ca, answered, &a);
	writ_registry_put_value(w->r, &p, answered, &a);
	settle(w);
	assert_null(writ_registry_ca(w->r, 0));
	assert_null(writ_registry_value(w->r, S("k")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(entries_survive_a_restart),
		T(a_similar_entry_is_refused_and_shown),
		T(uniqueness_holds_for_requests_in_flight),
		T(a_delete_and_a_create_of_the_same_key_follow_each_other),
		T(an_update_takes_what_its_mask_names),
		T(what_the_store_refuses_never_shows_in_memory),
		T(expired_entries_go_by_themselves),
		T(federation_needs_the_bundle),
		T(an_agent_goes_through_its_life),
		T(one_of_64_attestations_gets_the_token),
		T(a_token_s_entry_comes_and_goes_with_it),
		T(a_bundle_counts_its_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
