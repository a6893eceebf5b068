/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/csr.h"

#include "base/mem.h"
#include "crypto/algs.h"
#include "crypto/name.h"
#include "crypto/ossl.h"

#include <string.h>

#define ATTRS_MAX 16
#define EXTS_MAX  32

static const uint8_t oid_ext_request[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14 };

/* Where the parts of a request stand; borrowed. */
struct parts {
	struct writ_der info, subject, spki, alg,
		sig;           /* sig: the bytes, the others whole elements */
	struct writ_der attrs; /* inside of [0] */
	struct writ_der san;   /* inside of the requested subjectAltName */
	size_t n_uris, n_dns;
};

static writ_rc malformed(struct writ_err *err, const char *what)
{
	return writ_fail(err, WRIT_EINVAL, "malformed CSR: %s", what);
}

static bool get_whole(struct writ_der *at, struct writ_der *whole)
{
	return writ_der_is(at, WRIT_DER_SEQ) && writ_der_any(at, NULL, NULL, whole);
}

static const char *read_parts(const void *der, size_t n, struct parts *p)
{
	struct writ_der all = writ_der(der, n), at, in, version;
	if (!writ_der_get(&all, WRIT_DER_SEQ, &at))
		return "not DER";
	if (all.n)
		return "bytes follow it";
	if (!get_whole(&at, &p->info) || !get_whole(&at, &p->alg) ||
		!writ_der_get_bits(&at, &p->sig) || at.n)
		return "not the three parts of a request";
	struct writ_der info = p->info;
	if (!writ_der_get(&info, WRIT_DER_SEQ, &in) || !writ_der_get(&in, WRIT_DER_INT, &version) ||
		version.n != 1 || version.p[0] != 0)
		return "version";
	if (!get_whole(&in, &p->subject) || !writ_name_ok(p->subject))
		return "subject";
	if (!get_whole(&in, &p->spki))
		return "public key";
	if (writ_der_is(&in, 0xa0) && !writ_der_get(&in, 0xa0, &p->attrs))
		return "attributes";
	return in.n ? "bytes follow the attributes" : NULL;
}

static const char *read_san(struct writ_der value, struct parts *p)
{
	struct writ_der at, name;
	uint8_t tag;
	if (p->san.n || !writ_der_get(&value, WRIT_DER_SEQ, &p->san) || value.n || !p->san.n)
		return "subjectAltName";
	at = p->san;
	while (at.n) {
		if (!writ_der_any(&at, &tag, &name, NULL))
			return "subjectAltName";
		if (tag != 0x86 && tag != 0x82)
			continue;
		for (size_t i = 0; i < name.n; i++) {
			if (name.p[i] <= 0x20 || name.p[i] >= 0x7f)
				return "a name with a byte that is not printable ASCII";
		}
		if (!name.n)
			return "an empty name";
		p->n_uris += tag == 0x86;
		p->n_dns += tag == 0x82;
	}
	if (p->n_uris > 1)
		return "more than one URI name";
	return p->n_dns > WRIT_CSR_NAMES ? "too many DNS names" : NULL;
}

/* Extensions are asked for, never copied; a request to become a CA is not an oversight. */
static const char *read_ext(struct writ_der ext, struct parts *p)
{
	struct writ_der oid, value, flag, bc;
	if (!writ_der_get(&ext, WRIT_DER_OID, &oid) ||
		(writ_der_is(&ext, WRIT_DER_BOOL) && !writ_der_get(&ext, WRIT_DER_BOOL, &flag)) ||
		!writ_der_get(&ext, WRIT_DER_OCTETS, &value) || ext.n)
		return "requested extension";
	if (oid.n != 3 || oid.p[0] != 0x55 || oid.p[1] != 0x1d)
		return NULL;
	if (oid.p[2] == 17)
		return read_san(value, p);
	if (oid.p[2] != 19)
		return NULL;
	if (!writ_der_get(&value, WRIT_DER_SEQ, &bc) || value.n)
		return "basicConstraints";
	if (writ_der_is(&bc, WRIT_DER_BOOL) &&
		(!writ_der_get(&bc, WRIT_DER_BOOL, &flag) || flag.n != 1 || flag.p[0]))
		return "it asks to be a CA";
	return NULL;
}

