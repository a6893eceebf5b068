/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/issue.h"

#include "base/mem.h"
#include "base/rand.h"
#include "crypto/algs.h"
#include "crypto/name.h"
#include "crypto/ossl.h"

#include <openssl/err.h>
#include <string.h>

#define OUT_MAX (8 * 1024) /* L21 allows half of it */

void writ_serial_new(uint8_t serial[WRIT_SERIAL_LEN])
{
	do {
		writ_rand(serial, WRIT_SERIAL_LEN);
		serial[0] &= 0x7f;
	} while (!serial[0] && !serial[1]); /* so short that L11 might take it for a counter */
}

static size_t open_ext(struct writ_buf *b, uint8_t last, bool critical, size_t *ext)
{
	static const uint8_t yes = 0xff;
	const uint8_t oid[] = { 0x55, 0x1d, last };
	*ext = writ_der_open(b, WRIT_DER_SEQ);
	writ_der_add(b, WRIT_DER_OID, oid, sizeof(oid));
	if (critical)
		writ_der_add(b, WRIT_DER_BOOL, &yes, 1);
	return writ_der_open(b, WRIT_DER_OCTETS);
}

static void close_ext(struct writ_buf *b, size_t value, size_t ext)
{
	writ_der_close(b, value);
	writ_der_close(b, ext);
}

/* An extension whose value is always the same. */
static void add_fixed(struct writ_buf *b, uint8_t last, bool critical, struct writ_der value)
{
	size_t ext, v = open_ext(b, last, critical, &ext);
	writ_der_add_raw(b, value);
	close_ext(b, v, ext);
}

static void add_usage(struct writ_buf *b, bool ca)
{
	/* digitalSignature, keyEncipherment, keyAgreement; keyCertSign, cRLSign */
	static const struct writ_der ku_leaf = WRIT_DER_LIT("\x03\x02\x03\xa8");
	static const struct writ_der ku_ca = WRIT_DER_LIT("\x03\x02\x01\x06");
	/* serverAuth, clientAuth */
	static const struct writ_der eku =
		WRIT_DER_LIT("\x30\x14\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01"
			     "\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02");
	static const struct writ_der bc_leaf = WRIT_DER_LIT("\x30\x00");
	static const struct writ_der bc_ca = WRIT_DER_LIT("\x30\x03\x01\x01\xff");
	add_fixed(b, 15, true, ca ? ku_ca : ku_leaf);
	if (!ca)
		add_fixed(b, 37, false, eku);
	add_fixed(b, 19, true, ca ? bc_ca : bc_leaf);
}

static void add_key_ids(struct writ_buf *b, const struct writ_issue *req)
{
	size_t ext, v = open_ext(b, 14, false, &ext);
	writ_der_add(b, WRIT_DER_OCTETS, req->key->ski, sizeof(req->key->ski));
	close_ext(b, v, ext);
	if (!req->issuer)
		return;
	struct writ_str id = writ_cert_ski(req->issuer);
	v = open_ext(b, 35, false, &ext);
	size_t seq = writ_der_open(b, WRIT_DER_SEQ);
	writ_der_add(b, 0x80, id.p, id.n);
	writ_der_close(b, seq);
	close_ext(b, v, ext);
}

static void add_san(struct writ_buf *b, const struct writ_issue *req, bool critical)
{
	size_t ext, v = open_ext(b, 17, critical, &ext), names = writ_der_open(b, WRIT_DER_SEQ);
	writ_der_add(b, 0x86, req->spiffe_id, strlen(req->spiffe_id));
	for (size_t i = 0; i < req->n_dns; i++)
		writ_der_add(b, 0x82, req->dns[i], strlen(req->dns[i]));
	writ_der_close(b, names);
	close_ext(b, v, ext);
}

static void add_subject(struct writ_buf *b, const struct writ_issue *req)
{
	const struct writ_subject *s = &req->subject;
	char serial[64];
	if (req->subject_der) {
		writ_buf_add(b, req->subject_der, req->subject_der_len);
		return;
	}
	/* A CA that is made anew under the same name would look like the old one to those who pick
	 * issuers by name; its own serial number makes the name its own. */
	writ_serial_dec(writ_der(req->serial, WRIT_SERIAL_LEN), serial);
	const struct writ_attr attrs[] = {
		{ WRIT_ATTR_COUNTRY, s->country },
		{ WRIT_ATTR_ORGANIZATION, s->organization },
		{ WRIT_ATTR_CN, s->common_name },
		{ WRIT_ATTR_SERIAL, req->profile == WRIT_PROFILE_CA ? serial : NULL },
	};
	writ_name_add(b, attrs, WRIT_COUNT(attrs));
}

