/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "forge.h"

#include "base/mem.h"
#include "crypto/algs.h"
#include "crypto/csr.h"
#include "crypto/name.h"

static struct writ_key *key;

static int make_key(void **state)
{
	(void)state;
	key = forge_key(WRIT_KEY_P256);
	return 0;
}

static int drop_key(void **state)
{
	(void)state;
	writ_key_unref(key);
	return 0;
}

/* A request with freely chosen parts; NULL parts are the right ones. */
struct recipe {
	const char *version;   /* one byte */
	struct writ_der exts;  /* inside of the list of requested extensions */
	struct writ_der attrs; /* instead of the attributes made from exts */
	struct writ_der spki, alg, subject;
	bool no_attrs;
};

static void add(struct writ_buf *b, struct writ_der d)
{
	writ_buf_add(b, d.p, d.n);
}

static void make(const struct recipe *r, struct writ_buf *out)
{
	static const struct writ_attr name[] = { { WRIT_ATTR_CN, "x" } };
	struct writ_pubkey pub;
	struct writ_err err;
	uint8_t sig[WRIT_SIG_MAX];
	size_t n = 0, all = writ_der_open(out, WRIT_DER_SEQ), start = out->n;
	size_t info = writ_der_open(out, WRIT_DER_SEQ), mark;
	assert_ok(writ_pubkey_of_key(key, &pub, &err), err);
	writ_der_add(out, WRIT_DER_INT, r->version ? r->version : "\0", 1);
	if (r->subject.n)
		add(out, r->subject);
	else
		writ_name_add(out, name, 1);
	if (r->spki.n)
		add(out, r->spki);
	else
		writ_buf_add(out, pub.spki, pub.spki_len);
	mark = r->no_attrs ? 0 : writ_der_open(out, 0xa0);
	add(out, r->attrs);
	if (r->exts.n) {
		size_t attr = writ_der_open(out, WRIT_DER_SEQ);
		writ_der_add(out, WRIT_DER_OID, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e", 9);
		size_t set = writ_der_open(out, WRIT_DER_SET),
		       list = writ_der_open(out, WRIT_DER_SEQ);
		add(out, r->exts);
		writ_der_close(out, list);
		writ_der_close(out, set);
		writ_der_close(out, attr);
	}
	if (!r->no_attrs)
		writ_der_close(out, mark);
	writ_der_close(out, info);
	assert_ok(writ_key_sign(key, out->p + start, out->n - start, sig, &n, &err), err);
	add(out, r->alg.n ? r->alg : writ_sigalg_of(WRIT_KEY_P256));
	size_t bits = writ_der_open(out, WRIT_DER_BITS);
	writ_buf_add_byte(out, 0);
	writ_buf_add(out, sig, n);
	writ_der_close(out, bits);
	writ_der_close(out, all);
}

static void requests_come_back_as_they_were_built(void **state)
{
	static const enum writ_key_type types[] = { WRIT_KEY_P256, WRIT_KEY_P384,
		WRIT_KEY_RSA2048 };
	static const char *const dns[] = { "a.example.org", "b.example.org" };
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(types); i++) {
		struct writ_key *k = forge_key(types[i]);
		struct writ_buf der = WRIT_BUF(WRIT_CSR_MAX);
		struct writ_pubkey want, got;
		struct writ_csr c;
		struct writ_err err;
		assert_ok(writ_pubkey_of_key(k, &want, &err), err);
		assert_ok(writ_csr_build(k, "spiffe://td/x", dns, 2, &der, &err), err);
		assert_ok(writ_csr_key(der.p, der.n, &got, &err), err);
		assert_true(writ_pubkey_eq(&want, &got));
		assert_ok(writ_csr_parse(der.p, der.n, &c, &err), err);
		assert_true(writ_pubkey_eq(&want, &c.key));
		assert_int_equal(c.n_uris, 1);
		assert_string_equal(c.uris[0], "spiffe://td/x");
		assert_int_equal(c.n_dns, 2);
		assert_string_equal(c.dns[1], "b.example.org");
		assert_true(c.subject_len > 2);
		writ_csr_done(&c);
		writ_buf_reset(&der);
		assert_ok(writ_csr_build(k, NULL, NULL, 0, &der, &err), err);
		assert_ok(writ_csr_parse(der.p, der.n, &c, &err), err);
		assert_int_equal(c.n_uris + c.n_dns, 0);
		writ_csr_done(&c);
		writ_buf_done(&der);
		writ_key_unref(k);
	}
}

