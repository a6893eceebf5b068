/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/mem.h"
#include "spiffe/id.h"

#define S(lit) lit, sizeof(lit) - 1

struct row {
	const char *p;
	size_t n;
};

static void takes_what_the_standard_takes(void **state)
{
	static const struct row good[] = {
		{ S("spiffe://example.org/a/b") },
		{ S("spiffe://example.org") },
		{ S("spiffe://abcdefghijklmnopqrstuvwxyz0123456789.-_/x") },
		{ S("spiffe://td/"
		    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") },
		{ S("spiffe://10.0.0.1/x") },
		{ S("spiffe://999.999.999.999/x") },
		{ S("spiffe://example..org/x") },
		{ S("spiffe://.example.org/x") },
		{ S("spiffe://example.org./x") },
		{ S("spiffe://-x-/x") },
		{ S("spiffe://../x") },
		{ S("spiffe://a/x") },
		{ S("spiffe://example.org/...") },
		{ S("spiffe://example.org/.path") },
		{ S("spiffe://example.org/..path") },
		{ S("spiffe://example.org/PaTh") },
		{ S("spiffe://xn--exmple-cua.org/x") },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(good); i++) {
		struct writ_id id;
		struct writ_err err;
		assert_ok(writ_id_parse(writ_strn(good[i].p, good[i].n), &id, &err), err);
		assert_true(id.uri.p == good[i].p && id.uri.n == good[i].n);
		assert_int_equal(id.uri.n, 9 + id.td.n + id.path.n);
	}
}

static void rejects_what_the_standard_rejects(void **state)
{
	static const struct row bad[] = {
		{ S("") },
		{ S(" ") },
		{ S(" spiffe://example.org/x") },
		{ S("spiffe://example.org/x ") },
		{ S("spiffe://example.org/x\n") },
		{ S("spiffe://example.org\n/x") },
		{ S("spiffe://example.org\n") },
		{ S("spiffe") },
		{ S("spiffe:") },
		{ S("spiffe:/example.org/x") },
		{ S("spiffe://") },
		{ S("spiffe:///x") },
		{ S("example.org/x") },
		{ S("//example.org/x") },
		{ S("http://example.org/x") },
		{ S("https://example.org/x") },
		{ S("xspiffe://example.org/x") },
		{ S("spiffex://example.org/x") },
		{ S("SPIFFE://example.org/x") },
		{ S("SpIfFe://example.org/x") },
		{ S("spiffe://EXAMPLE.org/x") },
		{ S("spiffe://user@example.org/x") },
		{ S("spiffe://user:pw@example.org/x") },
		{ S("spiffe://@example.org/x") },
		{ S("spiffe://example.org:8443/x") },
		{ S("spiffe://example.org:/x") },
		{ S("spiffe://[::1]/x") },
		{ S("spiffe://example.org/x?a=b") },
		{ S("spiffe://example.org/x?") },
		{ S("spiffe://example.org?a") },
		{ S("spiffe://example.org/x#f") },
		{ S("spiffe://example.org/x#") },
		{ S("spiffe://example.org#f") },
		{ S("spiffe://exa%6Dple.org/x") },
		{ S("spiffe://example.org/%41") },
		{ S("spiffe://example.org/a%2Fb") },
		{ S("spiffe://example.org/") },
		{ S("spiffe://example.org/x/") },
		{ S("spiffe://example.org//x") },
		{ S("spiffe://example.org/x//y") },
		{ S("spiffe://example.org/.") },
		{ S("spiffe://example.org/./x") },
		{ S("spiffe://example.org/..") },
		{ S("spiffe://example.org/a/../b") },
		{ S("spiffe://example.org/a/.") },
		{ S("spiffe://example.org/a\\b") },
		{ S("spiffe://example.org/a b") },
		{ S("spiffe://example.org/a\tb") },
		{ S("spiffe://example.org/a\0b") },
		{ S("spiffe://example.org\0.evil/x") },
		{ S("spiffe://example.org/a\x7f"
		    "b") },
		{ S("spiffe://ex\xe4mple.org/x") },
		{ S("spiffe://example.org/\xe4") },
		{ S("spiffe://example.org/\xef\xbc\xa1") },
		{ S("spiffe://\xe2\x84\xaa.org/x") },
		{ S("spiffe://example.org/a:b") },
		{ S("spiffe://example.org/a@b") },
		{ S("spiffe://example.org/~a") },
		{ S("spiffe://example.org/a+b") },
		{ S("spiffe://example.org/*") },
		{ S("spiffe://example.org/a;b") },
		{ S("spiffe://example.org/a,b") },
		{ S("spiffe://example.org/a=b") },
		{ S("spiffe://example.org/a&b") },
		{ S("spiffe://example.org/a!b") },
		{ S("spiffe://example.org/(a)") },
		{ S("spiffe://example.org/a'b") },
		{ S("spiffe://ex~ample.org/x") },
		{ S("spiffe://ex+ample.org/x") },
		{ S("spiffe://*.example.org/x") },
		{ S("spiffe://a,b/x") },
		{ S("spiffe://exa mple.org/x") },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(bad); i++) {
		struct writ_id id = { .uri = WRIT_STR("untouched") };
		struct writ_err err;
		if (writ_id_parse(writ_strn(bad[i].p, bad[i].n), &id, &err) != WRIT_EINVAL)
			fail_msg("accepted '%s'", bad[i].p);
		assert_true(writ_str_eq(id.uri, WRIT_STR("untouched")));
		for (const char *c = err.msg; *c; c++)
			assert_true(
				*c >= 0x20 && *c < 0x7f); /* no raw byte of a peer's in a message */
	}
}

static void lengths_have_limits(void **state)
{
	char text[2100], td[300];
	struct writ_id id;
	struct writ_err err;
	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "spiffe://td/", 12);
	assert_ok(writ_id_parse(writ_strn(text, 2048), &id, &err), err);
	assert_fails(writ_id_parse(writ_strn(text, 2049), &id, &err), WRIT_EINVAL, err, "2049");
	memset(td, 'a', sizeof(td));
	assert_ok(writ_td_check(writ_strn(td, 255), &err), err);
	assert_fails(writ_td_check(writ_strn(td, 256), &err), WRIT_EINVAL, err, "256");
	char *big = writ_alloc(1 << 20);
	memset(big, 'a', 1 << 20);
	memcpy(big, "spiffe://td/", 12);
	assert_int_equal(writ_id_parse(writ_strn(big, 1 << 20), &id, &err), WRIT_EINVAL);
	writ_free(big);
}

static bool allowed(unsigned c, bool upper)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
		c == '_' || (upper && c >= 'A' && c <= 'Z');
}

