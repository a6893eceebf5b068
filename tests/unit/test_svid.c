/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "forge.h"

#include "base/mem.h"
#include "spiffe/svid.h"

#include <pthread.h>

#define NOW FORGE_NOW
#define ID  "spiffe://a.test/w"

static struct {
	struct writ_key *ca, *ca_b, *mid, *mid2, *leaf;
	struct writ_cert *cert_a, *cert_b;
	struct writ_bundles *both;
} f;

static struct writ_bundle *bundle_of(const char *td, struct writ_cert *const *cas, size_t n)
{
	struct writ_bundle *b = NULL;
	struct writ_err err;
	assert_ok(writ_bundle_new(writ_cstr(td), cas, NULL, n, 1, 0, &b, &err), err);
	return b;
}

static struct writ_bundles *bundles_with(struct writ_bundles *old, struct writ_bundle *b)
{
	struct writ_bundles *s = writ_bundles_with(old, b);
	writ_bundles_unref(old);
	writ_bundle_unref(b);
	return s;
}

static struct writ_cert *make_ca(const char *name, struct writ_key *key, const char *uri)
{
	struct forge c = forge_ca(name, key);
	if (uri) {
		c.san[0].tag = FORGE_URI;
		c.san[0].p = uri;
	}
	struct writ_cert *cert = forge_cert(&c);
	assert_non_null(cert);
	return cert;
}

static int set_up(void **state)
{
	(void)state;
	f.ca = forge_key(WRIT_KEY_P256);
	f.ca_b = forge_key(WRIT_KEY_P256);
	f.mid = forge_key(WRIT_KEY_P256);
	f.mid2 = forge_key(WRIT_KEY_P256);
	f.leaf = forge_key(WRIT_KEY_P256);
	f.cert_a = make_ca("ca-a", f.ca, "spiffe://a.test");
	f.cert_b = make_ca("ca-b", f.ca_b, "spiffe://b.test");
	f.both = bundles_with(NULL, bundle_of("a.test", &f.cert_a, 1));
	f.both = bundles_with(f.both, bundle_of("b.test", &f.cert_b, 1));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	writ_key_unref(f.ca);
	writ_key_unref(f.ca_b);
	writ_key_unref(f.mid);
	writ_key_unref(f.mid2);
	writ_key_unref(f.leaf);
	writ_cert_unref(f.cert_a);
	writ_cert_unref(f.cert_b);
	writ_bundles_unref(f.both);
	return 0;
}

static void set_uri(struct forge *l, size_t i, const char *p)
{
	l->san[i].tag = FORGE_URI;
	l->san[i].p = p;
	l->san[i].n = 0;
}

#define CHANGE(name, what)                                                                         \
	static void name(struct forge *l)                                                          \
	{                                                                                          \
		what;                                                                              \
	}

