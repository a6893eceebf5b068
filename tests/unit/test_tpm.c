/* SPDX-License-Identifier: Apache-2.0 */
/* A TPM's structures: what is read from them, what is believed, and who can open a credential. */
#include "check.h"
#include "forge.h"
#include "soft_tpm.h"

#include "base/mem.h"
#include "spiffe/tpm_devid.h"

static struct writ_key *rsa, *other, *curve;

static int make_keys(void **state)
{
	(void)state;
	rsa = forge_key(WRIT_KEY_RSA2048);
	other = forge_key(WRIT_KEY_RSA2048);
	curve = forge_key(WRIT_KEY_P256);
	return 0;
}

static int drop_keys(void **state)
{
	(void)state;
	writ_key_unref(rsa);
	writ_key_unref(other);
	writ_key_unref(curve);
	return 0;
}

static struct writ_tpm_public public_of(const struct writ_key *k, uint32_t attributes)
{
	struct writ_buf text = WRIT_BUF(WRIT_TPM_PUBLIC_MAX);
	struct writ_tpm_public pub;
	struct writ_err err = { 0 };
	soft_tpm_public(k, attributes, &text);
	assert_ok(writ_tpm_public_parse(writ_buf_str(&text), &pub, &err), err);
	writ_buf_done(&text);
	return pub;
}

static void test_public_areas_are_the_keys_they_stand_for(void **state)
{
	(void)state;
	struct writ_key *const keys[] = { rsa, curve };
	struct writ_err err = { 0 };
	for (size_t i = 0; i < WRIT_COUNT(keys); i++) {
		struct writ_pubkey want;
		struct writ_tpm_public pub = public_of(keys[i], SOFT_AK);
		assert_ok(writ_pubkey_of_key(keys[i], &want, &err), err);
		assert_true(writ_pubkey_eq(&pub.key, &want));
		assert_int_equal(pub.attributes, SOFT_AK);
		assert_int_equal(pub.aes_bits, 0);
		assert_int_equal(pub.name[1], 0x0b);
	}
	assert_int_equal(public_of(rsa, SOFT_EK).aes_bits, 128);
}

static void test_no_part_of_a_public_area_is_left_out(void **state)
{
	(void)state;
	struct writ_buf text = WRIT_BUF(WRIT_TPM_PUBLIC_MAX);
	struct writ_tpm_public pub, whole = public_of(rsa, SOFT_EK);
	soft_tpm_public(rsa, SOFT_EK, &text);
	for (size_t n = 0; n < text.n; n++)
		assert_int_equal(
			writ_tpm_public_parse(writ_strn(text.p, n), &pub, NULL), WRIT_EINVAL);
	writ_buf_add_byte(&text, 0);
	assert_int_equal(writ_tpm_public_parse(writ_buf_str(&text), &pub, NULL), WRIT_EINVAL);
	text.n--;
	/* Each bit is in the name, if it is a key at all then. */
	for (size_t i = 0; i < text.n; i++) {
		text.p[i] ^= 1;
		if (writ_tpm_public_parse(writ_buf_str(&text), &pub, NULL) == WRIT_OK)
			assert_memory_not_equal(pub.name, whole.name, sizeof(pub.name));
		text.p[i] ^= 1;
	}
	writ_buf_done(&text);
}

static void test_a_certification_is_about_one_key_and_by_one_key(void **state)
{
	(void)state;
	struct writ_tpm_public ak = public_of(rsa, SOFT_AK), key = public_of(curve, SOFT_DEVID);
	struct writ_tpm_public wrong = public_of(other, SOFT_AK);
	struct writ_buf attest = WRIT_BUF(WRIT_TPM_ATTEST_MAX), sig = WRIT_BUF(1024);
	struct writ_err err = { 0 };
	soft_tpm_certify(rsa, key.name, &attest, &sig);
	struct writ_str a = writ_buf_str(&attest), s = writ_buf_str(&sig);
	assert_ok(writ_tpm_certify_check(&ak, &key, a, s, &err), err);
	assert_fails(writ_tpm_certify_check(&wrong, &key, a, s, &err), WRIT_ECRYPTO, err,
		"not signed by the attestation key");
	assert_fails(writ_tpm_certify_check(&ak, &wrong, a, s, &err), WRIT_ECRYPTO, err,
		"about another key");
	for (size_t i = 0; i < attest.n; i++) {
		attest.p[i] ^= 1;
		assert_int_equal(writ_tpm_certify_check(&ak, &key, a, s, NULL), WRIT_ECRYPTO);
		attest.p[i] ^= 1;
	}
	for (size_t i = 0; i < sig.n; i++) {
		sig.p[i] ^= 1;
		assert_int_equal(writ_tpm_certify_check(&ak, &key, a, s, NULL), WRIT_ECRYPTO);
		sig.p[i] ^= 1;
	}
	writ_buf_done(&attest);
	writ_buf_done(&sig);
}

