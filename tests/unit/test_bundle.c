/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "forge.h"

#include "base/mem.h"
#include "crypto/digest.h"
#include "spiffe/bundle.h"

static struct {
	struct writ_key *key, *other, *rsa;
	struct writ_cert *ca, *ca2, *ca_rsa, *leaf;
	struct writ_buf good; /* the entry of ca, as printed */
} f;

static struct writ_cert *make_ca(const char *name, struct writ_key *key)
{
	struct forge c = forge_ca(name, key);
	struct writ_cert *cert = forge_cert(&c);
	assert_non_null(cert);
	return cert;
}

static struct writ_bundle *bundle_of(
	struct writ_cert *const *cas, size_t n, uint64_t sequence, int64_t hint)
{
	struct writ_bundle *b = NULL;
	struct writ_err err;
	assert_ok(writ_bundle_new(WRIT_STR("td"), cas, NULL, n, sequence, hint, &b, &err), err);
	return b;
}

static int set_up(void **state)
{
	struct writ_err err;
	(void)state;
	f.key = forge_key(WRIT_KEY_P256);
	f.other = forge_key(WRIT_KEY_P384);
	f.rsa = forge_key(WRIT_KEY_RSA2048);
	f.ca = make_ca("one", f.key);
	f.ca2 = make_ca("two", f.other);
	f.ca_rsa = make_ca("three", f.rsa);
	struct forge l = forge_leaf("spiffe://td/x", f.key, "two", f.other);
	f.leaf = forge_cert(&l);
	struct writ_bundle *b = bundle_of(&f.ca, 1, 1, 0);
	struct writ_buf doc = WRIT_BUF(65536);
	assert_ok(writ_bundle_print_jwks(b, &doc, &err), err);
	const char *start = strstr(writ_buf_cstr(&doc), "[{") + 1, *end = strstr(start, "}]") + 1;
	f.good = WRIT_BUF(65536);
	writ_buf_add(&f.good, start, (size_t)(end - start));
	writ_buf_done(&doc);
	writ_bundle_unref(b);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	writ_cert_unref(f.ca);
	writ_cert_unref(f.ca2);
	writ_cert_unref(f.ca_rsa);
	writ_cert_unref(f.leaf);
	writ_key_unref(f.key);
	writ_key_unref(f.other);
	writ_key_unref(f.rsa);
	writ_buf_done(&f.good);
	return 0;
}

static void documents_come_back_as_they_were_printed(void **state)
{
	struct writ_cert *cas[] = { f.ca, f.ca2, f.ca_rsa };
	struct writ_bundle *b = bundle_of(cas, 3, 7, 300), *again = NULL;
	struct writ_buf doc = WRIT_BUF(65536);
	struct writ_err err;
	(void)state;
	assert_ok(writ_bundle_print_jwks(b, &doc, &err), err);
	assert_ok(writ_bundle_parse_jwks(WRIT_STR("td"), writ_buf_str(&doc), &again, &err), err);
	assert_true(writ_bundle_same_cas(b, again));
	assert_int_equal(again->sequence, 7);
	assert_int_equal(again->refresh_hint_s, 300);
	assert_null(strstr(writ_buf_cstr(&doc), "\"kid\""));
	assert_null(strstr(writ_buf_cstr(&doc), "\"d\""));
	writ_bundle_unref(again);
	writ_buf_reset(&doc);
	writ_bundle_print_pem(b, &doc);
	assert_ok(writ_bundle_parse_pem(WRIT_STR("td"), writ_buf_str(&doc), &again, &err), err);
	assert_true(writ_bundle_same_cas(b, again));
	writ_bundle_unref(again);
	assert_ok(writ_bundle_parse_der(WRIT_STR("td"), b->der.p, b->der.n, &again, &err), err);
	assert_true(writ_bundle_same_cas(b, again));
	assert_true(writ_str_eq(b->der, again->der));
	writ_bundle_unref(again);
	writ_bundle_unref(b);
	writ_buf_done(&doc);
}

