/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/tpm.h"

#include "base/mem.h"
#include "crypto/der.h"
#include "crypto/digest.h"
#include "crypto/ossl.h"

#include <string.h>

/* TPM_ALG_ID, TPM_ECC_CURVE and TPM_ST, as far as they are known here. */
enum {
	ALG_RSA = 0x0001,
	ALG_AES = 0x0006,
	ALG_SHA256 = 0x000b,
	ALG_NULL = 0x0010,
	ALG_RSASSA = 0x0014,
	ALG_RSAES = 0x0015,
	ALG_ECC = 0x0023,
	CURVE_P256 = 0x0003,
	CURVE_P384 = 0x0004,
	ST_ATTEST_CERTIFY = 0x8017,
};
#define GENERATED UINT32_C(0xff544347) /* "\xffTCG": a TPM wrote it */
#define EXPONENT  65537

struct reader {
	const uint8_t *p;
	size_t n;
	bool bad;
};

static const uint8_t *take(struct reader *r, size_t n)
{
	if (r->bad || n > r->n) {
		r->bad = true;
		return NULL;
	}
	const uint8_t *p = r->p;
	r->p += n;
	r->n -= n;
	return p;
}

static uint16_t u16(struct reader *r)
{
	const uint8_t *p = take(r, 2);
	return p ? (uint16_t)((unsigned)p[0] << 8 | p[1]) : (uint16_t)0;
}

static uint32_t u32(struct reader *r)
{
	uint32_t high = u16(r);
	return high << 16 | u16(r);
}

static struct writ_str sized(struct reader *r)
{
	size_t n = u16(r);
	const uint8_t *p = take(r, n);
	return p ? writ_strn(p, n) : writ_strn("", 0);
}

/* --- public areas --- */

static uint16_t read_symmetric(struct reader *r)
{
	uint16_t alg = u16(r);
	if (alg == ALG_NULL)
		return 0;
	uint16_t bits = u16(r);
	(void)u16(r); /* mode */
	return alg == ALG_AES ? bits : 0;
}

/* A signing or key derivation scheme. Those that are known here carry a hash, but for two. */
static void skip_scheme(struct reader *r)
{
	uint16_t alg = u16(r);
	if (alg != ALG_NULL && alg != ALG_RSAES)
		(void)u16(r);
}

static void put_rsa(struct writ_buf *out, struct writ_str n, uint32_t e)
{
	static const uint8_t alg[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
		0x01, 0x01, 0x01, 0x05, 0x00 };
	const uint8_t exponent[] = { (uint8_t)(e >> 24), (uint8_t)(e >> 16), (uint8_t)(e >> 8),
		(uint8_t)e };
	size_t all = writ_der_open(out, WRIT_DER_SEQ);
	writ_buf_add(out, alg, sizeof(alg));
	size_t bits = writ_der_open(out, WRIT_DER_BITS);
	writ_buf_add_byte(out, 0);
	size_t key = writ_der_open(out, WRIT_DER_SEQ);
	writ_der_add_uint(out, (const uint8_t *)n.p, n.n);
	writ_der_add_uint(out, exponent, sizeof(exponent));
	writ_der_close(out, key);
	writ_der_close(out, bits);
	writ_der_close(out, all);
}

static bool read_rsa(struct reader *r, struct writ_tpm_public *pub, struct writ_buf *spki)
{
	pub->aes_bits = read_symmetric(r);
	skip_scheme(r);
	uint16_t bits = u16(r);
	uint32_t e = u32(r);
	struct writ_str n = sized(r);
	if (r->bad || n.n * 8 != bits || !n.n)
		return false;
	put_rsa(spki, n, e ? e : EXPONENT); /* 0 is the default */
	return true;
}

/* A coordinate comes without its leading zeros. */
static void put_coordinate(struct writ_buf *out, struct writ_str v, size_t width)
{
	for (size_t i = v.n; i < width; i++)
		writ_buf_add_byte(out, 0);
	writ_buf_add_str(out, v);
}

static bool read_ecc(struct reader *r, struct writ_tpm_public *pub, struct writ_buf *spki)
{
	static const struct {
		uint16_t id;
		size_t width;
		struct writ_der alg;
	} curves[] = {
		{ CURVE_P256, 32,
			WRIT_DER_LIT("\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86"
				     "\x48\xce\x3d\x03\x01\x07") },
		{ CURVE_P384, 48,
			WRIT_DER_LIT("\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81"
				     "\x04\x00\x22") },
	};
	pub->aes_bits = read_symmetric(r);
	skip_scheme(r);
	uint16_t id = u16(r);
	skip_scheme(r); /* of key derivation */
	struct writ_str x = sized(r), y = sized(r);
	for (size_t i = 0; !r->bad && i < WRIT_COUNT(curves); i++) {
		size_t width = curves[i].width;
		if (curves[i].id != id || x.n > width || y.n > width)
			continue;
		size_t all = writ_der_open(spki, WRIT_DER_SEQ);
		writ_der_add_raw(spki, curves[i].alg);
		size_t bits = writ_der_open(spki, WRIT_DER_BITS);
		writ_buf_add(spki, "\0\4", 2); /* no unused bits; both coordinates */
		put_coordinate(spki, x, width);
		put_coordinate(spki, y, width);
		writ_der_close(spki, bits);
		writ_der_close(spki, all);
		return true;
	}
	return false;
}

