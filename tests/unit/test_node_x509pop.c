/* SPDX-License-Identifier: Apache-2.0 */
/* The server's x509pop: who is let in, under which ID, and who is refused with which reason. */
#include "check.h"
#include "forge.h"
#include "node_kit.h"

#include "base/fs.h"
#include "base/mem.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "spiffe/x509pop.h"

#include <stdlib.h>
#include <unistd.h>

#define TEXT_MAX (256 * 1024)
#define FOREIGN  "x509pop://elsewhere.org/rack/r9"

static struct writ_key *root_key, *below_key, *node_key, *other_key, *rsa_key;
static struct writ_cert *root, *below;
static char ca_path[] = "/tmp/writ-x509pop-XXXXXX";
static char fingerprint[] = "/{{ .PluginName }}/{{ .Fingerprint }}";
static char prefix[] = "/spire-exchange/";

static int make_pki(void **state)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf pem = WRIT_BUF(TEXT_MAX);
	struct writ_err err;
	(void)state;
	root_key = forge_key(WRIT_KEY_P256);
	below_key = forge_key(WRIT_KEY_P256);
	node_key = forge_key(WRIT_KEY_P256);
	other_key = forge_key(WRIT_KEY_P256);
	rsa_key = forge_key(WRIT_KEY_RSA2048);
	struct forge f = forge_ca("root", root_key);
	root = forge_cert(&f);
	f = forge_ca("below", below_key);
	f.issuer = "root";
	f.issuer_key = root_key;
	below = forge_cert(&f);
	struct writ_str der = writ_cert_der(root);
	writ_pem_add(&pem, "CERTIFICATE", der.p, der.n);
	close(mkstemp(ca_path));
	assert_ok(writ_fs_write(ca_path, pem.p, pem.n, 0600, &err), err);
	return 0;
}

static int drop_pki(void **state)
{
	(void)state;
	unlink(ca_path);
	writ_cert_unref(root);
	writ_cert_unref(below);
	writ_key_unref(root_key);
	writ_key_unref(below_key);
	writ_key_unref(node_key);
	writ_key_unref(other_key);
	writ_key_unref(rsa_key);
	return 0;
}

static struct writ_server_config config(void)
{
	return (struct writ_server_config){ .nodes = { .x509pop = { .is_on = true,
							       .mode = WRIT_X509POP_EXTERNAL_PKI,
							       .ca_bundle_path = ca_path,
							       .spiffe_prefix = prefix,
							       .agent_path_template = fingerprint,
							       .max_intermediates = 4,
							       .max_rsa_key_size = 4096 } } };
}

static struct forge node_by(struct writ_key *key, const char *issuer, struct writ_key *issuer_key)
{
	struct forge f = forge_leaf("x509pop://example.org/rack/r7", key, issuer, issuer_key);
	f.subject = "node-1";
	f.san[1].tag = FORGE_URI;
	f.san[1].p = FOREIGN;
	return f;
}

/* The payload of a chain that begins with a forged leaf. */
static void payload_of(const struct forge *leaf, struct writ_cert *above, struct writ_buf *out)
{
	struct writ_cert *chain[] = { forge_cert(leaf), above };
	struct writ_err err;
	assert_non_null(chain[0]);
	assert_ok(writ_x509pop_print(chain, above ? 2 : 1, out, &err), err);
	writ_cert_unref(chain[0]);
}

static void answer_with(const struct node_kit *k, const struct writ_key *key, struct writ_buf *out)
{
	struct writ_x509pop_challenge c;
	struct writ_x509pop_answer a;
	struct writ_err err;
	uint8_t message[WRIT_SHA256_LEN];
	assert_ok(writ_x509pop_challenge_parse(writ_buf_str(&k->x.challenge), &c, &err), err);
	writ_rand(a.nonce, sizeof(a.nonce));
	writ_pop_message(c.nonce, a.nonce, message);
	assert_ok(writ_pop_sign(key, message, &a.sig, &err), err);
	writ_x509pop_answer_print(&a, out);
}

