/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "forge.h"

#include "base/mem.h"
#include "base/rand.h"
#include "crypto/issue.h"

#include <sys/wait.h>
#include <unistd.h>

#define NOW FORGE_NOW

static struct {
	struct writ_key *ca_key, *key, *other;
	struct writ_pubkey ca_pub, pub, other_pub;
	struct writ_cert *ca;
} f;

static struct writ_issue ca_request(void)
{
	struct writ_issue r = { .profile = WRIT_PROFILE_CA,
		.trust_domain = "td",
		.spiffe_id = "spiffe://td",
		.subject = { "US", "SPIFFE", NULL },
		.key = &f.ca_pub,
		.now = NOW,
		.not_before = NOW - 60,
		.not_after = NOW + 86400,
		.issuer_key = f.ca_key };
	writ_serial_new(r.serial);
	return r;
}

static const char *const two_dns[] = { "a.example.org", "*.example.org" };

static struct writ_issue leaf_request(void)
{
	struct writ_issue r = ca_request();
	r.profile = WRIT_PROFILE_LEAF;
	r.spiffe_id = "spiffe://td/x";
	r.subject = (struct writ_subject){ "US", "SPIRE", "a.example.org" };
	r.dns = two_dns;
	r.n_dns = 2;
	r.key = &f.pub;
	r.not_after = NOW + 300;
	r.issuer = f.ca;
	return r;
}

static struct writ_cert *issue(const struct writ_issue *r)
{
	struct writ_buf der = WRIT_BUF(8192);
	struct writ_cert *c = NULL;
	struct writ_err err;
	assert_ok(writ_issue(r, &der, &err), err);
	assert_ok(writ_issue_check(der.p, der.n, r, &err), err);
	assert_ok(writ_cert_parse(der.p, der.n, &c, &err), err);
	writ_buf_done(&der);
	return c;
}

static int set_up(void **state)
{
	struct writ_err err;
	(void)state;
	f.ca_key = forge_key(WRIT_KEY_P256);
	f.key = forge_key(WRIT_KEY_P256);
	f.other = forge_key(WRIT_KEY_P256);
	assert_ok(writ_pubkey_of_key(f.ca_key, &f.ca_pub, &err), err);
	assert_ok(writ_pubkey_of_key(f.key, &f.pub, &err), err);
	assert_ok(writ_pubkey_of_key(f.other, &f.other_pub, &err), err);
	struct writ_issue r = ca_request();
	f.ca = issue(&r);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	writ_cert_unref(f.ca);
	writ_key_unref(f.ca_key);
	writ_key_unref(f.key);
	writ_key_unref(f.other);
	return 0;
}

static void verifies(struct writ_cert *leaf, struct writ_cert *ca)
{
	struct writ_anchors *a = NULL;
	struct writ_err err;
	assert_ok(writ_anchors_new(&ca, 1, &a, &err), err);
	assert_ok(writ_chain_verify(a, &leaf, 1, WRIT_PURPOSE_TLS_SERVER, NOW, &err), err);
	assert_ok(writ_chain_verify(a, &leaf, 1, WRIT_PURPOSE_TLS_CLIENT, NOW, &err), err);
	assert_ok(writ_chain_verify(a, &leaf, 1, WRIT_PURPOSE_ANY, NOW, &err), err);
	writ_anchors_unref(a);
}

static void a_leaf_says_what_was_asked_for(void **state)
{
	struct writ_issue r = leaf_request();
	struct writ_cert *c = issue(&r);
	(void)state;
	assert_int_equal(writ_cert_uri_count(c), 1);
	assert_true(writ_str_eq(writ_cert_uri(c, 0), WRIT_STR("spiffe://td/x")));
	assert_int_equal(writ_cert_dns_count(c), 2);
	assert_true(writ_str_eq(writ_cert_dns(c, 1), WRIT_STR("*.example.org")));
	assert_string_equal(writ_cert_subject(c), "CN=a.example.org,O=SPIRE,C=US");
	assert_int_equal(writ_cert_not_before(c), NOW - 60);
	assert_int_equal(writ_cert_not_after(c), NOW + 300);
	assert_false(writ_cert_is_ca(c));
	assert_true(writ_cert_has_basic_constraints(c));
	assert_int_equal(writ_cert_key_usage(c), WRIT_KU_PRESENT | WRIT_KU_DIGITAL_SIGNATURE);
	assert_int_equal(
		writ_cert_ext_key_usage(c), WRIT_EKU_PRESENT | WRIT_EKU_SERVER | WRIT_EKU_CLIENT);
	assert_string_equal(writ_cert_aki_hex(c), writ_cert_ski_hex(f.ca));
	char hex[64];
	writ_hex(r.serial, sizeof(r.serial), hex);
	const char *seen = writ_cert_serial_hex(c);
	assert_string_equal(hex + strlen(hex) - strlen(seen), seen);
	verifies(c, f.ca);
	writ_cert_unref(c);
}

