/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/mem.h"
#include "base/interp.h"
#include "base/str.h"

static void slices_compare_cut_and_trim(void **state)
{
	struct writ_str head, s = WRIT_STR("a=b=c");
	(void)state;
	assert_true(writ_str_cut(&s, '=', &head));
	assert_true(writ_str_eq(head, WRIT_STR("a")));
	assert_true(writ_str_cut(&s, '=', &head));
	assert_false(writ_str_cut(&s, '=', &head));
	assert_true(writ_str_eq(head, WRIT_STR("c")));
	assert_int_equal(s.n, 0);
	assert_false(writ_str_cut(&s, '=', &head));
	assert_true(writ_str_eq(writ_str_trim(WRIT_STR(" \t x y\r\n")), WRIT_STR("x y")));
	assert_int_equal(writ_str_trim(WRIT_STR(" \n")).n, 0);
	assert_true(writ_str_cmp(WRIT_STR("ab"), WRIT_STR("abc")) < 0);
	assert_true(writ_str_cmp(WRIT_STR("b"), WRIT_STR("abc")) > 0);
	assert_int_equal(writ_str_cmp(WRIT_STR(""), writ_cstr(NULL)), 0);
	assert_true(writ_str_starts(WRIT_STR("spiffe://x"), WRIT_STR("spiffe://")));
	assert_false(writ_str_starts(WRIT_STR("sp"), WRIT_STR("spiffe")));
	assert_true(writ_str_ends(WRIT_STR("a.pem"), WRIT_STR(".pem")));
	assert_false(writ_str_ends(WRIT_STR("m"), WRIT_STR(".pem")));
	assert_true(writ_str_ends(WRIT_STR("x"), WRIT_STR("")));
}

static void numbers_are_decimal_whole_and_in_range(void **state)
{
	static const struct {
		const char *in;
		uint64_t min, max, want;
		bool good;
	} rows[] = {
		{ "0", 0, 9, 0, true },
		{ "18446744073709551615", 0, UINT64_MAX, UINT64_MAX, true },
		{ "18446744073709551616", 0, UINT64_MAX, 0, false },
		{ "99999999999999999999", 0, UINT64_MAX, 0, false },
		{ "000000000000000000001", 0, 9, 0, false },
		{ "65535", 1, 65535, 65535, true },
		{ "65536", 1, 65535, 0, false },
		{ "0", 1, 9, 0, false },
		{ "", 0, 9, 0, false },
		{ "+1", 0, 9, 0, false },
		{ "-1", 0, 9, 0, false },
		{ " 1", 0, 9, 0, false },
		{ "1x", 0, 9, 0, false },
		{ "0x1", 0, 9, 0, false },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_err err;
		uint64_t v = 12345;
		writ_rc rc =
			writ_parse_u64(writ_cstr(rows[i].in), rows[i].min, rows[i].max, &v, &err);
		assert_int_equal(rc, rows[i].good ? WRIT_OK : WRIT_EINVAL);
		assert_int_equal(v, rows[i].good ? rows[i].want : 12345);
	}
}

static void durations_read_as_go_writes_them(void **state)
{
	static const struct {
		const char *in;
		int64_t want; /* -1: refused */
	} rows[] = { { "0", 0 }, { "0s", 0 }, { "90s", 90000 }, { "1h30m", 5400000 },
		{ "500ms", 500 }, { "1.5h", 5400000 }, { "1h1m1s1ms", 3661001 }, { ".5s", 500 },
		{ "1500us", 1 }, { "24h", 86400000 }, { "1m0.25s", 60250 }, { "", -1 }, { "5", -1 },
		{ "-5s", -1 }, { "5x", -1 }, { "s", -1 }, { ".s", -1 }, { "1h ", -1 },
		{ "9223372036854775807h", -1 }, { "99999999999999999999s", -1 }, { "1hh", -1 } };
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_err err;
		int64_t v = -1;
		writ_rc rc = writ_parse_duration_ms(writ_cstr(rows[i].in), &v, &err);
		if (rc != (rows[i].want < 0 ? WRIT_EINVAL : WRIT_OK) || v != rows[i].want)
			fail_msg("'%s' -> %lld", rows[i].in, (long long)v);
	}
}

static void durations_print_short_and_read_back(void **state)
{
	static const struct {
		int64_t ms;
		const char *want;
	} rows[] = { { 0, "0s" }, { 5400000, "1h30m" }, { 45000, "45s" }, { 3600000, "1h" },
		{ 3605000, "1h5s" }, { 1500, "1s500ms" }, { 7, "7ms" }, { -3, "0s" } };
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		char buf[32];
		struct writ_err err;
		int64_t back = -1;
		assert_string_equal(
			writ_format_duration(rows[i].ms, buf, sizeof(buf)), rows[i].want);
		assert_ok(writ_parse_duration_ms(writ_cstr(buf), &back, &err), err);
		assert_int_equal(back, rows[i].ms < 0 ? 0 : rows[i].ms);
	}
}

static void utf8_is_checked_by_rfc_3629(void **state)
{
	static const struct {
		const char *in;
		bool good;
	} rows[] = {
		{ "", true },
		{ "plain", true },
		{ "\xc3\xa9", true },
		{ "\xe2\x82\xac", true },
		{ "\xf0\x9f\x98\x80", true },
		{ "\xf4\x8f\xbf\xbf", true },
		{ "\xf4\x90\x80\x80", false }, /* over U+10FFFF */
		{ "\xed\xa0\x80", false },     /* surrogate */
		{ "\xc0\xaf", false },         /* overlong */
		{ "\xc1\xbf", false },         /* overlong */
		{ "\xe0\x9f\xbf", false },     /* overlong */
		{ "\xf0\x8f\xbf\xbf", false }, /* overlong */
		{ "\xe2\x82", false },         /* cut */
		{ "\x80", false },             /* continuation alone */
		{ "\xff", false },
		{ "\xf8\x88\x80\x80\x80", false }, /* five bytes */
		{ "a\xc3(", false },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		if (writ_is_utf8(rows[i].in, strlen(rows[i].in)) != rows[i].good)
			fail_msg("row %zu", i);
	}
}

