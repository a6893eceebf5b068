/* SPDX-License-Identifier: Apache-2.0 */
/* An anchor whose time is over, for agents that come back after a long outage. */
#include "check.h"

#include "base/mem.h"
#include "forge.h"
#include "link/trust.h"

#define DAY   (INT64_C(24) * 3600)
#define GRACE (30 * DAY)

struct made {
	struct writ_key *ca_key, *leaf_key;
	struct writ_cert *leaf;
	struct writ_anchors *anchors;
};

static struct made make(int64_t ca_ended, int64_t leaf_ends, int64_t grace)
{
	struct made m = { .ca_key = forge_key(WRIT_KEY_P256),
		.leaf_key = forge_key(WRIT_KEY_P256) };
	struct forge ca = forge_ca("ca", m.ca_key);
	ca.not_before = ca_ended - DAY;
	ca.not_after = ca_ended;
	struct forge leaf = forge_leaf("spiffe://td/spire/server", m.leaf_key, "ca", m.ca_key);
	leaf.not_before = FORGE_NOW - 10;
	leaf.not_after = leaf_ends;
	struct writ_cert *ca_cert = forge_cert(&ca);
	m.leaf = forge_cert(&leaf);
	assert_non_null(ca_cert);
	assert_non_null(m.leaf);
	assert_int_equal(writ_anchors_new(&ca_cert, 1, &m.anchors, NULL), WRIT_OK);
	if (grace)
		writ_anchors_allow_expired(m.anchors, grace);
	writ_cert_unref(ca_cert);
	return m;
}

static void done(struct made *m)
{
	writ_anchors_unref(m->anchors);
	writ_cert_unref(m->leaf);
	writ_key_unref(m->leaf_key);
	writ_key_unref(m->ca_key);
}

static void test_only_an_anchor_within_its_grace_passes(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		int64_t ca_ended, leaf_ends, grace;
		writ_rc want;
	} rows[] = {
		{ "a CA in time, no grace", FORGE_NOW + DAY, FORGE_NOW + 100, 0, WRIT_OK },
		{ "a CA in time, grace", FORGE_NOW + DAY, FORGE_NOW + 100, GRACE, WRIT_OK },
		{ "expired, no grace", FORGE_NOW - 1, FORGE_NOW + 100, 0, WRIT_EEXPIRED },
		{ "expired, within", FORGE_NOW - 1, FORGE_NOW + 100, GRACE, WRIT_OK },
		{ "expired, just within", FORGE_NOW - GRACE + 2, FORGE_NOW + 100, GRACE, WRIT_OK },
		{ "expired, too long ago", FORGE_NOW - GRACE - 2, FORGE_NOW + 100, GRACE,
			WRIT_EEXPIRED },
		{ "the leaf is old as well", FORGE_NOW - 1, FORGE_NOW - 1, GRACE, WRIT_EEXPIRED },
		{ "only the leaf is old", FORGE_NOW + DAY, FORGE_NOW - 1, GRACE, WRIT_EEXPIRED },
	};
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct made m = make(rows[i].ca_ended, rows[i].leaf_ends, rows[i].grace);
		struct writ_err err = { 0 };
		writ_rc rc = writ_chain_verify(
			m.anchors, &m.leaf, 1, WRIT_PURPOSE_TLS_SERVER, FORGE_NOW, &err);
		if (rc != rows[i].want)
			fail_msg("%s: %s, %s", rows[i].what, writ_rc_name(rc), err.msg);
		done(&m);
	}
}

static void test_another_ca_of_that_name_does_not(void **state)
{
	(void)state;
	struct made a = make(FORGE_NOW - 1, FORGE_NOW + 100, GRACE);
	struct made b = make(FORGE_NOW - 1, FORGE_NOW + 100, GRACE);
	assert_int_equal(
		writ_chain_verify(a.anchors, &b.leaf, 1, WRIT_PURPOSE_TLS_SERVER, FORGE_NOW, NULL),
		WRIT_ECRYPTO);
	done(&a);
	done(&b);
}

static struct writ_bundle *bundle_until(int64_t end)
{
	struct writ_key *key = forge_key(WRIT_KEY_P256);
	struct forge f = forge_ca("ca", key);
	f.not_before = end - DAY;
	f.not_after = end;
	struct writ_cert *ca = forge_cert(&f);
	struct writ_bundle *b = NULL;
	assert_non_null(ca);
	assert_int_equal(writ_bundle_new(WRIT_STR("td"), &ca, NULL, 1, 0, 0, &b, NULL), WRIT_OK);
	writ_cert_unref(ca);
	writ_key_unref(key);
	return b;
}

/* An agent that was away while its server made new CAs knows none of them: then the operator's file
 * says again whom to trust, as it did at first. While we have word from the server itself, it does
 * not: a CA that was taken back must not return by an old file. */
static void test_what_is_configured_counts_when_nothing_else_is_in_time(void **state)
{
	(void)state;
	enum { NONE, OLD, NEW };
	static const struct {
		int ours, configured;
		bool first;
		size_t ours_in, configured_in;
	} rows[] = {
		{ NONE, NONE, true, 0, 0 },
		{ NONE, NEW, true, 0, 1 },
		{ NEW, NONE, false, 1, 0 },
		{ OLD, NONE, false, 1, 0 },
		{ NEW, NEW, false, 1, 0 },
		{ NEW, OLD, false, 1, 0 },
		{ OLD, OLD, false, 1, 0 },
		{ OLD, NEW, false, 1, 1 },
		{ NEW, NEW, true, 1, 1 },
	};
	struct writ_bundle *ours[] = { NULL, bundle_until(FORGE_NOW - 1),
		bundle_until(FORGE_NOW + DAY) };
	struct writ_bundle *configured[] = { NULL, bundle_until(FORGE_NOW - 1),
		bundle_until(FORGE_NOW + DAY) };
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_bundle *a = ours[rows[i].ours], *b = configured[rows[i].configured];
		struct writ_bundle *got = NULL;
		assert_int_equal(
			writ_trust_choose(a, b, rows[i].first, FORGE_NOW, &got, NULL), WRIT_OK);
		size_t in[2] = { 0, 0 };
		for (size_t k = 0; got && k < got->n; k++) {
			in[0] += a && got->cas[k] == a->cas[0];
			in[1] += b && got->cas[k] == b->cas[0];
		}
		if (in[0] != rows[i].ours_in || in[1] != rows[i].configured_in)
			fail_msg("row %zu: %zu and %zu", i, in[0], in[1]);
		writ_bundle_unref(got);
	}
	for (size_t i = 1; i < WRIT_COUNT(ours); i++) {
		writ_bundle_unref(ours[i]);
		writ_bundle_unref(configured[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_an_anchor_within_its_grace_passes),
		cmocka_unit_test(test_another_ca_of_that_name_does_not),
		cmocka_unit_test(test_what_is_configured_counts_when_nothing_else_is_in_time),
	};
	struct writ_err err;
	if (writ_crypto_init(&err) != WRIT_OK)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