static void each_byte_value_is_judged_everywhere(void **state)
{
	(void)state;
	static const struct {
		size_t at;
		bool in_path;
	} places[] = { { 9, false }, { 11, false }, { 13, false }, { 15, true }, { 17, true },
		{ 19, true } };
	for (unsigned c = 0; c < 256; c++) {
		for (size_t i = 0; i < WRIT_COUNT(places); i++) {
			char text[] = "spiffe://abcde/fghij";
			struct writ_id id;
			text[places[i].at] = (char)c;
			bool want = allowed(c, places[i].in_path);
			/* A slash in the middle only moves the border between the parts. */
			if (c == '/')
				want = places[i].at == 11 || places[i].at == 17;
			bool got = writ_id_parse(writ_strn(text, 20), &id, NULL) == WRIT_OK;
			if (got != want)
				fail_msg("byte 0x%02x at %zu: %s", c, places[i].at,
					got ? "taken" : "refused");
		}
	}
}

static void every_prefix_gives_one_answer(void **state)
{
	static const char text[] = "spiffe://example.org/a/b";
	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		struct writ_id id;
		bool want = n > 9 && n < sizeof(text) && text[n - 1] != '/';
		assert_int_equal(writ_id_parse(writ_strn(text, n), &id, NULL) == WRIT_OK, want);
	}
}

static void a_leaf_needs_a_path(void **state)
{
	struct writ_id id;
	struct writ_err err;
	(void)state;
	assert_ok(writ_id_parse_leaf(WRIT_STR("spiffe://td/x"), &id, &err), err);
	assert_fails(
		writ_id_parse_leaf(WRIT_STR("spiffe://td"), &id, &err), WRIT_EINVAL, err, "path");
}

static void trust_domains_are_read_in_three_forms(void **state)
{
	struct writ_str td;
	struct writ_err err;
	(void)state;
	assert_ok(writ_td_parse(WRIT_STR("example.org"), &td, &err), err);
	assert_true(writ_str_eq(td, WRIT_STR("example.org")));
	assert_ok(writ_td_parse(WRIT_STR("spiffe://example.org"), &td, &err), err);
	assert_true(writ_str_eq(td, WRIT_STR("example.org")));
	assert_ok(writ_td_parse(WRIT_STR("spiffe://example.org/a"), &td, &err), err);
	assert_true(writ_str_eq(td, WRIT_STR("example.org")));
	assert_int_equal(writ_td_parse(WRIT_STR("example.org/a"), &td, &err), WRIT_EINVAL);
	assert_int_equal(writ_td_parse(WRIT_STR("EXAMPLE.org"), &td, &err), WRIT_EINVAL);
	assert_int_equal(writ_td_parse(WRIT_STR(""), &td, &err), WRIT_EINVAL);
}