/* A whole attestation; the kit stays open. */
static writ_rc attest(struct node_kit *k, const struct writ_server_config *cfg,
	const struct forge *leaf, struct writ_cert *above, const struct writ_key *key)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf payload = WRIT_BUF(TEXT_MAX);
	WRIT_AUTO(writ_buf_done) struct writ_buf answer = WRIT_BUF(TEXT_MAX);
	node_kit_open(k, cfg, "x509pop");
	k->x.now = FORGE_NOW;
	payload_of(leaf, above, &payload);
	writ_rc rc = node_kit_begin(k, writ_buf_cstr(&payload));
	if (rc != WRIT_OK)
		return rc;
	answer_with(k, key, &answer);
	return node_kit_respond(k, writ_buf_cstr(&answer));
}

static void expect(const struct writ_server_config *cfg, const struct forge *leaf,
	struct writ_cert *above, const struct writ_key *key, writ_rc want, const char *text)
{
	struct node_kit k;
	assert_fails(attest(&k, cfg, leaf, above, key), want, k.err, text);
	node_kit_close(&k);
}

static void sha1_hex(const struct writ_cert *c, char out[2 * WRIT_SHA1_LEN + 1])
{
	uint8_t sha1[WRIT_SHA1_LEN];
	struct writ_str der = writ_cert_der(c);
	writ_sha1(der.p, der.n, sha1);
	writ_hex(sha1, sizeof(sha1), out);
}

static void a_machine_of_the_operators_ca_gets_in(void **state)
{
	const struct writ_server_config cfg = config();
	struct forge f = node_by(node_key, "below", below_key);
	char first[41], second[41], want[512];
	struct node_kit k;
	(void)state;
	assert_ok(attest(&k, &cfg, &f, below, node_key), k.err);
	sha1_hex(below, first);
	sha1_hex(root, second);
	assert_true(k.x.can_reattest);
	assert_int_equal(strlen(node_kit_path(&k)), strlen("/x509pop/") + 40);
	(void)snprintf(want, sizeof(want),
		"subject:cn:node-1\nca:fingerprint:%s\nca:fingerprint:%s\n"
		"serialnumber:42424242424242424242424242424242\nsan:rack:r7",
		first, second);
	assert_string_equal(node_kit_selectors(&k), want);
	node_kit_close(&k);
}

static void an_rsa_key_is_as_good(void **state)
{
	const struct writ_server_config cfg = config();
	struct forge f = node_by(rsa_key, "root", root_key);
	struct node_kit k;
	(void)state;
	assert_ok(attest(&k, &cfg, &f, NULL, rsa_key), k.err);
	struct writ_x509pop_challenge c;
	assert_ok(writ_x509pop_challenge_parse(writ_buf_str(&k.x.challenge), &c, &k.err), k.err);
	assert_true(c.is_rsa);
	node_kit_close(&k);
}

static void a_key_too_large_to_check_cheaply_is_refused(void **state)
{
	struct writ_server_config cfg = config();
	struct forge f = node_by(rsa_key, "root", root_key);
	(void)state;
	cfg.nodes.x509pop.max_rsa_key_size = 1024;
	expect(&cfg, &f, NULL, rsa_key, WRIT_EINVAL, "key size too large");
}

static void the_cas_may_be_in_several_files(void **state)
{
	static char *paths[] = { ca_path };
	struct writ_server_config cfg = config();
	struct forge f = node_by(node_key, "root", root_key);
	struct node_kit k;
	(void)state;
	cfg.nodes.x509pop.ca_bundle_path = NULL;
	cfg.nodes.x509pop.ca_bundle_paths = (struct writ_conf_strings){ paths, 1 };
	assert_ok(attest(&k, &cfg, &f, NULL, node_key), k.err);
	node_kit_close(&k);
}