#define OID_SAN "\x06\x03\x55\x1d\x11"
#define OID_BC  "\x06\x03\x55\x1d\x13"
#define LIT(s)                                                                                     \
	{                                                                                          \
		(const uint8_t *)(s), sizeof(s) - 1                                                \
	}

static const struct row {
	const char *name;
	struct recipe r;
	const char *why; /* NULL: accepted */
} rows[] = {
	{ "plain", { 0 }, NULL },
	{ "no attributes at all", { .no_attrs = true }, NULL },
	{ "one URI", { .exts = LIT("\x30\x12" OID_SAN "\x04\x0b\x30\x09\x86\x07spiffe:") }, NULL },
	{ "two URIs",
		{ .exts = LIT("\x30\x11" OID_SAN "\x04\x0a\x30\x08\x86\x02"
			      "a:"
			      "\x86\x02"
			      "b:") },
		"URI" },
	{ "two URIs, the same",
		{ .exts = LIT("\x30\x11" OID_SAN "\x04\x0a\x30\x08\x86\x02"
			      "a:"
			      "\x86\x02"
			      "a:") },
		"URI" },
	{ "two SANs",
		{ .exts = LIT("\x30\x0d" OID_SAN "\x04\x06\x30\x04\x86\x02"
			      "a:"
			      "\x30\x0d" OID_SAN "\x04\x06\x30\x04\x86\x02"
			      "a:") },
		"subjectAltName" },
	{ "NUL in a URI",
		{ .exts = LIT("\x30\x0e" OID_SAN "\x04\x07\x30\x05\x86\x03"
			      "a\0b") },
		"printable" },
	{ "line feed in a DNS name",
		{ .exts = LIT("\x30\x0e" OID_SAN "\x04\x07\x30\x05\x82\x03"
			      "a\nb") },
		"printable" },
	{ "empty DNS name", { .exts = LIT("\x30\x0b" OID_SAN "\x04\x04\x30\x02\x82\x00") },
		"empty" },
	{ "wants to be a CA", { .exts = LIT("\x30\x0c" OID_BC "\x04\x05\x30\x03\x01\x01\xff") },
		"CA" },
	{ "wants to be a CA, critical",
		{ .exts = LIT("\x30\x0f" OID_BC "\x01\x01\xff\x04\x05\x30\x03\x01\x01\xff") },
		"CA" },
	{ "wants to be no CA", { .exts = LIT("\x30\x09" OID_BC "\x04\x02\x30\x00") }, NULL },
	{ "an extension cut short", { .exts = LIT("\x30\x05" OID_BC) }, "extension" },
	{ "an empty attribute", { .attrs = LIT("\x30\x00") }, "attribute" },
	{ "garbage for an attribute", { .attrs = LIT("\x04\x01x") }, "attribute" },
	{ "two lists of extensions",
		{ .attrs = LIT(
			  "\x30\x0f\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e\x31\x02\x30\x00"
			  "\x30\x0f\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e\x31\x02\x30\x00") },
		"two lists" },
	{ "version 2", { .version = "\1" }, "version" },
	{ "empty subject", { .subject = LIT("\x30\x00") }, NULL },
	{ "subject of octets",
		{ .subject = LIT("\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x04\x02xy") },
		"subject" },
	{ "subject with an empty set", { .subject = LIT("\x30\x02\x31\x00") }, "subject" },
	{ "key of Ed25519",
		{ .spki = LIT("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"
			      "0123456789abcdef0123456789abcdef") },
		"public key" },
	{ "algorithm of RSA",
		{ .alg = LIT("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00") },
		"signature" },
	{ "ECDSA with SHA-1", { .alg = LIT("\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x04\x01") },
		"signature" },
	{ "ECDSA with SHA-384, signed with SHA-256",
		{ .alg = LIT("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03") }, "signature" },
	{ "ECDSA with parameters",
		{ .alg = LIT("\x30\x0c\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02\x05\x00") },
		"signature" },
};

