/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "forge.h"

#include "base/fs.h"
#include "base/mem.h"
#include "crypto/cert_file.h"
#include "crypto/digest.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct {
	struct writ_key *key;
	struct writ_cert *ca;
	struct writ_buf leaf;
} f;

static int set_up(void **state)
{
	(void)state;
	f.key = forge_key(WRIT_KEY_P256);
	struct forge c = forge_ca("ca", f.key), l = forge_leaf("spiffe://td/x", f.key, "ca", f.key);
	f.ca = forge_cert(&c);
	f.leaf = WRIT_BUF(WRIT_CERT_MAX);
	forge_der(&l, &f.leaf);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	writ_key_unref(f.key);
	writ_cert_unref(f.ca);
	writ_buf_done(&f.leaf);
	return 0;
}

static void serial_numbers_are_printed_exactly(void **state)
{
	static const struct {
		uint8_t octets[20];
		size_t n;
		const char *dec, *hex;
	} rows[] = {
		{ { 0 }, 1, "0", "00" },
		{ { 1 }, 1, "1", "01" },
		{ { 0, 0xff }, 2, "255", "ff" },
		{ { 1, 0 }, 2, "256", "0100" },
		{ { 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			  0xff, 0xff, 0xff },
			16, "170141183460469231731687303715884105727",
			"7fffffffffffffffffffffffffffffff" },
		{ { 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
			20, "730750818665451459101842416358141509827966271487",
			"7fffffffffffffffffffffffffffffffffffffff" },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct forge c = forge_ca("ca", f.key);
		memcpy(c.serial, rows[i].octets, rows[i].n);
		c.serial_len = rows[i].n;
		struct writ_cert *cert = forge_cert(&c);
		assert_non_null(cert);
		assert_string_equal(writ_cert_serial_dec(cert), rows[i].dec);
		assert_string_equal(writ_cert_serial_hex(cert), rows[i].hex);
		writ_cert_unref(cert);
	}
}

static void flaw_negative(struct forge *c)
{
	c->serial[0] = 0x80;
	c->serial_len = 1;
}
static void flaw_long(struct forge *c)
{
	c->serial[0] = 1;
	c->serial_len = 21;
}
static void flaw_padded(struct forge *c)
{
	c->serial[1] = 1;
	c->serial_len = 2;
}
static void flaw_version_1(struct forge *c)
{
	c->version = 1;
}
static void flaw_version_4(struct forge *c)
{
	c->version = 4;
}
static void flaw_san_twice(struct forge *c)
{
	c->san_twice = true;
	c->san[0].tag = FORGE_URI;
	c->san[0].p = "spiffe://td";
}

static void malformed_certificates_are_refused(void **state)
{
	static void (*const flaws[])(struct forge * c) = { flaw_negative, flaw_long, flaw_padded,
		flaw_version_1, flaw_version_4, flaw_san_twice };
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(flaws); i++) {
		struct forge c = forge_ca("ca", f.key);
		flaws[i](&c);
		if (forge_cert(&c))
			fail_msg("flaw %zu", i);
	}
}

static void framing_is_exact(void **state)
{
	struct writ_cert *c = NULL;
	struct writ_err err;
	(void)state;
	uint8_t *more = writ_alloc(10 << 20);
	memcpy(more, f.leaf.p, f.leaf.n);
	assert_ok(writ_cert_parse(more, f.leaf.n, &c, &err), err);
	writ_cert_unref(c);
	c = NULL;
	assert_fails(writ_cert_parse(more, f.leaf.n + 1, &c, &err), WRIT_EINVAL, err, "follow");
	assert_fails(writ_cert_parse(more, 10 << 20, &c, &err), WRIT_EINVAL, err, "bytes");
	for (size_t n = 0; n < f.leaf.n; n++)
		assert_int_equal(writ_cert_parse(more, n, &c, &err), WRIT_EINVAL);
	more[1] = 0x80; /* indefinite length, as in BER */
	assert_int_equal(writ_cert_parse(more, f.leaf.n, &c, &err), WRIT_EINVAL);
	assert_null(c);
	writ_free(more);
}

/* Whatever a flipped bit does to the meaning, reading stays inside the bytes and both readings
 * agree. */
static void flipped_bits_are_survived(void **state)
{
	(void)state;
	for (size_t i = 0; i < f.leaf.n * 8; i++) {
		struct writ_cert *c = NULL;
		f.leaf.p[i / 8] ^= (uint8_t)(1U << i % 8);
		if (writ_cert_parse(f.leaf.p, f.leaf.n, &c, NULL) == WRIT_OK) {
			struct writ_anchors *a = NULL;
			assert_non_null(writ_cert_subject(c));
			assert_int_equal(writ_anchors_new(&f.ca, 1, &a, NULL), WRIT_OK);
			assert_int_not_equal(
				writ_chain_verify(a, &c, 1, WRIT_PURPOSE_ANY, FORGE_NOW, NULL),
				WRIT_OK);
			writ_anchors_unref(a);
		}
		writ_cert_unref(c);
		f.leaf.p[i / 8] ^= (uint8_t)(1U << i % 8);
	}
}