/* Only whole, printable names x509pop://TD/KEY/VALUE say something. */
static void names_of_another_form_give_no_selector(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} rows[] = { { "x509pop://example.org/rack/r\0x", 30 }, { "x509pop://example.org//r7", 25 },
		{ "x509pop://example.org/rack/", 27 }, { "x509pop://example.org/rack", 26 },
		{ "x509pop://example.org/rack/\xff", 28 },
		{ "x509pop://example.orgs/rack/r7", 30 } };
	const struct writ_server_config cfg = config();
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct forge f = node_by(node_key, "root", root_key);
		struct node_kit k;
		f.san[0].p = rows[i].p;
		f.san[0].n = rows[i].n;
		/* refused already where it is parsed, or it says nothing */
		if (attest(&k, &cfg, &f, NULL, node_key) == WRIT_OK &&
			strstr(node_kit_selectors(&k), "san:"))
			fail_msg("row %zu: %s", i, node_kit_selectors(&k));
		node_kit_close(&k);
	}
}

static void who_cannot_prove_is_refused_with_the_reason(void **state)
{
	const struct writ_server_config cfg = config();
	struct forge f = node_by(node_key, "root", root_key);
	(void)state;
	expect(&cfg, &f, NULL, other_key, WRIT_ECRYPTO, "challenge response verification failed");
	expect(&cfg, &f, NULL, rsa_key, WRIT_ECRYPTO, "an RSA signature, and the key is ECDSA");
	f = node_by(node_key, "root", other_key); /* somebody else's CA of that name */
	expect(&cfg, &f, NULL, node_key, WRIT_ECRYPTO, "certificate verification failed");
	f = node_by(node_key, "below", below_key); /* and nothing in between */
	expect(&cfg, &f, NULL, node_key, WRIT_ECRYPTO, "certificate verification failed");
	f = node_by(node_key, "root", root_key);
	f.not_after = FORGE_NOW - 1;
	expect(&cfg, &f, NULL, node_key, WRIT_EEXPIRED, "the certificate expired at");
	f.not_after = FORGE_NOW + 600;
	f.not_before = FORGE_NOW + 300;
	expect(&cfg, &f, NULL, node_key, WRIT_EEXPIRED, "is valid from");
	f = node_by(node_key, "root", root_key);
	f.ku = FORGE_KU_KE;
	expect(&cfg, &f, NULL, node_key, WRIT_EDENIED, "not intended for digital signature");
}

static void an_old_answer_is_no_answer(void **state)
{
	const struct writ_server_config cfg = config();
	const struct forge f = node_by(node_key, "root", root_key);
	struct node_kit first, second;
	WRIT_AUTO(writ_buf_done) struct writ_buf payload = WRIT_BUF(TEXT_MAX);
	WRIT_AUTO(writ_buf_done) struct writ_buf answer = WRIT_BUF(TEXT_MAX);
	(void)state;
	payload_of(&f, NULL, &payload);
	node_kit_open(&first, &cfg, "x509pop");
	node_kit_open(&second, &cfg, "x509pop");
	first.x.now = second.x.now = FORGE_NOW;
	assert_ok(node_kit_begin(&first, writ_buf_cstr(&payload)), first.err);
	assert_ok(node_kit_begin(&second, writ_buf_cstr(&payload)), second.err);
	answer_with(&first, node_key, &answer);
	assert_ok(node_kit_respond(&first, writ_buf_cstr(&answer)), first.err);
	assert_fails(node_kit_respond(&second, writ_buf_cstr(&answer)), WRIT_ECRYPTO, second.err,
		"not by that key");
	node_kit_close(&first);
	node_kit_close(&second);
}

static void what_is_no_payload_costs_nothing(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "", "no JSON" },
		{ "{}", "no certificate to attest" },
		{ "{\"certificates\":{}}", "no certificate to attest" },
		{ "{\"certificates\":[\"AAAA\"]}", "certificate 1" },
		{ "{\"certificates\":[7]}", "certificate 1" },
		{ "{\"certificates\":[\"A\",\"A\",\"A\",\"A\",\"A\",\"A\"]}",
			"too many intermediate certificates" },
	};
	const struct writ_server_config cfg = config();
	struct node_kit k;
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		node_kit_open(&k, &cfg, "x509pop");
		assert_fails(node_kit_begin(&k, rows[i].text), WRIT_EINVAL, k.err, rows[i].why);
		assert_int_equal(k.x.challenge.n, 0);
		node_kit_close(&k);
	}
	WRIT_AUTO(writ_buf_done) struct writ_buf big = WRIT_BUF(TEXT_MAX);
	while (big.n <= WRIT_X509POP_PAYLOAD_MAX)
		writ_buf_add_cstr(&big, "{\"certificates\":[");
	node_kit_open(&k, &cfg, "x509pop");
	assert_fails(node_kit_begin(&k, writ_buf_cstr(&big)), WRIT_EINVAL, k.err, "at most");
	node_kit_close(&k);
}

