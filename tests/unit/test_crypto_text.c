/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/mem.h"
#include "crypto/digest.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void hashes_are_the_known_ones(void **state)
{
	uint8_t d[32];
	char hex[65];
	(void)state;
	writ_sha256("abc", 3, d);
	writ_hex(d, 32, hex);
	assert_string_equal(
		hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	writ_sha1("abc", 3, d);
	writ_hex(d, 20, hex);
	assert_string_equal(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
}

static void files_are_hashed_up_to_a_limit(void **state)
{
	char path[] = "/tmp/writ-test-XXXXXX", *big = writ_alloc(700000);
	uint8_t a[32], b[32];
	struct writ_err err;
	int fd = mkstemp(path);
	(void)state;
	assert_true(fd >= 0);
	memset(big, 'x', 700000);
	assert_int_equal(write(fd, big, 700000), 700000);
	writ_sha256(big, 700000, a);
	assert_ok(writ_sha256_file(fd, 700000, b, &err), err);
	assert_memory_equal(a, b, 32);
	assert_ok(writ_sha256_file(fd, 700000, b, &err),
		err); /* the position of fd does not matter */
	assert_fails(writ_sha256_file(fd, 699999, b, &err), WRIT_ELIMIT, err, "699999");
	close(fd);
	unlink(path);
	writ_free(big);
	assert_int_equal(writ_sha256_file(-1, 1, b, &err), WRIT_EIO);
}

static void base64_has_one_spelling(void **state)
{
	static const struct {
		const char *bytes, *padded, *url;
	} good[] = { { "", "", "" }, { "f", "Zg==", "Zg" }, { "fo", "Zm8=", "Zm8" },
		{ "foo", "Zm9v", "Zm9v" }, { "foob", "Zm9vYg==", "Zm9vYg" },
		{ "\xff\xfe\xfd", "//79", "__79" } };
	static const char *const bad[] = { "Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zg===", "=",
		"====", "Zm9v\n", "Zm 9v", "Zm9v=", "__79", "Zg==Zg==" };
	static const char *const bad_url[] = { "Z", "Zg==", "Zh", "//79", "Zm9", "Zm9v\n" };
	struct writ_err err;
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(good); i++) {
		struct writ_buf out = WRIT_BUF(64);
		writ_base64_add(&out, good[i].bytes, strlen(good[i].bytes));
		assert_true(writ_str_eq(writ_buf_str(&out), writ_cstr(good[i].padded)));
		writ_buf_reset(&out);
		writ_base64url_add(&out, good[i].bytes, strlen(good[i].bytes));
		assert_true(writ_str_eq(writ_buf_str(&out), writ_cstr(good[i].url)));
		writ_buf_reset(&out);
		assert_ok(writ_base64_decode(writ_cstr(good[i].padded), &out, &err), err);
		assert_true(writ_str_eq(writ_buf_str(&out), writ_cstr(good[i].bytes)));
		writ_buf_reset(&out);
		assert_ok(writ_base64url_decode(writ_cstr(good[i].url), &out, &err), err);
		assert_true(writ_str_eq(writ_buf_str(&out), writ_cstr(good[i].bytes)));
		writ_buf_done(&out);
	}
	for (size_t i = 0; i < WRIT_COUNT(bad); i++) {
		struct writ_buf out = WRIT_BUF(64);
		if (writ_base64_decode(writ_cstr(bad[i]), &out, &err) != WRIT_EINVAL)
			fail_msg("took '%s'", bad[i]);
		assert_int_equal(out.n, 0);
		writ_buf_done(&out);
	}
	for (size_t i = 0; i < WRIT_COUNT(bad_url); i++) {
		struct writ_buf out = WRIT_BUF(64);
		if (writ_base64url_decode(writ_cstr(bad_url[i]), &out, &err) != WRIT_EINVAL)
			fail_msg("took '%s'", bad_url[i]);
		writ_buf_done(&out);
	}
	struct writ_buf small = WRIT_BUF(2);
	assert_int_equal(writ_base64_decode(WRIT_STR("Zm9v"), &small, &err), WRIT_ELIMIT);
	writ_buf_done(&small);
}

static void pem_blocks_are_found_one_after_the_other(void **state)
{
	struct writ_buf text = WRIT_BUF(4096), der = WRIT_BUF(1024);
	uint8_t bytes[200];
	char label[32];
	struct writ_err err;
	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	writ_buf_add_cstr(&text, "a comment: with a colon\n");
	for (size_t n = 1; n <= sizeof(bytes); n += 33)
		writ_pem_add(&text, n % 2 ? "CERTIFICATE" : "X", bytes, n);
	struct writ_str at = writ_buf_str(&text);
	for (size_t n = 1; n <= sizeof(bytes); n += 33) {
		assert_ok(writ_pem_next(&at, label, &der, &err), err);
		assert_string_equal(label, n % 2 ? "CERTIFICATE" : "X");
		assert_int_equal(der.n, n);
		assert_memory_equal(der.p, bytes, n);
	}
	assert_int_equal(writ_pem_next(&at, label, &der, &err), WRIT_ENOENT);
	writ_buf_done(&text);
	writ_buf_done(&der);
}

static void broken_pem_says_where(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "x\n-----BEGIN A-----\nZm9v\n", "line 2" },
		{ "-----BEGIN A-----\nZm9v\n-----END B-----\n", "line 3" },
		{ "-----BEGIN A-----\nZm9v\n-----BEGIN A-----\n", "line 3" },
		{ "-----BEGIN A-----\n!!!!\n-----END A-----\n", "line 1" },
		{ "-----BEGIN A-----\n-----END A-----\n", "empty" },
		{ "-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\nZm9v\n-----END A-----\n",
			"line 2" },
		{ "-----BEGIN AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-----\nZm9v\n", "label" },
		{ "-----BEGIN -----\nZm9v\n", "label" },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_buf der = WRIT_BUF(64);
		struct writ_str at = writ_cstr(rows[i].text);
		char label[32];
		struct writ_err err;
		assert_fails(writ_pem_next(&at, label, &der, &err), WRIT_EINVAL, err, rows[i].why);
		writ_buf_done(&der);
	}
	struct writ_buf small = WRIT_BUF(2);
	struct writ_str at =
		WRIT_STR("-----BEGIN A-----\r\nZm9v\r\nZm9vZm9vZm9v\r\n-----END A-----\r\n");
	char label[32];
	struct writ_err err;
	assert_int_equal(writ_pem_next(&at, label, &small, &err), WRIT_ELIMIT);
	writ_buf_done(&small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_are_the_known_ones),
		cmocka_unit_test(files_are_hashed_up_to_a_limit),
		cmocka_unit_test(base64_has_one_spelling),
		cmocka_unit_test(pem_blocks_are_found_one_after_the_other),
		cmocka_unit_test(broken_pem_says_where),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
