/* SPDX-License-Identifier: Apache-2.0 */
/* bench_x509 [tenths of a second for each row]: what the X.509 operations cost, in micro-seconds of
 * CPU each. */
#include "base/clock.h"
#include "base/mem.h"
#include "crypto/csr.h"
#include "crypto/digest.h"
#include "crypto/issue.h"
#include "spiffe/svid.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TD    "example.org"
#define START INT64_C(1800000000)

static struct {
	struct writ_key *ca_key, *key;
	struct writ_cert *ca, *leaf;
	struct writ_pubkey ca_pub, pub;
	struct writ_bundle *bundle;
	struct writ_bundles *bundles;
	struct writ_buf csr, csr384, der, tbs, out;
	struct writ_issue req;
} b;

static void must(writ_rc rc, const struct writ_err *err)
{
	if (rc != WRIT_OK) {
		fprintf(stderr, "bench_x509: %s\n", err->msg);
		exit(1);
	}
}

static struct writ_issue leaf_request(void)
{
	struct writ_issue r = { .profile = WRIT_PROFILE_LEAF,
		.trust_domain = TD,
		.spiffe_id = "spiffe://" TD "/ns/production/sa/billing",
		.subject = { "US", "SPIRE", NULL },
		.key = &b.pub,
		.now = START,
		.not_before = START - 60,
		.not_after = START + 300,
		.issuer = b.ca,
		.issuer_key = b.ca_key };
	writ_serial_new(r.serial);
	return r;
}

static void set_up(void)
{
	struct writ_err err;
	struct writ_key *k384 = NULL;
	must(writ_key_generate(WRIT_KEY_P256, &b.ca_key, &err), &err);
	must(writ_key_generate(WRIT_KEY_P256, &b.key, &err), &err);
	must(writ_key_generate(WRIT_KEY_P384, &k384, &err), &err);
	must(writ_pubkey_of_key(b.ca_key, &b.ca_pub, &err), &err);
	must(writ_pubkey_of_key(b.key, &b.pub, &err), &err);
	b.csr = b.csr384 = b.der = b.tbs = b.out = WRIT_BUF(16384);
	struct writ_issue ca = { .profile = WRIT_PROFILE_CA,
		.trust_domain = TD,
		.spiffe_id = "spiffe://" TD,
		.subject = { "US", "SPIFFE", NULL },
		.key = &b.ca_pub,
		.not_before = START - 3600,
		.not_after = START + 86400,
		.issuer_key = b.ca_key };
	writ_serial_new(ca.serial);
	must(writ_issue(&ca, &b.out, &err), &err);
	must(writ_cert_parse(b.out.p, b.out.n, &b.ca, &err), &err);
	b.req = leaf_request();
	must(writ_issue(&b.req, &b.der, &err), &err);
	must(writ_cert_parse(b.der.p, b.der.n, &b.leaf, &err), &err);
	must(writ_issue_tbs(&b.req, &b.tbs, &err), &err);
	must(writ_csr_build(b.key, b.req.spiffe_id, NULL, 0, &b.csr, &err), &err);
	must(writ_csr_build(k384, b.req.spiffe_id, NULL, 0, &b.csr384, &err), &err);
	must(writ_bundle_new(WRIT_STR(TD), &b.ca, NULL, 1, 1, 0, &b.bundle, &err), &err);
	b.bundles = writ_bundles_with(NULL, b.bundle);
	writ_key_unref(k384);
}

static writ_rc keygen(struct writ_err *err)
{
	WRIT_AUTO(writ_key_unrefp) struct writ_key *k = NULL;
	return writ_key_generate(WRIT_KEY_P256, &k, err);
}

static writ_rc csr_build(struct writ_err *err)
{
	writ_buf_reset(&b.out);
	return writ_csr_build(b.key, b.req.spiffe_id, NULL, 0, &b.out, err);
}

static writ_rc csr_key(struct writ_err *err)
{
	struct writ_pubkey k;
	return writ_csr_key(b.csr.p, b.csr.n, &k, err);
}

static writ_rc csr_key_p384(struct writ_err *err)
{
	struct writ_pubkey k;
	return writ_csr_key(b.csr384.p, b.csr384.n, &k, err);
}

