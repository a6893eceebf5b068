/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "weak_rsa.h"

#include "base/mem.h"
#include "crypto/der.h"
#include "crypto/digest.h"
#include "crypto/key.h"

#include <pthread.h>

static const enum writ_key_type all_types[] = { WRIT_KEY_P256, WRIT_KEY_P384, WRIT_KEY_RSA2048 };

static struct writ_key *generate(enum writ_key_type type)
{
	struct writ_key *k = NULL;
	struct writ_err err;
	assert_ok(writ_key_generate(type, &k, &err), err);
	return k;
}

static void keys_survive_pkcs8(void **state)
{
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(all_types); i++) {
		struct writ_key *k = generate(all_types[i]), *again = NULL;
		struct writ_secret der = { 0 };
		struct writ_pubkey a, b;
		struct writ_err err;
		assert_ok(writ_key_to_pkcs8(k, &der, &err), err);
		assert_ok(writ_key_from_pkcs8(der.p, der.n, &again, &err), err);
		assert_int_equal(writ_key_type_of(again), all_types[i]);
		assert_ok(writ_pubkey_of_key(k, &a, &err), err);
		assert_ok(writ_pubkey_of_key(again, &b, &err), err);
		assert_true(writ_pubkey_eq(&a, &b));
		assert_memory_equal(a.ski, b.ski, sizeof(a.ski));
		writ_key_unref(again);
		writ_key_unref(k);
		writ_secret_done(&der);
	}
}

static void keys_that_are_not_exactly_pkcs8_are_refused(void **state)
{
	struct writ_key *k = generate(WRIT_KEY_P256), *again = NULL;
	struct writ_secret der = { 0 };
	struct writ_err err;
	(void)state;
	assert_ok(writ_key_to_pkcs8(k, &der, &err), err);
	uint8_t longer[512];
	memcpy(longer, der.p, der.n);
	longer[der.n] = 0;
	assert_fails(
		writ_key_from_pkcs8(longer, der.n + 1, &again, &err), WRIT_EINVAL, err, "follow");
	for (size_t n = 0; n < der.n; n++)
		assert_int_equal(writ_key_from_pkcs8(der.p, n, &again, &err), WRIT_EINVAL);
	/* The last bytes are the public half: another one does not fit the private half. */
	longer[der.n - 1] ^= 1;
	assert_true(writ_key_from_pkcs8(longer, der.n, &again, &err) != WRIT_OK);
	assert_null(again);
	writ_key_unref(k);
	writ_secret_done(&der);
}

static void pem_keys_are_found_in_a_text(void **state)
{
	static const struct {
		const char *text;
		writ_rc want;
		const char *why;
	} rows[] = {
		{ "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
		  "-----BEGIN EC PRIVATE KEY-----\n"
		  "MHcCAQEEIKXsYc8wCbH8Cz5xuEcmMUVyZ7bGx6rTCeJVGpJz6n+6oAoGCCqGSM49\n"
		  "-----END EC PRIVATE KEY-----\n",
			WRIT_EINVAL, "private key" },
		{ "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE "
		  "KEY-----\n",
			WRIT_EUNSUP, "encrypted" },
		{ "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", WRIT_ENOENT,
			"no PRIVATE" },
		{ "", WRIT_ENOENT, "no PRIVATE" },
	};
	struct writ_key *k = generate(WRIT_KEY_P256), *again = NULL;
	struct writ_secret der = { 0 };
	struct writ_buf text = WRIT_BUF(4096);
	struct writ_err err;
	(void)state;
	assert_ok(writ_key_to_pkcs8(k, &der, &err), err);
	writ_buf_add_cstr(&text, "some words\n");
	writ_pem_add(&text, "CERTIFICATE", "xyz", 3);
	writ_pem_add(&text, "PRIVATE KEY", der.p, der.n);
	assert_ok(writ_key_from_pem(writ_buf_str(&text), &again, &err), err);
	writ_key_unref(again);
	for (size_t i = 0; i < WRIT_COUNT(rows); i++)
		assert_fails(writ_key_from_pem(writ_cstr(rows[i].text), &again, &err), rows[i].want,
			err, rows[i].why);
	writ_key_unref(k);
	writ_secret_done(&der);
	writ_buf_wipe(&text);
}