/* %s in a document stands for the good entry. -1: refused. */
static void each_document_gets_its_answer(void **state)
{
	static const struct {
		const char *doc;
		int cas;
	} rows[] = {
		{ "{\"keys\":[%s]}", 1 },
		{ "{\"keys\":[%s,%s]}", 1 },
		{ "{\"keys\":[]}", 0 },
		{ "{\"keys\":[],\"x\":1}", 0 },
		{ "{}", -1 },
		{ "{\"keys\":null}", -1 },
		{ "{\"keys\":{}}", -1 },
		{ "{\"keys\":\"x\"}", -1 },
		{ "[]", -1 },
		{ "1", -1 },
		{ "\"x\"", -1 },
		{ "", -1 },
		{ "not json", -1 },
		{ "{\"keys\":[]} x", -1 },
		{ "{\"keys\":[]}{}", -1 },
		{ "\xef\xbb\xbf{\"keys\":[]}", -1 },
		{ "{\"keys\":[],\"x\":\"\xff\"}", -1 },
		{ "{\"keys\":[],\"keys\":[]}", -1 },
		{ "{\"keys\":[{\"kty\":\"EC\",\"kty\":\"EC\"}]}", -1 },
		{ "{\"keys\":[{\"kty\":\"XYZ\",\"use\":\"x509-svid\"},%s]}", 1 },
		{ "{\"keys\":[{\"use\":\"x509-svid\"},{},1,null,%s]}", 1 },
		{ "{\"keys\":[{\"use\":\"jwt-svid\",\"kty\":\"EC\"},{\"use\":\"wit-svid\"},%s]}",
			1 },
		{ "{\"keys\":[{\"kty\":\"EC\",\"use\":\"x509-svid\"}]}", 0 },
		{ "{\"keys\":[{\"kty\":\"EC\",\"use\":\"x509-svid\",\"x5c\":[]}]}", 0 },
		{ "{\"keys\":[{\"kty\":\"EC\",\"use\":\"x509-svid\",\"x5c\":[1]}]}", 0 },
		{ "{\"keys\":[{\"kty\":\"EC\",\"use\":\"x509-svid\",\"x5c\":\"MIIB\"}]}", 0 },
		{ "{\"keys\":[],\"spiffe_sequence\":9223372036854775807}", 0 },
		{ "{\"keys\":[],\"spiffe_sequence\":9223372036854775808}", 0 },
		{ "{\"keys\":[],\"spiffe_sequence\":18446744073709551615}", 0 },
		{ "{\"keys\":[%s],\"spiffe_sequence\":18446744073709551615}", 1 },
		{ "{\"keys\":[],\"spiffe_sequence\":-1}", -1 },
		{ "{\"keys\":[],\"spiffe_sequence\":\"1\"}", -1 },
		{ "{\"keys\":[],\"spiffe_sequence\":1.5}", -1 },
		{ "{\"keys\":[],\"spiffe_sequence\":1.0}", -1 },
		{ "{\"keys\":[],\"spiffe_sequence\":null}", -1 },
		{ "{\"keys\":[],\"spiffe_sequence\":1e99}", -1 },
		{ "{\"keys\":[],\"spiffe_sequence\":1e999}", -1 },
		{ "{\"keys\":[],\"spiffe_refresh_hint\":0}", 0 },
		{ "{\"keys\":[],\"spiffe_refresh_hint\":-1}", -1 },
		{ "{\"keys\":[],\"spiffe_refresh_hint\":\"x\"}", -1 },
		{ "{\"keys\":[],\"spiffe_refresh_hint\":99999999999}", -1 },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_buf doc = WRIT_BUF(65536);
		struct writ_bundle *b = NULL;
		struct writ_err err = { 0 };
		for (const char *p = rows[i].doc; *p; p++) {
			if (p[0] == '%' && p[1] == 's') {
				writ_buf_add(&doc, f.good.p, f.good.n);
				p++;
			} else {
				writ_buf_add(&doc, p, 1);
			}
		}
		writ_rc rc = writ_bundle_parse_jwks(WRIT_STR("td"), writ_buf_str(&doc), &b, &err);
		if ((rc == WRIT_OK) != (rows[i].cas >= 0) || (rc != WRIT_OK && rc != WRIT_EINVAL) ||
			(b && (int)b->n != rows[i].cas))
			fail_msg("'%s': %s, %zu: %s", rows[i].doc, writ_rc_name(rc), b ? b->n : 0,
				err.msg);
		writ_bundle_unref(b);
		writ_buf_done(&doc);
	}
}

