/* SPDX-License-Identifier: Apache-2.0 */
/* The half of key.h about public keys: what a peer may bring, and its one accepted encoding. */
#include "crypto/key.h"

#include "base/mem.h"
#include "crypto/digest.h"
#include "crypto/ossl.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* SubjectPublicKeyInfo up to the point (RFC 5480 2): named curve, uncompressed, no unused bits. One
 * encoding exists for each key, so comparing bytes compares keys, and no decoder runs
 * (OpenSSL 3.0's costs 100 us). */
static const uint8_t p256_prefix[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce,
	0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42,
	0x00, 0x04 };
static const uint8_t p384_prefix[] = { 0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce,
	0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04 };

static const struct curve {
	enum writ_key_type type;
	const char *group;
	const uint8_t *prefix; /* its last byte is the first of the point: 4, uncompressed */
	size_t prefix_len, point_len;
} curves[] = {
	{ WRIT_KEY_P256, SN_X9_62_prime256v1, p256_prefix, sizeof(p256_prefix), 65 },
	{ WRIT_KEY_P384, SN_secp384r1, p384_prefix, sizeof(p384_prefix), 97 },
};

static void fill(struct writ_pubkey *k, enum writ_key_type type, const uint8_t *spki, size_t n,
	const uint8_t *bits, size_t n_bits)
{
	if (k->spki != spki)
		memcpy(k->spki, spki, n);
	k->type = type;
	k->spki_len = n;
	writ_sha1(bits, n_bits, k->ski);
	writ_sha256(spki, n, k->sha256);
}

/* A key without a point for each curve: a copy that gets a point costs a quarter of a key made from
 * the curve's name. And its group, for points of which no key is wanted. Made once, only read
 * afterwards, never freed. */
static struct {
	pthread_once_t once;
	EVP_PKEY *bare[WRIT_COUNT(curves)];
	EC_GROUP *group[WRIT_COUNT(curves)];
} bare = { .once = PTHREAD_ONCE_INIT };

static void make_bare(void)
{
	for (size_t i = 0; i < WRIT_COUNT(curves); i++) {
		char group[32];
		snprintf(group, sizeof(group), "%s", curves[i].group);
		OSSL_PARAM params[] = {
			OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
			OSSL_PARAM_construct_end(),
		};
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
		if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
			EVP_PKEY_fromdata(ctx, &bare.bare[i], EVP_PKEY_KEY_PARAMETERS, params) != 1)
			bare.bare[i] = NULL;
		EVP_PKEY_CTX_free(ctx);
		bare.group[i] = EC_GROUP_new_by_curve_name(OBJ_sn2nid(curves[i].group));
	}
}

/* OpenSSL checks that the point is on the curve; the length leaves no way to write infinity. */
static EVP_PKEY *load_point(const struct curve *c, const uint8_t *point)
{
	pthread_once(&bare.once, make_bare);
	EVP_PKEY *from = bare.bare[c - curves], *pkey = from ? EVP_PKEY_dup(from) : NULL;
	if (pkey && EVP_PKEY_set1_encoded_public_key(pkey, point, c->point_len) == 1)
		return pkey;
	EVP_PKEY_free(pkey);
	return NULL;
}

/* The same check at a quarter of the price, where nothing is computed with the key. */
static bool is_point(const struct curve *c, const uint8_t *point)
{
	pthread_once(&bare.once, make_bare);
	const EC_GROUP *group = bare.group[c - curves];
	EC_POINT *p = group ? EC_POINT_new(group) : NULL;
	bool ok = p && EC_POINT_oct2point(group, p, point, c->point_len, NULL) == 1;
	EC_POINT_free(p);
	return ok;
}