static void test_a_credential_opens_for_one_name_and_one_key(void **state)
{
	(void)state;
	struct writ_tpm_public ek = public_of(rsa, SOFT_EK), ak = public_of(other, SOFT_AK);
	struct writ_buf credential = WRIT_BUF(WRIT_TPM_BLOB_MAX), sealed = WRIT_BUF(512);
	uint8_t secret[WRIT_TPM_SECRET_LEN], got[WRIT_TPM_SECRET_LEN];
	struct writ_err err = { 0 };
	memset(secret, 0x5a, sizeof(secret));
	assert_ok(writ_tpm_credential_make(&ek, ak.name, secret, &credential, &sealed, &err), err);
	struct writ_str c = writ_buf_str(&credential), s = writ_buf_str(&sealed);
	assert_true(soft_tpm_activate(rsa, ak.name, c, s, got));
	assert_memory_equal(got, secret, sizeof(got));
	assert_false(soft_tpm_activate(rsa, ek.name, c, s, got));
	assert_false(soft_tpm_activate(other, ak.name, c, s, got));
	writ_buf_done(&credential);
	writ_buf_done(&sealed);
	struct writ_tpm_public none = public_of(curve, SOFT_EK);
	assert_fails(writ_tpm_credential_make(&none, ak.name, secret, &credential, &sealed, &err),
		WRIT_EINVAL, err, "not RSA");
	assert_fails(writ_tpm_credential_make(&ak, ak.name, secret, &credential, &sealed, &err),
		WRIT_EINVAL, err, "not a storage key");
}

static void test_challenges_and_answers_survive_the_way(void **state)
{
	(void)state;
	struct writ_tpm_challenge c, d;
	struct writ_tpm_answer a = { .n_signature = 3 }, b;
	struct writ_buf text = WRIT_BUF(8192);
	struct writ_err err = { 0 };
	writ_tpm_challenge_init(&c);
	writ_tpm_challenge_init(&d);
	memset(c.nonce, 7, sizeof(c.nonce));
	writ_buf_add_cstr(&c.credential, "cred");
	writ_buf_add_cstr(&c.encrypted, "enc");
	writ_tpm_challenge_print(&c, &text);
	assert_string_equal(writ_buf_cstr(&text),
		"{\"DevID\":\"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\",\"CredActivation\":"
		"{\"Credential\":\"Y3JlZA==\",\"Secret\":\"ZW5j\"}}");
	assert_ok(writ_tpm_challenge_parse(writ_buf_str(&text), &d, &err), err);
	assert_string_equal(writ_buf_cstr(&d.credential), "cred");
	writ_tpm_challenge_done(&c);
	writ_tpm_challenge_done(&d);
	writ_buf_reset(&text);
	memcpy(a.signature, "sig", 3);
	writ_tpm_answer_print(&a, &text);
	assert_ok(writ_tpm_answer_parse(writ_buf_str(&text), &b, &err), err);
	assert_int_equal(b.n_signature, 3);
	assert_memory_equal(b.signature, "sig", 3);
	writ_buf_done(&text);
	writ_tpm_challenge_init(&c);
	assert_fails(writ_tpm_challenge_parse(WRIT_STR("{\"DevID\":\"AAEC\"}"), &c, &err),
		WRIT_EINVAL, err, "DevID");
	assert_fails(writ_tpm_answer_parse(WRIT_STR("{\"DevID\":\"AAEC\"}"), &b, &err), WRIT_EINVAL,
		err, "CredActivation");
	writ_tpm_challenge_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_public_areas_are_the_keys_they_stand_for),
		cmocka_unit_test(test_no_part_of_a_public_area_is_left_out),
		cmocka_unit_test(test_a_certification_is_about_one_key_and_by_one_key),
		cmocka_unit_test(test_a_credential_opens_for_one_name_and_one_key),
		cmocka_unit_test(test_challenges_and_answers_survive_the_way),
	};
	return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