static void a_ca_has_its_serial_number_in_its_name(void **state)
{
	char want[128];
	(void)state;
	snprintf(want, sizeof(want), "serialNumber=%s,O=SPIFFE,C=US", writ_cert_serial_dec(f.ca));
	assert_string_equal(writ_cert_subject(f.ca), want);
	assert_true(writ_cert_is_ca(f.ca));
	assert_true(writ_cert_self_signed(f.ca));
	assert_string_equal(writ_cert_aki_hex(f.ca), "");
	assert_int_equal(writ_cert_key_usage(f.ca),
		WRIT_KU_PRESENT | WRIT_KU_KEY_CERT_SIGN | WRIT_KU_CRL_SIGN);
}

static void every_pair_of_key_types_works(void **state)
{
	static const enum writ_key_type types[] = { WRIT_KEY_P256, WRIT_KEY_P384,
		WRIT_KEY_RSA2048 };
	struct writ_err err;
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(types); i++) {
		struct writ_key *ca_key = forge_key(types[i]);
		struct writ_pubkey ca_pub;
		assert_ok(writ_pubkey_of_key(ca_key, &ca_pub, &err), err);
		struct writ_issue r = ca_request();
		r.key = &ca_pub;
		r.issuer_key = ca_key;
		struct writ_cert *ca = issue(&r);
		for (size_t j = 0; j < WRIT_COUNT(types); j++) {
			struct writ_key *k = forge_key(types[j]);
			struct writ_pubkey pub;
			assert_ok(writ_pubkey_of_key(k, &pub, &err), err);
			struct writ_issue l = leaf_request();
			l.key = &pub;
			l.issuer = ca;
			l.issuer_key = ca_key;
			struct writ_cert *leaf = issue(&l);
			verifies(leaf, ca);
			writ_cert_unref(leaf);
			writ_key_unref(k);
		}
		writ_cert_unref(ca);
		writ_key_unref(ca_key);
	}
}

static void an_intermediate_and_its_leaf_verify(void **state)
{
	struct writ_issue r = ca_request();
	struct writ_anchors *a = NULL;
	struct writ_err err;
	(void)state;
	r.key = &f.other_pub;
	r.issuer = f.ca;
	struct writ_cert *mid = issue(&r);
	struct writ_issue l = leaf_request();
	l.issuer = mid;
	l.issuer_key = f.other;
	struct writ_cert *chain[] = { issue(&l), mid };
	assert_ok(writ_anchors_new(&f.ca, 1, &a, &err), err);
	assert_ok(writ_chain_verify(a, chain, 2, WRIT_PURPOSE_TLS_SERVER, NOW, &err), err);
	assert_int_equal(
		writ_chain_verify(a, chain, 1, WRIT_PURPOSE_TLS_SERVER, NOW, &err), WRIT_ECRYPTO);
	writ_anchors_unref(a);
	writ_certs_unref(chain, 2);
}

static void an_empty_subject_makes_the_san_critical(void **state)
{
	struct writ_issue r = leaf_request();
	(void)state;
	r.subject = (struct writ_subject){ 0 };
	struct writ_cert *c = issue(&r);
	verifies(c, f.ca);
	writ_cert_unref(c);
}

static void the_longest_id_can_be_issued(void **state)
{
	char id[2049];
	struct writ_issue r = leaf_request();
	(void)state;
	memset(id, 'a', 2048);
	memcpy(id, "spiffe://td/", 12);
	id[2048] = '\0';
	r.spiffe_id = id;
	struct writ_cert *c = issue(&r);
	assert_int_equal(writ_cert_uri(c, 0).n, 2048);
	verifies(c, f.ca);
	writ_cert_unref(c);
}

