/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/mem.h"
#include "registry/validate.h"

static char long_text[5000];

static struct writ_entry_spec good(void)
{
	struct writ_entry_spec s = { 0 };
	s.text[WRIT_ENTRY_SPIFFE_ID] = WRIT_STR("spiffe://td/w");
	s.text[WRIT_ENTRY_PARENT_ID] = WRIT_STR("spiffe://td/spire/agent/x");
	s.text[WRIT_ENTRY_SELECTORS] = WRIT_STR("8:unix:u:1,");
	return s;
}

static void texts_of_an_entry_are_judged_one_by_one(void **state)
{
	static const struct {
		enum writ_entry_field field;
		const char *value;
		const char *says; /* NULL: fine */
	} cases[] = {
		{ WRIT_ENTRY_SPIFFE_ID, "spiffe://td/a/b", NULL },
		{ WRIT_ENTRY_SPIFFE_ID, "", "invalid spiffe ID: " },
		{ WRIT_ENTRY_SPIFFE_ID, "spiffe://td", "empty path" },
		{ WRIT_ENTRY_SPIFFE_ID, "spiffe://other/w",
			"is not a member of trust domain \"td\"" },
		{ WRIT_ENTRY_SPIFFE_ID, "spiffe://td/spire", "reserved namespace" },
		{ WRIT_ENTRY_SPIFFE_ID, "spiffe://td/spire/agent/x", "reserved namespace" },
		{ WRIT_ENTRY_SPIFFE_ID, "spiffe://td/spirex", NULL },
		{ WRIT_ENTRY_SPIFFE_ID, "http://td/w", "invalid spiffe ID: " },
		{ WRIT_ENTRY_PARENT_ID, "spiffe://td/spire/server", NULL },
		{ WRIT_ENTRY_PARENT_ID, "spiffe://td/node", NULL },
		{ WRIT_ENTRY_PARENT_ID, "spiffe://td", "invalid parent ID: " },
		{ WRIT_ENTRY_PARENT_ID, "spiffe://other/x", "invalid parent ID: " },
		{ WRIT_ENTRY_SELECTORS, "", "selector list is empty" },
		{ WRIT_ENTRY_SELECTORS, "4::abc,", "missing selector type" },
		{ WRIT_ENTRY_SELECTORS, "5:unix:,", "missing selector value" },
		{ WRIT_ENTRY_SELECTORS, "4:unix,", "missing selector" },
		{ WRIT_ENTRY_SELECTORS, "3:b:b,3:a:a,", "malformed" },
		{ WRIT_ENTRY_SELECTORS, "3:a:a,3:b:b,", NULL },
		{ WRIT_ENTRY_ID, "", NULL },
		{ WRIT_ENTRY_ID, "A-z_0.9", NULL },
		{ WRIT_ENTRY_ID, "a b", "invalid entry ID" },
		{ WRIT_ENTRY_ID, "a/b", "invalid entry ID" },
		{ WRIT_ENTRY_FEDERATES_WITH, "5:far.x,", NULL },
		{ WRIT_ENTRY_FEDERATES_WITH, "3:FAR,", "invalid federated trust domain" },
		{ WRIT_ENTRY_FEDERATES_WITH, "2:td,", "the server's own" },
		{ WRIT_ENTRY_DNS_NAMES, "5:a.b-c,1:x,", NULL },
		{ WRIT_ENTRY_DNS_NAMES, "3:*.a,", NULL },
		{ WRIT_ENTRY_DNS_NAMES, "3:a.*,", "invalid DNS name" },
		{ WRIT_ENTRY_DNS_NAMES, "0:,", "invalid DNS name" },
		{ WRIT_ENTRY_DNS_NAMES, "2:-a,", "invalid DNS name" },
		{ WRIT_ENTRY_DNS_NAMES, "2:a.,", "invalid DNS name" },
		{ WRIT_ENTRY_DNS_NAMES, "3:a b,", "invalid DNS name" },
		{ WRIT_ENTRY_HINT, "x", NULL },
		{ WRIT_ENTRY_HINT, "\xff", "not UTF-8" },
		{ WRIT_ENTRY_HINT, long_text, "max length is 1024" },
		{ WRIT_ENTRY_ID, long_text, "at most 255" },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(cases); i++) {
		struct writ_entry_spec s = good();
		struct writ_err err = { 0 };
		s.text[cases[i].field] = writ_cstr(cases[i].value);
		writ_rc rc = writ_entry_check(&s, WRIT_STR("td"), &err);
		if (rc != (cases[i].says ? WRIT_EINVAL : WRIT_OK) ||
			(cases[i].says && !strstr(err.msg, cases[i].says)))
			fail_msg("%.60s: %s '%s'", cases[i].value, writ_rc_name(rc), err.msg);
	}
}

