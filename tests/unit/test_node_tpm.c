/* SPDX-License-Identifier: Apache-2.0 */
/* tpm_devid, the server's side: keys in no TPM, and everything that somebody who has some of them
 * could try. */
#include "check.h"
#include "forge.h"
#include "node_kit.h"
#include "soft_tpm.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "crypto/digest.h"
#include "spiffe/tpm_devid.h"

#include <stdlib.h>

/* Two machines, of one maker and one operator; and a CA that nobody trusts. */
enum { MAKER, OPERATOR, NOBODY, CAS };
static struct writ_key *ca_keys[CAS], *eks[2], *aks[2], *devids[2];
static const char *const ca_names[CAS] = { "maker", "operator", "nobody" };
static char dir[64];
static struct writ_server_config config;

/* What an attempt is made of; zeros are the honest choice. */
struct attempt {
	int ek_ca, devid_ca; /* one more than the CA; 0: the right one */
	bool devid_late;     /* its certificate is over */
	bool other_cert;     /* the DevID certificate is the other machine's */
	bool other_ek_cert;
	uint32_t ak_lacks, devid_lacks, ek_lacks, ak_has, ek_has;
	bool other_devid_certified; /* the certification is about the other machine's key */
	bool other_ak_certifies;    /* and by the other machine's attestation key */
	bool other_ak;              /* all of it with an attestation key of another TPM */
	bool other_signs;           /* the nonce is signed by the other machine's key */
	bool wrong_secret;
	bool stale; /* the answer to an earlier challenge */
	writ_rc rc;
	const char *text;
};

static struct writ_cert *make_cert(
	int ca, const char *name, struct writ_key *key, int64_t not_after)
{
	struct forge f = forge_leaf("spiffe://x/y", key, ca_names[ca], ca_keys[ca]);
	memset(f.san, 0, sizeof(f.san));
	f.subject = name;
	f.not_before = writ_wall_s() - 3600;
	f.not_after = not_after ? not_after : writ_wall_s() + 3600;
	struct writ_cert *c = forge_cert(&f);
	assert_non_null(c);
	return c;
}

static char *put_ca(int ca)
{
	struct forge f = forge_ca(ca_names[ca], ca_keys[ca]);
	struct writ_buf pem = WRIT_BUF(8192);
	struct writ_err err = { 0 };
	f.not_before = writ_wall_s() - 3600;
	f.not_after = writ_wall_s() + 7200;
	struct writ_cert *c = forge_cert(&f);
	writ_pem_add(&pem, "CERTIFICATE", writ_cert_der(c).p, writ_cert_der(c).n);
	char *path = writ_fs_join(dir, ca_names[ca]);
	assert_ok(writ_fs_write(path, pem.p, pem.n, 0600, &err), err);
	writ_buf_done(&pem);
	writ_cert_unref(c);
	return path;
}

static int set_up(void **state)
{
	(void)state;
	for (int i = 0; i < CAS; i++)
		ca_keys[i] = forge_key(WRIT_KEY_P256);
	for (int i = 0; i < 2; i++) {
		eks[i] = forge_key(WRIT_KEY_RSA2048);
		aks[i] = forge_key(WRIT_KEY_RSA2048);
		devids[i] = forge_key(WRIT_KEY_P256);
	}
	(void)snprintf(dir, sizeof(dir), "/tmp/writ-tpm-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	config.nodes.tpm_devid = (struct writ_server_tpm_devid){ .is_on = true,
		.devid_ca_path = put_ca(OPERATOR),
		.endorsement_ca_path = put_ca(MAKER) };
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < CAS; i++)
		writ_key_unref(ca_keys[i]);
	for (int i = 0; i < 2; i++) {
		writ_key_unref(eks[i]);
		writ_key_unref(aks[i]);
		writ_key_unref(devids[i]);
	}
	writ_free(config.nodes.tpm_devid.devid_ca_path);
	writ_free(config.nodes.tpm_devid.endorsement_ca_path);
	return writ_fs_remove_tree(dir, NULL) == WRIT_OK ? 0 : -1;
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