static void times_beyond_2049_change_their_form(void **state)
{
	const int64_t far = INT64_C(2600000000);
	struct writ_issue r = ca_request();
	(void)state;
	r.not_after = far;
	struct writ_cert *ca = issue(&r);
	assert_int_equal(writ_cert_not_after(ca), far);
	writ_cert_unref(ca);
}

#define ASK(name, what)                                                                            \
	static void name(struct writ_issue *r)                                                     \
	{                                                                                          \
		what;                                                                              \
	}

/* Requests that break a rule by what they ask for. */
ASK(ask_bad_path, r->spiffe_id = "spiffe://td/a/../b")
ASK(ask_percent, r->spiffe_id = "spiffe://td/%41")
ASK(ask_upper, r->spiffe_id = "spiffe://TD/x")
ASK(ask_port, r->spiffe_id = "spiffe://td:1/x")
ASK(ask_query, r->spiffe_id = "spiffe://td/x?y")
ASK(ask_slash, r->spiffe_id = "spiffe://td/x/")
ASK(ask_https, r->spiffe_id = "https://td/x")
ASK(ask_foreign, r->spiffe_id = "spiffe://other/x")
static void ask_other_td(struct writ_issue *r)
{
	r->spiffe_id = "spiffe://other/x";
	r->trust_domain = "other";
}
ASK(ask_no_path, r->spiffe_id = "spiffe://td")
static void ask_ca_path(struct writ_issue *r)
{
	*r = ca_request();
	r->spiffe_id = "spiffe://td/ca";
}
static void ask_small_serial(struct writ_issue *r)
{
	memset(r->serial, 0, 8);
	r->serial[8] = 1;
}
ASK(ask_zero_serial, memset(r->serial, 0, 16))
ASK(ask_large_serial, r->serial[0] = 0x80)
ASK(ask_old_start, r->not_before = NOW - 71)
ASK(ask_late_start, r->not_before = NOW + 1)
static void ask_before_issuer(struct writ_issue *r)
{
	r->now = 0;
	r->not_before = NOW - 61;
}
ASK(ask_outlive, r->not_after = NOW + 86401)
ASK(ask_backwards, r->not_after = r->not_before)
ASK(ask_no_issuer, r->issuer = NULL)
ASK(ask_ca_key, r->key = &f.ca_pub)
static void ask_bad_subject(struct writ_issue *r)
{
	r->subject_der = (const uint8_t *)"\x30\x02\x31\x00";
	r->subject_der_len = 4;
}
static void ask_nameless_ca(struct writ_issue *r)
{
	*r = ca_request();
	r->subject_der = (const uint8_t *)"\x30\x00";
	r->subject_der_len = 2;
}
static void ask_dns(struct writ_issue *r, const char *name)
{
	static const char *one[1];
	one[0] = name;
	r->dns = one;
	r->n_dns = 1;
}
ASK(ask_dns_under, ask_dns(r, "a_b.example.org"))
ASK(ask_dns_dash, ask_dns(r, "-a.example.org"))
ASK(ask_dns_dots, ask_dns(r, "a..b"))
ASK(ask_dns_star, ask_dns(r, "a.*.b"))
ASK(ask_dns_empty, ask_dns(r, ""))
static void ask_dns_ca(struct writ_issue *r)
{
	*r = ca_request();
	ask_dns(r, "a.b");
}
static void ask_large(struct writ_issue *r)
{
	static char name[254];
	static const char *many[20];
	for (size_t i = 0; i < 253; i++)
		name[i] = i % 50 == 49 ? '.' : 'a';
	for (size_t i = 0; i < 20; i++)
		many[i] = name;
	r->dns = many;
	r->n_dns = 20;
}

