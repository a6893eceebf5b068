/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/buf.h"
#include "base/mem.h"

static void it_grows_to_its_maximum_and_no_further(void **state)
{
	struct writ_err err;
	struct writ_buf b = WRIT_BUF(100);
	(void)state;
	for (int i = 0; i < 100; i++)
		writ_buf_add_byte(&b, (uint8_t)('a' + i % 26));
	assert_ok(writ_buf_check(&b, "x", &err), err);
	assert_int_equal(b.n, 100);
	assert_int_equal(strlen(writ_buf_cstr(&b)), 100);
	writ_buf_add(&b, "", 0);
	assert_false(b.failed);
	writ_buf_add_byte(&b, 'z');
	assert_int_equal(b.n, 100);
	assert_fails(writ_buf_check(&b, "request", &err), WRIT_ELIMIT, err,
		"request: larger than 100 bytes");
	assert_null(writ_buf_steal(&b));
	writ_buf_done(&b);
	assert_int_equal(b.max, 100);
}

static void a_failure_sticks_until_reset(void **state)
{
	struct writ_buf b = WRIT_BUF(4);
	(void)state;
	writ_buf_addf(&b, "%s", "12345");
	assert_true(b.failed);
	writ_buf_add_byte(&b, '1');
	assert_int_equal(b.n, 0);
	writ_buf_reset(&b);
	writ_buf_addf(&b, "%d", 1234);
	assert_false(b.failed);
	assert_string_equal(writ_buf_cstr(&b), "1234");
	writ_buf_wipe(&b);
	struct writ_buf none = WRIT_BUF(0);
	writ_buf_add_cstr(&none, "");
	assert_false(none.failed);
	writ_buf_add_cstr(&none, "x");
	assert_true(none.failed);
	writ_buf_done(&none);
}

static void dropping_keeps_the_rest_terminated(void **state)
{
	struct writ_buf b = WRIT_BUF(64);
	(void)state;
	writ_buf_drop(&b, 3);
	assert_string_equal(writ_buf_cstr(&b), "");
	writ_buf_add_cstr(&b, "hello world");
	writ_buf_drop(&b, 6);
	assert_string_equal(writ_buf_cstr(&b), "world");
	writ_buf_drop(&b, 99);
	assert_int_equal(b.n, 0);
	assert_string_equal(writ_buf_cstr(&b), "");
	writ_buf_add_str(&b, WRIT_STR("again"));
	WRIT_AUTO(writ_freep) char *s = writ_buf_steal(&b);
	assert_string_equal(s, "again");
	assert_null(b.p);
	WRIT_AUTO(writ_freep) char *empty = writ_buf_steal(&b);
	assert_string_equal(empty, "");
}

static void room_is_filled_by_the_caller(void **state)
{
	struct writ_buf b = WRIT_BUF(10);
	(void)state;
	assert_null(writ_buf_room(&b, 11));
	writ_buf_reset(&b);
	uint8_t *at = writ_buf_room(&b, 10);
	memcpy(at, "abc", 3);
	writ_buf_grew(&b, 3);
	assert_string_equal(writ_buf_cstr(&b), "abc");
	writ_buf_done(&b);
}

static void json_strings_are_escaped(void **state)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{ "plain /", "plain /" },
		{ "say \"hi\" \\", "say \\\"hi\\\" \\\\" },
		{ "a\nb\tc\r\x1b[0m\x7f", "a\\u000ab\\u0009c\\u000d\\u001b[0m\\u007f" },
		{ "caf\xc3\xa9 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xf0\x9f\x98\x80" },
		{ "\xc2\x9b"
		  "31m",
			"\\u009b31m" }, /* a terminal's other escape */
		{ "a\xe2\x80\xae"
		  "b",
			"a\\u202eb" }, /* right-to-left override */
		{ "a\xe2\x80\xa8"
		  "b",
			"a\\u2028b" }, /* line separator */
		{ "a\xe2\x81\xa6"
		  "b",
			"a\\u2066b" }, /* isolate */
		{ "\xff\xc3(", "\xef\xbf\xbd\xef\xbf\xbd(" },
		{ "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd" },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_buf b = WRIT_BUF(256);
		writ_buf_add_json(&b, writ_cstr(rows[i].in));
		assert_string_equal(writ_buf_cstr(&b), rows[i].want);
		writ_buf_done(&b);
	}
	struct writ_buf b = WRIT_BUF(16);
	writ_buf_add_json(&b, WRIT_STR("a\0b"));
	assert_string_equal(writ_buf_cstr(&b), "a\\u0000b");
	writ_buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_grows_to_its_maximum_and_no_further),
		cmocka_unit_test(a_failure_sticks_until_reset),
		cmocka_unit_test(dropping_keeps_the_rest_terminated),
		cmocka_unit_test(room_is_filled_by_the_caller),
		cmocka_unit_test(json_strings_are_escaped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