/* One change to a leaf that ca-a signs. */
CHANGE(plain, (void)l)
static void no_subject(struct forge *l)
{
	l->subject = NULL;
	l->san_critical = true;
}
CHANGE(loose_empty_subject, l->subject = NULL)
CHANGE(no_bc, l->bc = FORGE_BC_NONE)
CHANGE(no_eku, l->eku = 0)
CHANGE(eku_critical, l->eku_critical = true)
static void dns_and_ip(struct forge *l)
{
	l->san[1].tag = FORGE_DNS;
	l->san[1].p = "a.example";
	l->san[2].tag = FORGE_IP;
	l->san[2].p = "\x7f\0\0\1";
	l->san[2].n = 4;
}
static void dns_first(struct forge *l)
{
	set_uri(l, 1, ID);
	l->san[0].tag = FORGE_DNS;
	l->san[0].p = "a.example";
}
CHANGE(only_ds, l->ku = FORGE_KU_DS)
CHANGE(ku_loose, l->ku_loose = true)
CHANGE(two_uri, set_uri(l, 1, "spiffe://a.test/other"))
CHANGE(two_uri_same, set_uri(l, 1, ID))
CHANGE(two_uri_https, set_uri(l, 1, "https://a.test/w"))
static void two_uri_https_first(struct forge *l)
{
	set_uri(l, 0, "https://a.test/w");
	set_uri(l, 1, ID);
}
static void dns_only(struct forge *l)
{
	l->san[0].tag = FORGE_DNS;
	l->san[0].p = "a.example";
}
CHANGE(no_san, l->san[0].tag = 0)
CHANGE(uri_https, set_uri(l, 0, "https://a.test/w"))
CHANGE(uri_td, set_uri(l, 0, "spiffe://a.test"))
CHANGE(uri_root, set_uri(l, 0, "spiffe://a.test/"))
CHANGE(uri_scheme_upper, set_uri(l, 0, "SPIFFE://a.test/w"))
CHANGE(uri_td_upper, set_uri(l, 0, "spiffe://A.test/w"))
CHANGE(uri_bad_char, set_uri(l, 0, "spiffe://a.test/w!"))
CHANGE(uri_query, set_uri(l, 0, "spiffe://a.test/w?x"))
CHANGE(uri_port, set_uri(l, 0, "spiffe://a.test:1/w"))
CHANGE(uri_empty_segment, set_uri(l, 0, "spiffe://a.test//w"))
static void uri_nul(struct forge *l)
{
	set_uri(l, 0, ID "\0x");
	l->san[0].n = sizeof(ID "\0x") - 1;
}
CHANGE(uri_not_ascii, set_uri(l, 0, "spiffe://a.test/\xe4"))
static void uri_2049(struct forge *l)
{
	static char id[2050];
	memset(id, 'a', 2049);
	memcpy(id, "spiffe://a.test/", 16);
	set_uri(l, 0, id);
}
static void uri_2048(struct forge *l)
{
	static char id[2049];
	memset(id, 'a', 2048);
	memcpy(id, "spiffe://a.test/", 16);
	set_uri(l, 0, id);
}
CHANGE(ca_true, l->bc = FORGE_BC_TRUE)
static void ca_true_sign(struct forge *l)
{
	l->bc = FORGE_BC_TRUE;
	l->ku = FORGE_KU_CERT;
}
CHANGE(ku_cert_sign, l->ku |= FORGE_KU_CERT)
CHANGE(ku_crl_sign, l->ku |= FORGE_KU_CRL)
CHANGE(ku_none, l->ku = 0)
CHANGE(ku_no_ds, l->ku = FORGE_KU_KE)
CHANGE(eku_server, l->eku = FORGE_EKU_SERVER)
CHANGE(eku_client, l->eku = FORGE_EKU_CLIENT)
CHANGE(eku_code, l->eku = FORGE_EKU_CODE)
CHANGE(eku_any, l->eku = FORGE_EKU_ANY)
CHANGE(expired, l->not_after = NOW - 1)
static void last_second(struct forge *l)
{
	l->not_after = NOW + 1; /* OpenSSL counts notAfter itself as over */
}
CHANGE(not_yet, l->not_before = NOW + 1)
CHANGE(first_second, l->not_before = NOW)
static void by_b(struct forge *l)
{
	l->issuer = "ca-b";
	l->issuer_key = f.ca_b;
}
CHANGE(by_same_name, l->issuer_key = f.ca_b)
CHANGE(id_in_b, set_uri(l, 0, "spiffe://b.test/w"))
CHANGE(id_in_c, set_uri(l, 0, "spiffe://c.test/w"))
CHANGE(critical_unknown, l->unknown = 2)
CHANGE(plain_unknown, l->unknown = 1)
static void self_signed(struct forge *l)
{
	l->issuer = l->subject;
	l->issuer_key = NULL;
}
CHANGE(zero_serial, l->serial_len = 1)
static const struct row {
	const char *name;
	void (*change)(struct forge *l);
	writ_rc server, client; /* as that side's certificate */
} rows[] = {
	{ "plain", plain, WRIT_OK, WRIT_OK },
	{ "empty subject", no_subject, WRIT_OK, WRIT_OK },
	{ "no basicConstraints", no_bc, WRIT_OK, WRIT_OK },
	{ "no EKU", no_eku, WRIT_OK, WRIT_OK },
	{ "critical EKU", eku_critical, WRIT_OK, WRIT_OK },
	{ "URI, DNS and IP", dns_and_ip, WRIT_OK, WRIT_OK },
	{ "DNS before URI", dns_first, WRIT_OK, WRIT_OK },
	{ "digitalSignature alone", only_ds, WRIT_OK, WRIT_OK },
	{ "KU not critical", ku_loose, WRIT_OK, WRIT_OK },
	{ "plain unknown extension", plain_unknown, WRIT_OK, WRIT_OK },
	{ "ID of 2048 bytes", uri_2048, WRIT_OK, WRIT_OK },
	{ "in its first second", first_second, WRIT_OK, WRIT_OK },
	{ "a second before its end", last_second, WRIT_OK, WRIT_OK },
	{ "two URIs", two_uri, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "two URIs, the same", two_uri_same, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "second URI https", two_uri_https, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "first URI https", two_uri_https_first, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "DNS only", dns_only, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "no SAN", no_san, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "URI https", uri_https, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "ID without path", uri_td, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "ID with root path", uri_root, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "scheme in upper case", uri_scheme_upper, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "trust domain in upper case", uri_td_upper, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "bad character", uri_bad_char, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "query", uri_query, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "port", uri_port, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "empty segment", uri_empty_segment, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "embedded NUL", uri_nul, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "not ASCII", uri_not_ascii, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "ID of 2049 bytes", uri_2049, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "CA with digitalSignature", ca_true, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "CA with keyCertSign", ca_true_sign, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "keyCertSign", ku_cert_sign, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "cRLSign", ku_crl_sign, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "no KU", ku_none, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "no digitalSignature", ku_no_ds, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "EKU for servers", eku_server, WRIT_OK, WRIT_ECRYPTO },
	{ "EKU for clients", eku_client, WRIT_ECRYPTO, WRIT_OK },
	{ "EKU for code", eku_code, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "EKU for anything", eku_any, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "expired", expired, WRIT_EEXPIRED, WRIT_EEXPIRED },
	{ "not yet valid", not_yet, WRIT_EEXPIRED, WRIT_EEXPIRED },
	{ "signed by b, ID in a", by_b, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "another CA of the same name", by_same_name, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "signed by a, ID in b", id_in_b, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "signed by a, ID in an unknown domain", id_in_c, WRIT_EUNAUTH, WRIT_EUNAUTH },
	{ "critical unknown extension", critical_unknown, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "self-signed", self_signed, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "empty subject, SAN not critical", loose_empty_subject, WRIT_ECRYPTO, WRIT_ECRYPTO },
	{ "serial number 0", zero_serial, WRIT_ECRYPTO, WRIT_ECRYPTO },
};