static void requests_that_break_a_rule_are_not_signed(void **state)
{
	static const struct {
		const char *rule;
		void (*ask)(struct writ_issue *r);
	} rows[] = {
		{ "L1: ", ask_bad_path },
		{ "L1: ", ask_percent },
		{ "L1: ", ask_upper },
		{ "L1: ", ask_port },
		{ "L1: ", ask_query },
		{ "L1: ", ask_slash },
		{ "L1: ", ask_https },
		{ "L2: ", ask_foreign },
		{ "L2: ", ask_other_td },
		{ "L4: ", ask_no_path },
		{ "L4: ", ask_ca_path },
		{ "L11: ", ask_small_serial },
		{ "L11: ", ask_zero_serial },
		{ "L11: ", ask_large_serial },
		{ "L12: ", ask_old_start },
		{ "L12: ", ask_late_start },
		{ "L12: ", ask_before_issuer },
		{ "L13: ", ask_outlive },
		{ "L13: ", ask_backwards },
		{ "L16: ", ask_no_issuer },
		{ "L15: ", ask_bad_subject },
		{ "L15: ", ask_nameless_ca },
		{ "L17: ", ask_ca_key },
		{ "L20: ", ask_dns_under },
		{ "L20: ", ask_dns_dash },
		{ "L20: ", ask_dns_dots },
		{ "L20: ", ask_dns_star },
		{ "L20: ", ask_dns_empty },
		{ "L20: ", ask_dns_ca },
		{ "L21: ", ask_large },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_issue r = leaf_request();
		struct writ_buf der = WRIT_BUF(8192);
		struct writ_err err = { 0 };
		rows[i].ask(&r);
		if (writ_issue(&r, &der, &err) != WRIT_EINVAL ||
			strstr(err.msg, rows[i].rule) != err.msg)
			fail_msg("row %zu, %s: '%s'", i, rows[i].rule, err.msg);
		assert_int_equal(der.n, 0);
		writ_buf_done(&der);
	}
}

#define LIT(s)                                                                                     \
	{                                                                                          \
		(const uint8_t *)(s), sizeof(s) - 1                                                \
	}

/* A good TBS in which some bytes are replaced by as many others. */
static void flawed_bytes_are_found(void **state)
{
	static const struct {
		const char *rule;
		struct writ_der from, to;
	} rows[] = {
		{ "L3: ",
			LIT("\x82\x0d"
			    "a.example.org"),
			LIT("\x86\x0d"
			    "a.example.org") },
		{ "L3: ",
			LIT("\x82\x0d"
			    "a.example.org"),
			LIT("\x87\x0d"
			    "a.example.org") },
		{ "L3: ",
			LIT("\x86\x0d"
			    "spiffe://td/x"),
			LIT("\x82\x0d"
			    "spiffe://td/x") },
		{ "L1: ", LIT("spiffe://td/x"), LIT("spiffe://td/y") },
		{ "L1: ", LIT("spiffe://td/x"), LIT("spiffe://td/\0") },
		{ "L6: ", LIT("\x55\x1d\x13\x01\x01\xff"), LIT("\x55\x1d\x13\x01\x01\x00") },
		{ "L19: ", LIT("\x55\x1d\x13\x01\x01\xff"), LIT("\x55\x1d\x13\x01\x01\x01") },
		{ "L7: ", LIT("\x03\x02\x03\xa8"), LIT("\x03\x02\x01\x06") },
		{ "L7: ", LIT("\x03\x02\x03\xa8"), LIT("\x03\x02\x07\x80") },
		{ "L7: ", LIT("\x03\x02\x03\xa8"), LIT("\x03\x02\x02\xac") },
		{ "L19: ", LIT("\x03\x02\x03\xa8"), LIT("\x03\x02\x04\xa8") },
		{ "L7: ", LIT("\x55\x1d\x0f\x01\x01\xff"), LIT("\x55\x1d\x0f\x01\x01\x00") },
		{ "L8: ", LIT("\x2b\x06\x01\x05\x05\x07\x03\x02"),
			LIT("\x2b\x06\x01\x05\x05\x07\x03\x03") },
		{ "L8: ", LIT("\x2b\x06\x01\x05\x05\x07\x03\x02"),
			LIT("\x2b\x06\x01\x05\x05\x07\x03\x01") },
		{ "L10: ", LIT("\x55\x1d\x23\x04\x18\x30\x16\x80\x14"),
			LIT("\x55\x1d\x23\x04\x18\x30\x16\x82\x14") },
		{ "L14: ", LIT("\x55\x1d\x25"), LIT("\x55\x1d\x63") },
		{ "L14: ", LIT("\x55\x1d\x23"), LIT("\x55\x1d\x0e") },
		{ "L15: ", LIT("\xa0\x03\x02\x01\x02"), LIT("\xa0\x03\x02\x01\x01") },
		{ "L15: ", LIT("\x2a\x86\x48\xce\x3d\x04\x03\x02"),
			LIT("\x2a\x86\x48\xce\x3d\x04\x03\x03") },
		{ "L15: ", LIT("SPIFFE"), LIT("SPIFFX") },
		{ "L20: ",
			LIT("\x82\x0d"
			    "a.example.org"),
			LIT("\x82\x0d"
			    "b.example.org") },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_issue r = leaf_request();
		struct writ_buf tbs = WRIT_BUF(8192);
		struct writ_err err = { 0 };
		assert_ok(writ_issue_tbs(&r, &tbs, &err), err);
		assert_ok(writ_lint(tbs.p, tbs.n, &r, &err), err);
		uint8_t *at = memmem(tbs.p, tbs.n, rows[i].from.p, rows[i].from.n);
		assert_non_null(at);
		assert_int_equal(rows[i].from.n, rows[i].to.n);
		memcpy(at, rows[i].to.p, rows[i].to.n);
		if (writ_lint(tbs.p, tbs.n, &r, &err) != WRIT_EINVAL ||
			strstr(err.msg, rows[i].rule) != err.msg)
			fail_msg("row %zu, %s: '%s'", i, rows[i].rule, err.msg);
		writ_buf_done(&tbs);
	}
}