/* The good entry with one text replaced by another. */
static void entries_that_do_not_fit_are_passed_over(void **state)
{
	static const struct {
		const char *from, *to;
		size_t cas;
	} rows[] = {
		{ "\"use\"", "\"use\"", 1 },
		{ "\"x509-svid\"", "\"sig\"", 0 },
		{ "\"x509-svid\"", "\"X509-SVID\"", 0 },
		{ "\"use\":\"x509-svid\"", "\"use\":\"x509-svid\",\"kid\":\"k\"", 1 },
		{ "\"use\":\"x509-svid\"", "\"use\":\"x509-svid\",\"alg\":\"ES256\"", 1 },
		{ "\"use\":\"x509-svid\"", "\"use\":\"x509-svid\",\"d\":\"AA\"", 0 },
		{ "\"use\":\"x509-svid\",", "", 0 },
		{ "\"kty\":\"EC\",", "", 0 },
		{ "\"kty\":\"EC\"", "\"kty\":\"RSA\"", 0 },
		{ "\"P-256\"", "\"P-384\"", 0 },
		{ "\"crv\":\"P-256\",", "", 0 },
		{ "\"x\":\"", "\"x\":\"A", 0 },
		{ "\"y\":\"", "\"z\":\"", 0 },
		{ "[\"MII", "[\"-II", 0 },
		{ "[\"MII", "[\"\\nMII", 0 },
		{ "[\"MII", "[\"-----BEGIN CERTIFICATE-----MII", 0 },
		{ "[\"MII", "[\"AAAA\",\"MII", 0 },
		{ "\"]}", "\",\"AAAA\"]}", 1 },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_buf doc = WRIT_BUF(65536);
		struct writ_bundle *b = NULL;
		struct writ_err err;
		const char *entry = writ_buf_cstr(&f.good), *at = strstr(entry, rows[i].from);
		assert_non_null(at);
		writ_buf_add_cstr(&doc, "{\"keys\":[");
		writ_buf_add(&doc, entry, (size_t)(at - entry));
		writ_buf_add_cstr(&doc, rows[i].to);
		writ_buf_add_cstr(&doc, at + strlen(rows[i].from));
		writ_buf_add_cstr(&doc, "]}");
		assert_ok(
			writ_bundle_parse_jwks(WRIT_STR("td"), writ_buf_str(&doc), &b, &err), err);
		if (b->n != rows[i].cas)
			fail_msg("%s -> %s: %zu", rows[i].from, rows[i].to, b->n);
		writ_bundle_unref(b);
		writ_buf_done(&doc);
	}
}

static void leaves_are_no_anchors(void **state)
{
	struct writ_bundle *b = NULL;
	struct writ_err err;
	(void)state;
	assert_fails(writ_bundle_new(WRIT_STR("td"), &f.leaf, NULL, 1, 0, 0, &b, &err), WRIT_EINVAL,
		err, "not a CA");
	struct writ_str der = writ_cert_der(f.leaf);
	assert_int_equal(
		writ_bundle_parse_der(WRIT_STR("td"), der.p, der.n, &b, &err), WRIT_EINVAL);
	assert_null(b);
}