static void ids_are_made_of_checked_parts(void **state)
{
	char *text = NULL;
	struct writ_err err;
	(void)state;
	assert_ok(writ_id_make(WRIT_STR("td"), WRIT_STR("/a/b"), &text, &err), err);
	assert_string_equal(text, "spiffe://td/a/b");
	writ_free(text);
	assert_ok(writ_id_make(WRIT_STR("td"), WRIT_STR(""), &text, &err), err);
	assert_string_equal(text, "spiffe://td");
	writ_free(text);
	assert_int_equal(writ_id_make(WRIT_STR("td"), WRIT_STR("a"), &text, &err), WRIT_EINVAL);
	assert_int_equal(writ_id_make(WRIT_STR("t/d"), WRIT_STR("/a"), &text, &err), WRIT_EINVAL);
	assert_int_equal(
		writ_id_make(WRIT_STR("td"), WRIT_STR("/a/../b"), &text, &err), WRIT_EINVAL);
	char path[WRIT_ID_MAX];
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	assert_int_equal(writ_id_make(WRIT_STR("td"), writ_strn(path, sizeof(path)), &text, &err),
		WRIT_EINVAL);
}

static void the_reserved_path_is_known(void **state)
{
	static const struct {
		const char *id;
		bool reserved;
	} rows[] = { { "spiffe://td/spire", true }, { "spiffe://td/spire/agent/x", true },
		{ "spiffe://td/spirea", false }, { "spiffe://td/a/spire", false },
		{ "spiffe://td", false } };
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_id id;
		struct writ_err err;
		assert_ok(writ_id_parse(writ_cstr(rows[i].id), &id, &err), err);
		assert_int_equal(writ_id_is_reserved(&id), rows[i].reserved);
	}
}

static void rules_match_whole_segments(void **state)
{
	static const struct {
		const char *rule, *id;
		bool match;
	} rows[] = {
		{ "spiffe://td/a", "spiffe://td/a", true },
		{ "spiffe://td/a", "spiffe://td/a/b", false },
		{ "spiffe://td/a", "spiffe://td/A", false },
		{ "spiffe://td/a/*", "spiffe://td/a/b", true },
		{ "spiffe://td/a/*", "spiffe://td/a/b/c", true },
		{ "spiffe://td/a/*", "spiffe://td/a", false },
		{ "spiffe://td/a/*", "spiffe://td/ab", false },
		{ "spiffe://td/a/", "spiffe://td/a/b", true },
		{ "spiffe://td/*", "spiffe://td/x", true },
		{ "spiffe://td/", "spiffe://td/x/y", true },
		{ "spiffe://td/*", "spiffe://td", false },
		{ "spiffe://td/*", "spiffe://tdx/x", false },
		{ "spiffe://td/*", "spiffe://td.evil/x", false },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_allow a = { 0 };
		struct writ_err err;
		const char *rule = NULL;
		assert_false(
			writ_allow_match(&a, writ_cstr(rows[i].id), NULL)); /* nobody by default */
		assert_ok(writ_allow_add(&a, writ_cstr(rows[i].rule), &err), err);
		if (writ_allow_match(&a, writ_cstr(rows[i].id), &rule) != rows[i].match)
			fail_msg("'%s' and '%s'", rows[i].rule, rows[i].id);
		assert_int_equal(rule != NULL, rows[i].match);
		writ_allow_done(&a);
	}
}

static void bad_rules_are_refused(void **state)
{
	static const char *const bad[] = { "", "*", "/", "spiffe://", "spiffe:///", "spiffe:///*",
		"spiffe://td", "spiffe://*/a", "spiffe://td/a*", "spiffe://td/*/b", "spiffe://td//",
		"spiffe://td/a//*", "spiffe://TD/*", "spiffe://td/../*", "https://td/*" };
	struct writ_allow a = { 0 };
	struct writ_err err;
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(bad); i++) {
		if (writ_allow_add(&a, writ_cstr(bad[i]), &err) != WRIT_EINVAL)
			fail_msg("accepted '%s'", bad[i]);
	}
	for (int i = 0; i < 1024; i++)
		assert_ok(writ_allow_add(&a, WRIT_STR("spiffe://td/a"), &err), err);
	assert_int_equal(writ_allow_add(&a, WRIT_STR("spiffe://td/a"), &err), WRIT_ELIMIT);
	writ_allow_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_the_standard_takes),
		cmocka_unit_test(rejects_what_the_standard_rejects),
		cmocka_unit_test(lengths_have_limits),
		cmocka_unit_test(each_byte_value_is_judged_everywhere),
		cmocka_unit_test(every_prefix_gives_one_answer),
		cmocka_unit_test(a_leaf_needs_a_path),
		cmocka_unit_test(trust_domains_are_read_in_three_forms),
		cmocka_unit_test(ids_are_made_of_checked_parts),
		cmocka_unit_test(the_reserved_path_is_known),
		cmocka_unit_test(rules_match_whole_segments),
		cmocka_unit_test(bad_rules_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