/* Certificates of the wrong shape altogether, from another builder. */
static void flawed_shapes_are_found(void **state)
{
	static const struct {
		const char *rule;
		bool ca;
		struct forge change; /* non-zero fields replace those of a good one */
	} rows[] = {
		{ "L5: ", false, { .san_critical = true } },
		{ "L5: ", false, { .subject = "-" } },
		{ "L6: ", false, { .bc = FORGE_BC_TRUE } },
		{ "L6: ", true, { .bc = FORGE_BC_FALSE } },
		{ "L7: ", true, { .ku = FORGE_KU_CERT | FORGE_KU_CRL | FORGE_KU_DS } },
		{ "L9: ", true, { .eku = FORGE_EKU_SERVER | FORGE_EKU_CLIENT } },
		{ "L10: ", false, { .no_ski = true } },
		{ "L10: ", false, { .no_aki = true } },
		{ "L11: ", false, { .serial = { 1 }, .serial_len = 1 } },
		{ "L11: ", false, { .serial = { 0, 0x80 }, .serial_len = 17 } },
		{ "L19: ", false, { .serial = { 1 }, .serial_len = 21 } },
		{ "L19: ", false, { .serial = { 0x80, 1 }, .serial_len = 16 } },
		{ "L14: ", false, { .san_twice = true } },
		{ "L14: ", false, { .unknown = 1 } },
		{ "L14: ", false, { .permitted = "td" } },
		{ "L16: ", true, { .pathlen = 1 } },
		{ "L18: ", false, { .general_time = true } },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_issue r = rows[i].ca ? ca_request() : leaf_request();
		const struct forge *c = &rows[i].change;
		struct forge t = rows[i].ca ? forge_ca("ca", f.ca_key)
					    : forge_leaf("spiffe://td/x", f.key, "ca", f.ca_key);
		struct writ_err err = { 0 };
		/* The issuer's name of the forge is another: a CA of that name is the issuer here.
		 */
		struct forge named = forge_ca("ca", f.ca_key);
		named.not_before = NOW - 60;
		struct writ_cert *ca = forge_cert(&named);
		r.n_dns = 0;
		r.issuer = rows[i].ca ? NULL : ca;
		memset(r.serial, 0x42, sizeof(r.serial));
		t.san[0].tag = FORGE_URI;
		t.san[0].p = r.spiffe_id;
		t.not_before = r.not_before;
		t.not_after = r.not_after;
		struct writ_buf tbs = WRIT_BUF(8192);
		forge_tbs(&t, &tbs);
		assert_ok(writ_lint(tbs.p, tbs.n, &r, &err), err);
		t.bc = c->bc ? c->bc : t.bc;
		t.ku = c->ku ? c->ku : t.ku;
		t.eku = c->eku ? c->eku : t.eku;
		t.subject = c->subject ? "" : t.subject;
		t.san_critical = c->san_critical;
		t.san_twice = c->san_twice;
		t.no_ski = c->no_ski;
		t.no_aki = c->no_aki;
		t.pathlen = c->pathlen;
		t.unknown = c->unknown;
		t.permitted = c->permitted;
		t.general_time = c->general_time;
		memcpy(t.serial, c->serial, sizeof(t.serial));
		t.serial_len = c->serial_len;
		writ_buf_reset(&tbs);
		forge_tbs(&t, &tbs);
		if (writ_lint(tbs.p, tbs.n, &r, &err) != WRIT_EINVAL ||
			strstr(err.msg, rows[i].rule) != err.msg)
			fail_msg("row %zu, %s: '%s'", i, rows[i].rule, err.msg);
		writ_buf_done(&tbs);
		writ_cert_unref(ca);
	}
}