static void traditional_keys_are_read(void **state)
{
	/* Made for this test by openssl ecparam and openssl genrsa -traditional. */
	static const char ec[] =
		"-----BEGIN EC PARAMETERS-----\n"
		"BggqhkjOPQMBBw==\n"
		"-----END EC PARAMETERS-----\n"
		"-----BEGIN EC PRIVATE KEY-----\n"
		"MHcCAQEEIFfNQxhd6PErHuFWIJ/QBqTpmQucvs0NMraBA46pb9KAoAoGCCqGSM49\n"
		"AwEHoUQDQgAEDnKnpyMjYoeu4Pl8ErK9lujp7zFK772/mjIty0nwtPpEC+RLkhlv\n"
		"gU/l16zFBpf1y8b0nibidIO0Bpp0T7xxoA==\n"
		"-----END EC PRIVATE KEY-----\n";
	static const char rsa[] =
		"-----BEGIN RSA PRIVATE KEY-----\n"
		"MIIEowIBAAKCAQEAkOMYrFZXjmHfummhHz8on3tPtJ/p8hkY/OH45knZjPIIGh7B\n"
		"e7hRFSNozDzkseTsmLCYQ2cDXq3251QIlgfiIw4zArSSt2dxs00emRqNlgUNrNHs\n"
		"Y+GOmS95HQx2NkITtNMdPGuRJn0cTTDO9I/wryPmWCb+T5Xld1iNw3gVg57QciAE\n"
		"QeUiK1YFPvzbIDUIniRJM+RRrCOsQ0ms6G7hr8pMjrvSLlB90ztdAtRg+Hv1tYeJ\n"
		"eoByG1iW/i5lZ72EMDC2CM4tFhE1VPP5RPpRZVVNORiQKeHWxp9MZ0yWpCvQI7lz\n"
		"h+BgSrXFh/OfnL2mJFD0XfZEuWAqLrPUC4m5CQIDAQABAoIBAARkJ6N92e6Tg5Ks\n"
		"gHuYQCimQH4OAeA1LRtT/3rTppZFoHknMRAef9xIcT+Nwb+CW6k3N/mEqfbbhldQ\n"
		"RhLYV2eegW1dxZvCqjuSlQCeVrJ4bH0jidA5/hFhPZYubPebxNRhuM9Tx3JPeiqS\n"
		"QJbWX9IfwCEFlzFYZBF8Dk7hc7h5mEk7SjnY9MmREAeTqKvVLfcWDPnXqhVjiKpD\n"
		"tHxm2qziRip/YuQP2Izh8yZBDqL8ue0RDeRoLxdSDBH0QGkvteXJ17tUaKaxHRR3\n"
		"uqaBCQvxEA/lixaHcwtO6phwVCvlNoEwfnwTYjuIKV6GYFBb8lcE7aeuD32DiBlA\n"
		"Qd1amTECgYEAxmEBAjWtgkOSP0ldxAnko9/Z8M7I/N7zKOzcZ/DXDR23MxDYmRmg\n"
		"vvOAz9Uruqdxs97ZqYSAxu7fRfiHg7eSAfmtvGMXKcfCBDrTES/IdrHoPlYtX0Ee\n"
		"1a0x7V1ao2Gzs+xSdBYk8SngE9nvl/f2+j4q+X8HPvmaBn/O1OBRfhECgYEAuviQ\n"
		"fWt0adHXeCOOCO1b7YNv3oRrBz/0rWasEVoJopu8lIY1voOWRXPTknwQJXhtHdZG\n"
		"CwjSbOrHfNTe+riUfqyUru0rAUuUVF44PaA9yRx77XZmw+3SKl4s7QRm847u9B6S\n"
		"Kt0VBwMZCaJ98+0nSXEesROWRQmSsI8rkSWr83kCgYBnSI/m352Tiay16HO6IlB5\n"
		"BY4Jsw+voEBHWXKzZxAAEy2Tl7y9kTtAz7SMAHeA+bbYKDl46bTGXg2+91NOv590\n"
		"CdNrlsezh/46h4nmk9MyARRiiCmdQ2FTbJXm+Ei9cZvHHE4dhH39VYkFrNzyaTac\n"
		"OQvU1E8oeXm40ogUCypCkQKBgCUblhm+TOF/q0MF03fEHB2cm4RPRaqvr9EGcpoT\n"
		"A5yJSjk0FdCU7ysjnNcS1mWJbCai0033V0QUqLkGyqZ6IcauW+gH3CQqquq/tGvO\n"
		"tNSIWbQ8bpLuTWrpPANif0hRku1Sb/If5L96huqZnGPgKo7x64R7fbR//OQb1iq9\n"
		"jk4JAoGBAIunnlwUuyRMwq/khh+LJ2MWEwUL9G4Dhkd5s/NqcLg73Atx6PixZIpD\n"
		"8K4sDr2c8glrRM+cOyFMbXAi2xQY3s94v4WK4NPJySpGj6PtIdmf1w8YMhE5PV7M\n"
		"6x4aVaJgHlPlCgGOkdwZ4JJyWjEcng/1YDLlXt8uwcq2l576CuAB\n"
		"-----END RSA PRIVATE KEY-----\n";
	struct writ_key *k = NULL;
	struct writ_err err;
	(void)state;
	assert_ok(writ_key_from_pem(writ_cstr(ec), &k, &err), err);
	assert_int_equal(writ_key_type_of(k), WRIT_KEY_P256);
	writ_key_unref(k);
	assert_ok(writ_key_from_pem(writ_cstr(rsa), &k, &err), err);
	assert_int_equal(writ_key_type_of(k), WRIT_KEY_RSA2048);
	writ_key_unref(k);
}