static void several_certificates_are_read_up_to_a_limit(void **state)
{
	struct writ_cert *got[3];
	struct writ_buf der = WRIT_BUF(65536), pem = WRIT_BUF(65536);
	struct writ_err err;
	size_t n = 99;
	(void)state;
	for (int i = 0; i < 3; i++) {
		writ_buf_add(&der, f.leaf.p, f.leaf.n);
		writ_pem_add(&pem, "CERTIFICATE", f.leaf.p, f.leaf.n);
		writ_pem_add(&pem, "PRIVATE KEY", "x", 1);
	}
	assert_ok(writ_certs_parse(der.p, der.n, got, 3, &n, &err), err);
	assert_int_equal(n, 3);
	writ_certs_unref(got, n);
	assert_ok(writ_certs_parse_pem(writ_buf_str(&pem), got, 3, &n, &err), err);
	assert_int_equal(n, 3);
	writ_certs_unref(got, n);
	n = 99;
	assert_int_equal(writ_certs_parse(der.p, der.n, got, 2, &n, &err), WRIT_ELIMIT);
	assert_int_equal(writ_certs_parse_pem(writ_buf_str(&pem), got, 2, &n, &err), WRIT_ELIMIT);
	assert_fails(
		writ_certs_parse(der.p, der.n - 1, got, 3, &n, &err), WRIT_EINVAL, err, "number 3");
	assert_int_equal(writ_certs_parse(pem.p, pem.n, got, 3, &n, &err), WRIT_EINVAL);
	assert_int_equal(writ_certs_parse(der.p, 0, got, 3, &n, &err), WRIT_EINVAL);
	assert_int_equal(n, 99);
	writ_buf_done(&der);
	writ_buf_done(&pem);
}

static void openssl_objects_are_wrapped(void **state)
{
	struct writ_cert *again = NULL;
	struct writ_err err;
	(void)state;
	assert_non_null(writ_cert_x509(f.ca));
	assert_ptr_equal(writ_cert_x509(f.ca), writ_cert_x509(f.ca));
	assert_ok(writ_cert_from_x509(writ_cert_x509(f.ca), &again, &err), err);
	assert_true(writ_str_eq(writ_cert_der(again), writ_cert_der(f.ca)));
	assert_ptr_equal(writ_cert_x509(again), writ_cert_x509(f.ca));
	writ_cert_unref(again);
}

static void names_are_escaped(void **state)
{
	struct forge c = forge_ca("a\n,b\"c", f.key);
	struct writ_cert *cert = forge_cert(&c);
	(void)state;
	assert_string_equal(writ_cert_subject(cert), "CN=a\\0A\\,b\\\"c");
	writ_cert_unref(cert);
}

/* Without the right to lock memory, start-up fails with what to do about it. */
static void unlocked_memory_is_refused(void **state)
{
	const struct rlimit none = { 0, 0 };
	struct writ_err err = { 0 };
	int status = 0;
	(void)state;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		bool ready =
			setrlimit(RLIMIT_MEMLOCK, &none) == 0 && (getuid() || setuid(65534) == 0);
		writ_rc rc = writ_crypto_init(&err);
		bool again = writ_crypto_init(NULL) == rc;
		_exit(ready && again && rc == WRIT_ELIMIT && strstr(err.msg, "LimitMEMLOCK") ? 0
											     : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void certificates_of_a_file_come_behind_those_that_are_there(void **state)
{
	char path[] = "/tmp/writ-certs-XXXXXX";
	struct writ_buf pem = WRIT_BUF(65536);
	struct writ_cert *got[3];
	struct writ_err err;
	size_t n = 0;
	(void)state;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	(void)close(fd);
	writ_pem_add(&pem, "CERTIFICATE", f.leaf.p, f.leaf.n);
	writ_pem_add(&pem, "CERTIFICATE", f.leaf.p, f.leaf.n);
	assert_ok(writ_fs_write(path, pem.p, pem.n, 0600, &err), err);
	assert_ok(writ_certs_read("the_key", path, got, 3, &n, &err), err);
	assert_int_equal(n, 2);
	assert_fails(writ_certs_read("the_key", path, got, 3, &n, &err), WRIT_ELIMIT, err,
		"the_key '/tmp/writ-certs-");
	assert_int_equal(n, 2);
	assert_int_equal(unlink(path), 0);
	assert_fails(writ_certs_read("the_key", path, got, 3, &n, &err), WRIT_ENOENT, err,
		"the_key '/tmp/writ-certs-");
	writ_certs_unref(got, n);
	writ_buf_done(&pem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serial_numbers_are_printed_exactly),
		cmocka_unit_test(malformed_certificates_are_refused),
		cmocka_unit_test(framing_is_exact),
		cmocka_unit_test(flipped_bits_are_survived),
		cmocka_unit_test(several_certificates_are_read_up_to_a_limit),
		cmocka_unit_test(certificates_of_a_file_come_behind_those_that_are_there),
		cmocka_unit_test(openssl_objects_are_wrapped),
		cmocka_unit_test(names_are_escaped),
		cmocka_unit_test(unlocked_memory_is_refused),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