static void lint_rejects_another_key(void **state)
{
	struct writ_issue r = leaf_request();
	struct writ_buf tbs = WRIT_BUF(8192);
	struct writ_err err;
	(void)state;
	assert_ok(writ_issue_tbs(&r, &tbs, &err), err);
	struct writ_pubkey mixed = f.other_pub;
	memcpy(mixed.ski, f.pub.ski, sizeof(mixed.ski));
	r.key = &mixed;
	assert_fails(writ_lint(tbs.p, tbs.n, &r, &err), WRIT_EINVAL, err, "L17: ");
	r.key = &f.other_pub;
	assert_fails(writ_lint(tbs.p, tbs.n, &r, &err), WRIT_EINVAL, err, "L10: ");
	writ_buf_add_byte(&tbs, 0);
	r.key = &f.pub;
	assert_fails(writ_lint(tbs.p, tbs.n, &r, &err), WRIT_EINVAL, err, "L19: ");
	writ_buf_done(&tbs);
}

static void a_wrong_signature_is_noticed_afterwards(void **state)
{
	struct writ_issue r = leaf_request();
	struct writ_buf der = WRIT_BUF(8192);
	struct writ_err err;
	(void)state;
	assert_ok(writ_issue(&r, &der, &err), err);
	r.issuer_key = f.other;
	assert_fails(writ_issue_check(der.p, der.n, &r, &err), WRIT_EINTERNAL, err, "L19: ");
	r.issuer_key = f.ca_key;
	writ_buf_add_byte(&der, 0);
	assert_fails(writ_issue_check(der.p, der.n, &r, &err), WRIT_EINTERNAL, err, "L19: ");
	writ_buf_done(&der);
}

static void serials_differ_also_after_a_fork(void **state)
{
	uint8_t a[WRIT_SERIAL_LEN], b[WRIT_SERIAL_LEN];
	int ends[2];
	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	writ_serial_new(a);
	if (child == 0)
		_exit(write(ends[1], a, sizeof(a)) == (ssize_t)sizeof(a) ? 0 : 1);
	assert_int_equal(read(ends[0], b, sizeof(b)), sizeof(b));
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_memory_not_equal(a, b, sizeof(a));
	close(ends[0]);
	close(ends[1]);
	for (int i = 0; i < 1000; i++) {
		writ_serial_new(b);
		assert_true(!(b[0] & 0x80) && memcmp(a, b, sizeof(a)) != 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leaf_says_what_was_asked_for),
		cmocka_unit_test(a_ca_has_its_serial_number_in_its_name),
		cmocka_unit_test(every_pair_of_key_types_works),
		cmocka_unit_test(an_intermediate_and_its_leaf_verify),
		cmocka_unit_test(an_empty_subject_makes_the_san_critical),
		cmocka_unit_test(the_longest_id_can_be_issued),
		cmocka_unit_test(times_beyond_2049_change_their_form),
		cmocka_unit_test(requests_that_break_a_rule_are_not_signed),
		cmocka_unit_test(flawed_bytes_are_found),
		cmocka_unit_test(flawed_shapes_are_found),
		cmocka_unit_test(lint_rejects_another_key),
		cmocka_unit_test(a_wrong_signature_is_noticed_afterwards),
		cmocka_unit_test(serials_differ_also_after_a_fork),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