static void signatures_verify_and_break(void **state)
{
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(all_types); i++) {
		struct writ_key *k = generate(all_types[i]);
		struct writ_pubkey pub;
		struct writ_err err;
		uint8_t sig[WRIT_SIG_MAX];
		size_t n = 0;
		assert_ok(writ_pubkey_of_key(k, &pub, &err), err);
		assert_ok(writ_key_sign(k, "abc", 3, sig, &n, &err), err);
		assert_ok(writ_pubkey_verify(&pub, "abc", 3, sig, n, &err), err);
		assert_int_equal(writ_pubkey_verify(&pub, "abd", 3, sig, n, &err), WRIT_ECRYPTO);
		assert_int_equal(
			writ_pubkey_verify(&pub, "abc", 3, sig, n - 1, &err), WRIT_ECRYPTO);
		sig[n / 2] ^= 1;
		assert_int_equal(writ_pubkey_verify(&pub, "abc", 3, sig, n, &err), WRIT_ECRYPTO);
		writ_key_unref(k);
	}
}

static void *sign_often(void *arg)
{
	struct writ_pubkey pub;
	uint8_t sig[WRIT_SIG_MAX];
	size_t n = 0;
	bool good = writ_pubkey_of_key(arg, &pub, NULL) == WRIT_OK;
	for (int i = 0; good && i < 50; i++)
		good = writ_key_sign(arg, &i, sizeof(i), sig, &n, NULL) == WRIT_OK &&
			writ_pubkey_verify(&pub, &i, sizeof(i), sig, n, NULL) == WRIT_OK;
	writ_key_unref(arg);
	return good ? arg : NULL;
}

static void a_key_signs_in_several_threads_at_once(void **state)
{
	struct writ_key *k = generate(WRIT_KEY_P256);
	pthread_t threads[4];
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sign_often, writ_key_ref(k)), 0);
	for (size_t i = 0; i < WRIT_COUNT(threads); i++) {
		void *good = NULL;
		pthread_join(threads[i], &good);
		assert_non_null(good);
	}
	writ_key_unref(k);
}

static size_t unhex(const char *hex, uint8_t *out, size_t cap)
{
	struct writ_err err;
	size_t n = 0;
	assert_ok(writ_unhex(writ_cstr(hex), out, cap, &n, &err), err);
	return n;
}

static void rsa_spki(struct writ_buf *b, const char *modulus, const char *exponent)
{
	uint8_t n[1024], e[16];
	size_t n_len = unhex(modulus, n, sizeof(n)), e_len = unhex(exponent, e, sizeof(e));
	size_t all = writ_der_open(b, WRIT_DER_SEQ), alg = writ_der_open(b, WRIT_DER_SEQ);
	writ_der_add(b, WRIT_DER_OID, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 9);
	writ_der_add(b, WRIT_DER_NULL, "", 0);
	writ_der_close(b, alg);
	size_t bits = writ_der_open(b, WRIT_DER_BITS);
	writ_buf_add_byte(b, 0);
	size_t seq = writ_der_open(b, WRIT_DER_SEQ);
	writ_der_add_uint(b, n, n_len);
	writ_der_add_uint(b, e, e_len);
	writ_der_close(b, seq);
	writ_der_close(b, bits);
	writ_der_close(b, all);
}