static void add_issuer(struct writ_buf *b, const struct writ_issue *req)
{
	if (req->issuer)
		writ_buf_add_str(b, writ_cert_subject_der(req->issuer));
	else
		add_subject(b, req);
}

writ_rc writ_issue_tbs(const struct writ_issue *req, struct writ_buf *out, struct writ_err *err)
{
	static const struct writ_der v3 = WRIT_DER_LIT("\xa0\x03\x02\x01\x02");
	size_t tbs = writ_der_open(out, WRIT_DER_SEQ);
	writ_der_add_raw(out, v3);
	writ_der_add_uint(out, req->serial, WRIT_SERIAL_LEN);
	writ_der_add_raw(out, writ_sigalg_of(writ_key_type_of(req->issuer_key)));
	add_issuer(out, req);
	size_t validity = writ_der_open(out, WRIT_DER_SEQ);
	writ_der_add_time(out, req->not_before);
	writ_der_add_time(out, req->not_after);
	writ_der_close(out, validity);
	size_t subject = out->n;
	add_subject(out, req);
	bool nameless = out->n - subject <= 2;
	writ_buf_add(out, req->key->spki, req->key->spki_len);
	size_t outer = writ_der_open(out, 0xa3), exts = writ_der_open(out, WRIT_DER_SEQ);
	add_usage(out, req->profile == WRIT_PROFILE_CA);
	add_key_ids(out, req);
	add_san(out, req, nameless);
	writ_der_close(out, exts);
	writ_der_close(out, outer);
	writ_der_close(out, tbs);
	return writ_buf_check(out, "certificate", err);
}

writ_rc writ_issue(const struct writ_issue *req, struct writ_buf *out, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(OUT_MAX);
	uint8_t sig[WRIT_SIG_MAX];
	size_t n = 0;
	size_t all = writ_der_open(&b, WRIT_DER_SEQ), start = b.n;
	if (!writ_buf_room(&b, 1500)) /* a usual leaf in one allocation */
		return writ_buf_check(&b, "certificate", err);
	writ_rc rc = writ_issue_tbs(req, &b, err);
	if (rc == WRIT_OK)
		rc = writ_lint(b.p + start, b.n - start, req, err);
	if (rc == WRIT_OK)
		rc = writ_key_sign(req->issuer_key, b.p + start, b.n - start, sig, &n, err);
	if (rc != WRIT_OK)
		return rc;
	writ_der_add_raw(&b, writ_sigalg_of(writ_key_type_of(req->issuer_key)));
	size_t bits = writ_der_open(&b, WRIT_DER_BITS);
	writ_buf_add_byte(&b, 0);
	writ_buf_add(&b, sig, n);
	writ_der_close(&b, bits);
	writ_der_close(&b, all);
	rc = writ_buf_check(&b, "certificate", err);
	if (rc == WRIT_OK && req->profile == WRIT_PROFILE_CA)
		rc = writ_issue_check(b.p, b.n, req, err);
	if (rc != WRIT_OK)
		return rc;
	writ_buf_add(out, b.p, b.n);
	return writ_buf_check(out, "certificate", err);
}

writ_rc writ_issue_check(
	const void *der, size_t n, const struct writ_issue *req, struct writ_err *err)
{
	const uint8_t *p = der;
	uint8_t *again = NULL;
	ERR_clear_error();
	WRIT_AUTO(writ_x509_freep) X509 *x = d2i_X509(NULL, &p, (long)n);
	if (!x || p != (const uint8_t *)der + n)
		return writ_fail_ossl(
			err, WRIT_EINTERNAL, "L19: OpenSSL cannot read what was signed");
	int len = i2d_X509(x, &again);
	bool same = len > 0 && (size_t)len == n && !memcmp(again, der, n);
	OPENSSL_free(again);
	if (!same)
		return writ_fail(err, WRIT_EINTERNAL, "L19: what was signed is not DER");
	if (X509_verify(x, writ_key_evp(req->issuer_key)) != 1)
		return writ_fail_ossl(err, WRIT_EINTERNAL, "L19: the new signature does not hold");
	return WRIT_OK;
}