static writ_rc verify(struct writ_cert *const *chain, size_t n, const struct writ_bundles *s,
	enum writ_purpose purpose, struct writ_err *err)
{
	struct writ_id id = { .uri = WRIT_STR("untouched") };
	writ_rc rc = writ_svid_verify(chain, n, s, purpose, NOW, &id, err);
	assert_int_equal(rc != WRIT_OK, writ_str_eq(id.uri, WRIT_STR("untouched")));
	return rc;
}

static void each_leaf_gets_its_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct forge l = forge_leaf(ID, f.leaf, "ca-a", f.ca);
		struct writ_err err = { 0 };
		rows[i].change(&l);
		struct writ_cert *c = forge_cert(&l);
		assert_non_null(c);
		writ_rc server = verify(&c, 1, f.both, WRIT_PURPOSE_TLS_SERVER, &err);
		writ_rc client = verify(&c, 1, f.both, WRIT_PURPOSE_TLS_CLIENT, &err);
		if (server != rows[i].server || client != rows[i].client)
			fail_msg("%s: %s and %s: %s", rows[i].name, writ_rc_name(server),
				writ_rc_name(client), err.msg);
		writ_cert_unref(c);
	}
}

static void expiry_says_both_times(void **state)
{
	struct forge l = forge_leaf(ID, f.leaf, "ca-a", f.ca);
	struct writ_err err;
	(void)state;
	l.not_after = NOW - 7;
	struct writ_cert *c = forge_cert(&l);
	assert_fails(
		verify(&c, 1, f.both, WRIT_PURPOSE_ANY, &err), WRIT_EEXPIRED, err, "7 s too late");
	writ_cert_unref(c);
	l.not_after = NOW + 300;
	l.not_before = NOW + 9;
	c = forge_cert(&l);
	assert_fails(
		verify(&c, 1, f.both, WRIT_PURPOSE_ANY, &err), WRIT_EEXPIRED, err, "9 s too early");
	writ_cert_unref(c);
}

/* Chains. What stands between leaf and root is made by a forge of a CA that is changed a little. */
struct link {
	void (*mid)(struct forge *m);
	void (*root)(struct forge *r);
	const char *name;
	writ_rc want;
};