static void weak_rsa_keys_are_refused(void **state)
{
	static const struct {
		const char *modulus, *exponent;
		writ_rc want;
		const char *why;
	} rows[] = {
		{ rsa_good_2048, "010001", WRIT_OK, "" },
		{ rsa_good_2048, "03", WRIT_EINVAL, "exponent" },
		{ rsa_good_2048, "010000", WRIT_EINVAL, "exponent" },
		{ rsa_good_2048, "0100000001", WRIT_EINVAL, "exponent" },
		{ rsa_close_primes, "010001", WRIT_EINVAL, "close" },
		{ rsa_small_factor, "010001", WRIT_EINVAL, "small factor" },
		{ rsa_even, "010001", WRIT_EINVAL, "small factor" },
		{ rsa_roca, "010001", WRIT_EINVAL, "ROCA" },
		{ rsa_short_1024, "010001", WRIT_EINVAL, "1024" },
		{ rsa_long_5120, "010001", WRIT_EINVAL, "5120" },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_buf b = WRIT_BUF(4096);
		struct writ_pubkey k;
		struct writ_err err = { 0 };
		rsa_spki(&b, rows[i].modulus, rows[i].exponent);
		writ_rc rc = writ_pubkey_from_spki(b.p, b.n, &k, &err);
		if (rc != rows[i].want || !strstr(err.msg, rows[i].why))
			fail_msg("row %zu: %s %s", i, writ_rc_name(rc), err.msg);
		writ_buf_done(&b);
	}
}

static void the_square_of_a_prime_is_refused(void **state)
{
	/* Both primes the same: the limit of close ones. Any odd number of 1024 bits does for the
	 * root. */
	uint8_t root[128], square[256] = { 0 };
	char hex[2 * sizeof(square) + 1];
	struct writ_buf b = WRIT_BUF(4096);
	struct writ_pubkey k;
	struct writ_err err = { 0 };
	(void)state;
	for (size_t i = 0; i < sizeof(root); i++)
		root[i] = (uint8_t)(0xff - i % 3);
	root[127] = 0x61;
	for (size_t i = sizeof(root); i-- > 0;) {
		unsigned carry = 0;
		for (size_t j = sizeof(root); j-- > 0;) {
			carry += square[i + j + 1] + (unsigned)root[i] * root[j];
			square[i + j + 1] = (uint8_t)carry;
			carry >>= 8;
		}
		square[i] = (uint8_t)(square[i] + carry);
	}
	writ_hex(square, sizeof(square), hex);
	rsa_spki(&b, hex, "010001");
	assert_int_equal(writ_pubkey_from_spki(b.p, b.n, &k, &err), WRIT_EINVAL);
	writ_buf_done(&b);
}