static void lifetimes_have_a_floor_and_a_ceiling(void **state)
{
	static const struct {
		int32_t x509, jwt;
		bool ok;
	} cases[] = { { 0, 0, true }, { 60, 1, true }, { 86400, 86400, true }, { 59, 0, false },
		{ -1, 0, false }, { 86401, 0, false }, { 0, -1, false }, { 0, 86401, false } };
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(cases); i++) {
		struct writ_entry_spec s = good();
		s.meta.x509_ttl_s = cases[i].x509;
		s.meta.jwt_ttl_s = cases[i].jwt;
		assert_int_equal(writ_entry_check(&s, WRIT_STR("td"), NULL),
			cases[i].ok ? WRIT_OK : WRIT_EINVAL);
	}
}

static void stored_svids_need_selectors_of_one_type(void **state)
{
	struct writ_entry_spec s = good();
	struct writ_err err;
	(void)state;
	s.meta.flags = WRIT_ENTRY_STORE_SVID;
	s.text[WRIT_ENTRY_SELECTORS] = WRIT_STR("3:a:1,3:a:2,");
	assert_ok(writ_entry_check(&s, WRIT_STR("td"), &err), err);
	s.text[WRIT_ENTRY_SELECTORS] = WRIT_STR("3:a:1,3:b:2,");
	assert_fails(writ_entry_check(&s, WRIT_STR("td"), &err), WRIT_EINVAL, err, "same");
}

static void selectors_are_packed_as_a_set(void **state)
{
	const struct writ_selector list[] = { { WRIT_STR("unix"), WRIT_STR("uid:2") },
		{ WRIT_STR("a"), WRIT_STR("x") }, { WRIT_STR("unix"), WRIT_STR("uid:2") } };
	struct writ_buf b = WRIT_BUF(WRIT_ROW_BYTES_MAX);
	struct writ_err err;
	(void)state;
	assert_ok(writ_selectors_pack(list, 3, &b, &err), err);
	assert_string_equal(writ_buf_cstr(&b), "3:a:x,10:unix:uid:2,");
	struct writ_str rest = writ_buf_str(&b), item;
	assert_true(writ_pack_next(&rest, &item) && writ_pack_next(&rest, &item));
	assert_true(writ_str_eq(writ_selector_split(item).value, WRIT_STR("uid:2")));
	const struct writ_selector bad[] = { { WRIT_STR("a:b"), WRIT_STR("x") } };
	assert_fails(writ_selectors_pack(bad, 1, &b, &err), WRIT_EINVAL, err, "contains ':'");
	const struct writ_selector nul[] = { { WRIT_STR("a"), WRIT_STR("x\0y") } };
	assert_fails(writ_selectors_pack(nul, 1, &b, &err), WRIT_EINVAL, err, "not UTF-8");
	const struct writ_selector big[] = { { WRIT_STR("a"), { long_text, 4999 } } };
	assert_fails(writ_selectors_pack(big, 1, &b, &err), WRIT_EINVAL, err, "longer than");
	writ_buf_done(&b);
}

int main(void)
{
	memset(long_text, 'a', sizeof(long_text) - 1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_of_an_entry_are_judged_one_by_one),
		cmocka_unit_test(lifetimes_have_a_floor_and_a_ceiling),
		cmocka_unit_test(stored_svids_need_selectors_of_one_type),
		cmocka_unit_test(selectors_are_packed_as_a_set),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