static void the_template_names_the_agent(void **state)
{
	static char by_name[] = "/host/{{.Subject.CommonName}}/{{ .URISanSelectors.rack }}";
	struct writ_server_config cfg = config();
	struct forge f = node_by(node_key, "root", root_key);
	struct node_kit k;
	(void)state;
	cfg.nodes.x509pop.agent_path_template = by_name;
	assert_ok(attest(&k, &cfg, &f, NULL, node_key), k.err);
	assert_string_equal(node_kit_path(&k), "/host/node-1/r7");
	node_kit_close(&k);
	/* A name that would be several segments could be another machine's. */
	f.subject = "a/b";
	expect(&cfg, &f, NULL, node_key, WRIT_EDENIED, "cannot be a segment");
	f.subject = NULL;
	expect(&cfg, &f, NULL, node_key, WRIT_EDENIED, "needs {{ .Subject.CommonName }}");
	f.subject = "node-1";
	f.san[0].p = FOREIGN;
	expect(&cfg, &f, NULL, node_key, WRIT_EDENIED, "needs {{ .URISanSelectors.rack }}");
}

static void the_address_has_to_be_in_the_certificate(void **state)
{
	struct writ_server_config cfg = config();
	struct forge f = node_by(node_key, "root", root_key);
	struct node_kit k;
	(void)state;
	cfg.nodes.x509pop.verify_client_ip = true;
	expect(&cfg, &f, NULL, node_key, WRIT_EDENIED,
		"client IP 192.0.2.1 does not match any certificate IP SAN");
	f.san[2].tag = FORGE_IP;
	f.san[2].p = "\xc0\x00\x02\x01";
	f.san[2].n = 4;
	assert_ok(attest(&k, &cfg, &f, NULL, node_key), k.err);
	node_kit_close(&k);
}

static void an_address_is_compared_as_a_whole(void **state)
{
	static const char v4[] = "\xc0\x00\x02\x01";
	static const char v6[] = "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01";
	static const char mapped[] = "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01";
	static const struct {
		const char *address, *san;
		size_t n;
		bool fits;
	} rows[] = {
		{ "192.0.2.1", v4, 4, true },
		{ "::ffff:192.0.2.1", v4, 4, true },
		{ "::ffff:192.0.2.1", mapped, 16, true },
		{ "2001:db8::1", v6, 16, true },
		{ "192.0.2.2", v4, 4, false },
		{ "::ffff:192.0.2.2", v4, 4, false },
		{ "2001:db8::2", v6, 16, false },
		{ "2001:db8::c000:201", v4, 4, false }, /* ends like it */
		{ "c000:201::1", v4, 4, false },        /* begins like it */
		{ "::fffe:192.0.2.1", v4, 4, false },   /* and is not mapped */
		{ "32.1.13.184", v6, 16, false },       /* 2001:db8 */
		{ "", v4, 4, false },
		{ "unix", v4, 4, false },
	};
	struct writ_server_config cfg = config();
	(void)state;
	cfg.nodes.x509pop.verify_client_ip = true;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		WRIT_AUTO(writ_buf_done) struct writ_buf payload = WRIT_BUF(TEXT_MAX);
		WRIT_AUTO(writ_buf_done) struct writ_buf answer = WRIT_BUF(TEXT_MAX);
		struct forge f = node_by(node_key, "root", root_key);
		struct node_kit k;
		f.san[2].tag = FORGE_IP;
		f.san[2].p = rows[i].san;
		f.san[2].n = rows[i].n;
		node_kit_open(&k, &cfg, "x509pop");
		k.x.now = FORGE_NOW;
		(void)snprintf(k.x.address, sizeof(k.x.address), "%s", rows[i].address);
		payload_of(&f, NULL, &payload);
		assert_ok(node_kit_begin(&k, writ_buf_cstr(&payload)), k.err);
		answer_with(&k, node_key, &answer);
		writ_rc rc = node_kit_respond(&k, writ_buf_cstr(&answer));
		if (rc != (rows[i].fits ? WRIT_OK : WRIT_EDENIED))
			fail_msg("row %zu: %s", i, writ_rc_name(rc));
		node_kit_close(&k);
	}
}