static void other_public_keys_are_refused(void **state)
{
	static const struct {
		const char *name, *hex;
	} rows[] = {
		{ "P-192",
			"3049301306072a8648ce3d020106082a8648ce3d030101033200049ff8311b4e37365c0f96"
			"743cdff1"
			"5fcc401a0ca18452d01f52422cd2df43a769eec9656aa262ee9db3b7ae9a48c2b30f" },
		{ "P-224",
			"304e301006072a8648ce3d020106052b81040021033a0004a00dd206afb27bb75c12bc6eec"
			"8e4048c7"
			"9781ad222c79008d32faf22d21e89ffb2b300a0c2c5d1921d8ac0853e81a343a93af643fe2"
			"ce67" },
		{ "secp256k1",
			"3056301006072a8648ce3d020106052b8104000a03420004578931471f80f78c6d8a2dd87d"
			"9bd819f0a60b"
			"9fb3287d9616212fba4c5534fc98f7a0cb7a237fc5c9fe954d27302e5661630855e97114b9"
			"dfd2e248ad5c"
			"5ab9" },
		{ "compressed P-256",
			"3039301306072a8648ce3d020106082a8648ce3d0301070322000361ab906da0c24d3a11"
			"1e1d4cc928fae1782a565ac1b7a19393b2c7eb5144a92e" },
		{ "P-256 at infinity", "3019301306072a8648ce3d020106082a8648ce3d03010703020000" },
		{ "Ed25519",
			"302a300506032b65700321003e6ef68abf0fb6d3014a40b0ec8b816081c7665d2eaee4f29c"
			"4aa1a7"
			"500805f6" },
		{ "explicit parameters",
			"3082014b3082010306072a8648ce3d02013081f7020101302c06072a8648ce3d0101022100"
			"ffffffff0000"
			"0001000000000000000000000000ffffffffffffffffffffffff305b0420ffffffff000000"
			"010000000000"
			"00000000000000fffffffffffffffffffffffc04205ac635d8aa3a93e7b3ebbd55769886bc"
			"651d06b0cc53"
			"b0f63bce3c3e27d2604b031500c49d360886e704936a6678e1139d26b7819f7e900441046b"
			"17d1f2e12c42"
			"47f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a"
			"7c0f9e162bce"
			"33576b315ececbb6406837bf51f5022100ffffffff00000000ffffffffffffffffbce6faad"
			"a7179e84f3b9"
			"cac2fc632551020101034200048256a93e2ddab4be9dec1efe1e7af60db47698ef3f38c8d8"
			"8d6559b184d0"
			"5ac65bedbf05f6fa441f4d81ae53154f77ac458e0864ccd3487b995c4e5962da92ad" },
		{ "nothing", "" },
		{ "a short one", "3003020100" },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		uint8_t der[512];
		struct writ_pubkey k;
		struct writ_err err;
		size_t n = unhex(rows[i].hex, der, sizeof(der));
		if (writ_pubkey_from_spki(der, n, &k, &err) != WRIT_EINVAL)
			fail_msg("accepted %s", rows[i].name);
	}
}

static void points_off_the_curve_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct writ_key *key = generate(all_types[i]);
		struct writ_pubkey k, got;
		struct writ_err err;
		assert_ok(writ_pubkey_of_key(key, &k, &err), err);
		assert_ok(writ_pubkey_from_spki(k.spki, k.spki_len, &got, &err), err);
		k.spki[k.spki_len - 1] ^= 1;
		assert_int_equal(
			writ_pubkey_from_spki(k.spki, k.spki_len, &got, &err), WRIT_EINVAL);
		k.spki[k.spki_len - 1] ^= 1;
		assert_int_equal(
			writ_pubkey_from_spki(k.spki, k.spki_len - 1, &got, &err), WRIT_EINVAL);
		memset(k.spki + k.spki_len - 48, 0xff, 48); /* coordinates beyond the field */
		assert_int_equal(
			writ_pubkey_from_spki(k.spki, k.spki_len, &got, &err), WRIT_EINVAL);
		writ_key_unref(key);
	}
}

static void type_names_go_both_ways(void **state)
{
	(void)state;
	for (int i = 0; i < WRIT_KEY_OTHER; i++) {
		enum writ_key_type got = WRIT_KEY_OTHER;
		struct writ_err err;
		assert_ok(writ_key_type_parse(
				  writ_cstr(writ_key_type_name((enum writ_key_type)i)), &got, &err),
			err);
		assert_int_equal(got, i);
		assert_fails(writ_key_type_parse(WRIT_STR("dsa"), &got, &err), WRIT_EINVAL, err,
			"ec-p256");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_survive_pkcs8),
		cmocka_unit_test(keys_that_are_not_exactly_pkcs8_are_refused),
		cmocka_unit_test(pem_keys_are_found_in_a_text),
		cmocka_unit_test(traditional_keys_are_read),
		cmocka_unit_test(signatures_verify_and_break),
		cmocka_unit_test(a_key_signs_in_several_threads_at_once),
		cmocka_unit_test(weak_rsa_keys_are_refused),
		cmocka_unit_test(the_square_of_a_prime_is_refused),
		cmocka_unit_test(other_public_keys_are_refused),
		cmocka_unit_test(points_off_the_curve_are_refused),
		cmocka_unit_test(type_names_go_both_ways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