CHANGE(mid_no_ca, l->bc = FORGE_BC_FALSE)
CHANGE(mid_no_bc, l->bc = FORGE_BC_NONE)
CHANGE(mid_no_sign, l->ku = FORGE_KU_CRL)
CHANGE(mid_no_ku, l->ku = 0)
CHANGE(mid_expired, l->not_after = NOW - 1)
CHANGE(mid_other_td, set_uri(l, 0, "spiffe://other.test"))
CHANGE(mid_path, set_uri(l, 0, "spiffe://a.test/ca"))
CHANGE(root_pathlen0, l->pathlen = 1)
CHANGE(root_expired, l->not_after = NOW - 1)
CHANGE(root_permits_td, l->permitted = "a.test")
CHANGE(root_permits_other, l->permitted = "b.test")
CHANGE(root_excludes_td, l->excluded = "a.test")
static void each_chain_gets_its_answer(void **state)
{
	static const struct link links[] = {
		{ plain, plain, "intermediate", WRIT_OK },
		{ NULL, plain, "missing intermediate", WRIT_ECRYPTO },
		{ mid_other_td, plain, "intermediate of another domain", WRIT_OK },
		{ mid_path, plain, "intermediate with a path", WRIT_OK },
		{ plain, root_permits_td, "name constraint permits", WRIT_OK },
		{ mid_no_ca, plain, "intermediate no CA", WRIT_ECRYPTO },
		{ mid_no_bc, plain, "intermediate without basicConstraints", WRIT_ECRYPTO },
		{ mid_no_sign, plain, "intermediate without keyCertSign", WRIT_ECRYPTO },
		{ mid_no_ku, plain, "intermediate without KU", WRIT_ECRYPTO },
		{ mid_expired, plain, "expired intermediate", WRIT_EEXPIRED },
		{ plain, root_pathlen0, "root pathlen 0", WRIT_ECRYPTO },
		{ plain, root_expired, "expired root", WRIT_EEXPIRED },
		{ plain, root_permits_other, "name constraint permits another", WRIT_ECRYPTO },
		{ plain, root_excludes_td, "name constraint excludes", WRIT_ECRYPTO },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(links); i++) {
		struct forge root = forge_ca("root", f.ca), mid = forge_ca("mid", f.mid);
		struct forge l = forge_leaf(ID, f.leaf, "mid", f.mid);
		struct writ_err err = { 0 };
		mid.issuer = "root";
		mid.issuer_key = f.ca;
		links[i].root(&root);
		if (links[i].mid)
			links[i].mid(&mid);
		struct writ_cert *ca = forge_cert(&root),
				 *chain[] = { forge_cert(&l), forge_cert(&mid), ca };
		struct writ_bundles *s = bundles_with(NULL, bundle_of("a.test", &ca, 1));
		size_t n = links[i].mid ? 2 : 1;
		writ_rc rc = verify(chain, n, s, WRIT_PURPOSE_TLS_SERVER, &err);
		if (rc != links[i].want)
			fail_msg("%s: %s: %s", links[i].name, writ_rc_name(rc), err.msg);
		if (links[i].mid) /* the root in the chain changes nothing */
			assert_int_equal(
				verify(chain, 3, s, WRIT_PURPOSE_TLS_SERVER, &err), links[i].want);
		writ_bundles_unref(s);
		writ_certs_unref(chain, 3);
	}
}

static struct writ_cert *make_mid(const char *name, struct writ_key *key, const char *issuer,
	struct writ_key *issuer_key, int pathlen)
{
	struct forge m = forge_ca(name, key);
	m.issuer = issuer;
	m.issuer_key = issuer_key;
	m.pathlen = pathlen;
	struct writ_cert *c = forge_cert(&m);
	assert_non_null(c);
	return c;
}

