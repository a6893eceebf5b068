/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "forge.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "cache/cache_impl.h"

#include <stdio.h>

struct fixture {
	struct writ_loop *loop;
	struct writ_cache *cache;
	int changes, hungry;
};

static void on_changed(void *arg)
{
	((struct fixture *)arg)->changes++;
}

static void on_hungry(void *arg)
{
	((struct fixture *)arg)->hungry++;
}

static void start(struct fixture *f, size_t prefetch)
{
	struct writ_err err = { 0 };
	*f = (struct fixture){ .changes = 0 };
	assert_ok(writ_loop_new(&f->loop, &err), err);
	const struct writ_cache_config cfg = { .loop = f->loop,
		.td = WRIT_STR("td"),
		.key_slot = 256,
		.prefetch_max = prefetch,
		.changed = on_changed,
		.hungry = on_hungry,
		.arg = f };
	f->cache = writ_cache_new(&cfg);
}

static void turn(struct fixture *f)
{
	bool never = false;
	(void)writ_loop_run_until(f->loop, &never, writ_mono_ms() + 2);
}

static void stop(struct fixture *f)
{
	writ_cache_free(f->cache);
	writ_loop_free(f->loop);
	writ_clock_set_wall_ms(-1);
}

/* id "7", selectors "a:1 b:2". */
static writ_rc put(struct fixture *f, const char *id, const char *hint, int64_t created,
	int64_t revision, const char *selectors)
{
	struct writ_selectors s;
	struct writ_str rest = writ_cstr(selectors), one;
	char spiffe_id[64];
	writ_selectors_init(&s);
	while (rest.n) {
		(void)writ_str_cut(&rest, ' ', &one);
		assert_int_equal(writ_selectors_add_text(&s, one, NULL), WRIT_OK);
	}
	snprintf(spiffe_id, sizeof(spiffe_id), "spiffe://td/%s", id);
	const struct writ_entry_spec spec = { .id = writ_cstr(id),
		.spiffe_id = writ_cstr(spiffe_id),
		.hint = writ_cstr(hint),
		.created_at = created,
		.revision = revision,
		.selectors = &s };
	writ_rc rc = writ_cache_put(f->cache, &spec, NULL);
	writ_selectors_done(&s);
	return rc;
}

static void caller(struct writ_selectors *s, const char *text)
{
	struct writ_str rest = writ_cstr(text), one;
	writ_selectors_init(s);
	while (rest.n) {
		(void)writ_str_cut(&rest, ' ', &one);
		assert_int_equal(writ_selectors_add_text(s, one, NULL), WRIT_OK);
	}
	writ_selectors_seal(s);
}

/* The ids of what a caller gets: "1,2". */
static const char *matched(struct fixture *f, const char *selectors)
{
	static char out[256];
	struct writ_selectors s;
	struct writ_entry *found[8];
	caller(&s, selectors);
	size_t n = writ_cache_match(f->cache, &s, found, 8);
	out[0] = 0;
	for (size_t i = 0; i < n; i++)
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s", i ? "," : "",
			found[i]->id);
	writ_selectors_done(&s);
	return out;
}

/* Gives every waiting entry an SVID that lasts so long. Returns how many there were. */
static size_t feed(struct fixture *f, int64_t lasts_s)
{
	struct writ_entry *e[256];
	size_t n = writ_cache_next(f->cache, e, 256);
	const struct writ_fetched got = { .key = (const uint8_t *)"key",
		.key_len = 3,
		.chain = (const uint8_t *)"chain",
		.chain_len = 5,
		.not_before = writ_wall_s(),
		.not_after = writ_wall_s() + lasts_s };
	for (size_t i = 0; i < n; i++)
		writ_cache_fetched(f->cache, e[i], &got);
	return n;
}

static void test_matches_are_old_first_and_one_for_each_hint(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, 0);
	writ_cache_begin(f.cache, true);
	assert_int_equal(put(&f, "c", "", 30, 0, "u:1"), WRIT_OK);
	assert_int_equal(put(&f, "b", "x", 20, 0, "u:1 g:1"), WRIT_OK);
	assert_int_equal(put(&f, "a", "x", 25, 0, "u:1"), WRIT_OK);
	assert_int_equal(put(&f, "d", "", 10, 0, "u:1 p:9"), WRIT_OK);
	assert_int_equal(put(&f, "e", "", 30, 0, "u:1"), WRIT_OK);
	assert_int_equal(put(&f, "none", "", 1, 0, ""), WRIT_EINVAL);
	writ_cache_commit(f.cache);
	assert_string_equal(matched(&f, "u:1"), "a,c,e");
	assert_string_equal(matched(&f, "g:1 u:1"), "b,c,e");
	assert_string_equal(matched(&f, "g:1"), "");
	assert_string_equal(matched(&f, ""), "");
	stop(&f);
}