/* RSA, by OpenSSL's decoder. What it re-encodes differently is not DER, or not what it seems. */
static writ_rc load_rsa(const uint8_t *der, size_t n, struct writ_pubkey *ret, EVP_PKEY **ret_pkey,
	struct writ_err *err)
{
	static const uint8_t alg[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
		0x01, 0x01, 0x01, 0x05, 0x00 };
	const uint8_t *p = der;
	size_t header = n > 4 && der[1] == 0x82 ? 4 : n > 3 && der[1] == 0x81 ? 3 : 2;
	if (n < header + sizeof(alg) || memcmp(der + header, alg, sizeof(alg)) != 0)
		return writ_fail(err, WRIT_EINVAL,
			"public key: not one of P-256, P-384 (named curve, uncompressed) and RSA");
	WRIT_AUTO(writ_evp_pkey_freep) EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)n);
	if (!pkey || p != der + n)
		return writ_fail_ossl(err, WRIT_EINVAL, "public key: not a SubjectPublicKeyInfo");
	uint8_t *again = NULL;
	int len = i2d_PUBKEY(pkey, &again);
	bool same = len > 0 && (size_t)len == n && !memcmp(again, der, n);
	OPENSSL_free(again);
	if (!same)
		return writ_fail(err, WRIT_EINVAL, "public key: not in DER");
	writ_rc rc = writ_rsa_check(pkey, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "public key");
	int bits = EVP_PKEY_get_bits(pkey);
	size_t body = header + sizeof(alg); /* the BIT STRING, 256 bytes or more: long form 82 */
	body += der[body + 1] == 0x82 ? 5 : 4;
	fill(ret,
		bits == 2048           ? WRIT_KEY_RSA2048
			: bits == 4096 ? WRIT_KEY_RSA4096
				       : WRIT_KEY_OTHER,
		der, n, der + body, n - body);
	if (ret_pkey)
		*ret_pkey = writ_steal(pkey);
	return WRIT_OK;
}

writ_rc writ_pubkey_load(const void *der, size_t n, struct writ_pubkey *ret, EVP_PKEY **ret_pkey,
	struct writ_err *err)
{
	const uint8_t *p = der;
	ERR_clear_error();
	if (n < 8 || n > WRIT_SPKI_MAX)
		return writ_fail(err, WRIT_EINVAL, "public key: %zu bytes, 8 to %d are taken", n,
			WRIT_SPKI_MAX);
	for (size_t i = 0; i < WRIT_COUNT(curves); i++) {
		const struct curve *c = &curves[i];
		if (n != c->prefix_len - 1 + c->point_len ||
			memcmp(p, c->prefix, c->prefix_len) != 0)
			continue;
		const uint8_t *point = p + c->prefix_len - 1;
		EVP_PKEY *pkey = ret_pkey ? load_point(c, point) : NULL;
		if (ret_pkey ? !pkey : !is_point(c, point))
			return writ_fail_ossl(
				err, WRIT_EINVAL, "public key: not a point of %s", c->group);
		fill(ret, c->type, p, n, point, c->point_len);
		if (ret_pkey)
			*ret_pkey = pkey;
		return WRIT_OK;
	}
	return load_rsa(p, n, ret, ret_pkey, err);
}

writ_rc writ_pubkey_from_spki(
	const void *der, size_t n, struct writ_pubkey *ret, struct writ_err *err)
{
	return writ_pubkey_load(der, n, ret, NULL, err);
}

writ_rc writ_pubkey_of_key(const struct writ_key *k, struct writ_pubkey *ret, struct writ_err *err)
{
	EVP_PKEY *pkey = writ_key_evp(k);
	ERR_clear_error();
	for (size_t i = 0; i < WRIT_COUNT(curves); i++) {
		const struct curve *c = &curves[i];
		uint8_t spki[160];
		size_t n = 0;
		if (writ_key_type_of(k) != c->type)
			continue;
		memcpy(spki, c->prefix, c->prefix_len);
		uint8_t *point = spki + c->prefix_len - 1;
		if (EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point, 97, &n) !=
			1)
			return writ_fail_ossl(err, WRIT_ECRYPTO, "read the public half of a key");
		if (n != c->point_len || *point != 4)
			return writ_fail(err, WRIT_EINVAL, "its public point is compressed");
		fill(ret, c->type, spki, c->prefix_len - 1 + n, point, n);
		return WRIT_OK;
	}
	uint8_t *der = NULL;
	int n = i2d_PUBKEY(pkey, &der);
	if (n <= 0)
		return writ_fail_ossl(err, WRIT_ECRYPTO, "encode the public half of a key");
	writ_rc rc = writ_pubkey_from_spki(der, (size_t)n, ret, err);
	OPENSSL_free(der);
	return rc;
}

bool writ_pubkey_eq(const struct writ_pubkey *a, const struct writ_pubkey *b)
{
	return a->spki_len == b->spki_len && !memcmp(a->spki, b->spki, a->spki_len);
}