static const char *read_ext_request(struct writ_der values, struct parts *p)
{
	struct writ_der list, ext;
	size_t n = 0;
	if (!writ_der_get(&values, WRIT_DER_SEQ, &list) || values.n)
		return "requested extensions";
	while (list.n) {
		if (!writ_der_get(&list, WRIT_DER_SEQ, &ext))
			return "requested extension";
		if (++n > EXTS_MAX)
			return "too many requested extensions";
		const char *bad = read_ext(ext, p);
		if (bad)
			return bad;
	}
	return NULL;
}

static const char *read_attrs(struct parts *p)
{
	struct writ_der at = p->attrs, attr, oid, values;
	size_t n = 0, requests = 0;
	while (at.n) {
		if (!writ_der_get(&at, WRIT_DER_SEQ, &attr) ||
			!writ_der_get(&attr, WRIT_DER_OID, &oid) ||
			!writ_der_get(&attr, WRIT_DER_SET, &values) || attr.n)
			return "attribute";
		if (++n > ATTRS_MAX)
			return "too many attributes";
		if (!writ_der_eq(oid, writ_der(oid_ext_request, sizeof(oid_ext_request))))
			continue;
		if (requests++)
			return "two lists of requested extensions";
		const char *bad = read_ext_request(values, p);
		if (bad)
			return bad;
	}
	return NULL;
}

/* All that is checked in any request; the signature last, because it costs most. */
static writ_rc check(
	const void *der, size_t n, struct parts *p, struct writ_pubkey *key, struct writ_err *err)
{
	static const EVP_MD *(*const mds[])(
		void) = { writ_md_sha256, writ_md_sha384, writ_md_sha512 };
	WRIT_AUTO(writ_evp_pkey_freep) EVP_PKEY *pkey = NULL;
	enum writ_hash hash;
	if (!n || n > WRIT_CSR_MAX)
		return writ_fail(err, WRIT_EINVAL, "malformed CSR: %zu bytes, 1 to %d are taken", n,
			WRIT_CSR_MAX);
	*p = (struct parts){ 0 };
	const char *bad = read_parts(der, n, p);
	if (!bad)
		bad = read_attrs(p);
	if (bad)
		return malformed(err, bad);
	writ_rc rc = writ_pubkey_load(p->spki.p, p->spki.n, key, &pkey, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, WRIT_EINVAL, "malformed CSR");
	if (!writ_sigalg_match(p->alg, key->type, &hash))
		return writ_fail(err, WRIT_EINVAL,
			"invalid CSR signature: its algorithm does not fit the key, or is not one "
			"of "
			"ECDSA and RSA PKCS#1 with SHA-256, SHA-384, SHA-512");
	rc = writ_evp_verify(pkey, mds[hash](), p->info.p, p->info.n, p->sig.p, p->sig.n, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, WRIT_EINVAL, "invalid CSR signature");
}

writ_rc writ_csr_key(const void *der, size_t n, struct writ_pubkey *ret, struct writ_err *err)
{
	struct parts p;
	struct writ_pubkey key;
	writ_rc rc = check(der, n, &p, &key, err);
	if (rc == WRIT_OK)
		*ret = key;
	return rc;
}

writ_rc writ_csr_parse(const void *der, size_t n, struct writ_csr *ret, struct writ_err *err)
{
	struct parts p;
	struct writ_der name;
	uint8_t tag;
	*ret = (struct writ_csr){ 0 };
	writ_rc rc = check(der, n, &p, &ret->key, err);
	if (rc != WRIT_OK) {
		*ret = (struct writ_csr){ 0 };
		return rc;
	}
	while (p.san.n && writ_der_any(&p.san, &tag, &name, NULL)) {
		const char *text = (const char *)name.p;
		if (tag == 0x86)
			ret->uris[ret->n_uris++] = writ_strndup(text, name.n);
		else if (tag == 0x82)
			ret->dns[ret->n_dns++] = writ_strndup(text, name.n);
	}
	ret->subject = writ_memdup(p.subject.p, p.subject.n);
	ret->subject_len = p.subject.n;
	return WRIT_OK;
}