static void framing_is_exact(void **state)
{
	struct writ_str der = writ_cert_der(f.ca);
	struct writ_bundle *b = NULL;
	struct writ_buf two = WRIT_BUF(65536);
	struct writ_err err;
	(void)state;
	writ_buf_add_str(&two, der);
	writ_buf_add_str(&two, writ_cert_der(f.ca2));
	assert_ok(writ_bundle_parse_der(WRIT_STR("td"), two.p, two.n, &b, &err), err);
	assert_int_equal(b->n, 2);
	writ_bundle_unref(b);
	b = NULL;
	for (size_t n = 1; n < two.n; n++) {
		if (n != der.n)
			assert_int_equal(writ_bundle_parse_der(WRIT_STR("td"), two.p, n, &b, &err),
				WRIT_EINVAL);
	}
	writ_buf_add_byte(&two, 0);
	assert_int_equal(
		writ_bundle_parse_der(WRIT_STR("td"), two.p, two.n, &b, &err), WRIT_EINVAL);
	assert_int_equal(
		writ_bundle_parse_pem(WRIT_STR("td"), WRIT_STR("no block"), &b, &err), WRIT_EINVAL);
	assert_int_equal(
		writ_bundle_parse_der(WRIT_STR("TD"), der.p, der.n, &b, &err), WRIT_EINVAL);
	assert_ok(writ_bundle_parse_der(WRIT_STR("td"), NULL, 0, &b, &err), err);
	assert_int_equal(b->n, 0);
	writ_bundle_unref(b);
	writ_buf_done(&two);
}

static void limits_hold(void **state)
{
	struct writ_bundle *b = NULL;
	struct writ_err err;
	struct writ_buf doc = WRIT_BUF(8 << 20);
	struct writ_cert *many[WRIT_BUNDLE_CAS_MAX + 1];
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(many); i++)
		many[i] = f.ca;
	assert_int_equal(
		writ_bundle_new(WRIT_STR("td"), many, NULL, WRIT_COUNT(many), 0, 0, &b, &err),
		WRIT_ELIMIT);
	for (size_t i = 0; i < 100000; i++)
		writ_buf_add_byte(&doc, '[');
	assert_int_equal(
		writ_bundle_parse_jwks(WRIT_STR("td"), writ_buf_str(&doc), &b, &err), WRIT_EINVAL);
	writ_buf_reset(&doc);
	writ_buf_add_cstr(&doc, "{\"keys\":[");
	for (size_t i = 0; i < 5000; i++)
		writ_buf_add_cstr(&doc, i ? ",{}" : "{}");
	writ_buf_add_cstr(&doc, "]}");
	assert_int_equal(
		writ_bundle_parse_jwks(WRIT_STR("td"), writ_buf_str(&doc), &b, &err), WRIT_ELIMIT);
	while (doc.n <= WRIT_BUNDLE_BYTES_MAX)
		writ_buf_add(&doc, "                ", 16);
	assert_int_equal(
		writ_bundle_parse_jwks(WRIT_STR("td"), writ_buf_str(&doc), &b, &err), WRIT_ELIMIT);
	assert_int_equal(
		writ_bundle_parse_der(WRIT_STR("td"), doc.p, doc.n, &b, &err), WRIT_ELIMIT);
	assert_null(b);
	writ_buf_done(&doc);
}

static void taint_follows_the_certificate(void **state)
{
	struct writ_cert *cas[] = { f.ca, f.ca, f.ca2 };
	const bool tainted[] = { false, false, true };
	struct writ_bundle *b = NULL;
	struct writ_err err;
	(void)state;
	assert_ok(writ_bundle_new(WRIT_STR("td"), cas, tainted, 3, 0, 0, &b, &err), err);
	assert_int_equal(b->n, 2);
	assert_false(b->tainted[0]);
	assert_true(b->tainted[1]);
	writ_bundle_unref(b);
}