static writ_rc attest_svid_named(
	struct node_kit *k, const struct writ_server_config *cfg, const char *id, const char *also)
{
	struct forge f = forge_leaf(id, node_key, "root", root_key);
	if (also) {
		f.san[1].tag = FORGE_URI;
		f.san[1].p = also;
	}
	WRIT_AUTO(writ_buf_done) struct writ_buf payload = WRIT_BUF(TEXT_MAX);
	WRIT_AUTO(writ_buf_done) struct writ_buf answer = WRIT_BUF(TEXT_MAX);
	node_kit_open(k, cfg, "x509pop");
	k->x.now = FORGE_NOW;
	assert_ok(writ_anchors_new(&root, 1, &k->x.own, &k->err), k->err);
	payload_of(&f, NULL, &payload);
	assert_ok(node_kit_begin(k, writ_buf_cstr(&payload)), k->err);
	answer_with(k, node_key, &answer);
	return node_kit_respond(k, writ_buf_cstr(&answer));
}

static writ_rc attest_svid(struct node_kit *k, const struct writ_server_config *cfg, const char *id)
{
	return attest_svid_named(k, cfg, id, NULL);
}

static void an_svid_of_our_own_will_do_in_mode_spiffe(void **state)
{
	static char by_svid[] = "/{{ .PluginName }}/{{ .SVIDPathTrimmed }}";
	struct writ_server_config cfg = config();
	struct node_kit k;
	(void)state;
	cfg.nodes.x509pop.mode = WRIT_X509POP_SPIFFE;
	cfg.nodes.x509pop.agent_path_template = by_svid;
	assert_ok(attest_svid(&k, &cfg, "spiffe://example.org/spire-exchange/dc1/n1"), k.err);
	assert_string_equal(node_kit_path(&k), "/x509pop/dc1/n1");
	node_kit_close(&k);
	assert_fails(attest_svid(&k, &cfg, "spiffe://example.org/web"), WRIT_EDENIED, k.err,
		"does not start with the prefix");
	node_kit_close(&k);
	assert_fails(attest_svid(&k, &cfg, "spiffe://other.org/spire-exchange/n1"), WRIT_EDENIED,
		k.err, "does not start with the prefix");
	node_kit_close(&k);
	assert_fails(attest_svid_named(&k, &cfg, "spiffe://example.org/spire-exchange/n1",
			     "spiffe://example.org/spire-exchange/n2"),
		WRIT_EDENIED, k.err, "is not an X509-SVID");
	node_kit_close(&k);
	/* Our own CA may not be known yet; then nobody is let in. */
	const struct forge f =
		forge_leaf("spiffe://example.org/spire-exchange/n1", node_key, "root", root_key);
	expect(&cfg, &f, NULL, node_key, WRIT_ECRYPTO, "no trust anchor");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_machine_of_the_operators_ca_gets_in),
		cmocka_unit_test(an_rsa_key_is_as_good),
		cmocka_unit_test(a_key_too_large_to_check_cheaply_is_refused),
		cmocka_unit_test(the_cas_may_be_in_several_files),
		cmocka_unit_test(names_of_another_form_give_no_selector),
		cmocka_unit_test(an_address_is_compared_as_a_whole),
		cmocka_unit_test(who_cannot_prove_is_refused_with_the_reason),
		cmocka_unit_test(an_old_answer_is_no_answer),
		cmocka_unit_test(what_is_no_payload_costs_nothing),
		cmocka_unit_test(the_template_names_the_agent),
		cmocka_unit_test(the_address_has_to_be_in_the_certificate),
		cmocka_unit_test(an_svid_of_our_own_will_do_in_mode_spiffe),
	};
	return cmocka_run_group_tests(tests, make_pki, drop_pki);
}