void writ_csr_done(struct writ_csr *c)
{
	for (size_t i = 0; i < c->n_uris; i++)
		writ_free(c->uris[i]);
	for (size_t i = 0; i < c->n_dns; i++)
		writ_free(c->dns[i]);
	writ_free(c->subject);
	*c = (struct writ_csr){ 0 };
}

static void add_ext_request(
	struct writ_buf *b, const char *uri, const char *const *dns, size_t n_dns)
{
	static const uint8_t oid_san[] = { 0x55, 0x1d, 17 };
	size_t attr = writ_der_open(b, WRIT_DER_SEQ);
	writ_der_add(b, WRIT_DER_OID, oid_ext_request, sizeof(oid_ext_request));
	size_t set = writ_der_open(b, WRIT_DER_SET), list = writ_der_open(b, WRIT_DER_SEQ);
	size_t ext = writ_der_open(b, WRIT_DER_SEQ);
	writ_der_add(b, WRIT_DER_OID, oid_san, sizeof(oid_san));
	size_t value = writ_der_open(b, WRIT_DER_OCTETS), names = writ_der_open(b, WRIT_DER_SEQ);
	if (uri && *uri)
		writ_der_add(b, 0x86, uri, strlen(uri));
	for (size_t i = 0; i < n_dns; i++)
		writ_der_add(b, 0x82, dns[i], strlen(dns[i]));
	writ_der_close(b, names);
	writ_der_close(b, value);
	writ_der_close(b, ext);
	writ_der_close(b, list);
	writ_der_close(b, set);
	writ_der_close(b, attr);
}

writ_rc writ_csr_build(const struct writ_key *k, const char *uri, const char *const *dns,
	size_t n_dns, struct writ_buf *der, struct writ_err *err)
{
	static const struct writ_attr subject[] = { { WRIT_ATTR_COUNTRY, "US" },
		{ WRIT_ATTR_ORGANIZATION, "SPIRE" } };
	static const uint8_t zero;
	struct writ_pubkey key;
	uint8_t sig[WRIT_SIG_MAX];
	size_t n = 0;
	writ_rc rc = writ_pubkey_of_key(k, &key, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "build a CSR");
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(WRIT_CSR_MAX);
	size_t all = writ_der_open(&b, WRIT_DER_SEQ), start = b.n,
	       info = writ_der_open(&b, WRIT_DER_SEQ);
	writ_der_add_uint(&b, &zero, 1);
	writ_name_add(&b, subject, WRIT_COUNT(subject));
	writ_buf_add(&b, key.spki, key.spki_len);
	size_t attrs = writ_der_open(&b, 0xa0);
	if ((uri && *uri) || n_dns)
		add_ext_request(&b, uri, dns, n_dns);
	writ_der_close(&b, attrs);
	writ_der_close(&b, info);
	rc = writ_buf_check(&b, "CSR", err);
	if (rc == WRIT_OK)
		rc = writ_key_sign(k, b.p + start, b.n - start, sig, &n, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "build a CSR");
	writ_der_add_raw(&b, writ_sigalg_of(key.type));
	size_t bits = writ_der_open(&b, WRIT_DER_BITS);
	writ_buf_add_byte(&b, 0);
	writ_buf_add(&b, sig, n);
	writ_der_close(&b, bits);
	writ_der_close(&b, all);
	writ_buf_add(der, b.p, b.n);
	rc = writ_buf_check(&b, "CSR", err);
	return rc == WRIT_OK ? writ_buf_check(der, "CSR", err) : rc;
}