static void test_a_full_listing_drops_what_it_lacks(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, 0);
	writ_cache_begin(f.cache, true);
	assert_int_equal(put(&f, "a", "", 1, 0, "u:1"), WRIT_OK);
	assert_int_equal(put(&f, "b", "", 2, 0, "u:1"), WRIT_OK);
	writ_cache_commit(f.cache);
	writ_cache_begin(f.cache, true);
	assert_int_equal(put(&f, "b", "", 2, 0, "u:1"), WRIT_OK);
	writ_cache_abort(f.cache);
	assert_string_equal(matched(&f, "u:1"), "a,b");
	writ_cache_begin(f.cache, true);
	assert_int_equal(put(&f, "b", "", 2, 0, "u:1"), WRIT_OK);
	writ_cache_commit(f.cache);
	assert_string_equal(matched(&f, "u:1"), "b");
	writ_cache_begin(f.cache, false);
	writ_cache_remove(f.cache, WRIT_STR("zzz"));
	writ_cache_remove(f.cache, WRIT_STR("b"));
	writ_cache_commit(f.cache);
	assert_string_equal(matched(&f, "u:1"), "");
	stop(&f);
}

static void assert_asking_agrees(
	struct fixture *f, const struct writ_selectors *entries, const bool *there)
{
	for (int t = 0; t < 13; t++) {
		char text[16];
		bool any = false;
		snprintf(text, sizeof(text), "t:%d", t);
		for (size_t i = 0; i < 300; i++)
			for (size_t k = 0; there[i] && k < entries[i].n; k++)
				any = any ||
					writ_str_eq(writ_selectors_at(&entries[i], k).text,
						writ_cstr(text));
		const struct writ_entry *e = writ_cache_asking(f->cache, writ_cstr(text));
		assert_int_equal(e != NULL, any);
		for (size_t k = 0; e && k <= e->selectors.n; k++) {
			assert_true(k < e->selectors.n);
			if (writ_str_eq(writ_selectors_at(&e->selectors, k).text, writ_cstr(text)))
				break;
		}
	}
}

/* The index gives what comparing with each entry gives. */
static void test_the_index_agrees_with_comparing_all(void **state)
{
	(void)state;
	struct fixture f;
	struct writ_selectors entries[300];
	bool there[300] = { false };
	start(&f, 0);
	writ_cache_begin(f.cache, false);
	for (int round = 0; round < 3000; round++) {
		size_t i = writ_rand_below(300);
		char id[16], text[128] = "";
		snprintf(id, sizeof(id), "%zu", i);
		if (there[i]) {
			writ_selectors_done(&entries[i]);
			writ_cache_remove(f.cache, writ_cstr(id));
			there[i] = false;
			continue;
		}
		for (size_t k = 0, n = 1 + writ_rand_below(4); k < n; k++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%st:%d",
				k ? " " : "", (int)writ_rand_below(12));
		assert_int_equal(put(&f, id, "", round, round, text), WRIT_OK);
		caller(&entries[i], text);
		there[i] = true;
		if (round % 10)
			continue;
		assert_asking_agrees(&f, entries, there);
		struct writ_selectors who;
		struct writ_entry *found[256];
		text[0] = 0;
		for (size_t k = 0, n = writ_rand_below(9); k < n; k++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%st:%d",
				k ? " " : "", (int)writ_rand_below(12));
		caller(&who, text);
		size_t n = writ_cache_match(f.cache, &who, found, 256), want = 0;
		for (size_t k = 0; k < 300; k++)
			want += there[k] && writ_selectors_match(&entries[k], &who);
		assert_int_equal(n, want);
		writ_selectors_done(&who);
	}
	for (size_t i = 0; i < 300; i++)
		if (there[i])
			writ_selectors_done(&entries[i]);
	writ_cache_commit(f.cache);
	stop(&f);
}

static const char *asking(struct fixture *f, const char *selector)
{
	const struct writ_entry *e = writ_cache_asking(f->cache, writ_cstr(selector));
	return e ? e->id : "none";
}