writ_rc writ_tpm_public_parse(
	struct writ_str tpmt, struct writ_tpm_public *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf spki = WRIT_BUF(WRIT_SPKI_MAX);
	struct reader r = { (const uint8_t *)tpmt.p, tpmt.n, false };
	struct writ_tpm_public pub = { .attributes = 0 };
	uint16_t type = u16(&r), name_alg = u16(&r);
	pub.attributes = u32(&r);
	(void)sized(&r); /* authPolicy: part of the name */
	if (!r.bad && name_alg != ALG_SHA256)
		return writ_fail(err, WRIT_EINVAL,
			"a TPM key whose name is not by SHA-256 (algorithm 0x%04x)", name_alg);
	bool ok = type == ALG_RSA ? read_rsa(&r, &pub, &spki)
		: type == ALG_ECC ? read_ecc(&r, &pub, &spki)
				  : false;
	if (!ok || r.bad || r.n || spki.failed)
		return writ_fail(err, WRIT_EINVAL,
			"a malformed public area of a TPM key, or one that is not RSA, P-256 or "
			"P-384");
	writ_rc rc = writ_pubkey_from_spki(spki.p, spki.n, &pub.key, err);
	if (rc != WRIT_OK)
		return rc;
	pub.name[0] = ALG_SHA256 >> 8;
	pub.name[1] = ALG_SHA256;
	writ_sha256(tpmt.p, tpmt.n, pub.name + 2);
	*ret = pub;
	return WRIT_OK;
}

/* --- certifications --- */

/* TPMS_ATTEST of TPM2_Certify, up to the name of what it is about. */
static struct writ_str certified_name(struct writ_str attest, bool *ok)
{
	struct reader r = { (const uint8_t *)attest.p, attest.n, false };
	bool kind = u32(&r) == GENERATED && u16(&r) == ST_ATTEST_CERTIFY;
	(void)sized(&r);    /* qualifiedSigner */
	(void)sized(&r);    /* extraData */
	(void)take(&r, 17); /* clockInfo */
	(void)take(&r, 8);  /* firmwareVersion */
	struct writ_str name = sized(&r);
	(void)sized(&r); /* qualifiedName */
	*ok = kind && !r.bad && !r.n;
	return name;
}

writ_rc writ_tpm_signature_check(const struct writ_tpm_public *key, const void *p, size_t n,
	const void *sig, size_t sig_len, struct writ_err *err)
{
	WRIT_AUTO(writ_evp_pkey_freep) EVP_PKEY *pkey = NULL;
	struct writ_pubkey same;
	writ_rc rc = writ_pubkey_load(key->key.spki, key->key.spki_len, &same, &pkey, err);
	return rc == WRIT_OK ? writ_evp_verify(pkey, writ_md_sha256(), p, n, sig, sig_len, err)
			     : rc;
}

writ_rc writ_tpm_certify_check(const struct writ_tpm_public *ak, const struct writ_tpm_public *key,
	struct writ_str attest, struct writ_str signature, struct writ_err *err)
{
	struct reader r = { (const uint8_t *)signature.p, signature.n, false };
	bool ok = u16(&r) == ALG_RSASSA && u16(&r) == ALG_SHA256;
	struct writ_str sig = sized(&r);
	if (!ok || r.bad || r.n)
		return writ_fail(err, WRIT_ECRYPTO,
			"the certification is not signed with RSASSA and SHA-256");
	struct writ_str name = certified_name(attest, &ok);
	if (!ok)
		return writ_fail(err, WRIT_ECRYPTO, "what is certified is no TPM2_Certify");
	if (!writ_str_eq(name, writ_strn(key->name, sizeof(key->name))))
		return writ_fail(err, WRIT_ECRYPTO, "the certification is about another key");
	writ_rc rc = writ_tpm_signature_check(ak, attest.p, attest.n, sig.p, sig.n, err);
	return rc == WRIT_OK ? rc
			     : writ_fail(err, WRIT_ECRYPTO,
				       "the certification is not signed by the attestation key");
}