static void print_request(const struct attempt *a, struct writ_buf *out)
{
	struct writ_tpm_request q;
	struct writ_key *ak = aks[a->other_ak];
	struct writ_tpm_public about =
		public_of(devids[a->other_devid_certified], SOFT_DEVID & ~a->devid_lacks);
	writ_tpm_request_init(&q);
	q.devid[0] = make_cert(a->devid_ca ? a->devid_ca - 1 : OPERATOR, "node-1",
		devids[a->other_cert], a->devid_late ? writ_wall_s() - 5 : 0);
	q.n_devid = 1;
	q.ek_cert = make_cert(a->ek_ca ? a->ek_ca - 1 : MAKER, "tpm", eks[a->other_ek_cert], 0);
	soft_tpm_public(devids[0], SOFT_DEVID & ~a->devid_lacks, &q.devid_pub);
	soft_tpm_public(eks[0], (SOFT_EK & ~a->ek_lacks) | a->ek_has, &q.ek_pub);
	soft_tpm_public(ak, (SOFT_AK & ~a->ak_lacks) | a->ak_has, &q.ak_pub);
	soft_tpm_certify(a->other_ak_certifies ? aks[1] : ak, about.name, &q.attest, &q.signature);
	writ_tpm_request_print(&q, out);
	writ_tpm_request_done(&q);
}

/* As a TPM would, but for what the attempt does otherwise. True: there is an answer. */
static bool print_answer(const struct attempt *a, struct writ_str challenge, struct writ_buf *out)
{
	struct writ_tpm_challenge c;
	struct writ_tpm_answer answer = { .n_signature = 0 };
	struct writ_tpm_public ak = public_of(aks[0], SOFT_AK);
	struct writ_err err = { 0 };
	writ_tpm_challenge_init(&c);
	assert_ok(writ_tpm_challenge_parse(challenge, &c, &err), err);
	/* The other attestation key is not in this TPM: its credential stays closed. */
	bool opened = soft_tpm_activate(eks[0], ak.name, writ_buf_str(&c.credential),
		writ_buf_str(&c.encrypted), answer.secret);
	assert_int_equal(opened, !a->other_ak);
	answer.secret[0] ^= a->wrong_secret;
	assert_ok(writ_key_sign(devids[a->other_signs], c.nonce, sizeof(c.nonce), answer.signature,
			  &answer.n_signature, &err),
		err);
	writ_tpm_answer_print(&answer, out);
	writ_tpm_challenge_done(&c);
	return opened;
}

static writ_rc try(struct node_kit *k, const struct attempt *a)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf request = WRIT_BUF(WRIT_TPM_DEVID_PAYLOAD_MAX);
	WRIT_AUTO(writ_buf_done) struct writ_buf answer = WRIT_BUF(8192);
	print_request(a, &request);
	writ_rc rc = node_kit_begin(k, writ_buf_cstr(&request));
	if (rc != WRIT_OK)
		return rc;
	assert_true(k->x.challenge.n > 0 && k->x.path.n == 0);
	(void)print_answer(a, writ_buf_str(&k->x.challenge), &answer);
	if (a->stale) {
		node_kit_close(k);
		node_kit_open(k, &config, "tpm_devid");
		assert_ok(node_kit_begin(k, writ_buf_cstr(&request)), k->err);
	}
	return node_kit_respond(k, writ_buf_cstr(&answer));
}

static void test_a_machine_with_its_tpm_is_known(void **state)
{
	(void)state;
	struct node_kit k;
	node_kit_open(&k, &config, "tpm_devid");
	assert_ok(try(&k, &(struct attempt){ .rc = WRIT_OK }), k.err);
	assert_true(writ_str_starts(writ_buf_str(&k.x.path), WRIT_STR("/tpm_devid/")));
	assert_int_equal(k.x.path.n, strlen("/tpm_devid/") + 40);
	assert_non_null(strstr(node_kit_selectors(&k), "subject:cn:node-1\nissuer:cn:operator\n"));
	assert_non_null(strstr(node_kit_selectors(&k), "ca:fingerprint:"));
	assert_true(k.x.can_reattest && !k.x.first_only);
	node_kit_close(&k);
}