/* Also where others of its selectors are rarer, and it is filed under those. */
static void test_who_asks_for_a_selector_is_known(void **state)
{
	(void)state;
	struct fixture f;
	start(&f, 0);
	writ_cache_begin(f.cache, false);
	assert_int_equal(put(&f, "a", "", 1, 0, "run:1 u:1"), WRIT_OK);
	assert_int_equal(put(&f, "b", "", 2, 0, "p:2 run:1 u:1"), WRIT_OK);
	assert_int_equal(put(&f, "c", "", 3, 0, "p:3 u:1"), WRIT_OK);
	assert_string_equal(asking(&f, "run:1"), "a");
	assert_string_equal(asking(&f, "p:2"), "b");
	assert_string_equal(asking(&f, "u:1"), "a");
	assert_string_equal(asking(&f, "run"), "none");
	assert_string_equal(asking(&f, "run:11"), "none");
	assert_string_equal(asking(&f, ""), "none");
	writ_cache_remove(f.cache, WRIT_STR("a"));
	assert_string_equal(asking(&f, "run:1"), "b");
	assert_int_equal(put(&f, "b", "", 2, 1, "p:2 u:1"), WRIT_OK);
	assert_string_equal(asking(&f, "run:1"), "none");
	assert_string_equal(asking(&f, "u:1"), "c");
	writ_cache_commit(f.cache);
	stop(&f);
}

static void test_svids_are_renewed_and_never_served_expired(void **state)
{
	(void)state;
	struct fixture f;
	struct writ_entry *found[2];
	struct writ_selectors who;
	int64_t now = INT64_C(1800000000000);
	writ_clock_set_wall_ms(now);
	start(&f, 0);
	caller(&who, "u:1");
	writ_cache_begin(f.cache, true);
	assert_int_equal(put(&f, "a", "", 1, 0, "u:1"), WRIT_OK);
	writ_cache_commit(f.cache);
	assert_true(f.hungry > 0);
	assert_int_equal(feed(&f, 100), 1);
	assert_int_equal(feed(&f, 100), 0);
	assert_int_equal(writ_cache_match(f.cache, &who, found, 2), 1);
	assert_true(writ_entry_is_ready(found[0], writ_wall_s()));
	uint64_t version = found[0]->version;
	assert_true(found[0]->renew_at_ms >= now + 30000 && found[0]->renew_at_ms <= now + 40000);
	/* A short one: its timer runs while this test waits. */
	writ_clock_set_wall_ms(now + 29000);
	struct writ_entry *e[2];
	assert_int_equal(writ_cache_next(f.cache, e, 2), 0);
	/* Over: not ready, whatever the timer does. */
	writ_clock_set_wall_ms(now + 100000);
	assert_false(writ_entry_is_ready(found[0], writ_wall_s()));
	assert_int_equal(found[0]->version, version);
	writ_selectors_done(&who);
	stop(&f);
}

static void test_beyond_the_limit_only_on_demand(void **state)
{
	(void)state;
	struct fixture f;
	struct writ_selectors who;
	struct writ_entry *found[4];
	start(&f, 2);
	caller(&who, "u:3");
	writ_cache_begin(f.cache, true);
	assert_int_equal(put(&f, "1", "", 1, 0, "u:1"), WRIT_OK);
	assert_int_equal(put(&f, "2", "", 2, 0, "u:2"), WRIT_OK);
	assert_int_equal(put(&f, "3", "", 3, 0, "u:3"), WRIT_OK);
	writ_cache_commit(f.cache);
	assert_int_equal(feed(&f, 100), 2);
	assert_int_equal(writ_cache_svids(f.cache), 2);
	assert_int_equal(writ_cache_match(f.cache, &who, found, 4), 1);
	struct writ_entry *e = found[0];
	assert_false(writ_entry_is_ready(e, writ_wall_s()));
	assert_false(writ_cache_keeps(f.cache, e));
	writ_cache_watch(f.cache, e);
	assert_true(writ_cache_keeps(f.cache, e));
	assert_int_equal(feed(&f, 100), 1);
	assert_true(writ_entry_is_ready(e, writ_wall_s()));
	/* An entry that goes while it is watched stays readable, without its key. */
	writ_cache_remove(f.cache, WRIT_STR("3"));
	assert_true(e->gone);
	assert_null(e->key);
	assert_string_equal(e->spiffe_id, "spiffe://td/3");
	writ_cache_unwatch(f.cache, e);
	assert_int_equal(writ_cache_svids(f.cache), 2);
	writ_selectors_done(&who);
	stop(&f);
}