static void longer_chains(void **state)
{
	struct forge l = forge_leaf(ID, f.leaf, "m2", f.mid2);
	struct writ_err err;
	(void)state;
	struct writ_cert *leaf = forge_cert(&l);
	struct writ_cert *m1 = make_mid("m1", f.mid, "ca-a", f.ca, 0);
	struct writ_cert *m1_short = make_mid("m1", f.mid, "ca-a", f.ca, 1);
	struct writ_cert *m2 = make_mid("m2", f.mid2, "m1", f.mid, 0);
	struct writ_cert *good[] = { leaf, m2, m1 }, *swapped[] = { leaf, m1, m2 },
			 *wrong[] = { m2, leaf, m1 };
	struct writ_cert *tight[] = { leaf, m2, m1_short }, *nine[9];
	assert_ok(verify(good, 3, f.both, WRIT_PURPOSE_TLS_SERVER, &err), err);
	assert_ok(verify(swapped, 3, f.both, WRIT_PURPOSE_TLS_SERVER, &err), err);
	assert_int_equal(verify(wrong, 3, f.both, WRIT_PURPOSE_TLS_SERVER, &err), WRIT_ECRYPTO);
	assert_int_equal(verify(tight, 3, f.both, WRIT_PURPOSE_TLS_SERVER, &err), WRIT_ECRYPTO);
	for (size_t i = 0; i < 9; i++)
		nine[i] = i ? m1 : leaf;
	assert_fails(verify(nine, 9, f.both, WRIT_PURPOSE_TLS_SERVER, &err), WRIT_ECRYPTO, err,
		"chain of 9");
	assert_int_equal(verify(nine, 0, f.both, WRIT_PURPOSE_TLS_SERVER, &err), WRIT_ECRYPTO);
	writ_cert_unref(leaf);
	writ_cert_unref(m1);
	writ_cert_unref(m1_short);
	writ_cert_unref(m2);
}

static void only_the_bundle_vouches(void **state)
{
	struct forge l = forge_leaf(ID, f.leaf, "mid", f.mid), own = l;
	struct writ_err err;
	(void)state;
	struct writ_cert *mid = make_mid("mid", f.mid, "ca-a", f.ca, 0);
	struct writ_cert *chain[] = { forge_cert(&l), f.cert_a };
	/* a CA that is not self-signed may be the anchor */
	struct writ_bundles *s = bundles_with(NULL, bundle_of("a.test", &mid, 1));
	assert_ok(verify(chain, 1, s, WRIT_PURPOSE_TLS_SERVER, &err), err);
	writ_bundles_unref(s);
	/* an empty bundle vouches for nobody, a missing one neither */
	s = bundles_with(NULL, bundle_of("a.test", NULL, 0));
	assert_int_equal(verify(chain, 1, s, WRIT_PURPOSE_TLS_SERVER, &err), WRIT_ECRYPTO);
	writ_bundles_unref(s);
	assert_int_equal(verify(chain, 1, NULL, WRIT_PURPOSE_TLS_SERVER, &err), WRIT_EUNAUTH);
	/* two roots in a bundle */
	struct writ_cert *two[] = { f.cert_b, mid };
	s = bundles_with(NULL, bundle_of("a.test", two, 2));
	assert_ok(verify(chain, 1, s, WRIT_PURPOSE_TLS_SERVER, &err), err);
	writ_bundles_unref(s);
	/* self-made leaf, with a foreign root beside it */
	own.issuer_key = NULL;
	own.issuer = own.subject;
	writ_cert_unref(chain[0]);
	chain[0] = forge_cert(&own);
	assert_int_equal(verify(chain, 2, f.both, WRIT_PURPOSE_TLS_SERVER, &err), WRIT_ECRYPTO);
	/* a leaf that signs a leaf */
	struct forge a = forge_leaf("spiffe://a.test/signer", f.mid, "ca-a", f.ca);
	struct forge b = forge_leaf(ID, f.leaf, "leaf", f.mid);
	struct writ_cert *pair[] = { forge_cert(&b), forge_cert(&a) };
	assert_int_equal(verify(pair, 2, f.both, WRIT_PURPOSE_TLS_SERVER, &err), WRIT_ECRYPTO);
	writ_certs_unref(pair, 2);
	writ_cert_unref(chain[0]);
	writ_cert_unref(mid);
}

static void a_changed_signature_is_refused(void **state)
{
	struct forge l = forge_leaf(ID, f.leaf, "ca-a", f.ca);
	struct writ_buf der = WRIT_BUF(WRIT_CERT_MAX);
	struct writ_cert *c = NULL;
	struct writ_err err;
	(void)state;
	forge_der(&l, &der);
	der.p[der.n - 1] ^= 1;
	assert_ok(writ_cert_parse(der.p, der.n, &c, &err), err);
	assert_int_equal(verify(&c, 1, f.both, WRIT_PURPOSE_TLS_SERVER, &err), WRIT_ECRYPTO);
	writ_cert_unref(c);
	writ_buf_done(&der);
}