static void the_nearest_name_is_found_when_it_is_near(void **state)
{
	static const char *const names[] = { "trust_domain", "data_dir", "bind_port", "log_level" };
	(void)state;
	assert_string_equal(
		writ_nearest(WRIT_STR("trust_domian"), names, WRIT_COUNT(names)), "trust_domain");
	assert_string_equal(
		writ_nearest(WRIT_STR("datadir"), names, WRIT_COUNT(names)), "data_dir");
	assert_null(writ_nearest(WRIT_STR("zzzz"), names, WRIT_COUNT(names)));
	assert_int_equal(writ_edit_distance(WRIT_STR("kitten"), WRIT_STR("sitting")), 3);
	assert_int_equal(writ_edit_distance(WRIT_STR(""), WRIT_STR("abc")), 3);
	char longer[65];
	memset(longer, 'x', sizeof(longer));
	assert_true(writ_edit_distance(writ_strn(longer, 65), WRIT_STR("x")) == SIZE_MAX);
}

static void hex_goes_there_and_back(void **state)
{
	struct writ_err err;
	uint8_t in[] = { 0x00, 0xab, 0xff }, out[3];
	char text[7];
	size_t n = 0;
	(void)state;
	writ_hex(in, sizeof(in), text);
	assert_string_equal(text, "00abff");
	assert_ok(writ_unhex(WRIT_STR("00ABff"), out, sizeof(out), &n, &err), err);
	assert_int_equal(n, 3);
	assert_memory_equal(in, out, 3);
	assert_int_equal(writ_unhex(WRIT_STR("0"), out, 3, &n, &err), WRIT_EINVAL);
	assert_int_equal(writ_unhex(WRIT_STR("00112233"), out, 3, &n, &err), WRIT_EINVAL);
	assert_fails(
		writ_unhex(WRIT_STR("00g1"), out, 3, &n, &err), WRIT_EINVAL, err, "position 2");
}

static void times_print_as_rfc_3339(void **state)
{
	char buf[32];
	(void)state;
	assert_string_equal(writ_format_time(0, buf, sizeof(buf)), "1970-01-01T00:00:00Z");
	assert_string_equal(writ_format_time(1795341600, buf, sizeof(buf)), "2026-11-22T10:00:00Z");
	assert_string_equal(writ_format_time(951782400, buf, sizeof(buf)), "2000-02-29T00:00:00Z");
	assert_string_equal(writ_format_time(INT64_MAX, buf, sizeof(buf)), "9223372036854775807");
}

static void interpreters_are_known_by_name_whatever_their_version(void **state)
{
	static const struct {
		const char *path;
		enum writ_interp kind;
	} rows[] = {
		{ "/usr/bin/python3.11", WRIT_INTERP_PYTHON },
		{ "/usr/bin/python", WRIT_INTERP_PYTHON },
		{ "/opt/py/bin/python3.7m", WRIT_INTERP_PYTHON },
		{ "/usr/bin/nodejs", WRIT_INTERP_NODE },
		{ "node", WRIT_INTERP_NODE },
		{ "/usr/bin/dash", WRIT_INTERP_SHELL },
		{ "/usr/bin/perl5.36.0", WRIT_INTERP_PERL },
		{ "/usr/lib/jvm/java-17/bin/java", WRIT_INTERP_JAVA },
		{ "/usr/bin/php8.2", WRIT_INTERP_OTHER },
		{ "/usr/bin/pythonista", WRIT_INTERP_NONE },
		{ "/usr/bin/nodemon", WRIT_INTERP_NONE },
		{ "/python3/x", WRIT_INTERP_NONE },
		{ "/usr/bin/sshd", WRIT_INTERP_NONE },
		{ "m", WRIT_INTERP_NONE },
		{ "", WRIT_INTERP_NONE },
		{ "/", WRIT_INTERP_NONE },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++)
		if (writ_interp_of(writ_cstr(rows[i].path)) != rows[i].kind)
			fail_msg("%s", rows[i].path);
}

static void a_line_is_one_when_it_has_ended(void **state)
{
	struct writ_str line = { 0 }, s = WRIT_STR("a\r\n\nb\rc\n\r\nrest");
	static const char *const want[] = { "a", "", "b\rc", "" };
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(want); i++) {
		assert_true(writ_str_line(&s, &line));
		assert_true(writ_str_eq(line, writ_cstr(want[i])));
	}
	assert_false(writ_str_line(&s, &line));
	assert_true(writ_str_eq(s, WRIT_STR("rest")));
	s = writ_cstr(NULL);
	assert_false(writ_str_line(&s, &line));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interpreters_are_known_by_name_whatever_their_version),
		cmocka_unit_test(slices_compare_cut_and_trim),
		cmocka_unit_test(a_line_is_one_when_it_has_ended),
		cmocka_unit_test(numbers_are_decimal_whole_and_in_range),
		cmocka_unit_test(durations_read_as_go_writes_them),
		cmocka_unit_test(durations_print_short_and_read_back),
		cmocka_unit_test(utf8_is_checked_by_rfc_3629),
		cmocka_unit_test(the_nearest_name_is_found_when_it_is_near),
		cmocka_unit_test(hex_goes_there_and_back),
		cmocka_unit_test(times_print_as_rfc_3339),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