static void each_request_gets_its_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_buf der = WRIT_BUF(WRIT_CSR_MAX);
		struct writ_pubkey k;
		struct writ_csr c;
		struct writ_err err = { 0 };
		make(&rows[i].r, &der);
		writ_rc rc = writ_csr_parse(der.p, der.n, &c, &err);
		if (rc != (rows[i].why ? WRIT_EINVAL : WRIT_OK) ||
			(rows[i].why && !strstr(err.msg, rows[i].why)))
			fail_msg("%s: %s '%s'", rows[i].name, writ_rc_name(rc), err.msg);
		assert_int_equal(writ_csr_key(der.p, der.n, &k, NULL), rc);
		if (rc != WRIT_OK)
			assert_true(c.n_uris == 0 && c.n_dns == 0 && !c.subject);
		if (rc != WRIT_OK && !(strstr(err.msg, "malformed CSR: ") == err.msg) &&
			strstr(err.msg, "invalid CSR signature: ") != err.msg)
			fail_msg("%s: '%s'", rows[i].name, err.msg);
		writ_csr_done(&c);
		writ_buf_done(&der);
	}
}

/* Every flipped bit is noticed: all bytes are either signed, or part of the signature, or of the
 * form. */
static void no_bit_can_be_flipped(void **state)
{
	struct writ_buf der = WRIT_BUF(WRIT_CSR_MAX);
	struct writ_pubkey k;
	struct writ_err err;
	(void)state;
	assert_ok(writ_csr_build(key, "spiffe://td/x", NULL, 0, &der, &err), err);
	for (size_t i = 0; i < der.n * 8; i++) {
		der.p[i / 8] ^= (uint8_t)(1U << i % 8);
		if (writ_csr_key(der.p, der.n, &k, NULL) == WRIT_OK)
			fail_msg("bit %zu of byte %zu", i % 8, i / 8);
		der.p[i / 8] ^= (uint8_t)(1U << i % 8);
	}
	for (size_t n = 0; n < der.n; n++)
		assert_int_equal(writ_csr_key(der.p, n, &k, NULL), WRIT_EINVAL);
	writ_buf_add_byte(&der, 0);
	assert_fails(writ_csr_key(der.p, der.n, &k, &err), WRIT_EINVAL, err, "follow");
	writ_buf_done(&der);
}

static void large_requests_cost_nothing(void **state)
{
	size_t n = 10 << 20;
	uint8_t *big = writ_alloc(n);
	struct writ_pubkey k;
	struct writ_err err;
	struct writ_buf b = WRIT_BUF(60000), out = WRIT_BUF(60000);
	(void)state;
	assert_fails(writ_csr_key(big, n, &k, &err), WRIT_EINVAL, err, "bytes");
	/* as many names and extensions as fit */
	size_t ext = writ_der_open(&b, WRIT_DER_SEQ);
	writ_der_add(&b, WRIT_DER_OID, "\x55\x1d\x11", 3);
	size_t v = writ_der_open(&b, WRIT_DER_OCTETS), list = writ_der_open(&b, WRIT_DER_SEQ);
	for (int i = 0; i < 3000; i++)
		writ_der_add(&b, 0x82, "ab", 2);
	writ_der_close(&b, list);
	writ_der_close(&b, v);
	writ_der_close(&b, ext);
	struct recipe r = { .exts = writ_der(b.p, b.n) };
	make(&r, &out);
	assert_fails(writ_csr_key(out.p, out.n, &k, &err), WRIT_EINVAL, err, "DNS names");
	writ_buf_reset(&b);
	writ_buf_reset(&out);
	for (int i = 0; i < 1000; i++)
		writ_buf_add(&b, "\x30\x09\x06\x03\x55\x1d\x63\x04\x02\x05\x00", 11);
	r.exts = writ_der(b.p, b.n);
	make(&r, &out);
	assert_fails(writ_csr_key(out.p, out.n, &k, &err), WRIT_EINVAL, err, "too many");
	writ_buf_done(&b);
	writ_buf_done(&out);
	writ_free(big);
}

static void builds_are_bounded(void **state)
{
	static char uri[20000];
	struct writ_buf der = WRIT_BUF(1 << 20);
	struct writ_err err;
	(void)state;
	memset(uri, 'a', sizeof(uri) - 1);
	assert_int_equal(writ_csr_build(key, uri, NULL, 0, &der, &err), WRIT_ELIMIT);
	assert_int_equal(der.n, 0);
	writ_buf_done(&der);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_come_back_as_they_were_built),
		cmocka_unit_test(each_request_gets_its_answer),
		cmocka_unit_test(no_bit_can_be_flipped),
		cmocka_unit_test(large_requests_cost_nothing),
		cmocka_unit_test(builds_are_bounded),
	};
	return cmocka_run_group_tests(tests, make_key, drop_key);
}