static void test_one_that_goes_while_its_svid_flies_is_dropped(void **state)
{
	(void)state;
	struct fixture f;
	struct writ_entry *e[4];
	const struct writ_fetched got = { .key = (const uint8_t *)"k",
		.key_len = 1,
		.chain = (const uint8_t *)"c",
		.chain_len = 1,
		.not_after = writ_wall_s() + 100 };
	start(&f, 2);
	writ_cache_begin(f.cache, true);
	assert_int_equal(put(&f, "1", "", 1, 0, "u:1"), WRIT_OK);
	assert_int_equal(put(&f, "2", "", 1, 0, "u:1"), WRIT_OK);
	assert_int_equal(put(&f, "3", "", 1, 0, "u:1"), WRIT_OK);
	writ_cache_commit(f.cache);
	assert_int_equal(writ_cache_next(f.cache, e, 4), 2);
	writ_cache_remove(f.cache, writ_cstr(e[0]->id));
	writ_cache_fetched(f.cache, e[0], &got);
	writ_cache_failed(f.cache, e[1], false);
	assert_int_equal(writ_cache_svids(f.cache), 0);
	/* The one that failed is asked for again. */
	assert_int_equal(feed(&f, 100), 1);
	assert_int_equal(writ_cache_svids(f.cache), 1);
	stop(&f);
}

static void test_a_changed_entry_keeps_its_svid_until_the_new_one(void **state)
{
	(void)state;
	struct fixture f;
	struct writ_selectors who;
	struct writ_entry *found[4];
	start(&f, 0);
	caller(&who, "u:1 u:2");
	writ_cache_begin(f.cache, true);
	assert_int_equal(put(&f, "1", "", 1, 0, "u:1"), WRIT_OK);
	writ_cache_commit(f.cache);
	assert_int_equal(feed(&f, 100), 1);
	turn(&f);
	int changes = f.changes;
	writ_cache_begin(f.cache, false);
	assert_int_equal(put(&f, "1", "", 1, 1, "u:2"), WRIT_OK);
	assert_int_equal(put(&f, "1", "", 1, 1, "u:2"), WRIT_OK); /* the same: nothing */
	writ_cache_commit(f.cache);
	turn(&f);
	assert_int_equal(f.changes, changes + 1);
	assert_int_equal(writ_cache_match(f.cache, &who, found, 4), 1);
	assert_true(writ_entry_is_ready(found[0], writ_wall_s()));
	assert_int_equal(writ_cache_svids(f.cache), 1);
	assert_int_equal(feed(&f, 100), 1);
	writ_selectors_done(&who);
	stop(&f);
}

/* Two authorities, and a leaf by each. */
struct authorities {
	struct writ_key *key[2];
	struct writ_cert *ca[2], *leaf[2];
};

static void make_authorities(struct authorities *a)
{
	static const char *const names[] = { "one", "two" };
	for (int i = 0; i < 2; i++) {
		a->key[i] = forge_key(WRIT_KEY_P256);
		struct forge ca = forge_ca(names[i], a->key[i]);
		a->ca[i] = forge_cert(&ca);
		struct forge leaf = forge_leaf("spiffe://td/w", a->key[i], names[i], a->key[i]);
		a->leaf[i] = forge_cert(&leaf);
		assert_true(a->ca[i] && a->leaf[i]);
	}
}

static void free_authorities(struct authorities *a)
{
	for (int i = 0; i < 2; i++) {
		writ_key_unref(a->key[i]);
		writ_cert_unref(a->ca[i]);
		writ_cert_unref(a->leaf[i]);
	}
}

static void set_bundle(struct fixture *f, const struct authorities *a, bool one, bool two)
{
	const bool tainted[] = { one, two };
	struct writ_bundle *b;
	struct writ_err err = { 0 };
	assert_ok(writ_bundle_new(WRIT_STR("td"), a->ca, tainted, 2, 1, 0, &b, &err), err);
	writ_cache_set_bundle(f->cache, b);
	writ_bundle_unref(b);
}

/* What the server answers: an SVID by that authority, good for an hour. */
static void feed_by(struct fixture *f, struct writ_entry *e, const struct writ_cert *leaf)
{
	struct writ_str der = writ_cert_der(leaf);
	const struct writ_fetched got = { .key = (const uint8_t *)"key",
		.key_len = 3,
		.chain = (const uint8_t *)der.p,
		.chain_len = der.n,
		.not_before = writ_wall_s(),
		.not_after = writ_wall_s() + 3600 };
	writ_cache_fetched(f->cache, e, &got);
}