static void other_key_types_verify(void **state)
{
	static const enum writ_key_type types[] = { WRIT_KEY_P384, WRIT_KEY_RSA2048 };
	struct writ_err err;
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(types); i++) {
		struct writ_key *k = forge_key(types[i]);
		struct forge l = forge_leaf(ID, k, "ca-a", f.ca);
		struct writ_cert *c = forge_cert(&l);
		assert_ok(verify(&c, 1, f.both, WRIT_PURPOSE_TLS_SERVER, &err), err);
		writ_cert_unref(c);
		writ_key_unref(k);
	}
}

static void an_svid_is_made_of_what_belongs_together(void **state)
{
	struct forge l = forge_leaf(ID, f.leaf, "ca-a", f.ca), td = l;
	struct writ_svid *s = NULL;
	struct writ_err err;
	(void)state;
	struct writ_cert *chain[] = { forge_cert(&l), writ_cert_ref(f.cert_a) };
	assert_ok(writ_svid_new(chain, 2, f.leaf, "main", &s, &err), err);
	assert_string_equal(s->spiffe_id, ID);
	assert_string_equal(s->hint, "main");
	assert_int_equal(writ_svid_not_before(s), NOW - 60);
	assert_int_equal(writ_svid_not_after(s), NOW + 300);
	writ_svid_unref(writ_svid_ref(s));
	writ_svid_unref(s);
	s = NULL;
	assert_fails(
		writ_svid_new(chain, 1, f.mid, NULL, &s, &err), WRIT_ECRYPTO, err, "private key");
	assert_int_equal(writ_svid_new(chain, 0, f.leaf, NULL, &s, &err), WRIT_EINVAL);
	struct writ_cert *twice[] = { chain[0], chain[0] };
	assert_fails(writ_svid_new(twice, 2, f.leaf, NULL, &s, &err), WRIT_ECRYPTO, err, "no CA");
	set_uri(&td, 0, "spiffe://a.test");
	struct writ_cert *pathless = forge_cert(&td);
	assert_int_equal(writ_svid_new(&pathless, 1, f.leaf, NULL, &s, &err), WRIT_ECRYPTO);
	assert_null(s);
	writ_cert_unref(pathless);
	writ_certs_unref(chain, 2);
}

static void renewal_is_due_at_a_third_of_life(void **state)
{
	(void)state;
	assert_int_equal(writ_svid_renew_at_ms(1000, 1100, 0), 1030000);
	assert_int_equal(writ_svid_renew_at_ms(1000, 1100, 500), 1035000);
	assert_int_equal(writ_svid_renew_at_ms(1000, 1100, 999), 1039990);
	assert_int_equal(writ_svid_renew_at_ms(0, 60, 0), 18000);
	/* issued at 10 for ten seconds, dated back: due after it was there */
	assert_int_equal(writ_svid_renew_at_ms(0, 20, 500), 13500);
}

static void *verify_often(void *arg)
{
	struct writ_id id;
	bool good = true;
	for (int i = 0; good && i < 30; i++)
		good = writ_svid_verify((struct writ_cert *const *)&arg, 1, f.both,
			       WRIT_PURPOSE_TLS_CLIENT, NOW, &id, NULL) == WRIT_OK &&
			strlen(writ_cert_subject(arg)) > 0;
	writ_cert_unref(arg);
	return good ? f.both : NULL;
}

static void several_threads_share_a_certificate(void **state)
{
	struct forge l = forge_leaf(ID, f.leaf, "ca-a", f.ca);
	struct writ_cert *c = forge_cert(&l);
	pthread_t threads[4];
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(threads); i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, verify_often, writ_cert_ref(c)), 0);
	writ_cert_unref(c);
	for (size_t i = 0; i < WRIT_COUNT(threads); i++) {
		void *good = NULL;
		pthread_join(threads[i], &good);
		assert_non_null(good);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_leaf_gets_its_answer),
		cmocka_unit_test(expiry_says_both_times),
		cmocka_unit_test(each_chain_gets_its_answer),
		cmocka_unit_test(longer_chains),
		cmocka_unit_test(only_the_bundle_vouches),
		cmocka_unit_test(a_changed_signature_is_refused),
		cmocka_unit_test(other_key_types_verify),
		cmocka_unit_test(an_svid_is_made_of_what_belongs_together),
		cmocka_unit_test(renewal_is_due_at_a_third_of_life),
		cmocka_unit_test(several_threads_share_a_certificate),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