static void sets_change_by_copies(void **state)
{
	struct writ_bundle *a = NULL, *b = NULL, *a2 = bundle_of(&f.ca2, 1, 2, 0);
	struct writ_err err;
	(void)state;
	a = bundle_of(&f.ca, 1, 1, 0);
	assert_ok(writ_bundle_new(WRIT_STR("b"), &f.ca2, NULL, 1, 1, 0, &b, &err), err);
	struct writ_bundles *one = writ_bundles_with(NULL, a), *two = writ_bundles_with(one, b);
	struct writ_bundles *three = writ_bundles_with(two, a2),
			    *four = writ_bundles_without(three, WRIT_STR("b"));
	assert_ptr_equal(writ_bundles_get(one, WRIT_STR("td")), a);
	assert_null(writ_bundles_get(one, WRIT_STR("b")));
	assert_ptr_equal(writ_bundles_get(two, WRIT_STR("td")), a);
	assert_ptr_equal(writ_bundles_get(two, WRIT_STR("b")), b);
	assert_ptr_equal(writ_bundles_get(three, WRIT_STR("td")), a2);
	assert_ptr_equal(writ_bundles_get(three, WRIT_STR("b")), b);
	assert_ptr_equal(writ_bundles_get(four, WRIT_STR("td")), a2);
	assert_null(writ_bundles_get(four, WRIT_STR("b")));
	assert_null(writ_bundles_get(NULL, WRIT_STR("td")));
	assert_false(writ_bundle_same_cas(a, a2));
	writ_bundle_unref(a);
	writ_bundle_unref(a2);
	writ_bundle_unref(b);
	writ_bundles_unref(writ_bundles_ref(one));
	writ_bundles_unref(one);
	writ_bundles_unref(two);
	writ_bundles_unref(three);
	writ_bundles_unref(four);
}

static void taint_reaches_what_the_key_has_signed(void **state)
{
	(void)state;
	struct writ_bundle *none, *one, *two;
	struct writ_err err;
	struct writ_cert *const cas[] = { f.ca, f.ca2 };
	const bool first[] = { true, false }, second[] = { false, true };
	none = bundle_of(cas, 2, 0, 0);
	assert_ok(writ_bundle_new(WRIT_STR("td"), cas, first, 2, 0, 0, &one, &err), err);
	assert_ok(writ_bundle_new(WRIT_STR("td"), cas, second, 2, 0, 0, &two, &err), err);
	assert_false(writ_bundle_has_taint(none));
	assert_true(writ_bundle_has_taint(two));
	assert_true(writ_bundle_same_taint(none, none) && writ_bundle_same_taint(two, two));
	assert_false(writ_bundle_same_taint(none, one) || writ_bundle_same_taint(one, none));
	assert_false(writ_bundle_same_taint(one, two));
	/* The leaf is by the second one. */
	assert_false(writ_bundle_taints(none, &f.leaf, 1));
	assert_false(writ_bundle_taints(one, &f.leaf, 1));
	assert_true(writ_bundle_taints(two, &f.leaf, 1));
	assert_false(writ_bundle_taints(two, &f.leaf, 0));
	struct forge l = forge_leaf("spiffe://td/x", f.key, "two", f.other);
	l.no_aki = true;
	struct writ_cert *unsaid = forge_cert(&l);
	if (unsaid)
		assert_false(writ_bundle_taints(two, &unsaid, 1));
	writ_cert_unref(unsaid);
	writ_bundle_unref(none);
	writ_bundle_unref(one);
	writ_bundle_unref(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_come_back_as_they_were_printed),
		cmocka_unit_test(each_document_gets_its_answer),
		cmocka_unit_test(entries_that_do_not_fit_are_passed_over),
		cmocka_unit_test(leaves_are_no_anchors),
		cmocka_unit_test(framing_is_exact),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(taint_follows_the_certificate),
		cmocka_unit_test(taint_reaches_what_the_key_has_signed),
		cmocka_unit_test(sets_change_by_copies),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