static void test_what_a_tainted_authority_signed_is_renewed_soon(void **state)
{
	(void)state;
	struct fixture f;
	struct authorities a;
	struct writ_entry *e[3];
	int64_t now = FORGE_NOW * 1000, usual = now + 1080000; /* 30 % of an hour */
	writ_clock_set_wall_ms(now);
	start(&f, 0);
	make_authorities(&a);
	writ_cache_begin(f.cache, true);
	assert_int_equal(put(&f, "1", "", 1, 0, "u:1"), WRIT_OK);
	assert_int_equal(put(&f, "2", "", 1, 0, "u:2"), WRIT_OK);
	assert_int_equal(put(&f, "3", "", 1, 0, "u:3"), WRIT_OK);
	writ_cache_commit(f.cache);
	set_bundle(&f, &a, false, false);
	assert_int_equal(writ_cache_next(f.cache, e, 3), 3);
	feed_by(&f, e[0], a.leaf[0]);
	feed_by(&f, e[1], a.leaf[1]);
	assert_true(e[0]->renew_at_ms >= usual && e[1]->renew_at_ms >= usual);
	set_bundle(&f, &a, true, false);
	assert_true(e[0]->renew_at_ms < now + WRIT_TAINT_SPREAD_MS);
	assert_true(e[1]->renew_at_ms >= usual);
	int64_t at = e[0]->renew_at_ms;
	set_bundle(&f, &a, true, false); /* nothing new: not hastened once more */
	assert_int_equal(e[0]->renew_at_ms, at);
	/* One that was on its way, and a server that goes on with that authority: later, and not at
	 * once. */
	feed_by(&f, e[2], a.leaf[0]);
	assert_true(e[2]->renew_at_ms > now + WRIT_TAINT_AGAIN_MS / 2);
	assert_true(e[2]->renew_at_ms < now + WRIT_TAINT_AGAIN_MS * 2);
	/* It is served until the next one is there. */
	assert_true(writ_entry_is_ready(e[0], writ_wall_s()));
	/* The renewal comes; what is signed by the other one is renewed as usual. */
	writ_clock_set_wall_ms(now + WRIT_TAINT_SPREAD_MS);
	struct writ_entry *due[3];
	writ_cache_on_timer(f.cache);
	size_t n = writ_cache_next(f.cache, due, 3);
	assert_int_equal(n, 1);
	assert_ptr_equal(due[0], e[0]);
	feed_by(&f, due[0], a.leaf[1]);
	assert_true(e[0]->renew_at_ms >= usual);
	stop(&f);
	free_authorities(&a);
}

static void test_slots_are_wiped_and_used_again(void **state)
{
	(void)state;
	struct writ_slab *s = writ_slab_new(256);
	struct writ_err err = { 0 };
	uint8_t *slots[600], *again;
	for (size_t i = 0; i < 600; i++) {
		assert_ok(writ_slab_take(s, &slots[i], &err), err);
		for (size_t k = 0; k < 256; k++)
			assert_int_equal(slots[i][k], 0);
		memset(slots[i], 0xaa, 256);
	}
	assert_int_equal(writ_slab_used(s), 600);
	writ_slab_put(s, slots[17]);
	for (size_t k = sizeof(void *); k < 256; k++)
		assert_int_equal(slots[17][k], 0);
	assert_ok(writ_slab_take(s, &again, &err), err);
	assert_ptr_equal(again, slots[17]);
	for (size_t i = 0; i < 600; i++)
		writ_slab_put(s, slots[i]);
	writ_slab_put(s, NULL);
	writ_slab_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches_are_old_first_and_one_for_each_hint),
		cmocka_unit_test(test_a_full_listing_drops_what_it_lacks),
		cmocka_unit_test(test_the_index_agrees_with_comparing_all),
		cmocka_unit_test(test_who_asks_for_a_selector_is_known),
		cmocka_unit_test(test_svids_are_renewed_and_never_served_expired),
		cmocka_unit_test(test_beyond_the_limit_only_on_demand),
		cmocka_unit_test(test_one_that_goes_while_its_svid_flies_is_dropped),
		cmocka_unit_test(test_a_changed_entry_keeps_its_svid_until_the_new_one),
		cmocka_unit_test(test_what_a_tainted_authority_signed_is_renewed_soon),
		cmocka_unit_test(test_slots_are_wiped_and_used_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