static const struct attempt attempts[] = {
	{ .devid_late = true, .rc = WRIT_EEXPIRED, .text = "expired at" },
	{ .other_cert = true, .rc = WRIT_EDENIED, .text = "DevID certificate: its key is not" },
	{ .other_ek_cert = true,
		.rc = WRIT_EDENIED,
		.text = "endorsement certificate: its key is not" },
	{ .ak_lacks = WRIT_TPM_RESTRICTED, .rc = WRIT_EDENIED, .text = "attestation key: a key" },
	{ .ak_lacks = WRIT_TPM_FIXED_TPM, .rc = WRIT_EDENIED, .text = "attestation key: a key" },
	{ .devid_lacks = WRIT_TPM_FIXED_TPM, .rc = WRIT_EDENIED, .text = "DevID key: a key" },
	{ .devid_lacks = WRIT_TPM_SENSITIVE_ORIGIN,
		.rc = WRIT_EDENIED,
		.text = "DevID key: a key" },
	{ .ek_lacks = WRIT_TPM_RESTRICTED, .rc = WRIT_EDENIED, .text = "endorsement key: a key" },
	/* A key that signs and decrypts could be made to say what it was fed. */
	{ .ek_has = WRIT_TPM_SIGN, .rc = WRIT_EDENIED, .text = "endorsement key: a key" },
	{ .ak_has = WRIT_TPM_DECRYPT, .rc = WRIT_EDENIED, .text = "attestation key: a key" },
	{ .wrong_secret = true, .rc = WRIT_EDENIED, .text = "credential activation failed" },
	{ .other_ak = true, .rc = WRIT_EDENIED, .text = "credential activation failed" },
	{ .stale = true, .rc = WRIT_EDENIED, .text = "credential activation failed" },
	{ .other_signs = true, .rc = WRIT_EDENIED, .text = "not signed by the DevID key" },
	{ .ek_ca = NOBODY + 1, .rc = WRIT_ECRYPTO, .text = "cannot verify EK signature" },
	{ .ek_ca = OPERATOR + 1, .rc = WRIT_ECRYPTO, .text = "cannot verify EK signature" },
	{ .devid_ca = NOBODY + 1, .rc = WRIT_ECRYPTO, .text = "unable to verify DevID signature" },
	{ .devid_ca = MAKER + 1, .rc = WRIT_ECRYPTO, .text = "unable to verify DevID signature" },
	{ .other_devid_certified = true, .rc = WRIT_ECRYPTO, .text = "about another key" },
	{ .other_ak_certifies = true,
		.rc = WRIT_ECRYPTO,
		.text = "not signed by the attestation key" },
};

static void test_whoever_has_only_a_part_of_it_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(attempts); i++) {
		struct node_kit k;
		node_kit_open(&k, &config, "tpm_devid");
		writ_rc rc = try(&k, &attempts[i]);
		if (rc != attempts[i].rc || !strstr(k.err.msg, attempts[i].text))
			fail_msg("attempt %zu: %s, %s", i, writ_rc_name(rc), k.err.msg);
		assert_int_equal(k.x.path.n, 0);
		assert_int_equal(k.x.selectors.n, 0);
		node_kit_close(&k);
	}
}

static void test_no_nonce_comes_twice(void **state)
{
	(void)state;
	struct writ_tpm_challenge c[2];
	for (int i = 0; i < 2; i++) {
		WRIT_AUTO(writ_buf_done)
		struct writ_buf request = WRIT_BUF(WRIT_TPM_DEVID_PAYLOAD_MAX);
		struct node_kit k;
		print_request(&(struct attempt){ .rc = WRIT_OK }, &request);
		node_kit_open(&k, &config, "tpm_devid");
		assert_ok(node_kit_begin(&k, writ_buf_cstr(&request)), k.err);
		writ_tpm_challenge_init(&c[i]);
		assert_ok(writ_tpm_challenge_parse(writ_buf_str(&k.x.challenge), &c[i], &k.err),
			k.err);
		node_kit_close(&k);
	}
	assert_memory_not_equal(c[0].nonce, c[1].nonce, sizeof(c[0].nonce));
	writ_tpm_challenge_done(&c[0]);
	writ_tpm_challenge_done(&c[1]);
}

static void test_malformed_messages_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "{}", "[]", "{\"DevIDCert\":[]}",
		"{\"DevIDCert\":[\"AAEC\"]}", "{\"DevIDCert\":\"AAEC\"}",
		"{\"DevIDCert\":[\"A\",\"A\",\"A\",\"A\",\"A\",\"A\"]}" };
	static const char *const answers[] = { "", "{}", "{\"DevID\":\"AAEC\"}",
		"{\"DevID\":\"AAEC\",\"CredActivation\":\"AAEC\"}" };
	struct node_kit k;
	for (size_t i = 0; i < WRIT_COUNT(bad); i++) {
		node_kit_open(&k, &config, "tpm_devid");
		assert_int_equal(node_kit_begin(&k, bad[i]), WRIT_EINVAL);
		node_kit_close(&k);
	}
	for (size_t i = 0; i < WRIT_COUNT(answers); i++) {
		WRIT_AUTO(writ_buf_done)
		struct writ_buf request = WRIT_BUF(WRIT_TPM_DEVID_PAYLOAD_MAX);
		print_request(&(struct attempt){ .rc = WRIT_OK }, &request);
		node_kit_open(&k, &config, "tpm_devid");
		assert_ok(node_kit_begin(&k, writ_buf_cstr(&request)), k.err);
		assert_int_equal(node_kit_respond(&k, answers[i]), WRIT_EINVAL);
		node_kit_close(&k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_machine_with_its_tpm_is_known),
		cmocka_unit_test(test_whoever_has_only_a_part_of_it_is_refused),
		cmocka_unit_test(test_no_nonce_comes_twice),
		cmocka_unit_test(test_malformed_messages_are_refused),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