static writ_rc csr_parse(struct writ_err *err)
{
	struct writ_csr c;
	writ_rc rc = writ_csr_parse(b.csr.p, b.csr.n, &c, err);
	writ_csr_done(&c);
	return rc;
}

static writ_rc pubkey(struct writ_err *err)
{
	struct writ_pubkey k;
	return writ_pubkey_from_spki(b.pub.spki, b.pub.spki_len, &k, err);
}

static writ_rc issue(struct writ_err *err)
{
	struct writ_issue r = leaf_request();
	writ_buf_reset(&b.out);
	return writ_issue(&r, &b.out, err);
}

static writ_rc build_tbs(struct writ_err *err)
{
	writ_buf_reset(&b.out);
	return writ_issue_tbs(&b.req, &b.out, err);
}

static writ_rc lint(struct writ_err *err)
{
	return writ_lint(b.tbs.p, b.tbs.n, &b.req, err);
}

static writ_rc recheck(struct writ_err *err)
{
	return writ_issue_check(b.der.p, b.der.n, &b.req, err);
}

static writ_rc parse(struct writ_err *err)
{
	WRIT_AUTO(writ_cert_unrefp) struct writ_cert *c = NULL;
	return writ_cert_parse(b.der.p, b.der.n, &c, err);
}

static writ_rc verify(struct writ_err *err)
{
	struct writ_id id;
	return writ_svid_verify(&b.leaf, 1, b.bundles, WRIT_PURPOSE_TLS_CLIENT, START, &id, err);
}

static writ_rc parse_verify(struct writ_err *err)
{
	WRIT_AUTO(writ_cert_unrefp) struct writ_cert *c = NULL;
	struct writ_id id;
	writ_rc rc = writ_cert_parse(b.der.p, b.der.n, &c, err);
	return rc == WRIT_OK
		? writ_svid_verify(&c, 1, b.bundles, WRIT_PURPOSE_TLS_CLIENT, START, &id, err)
		: rc;
}

static const struct {
	const char *name;
	writ_rc (*run)(struct writ_err *err);
	int bar; /* micro-seconds; 0: none */
} rows[] = {
	{ "keygen P-256", keygen, 0 },
	{ "csr build P-256", csr_build, 0 },
	{ "csr key P-256 (parse + verify)", csr_key, 70 },
	{ "csr parse P-256 (all of it)", csr_parse, 0 },
	{ "csr key P-384", csr_key_p384, 0 },
	{ "public key check P-256", pubkey, 0 },
	{ "issue P-256 leaf (build + lint + sign)", issue, 45 },
	{ "- build alone", build_tbs, 0 },
	{ "- lint alone", lint, 0 },
	{ "issue check (OpenSSL re-read + verify)", recheck, 0 },
	{ "cert parse", parse, 0 },
	{ "svid verify, 1 level", verify, 0 },
	{ "cert parse + svid verify", parse_verify, 0 },
};

int main(int argc, char **argv)
{
	uint64_t tenths = 5;
	struct writ_err err = { 0 };
	if (argc > 1)
		must(writ_parse_u64(writ_cstr(argv[1]), 1, 60, &tenths, &err), &err);
	must(writ_crypto_init(&err), &err);
	set_up();
	printf("%-42s %10s %10s %6s\n", "operation", "us CPU", "per s", "bar");
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		int64_t start = writ_thread_cpu_us(), spent = 0, n = 0;
		while (spent < (int64_t)tenths * 100000) {
			for (int k = 0; k < 16; k++, n++)
				must(rows[i].run(&err), &err);
			spent = writ_thread_cpu_us() - start;
		}
		double us = (double)spent / (double)n;
		char bar[16] = "";
		if (rows[i].bar)
			snprintf(bar, sizeof(bar), "%d", rows[i].bar);
		printf("%-42s %10.2f %10.0f %6s\n", rows[i].name, us, 1e6 / us, bar);
	}
	writ_bundles_unref(b.bundles);
	writ_bundle_unref(b.bundle);
	writ_cert_unref(b.ca);
	writ_cert_unref(b.leaf);
	writ_key_unref(b.ca_key);
	writ_key_unref(b.key);
	writ_buf_done(&b.csr);
	writ_buf_done(&b.csr384);
	writ_buf_done(&b.der);
	writ_buf_done(&b.tbs);
	writ_buf_done(&b.out);
	return 0;
}
