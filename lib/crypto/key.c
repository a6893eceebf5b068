/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/key.h"

#include "base/mem.h"
#include "crypto/digest.h"
#include "crypto/ossl.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <string.h>

#define SECURE_HEAP (1024 * 1024)
#define SECURE_MIN  32
#define PKCS8_MAX   (8 * 1024)
#define PEM_KEY_MAX (16 * 1024)

struct writ_key {
	int refs;
	enum writ_key_type type;
	EVP_PKEY *pkey;
};

static const struct {
	const char *name;
	const char *group; /* EC only */
	int bits;          /* RSA only */
} types[] = {
	[WRIT_KEY_P256] = { "ec-p256", "P-256", 0 },
	[WRIT_KEY_P384] = { "ec-p384", "P-384", 0 },
	[WRIT_KEY_RSA2048] = { "rsa-2048", NULL, 2048 },
	[WRIT_KEY_RSA4096] = { "rsa-4096", NULL, 4096 },
	[WRIT_KEY_OTHER] = { "other", NULL, 0 },
};

writ_rc writ_crypto_init(struct writ_err *err)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&lock);
	int got = CRYPTO_secure_malloc_initialized()
		? 1
		: CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_MIN);
	if (got == 2) /* it is there, but mlock failed: a later call must not take it for locked */
		CRYPTO_secure_malloc_done();
	pthread_mutex_unlock(&lock);
	if (got == 1)
		return WRIT_OK;
	return writ_fail_ossl(err, WRIT_ELIMIT,
		"cannot lock %d KiB of memory for keys: raise LimitMEMLOCK= of the unit (or ulimit "
		"-l), "
		"or grant CAP_IPC_LOCK",
		SECURE_HEAP / 1024);
}

const char *writ_key_type_name(enum writ_key_type t)
{
	return types[t < WRIT_KEY_OTHER ? t : WRIT_KEY_OTHER].name;
}

writ_rc writ_key_type_parse(struct writ_str s, enum writ_key_type *ret, struct writ_err *err)
{
	for (int i = 0; i < WRIT_KEY_OTHER; i++) {
		if (writ_str_eq(s, writ_cstr(types[i].name))) {
			*ret = (enum writ_key_type)i;
			return WRIT_OK;
		}
	}
	return writ_fail(err, WRIT_EINVAL,
		"key type '" WRIT_FMT "' is not known; use ec-p256, ec-p384, rsa-2048 or rsa-4096",
		(int)(s.n < 40 ? s.n : 40), s.p);
}

static enum writ_key_type type_of(const EVP_PKEY *pkey)
{
	char group[64] = "";
	int id = EVP_PKEY_get_base_id(pkey), bits = EVP_PKEY_get_bits(pkey);
	if (id == EVP_PKEY_RSA)
		return bits == 2048    ? WRIT_KEY_RSA2048
			: bits == 4096 ? WRIT_KEY_RSA4096
				       : WRIT_KEY_OTHER;
	if (id != EVP_PKEY_EC || EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) != 1)
		return WRIT_KEY_OTHER;
	if (!strcmp(group, SN_X9_62_prime256v1))
		return WRIT_KEY_P256;
	return strcmp(group, SN_secp384r1) ? WRIT_KEY_OTHER : WRIT_KEY_P384;
}

/* Takes pkey over. */
static struct writ_key *wrap(EVP_PKEY *pkey, enum writ_key_type type)
{
	struct writ_key *k = writ_alloc(sizeof(*k));
	k->refs = 1;
	k->type = type;
	k->pkey = pkey;
	return k;
}

writ_rc writ_key_generate(enum writ_key_type type, struct writ_key **ret, struct writ_err *err)
{
	ERR_clear_error();
	if (type >= WRIT_KEY_OTHER)
		return writ_fail(err, WRIT_EINVAL, "no key can be made of type %d", (int)type);
	EVP_PKEY *pkey = types[type].group ? EVP_EC_gen(types[type].group)
					   : EVP_RSA_gen((unsigned)types[type].bits);
	if (!pkey)
		return writ_fail_ossl(
			err, WRIT_ECRYPTO, "generate a key of type %s", types[type].name);
	*ret = wrap(pkey, type);
	return WRIT_OK;
}

/* A key that came from outside: one of our types, and both halves belong together. */
static writ_rc adopt(EVP_PKEY *loaded, bool any_rsa, struct writ_key **ret, struct writ_err *err)
{
	static const char probe[] = "do both halves of this key belong together?";
	WRIT_AUTO(writ_evp_pkey_freep) EVP_PKEY *pkey = loaded;
	enum writ_key_type type = type_of(pkey);
	bool is_rsa = EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA;
	if (type == WRIT_KEY_OTHER && !(any_rsa && is_rsa))
		return writ_fail(err, WRIT_EINVAL,
			"private key: not of type ec-p256, ec-p384, rsa-2048 or rsa-4096");
	WRIT_AUTO(writ_key_unrefp) struct writ_key *k = wrap(writ_steal(pkey), type);
	struct writ_pubkey pub;
	uint8_t sig[WRIT_SIG_MAX];
	size_t n = 0;
	writ_rc rc = writ_pubkey_of_key(k, &pub, err);
	if (rc == WRIT_OK)
		rc = writ_pubkey_from_spki(pub.spki, pub.spki_len, &pub, err);
	if (rc == WRIT_OK)
		rc = writ_key_sign(k, probe, sizeof(probe), sig, &n, err);
	if (rc == WRIT_OK &&
		writ_evp_verify(k->pkey, NULL, probe, sizeof(probe), sig, n, NULL) != WRIT_OK)
		rc = writ_fail(
			err, WRIT_EINVAL, "its private and public half do not belong together");
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "private key");
	*ret = writ_steal(k);
	return WRIT_OK;
}

static writ_rc from_pkcs8(
	const void *der, size_t n, bool any_rsa, struct writ_key **ret, struct writ_err *err)
{
	const uint8_t *p = der;
	ERR_clear_error();
	if (!n || n > PKCS8_MAX)
		return writ_fail(err, WRIT_EINVAL, "private key: %zu bytes, 1 to %d are taken", n,
			PKCS8_MAX);
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)n);
	bool whole = info && p == (const uint8_t *)der + n;
	EVP_PKEY *pkey = whole ? EVP_PKCS82PKEY(info) : NULL;
	PKCS8_PRIV_KEY_INFO_free(info);
	if (info && !whole)
		return writ_fail(
			err, WRIT_EINVAL, "private key: bytes follow the PKCS#8 structure");
	if (!pkey)
		return writ_fail_ossl(
			err, WRIT_EINVAL, "private key: not an unencrypted PKCS#8 key");
	ERR_clear_error();
	return adopt(pkey, any_rsa, ret, err);
}

writ_rc writ_key_from_pkcs8(const void *der, size_t n, struct writ_key **ret, struct writ_err *err)
{
	return from_pkcs8(der, n, false, ret, err);
}

writ_rc writ_key_to_pkcs8(const struct writ_key *k, struct writ_secret *ret, struct writ_err *err)
{
	uint8_t der[PKCS8_MAX], *p = der;
	ERR_clear_error();
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(k->pkey);
	int n = info ? i2d_PKCS8_PRIV_KEY_INFO(info, NULL) : -1;
	if (n > 0 && (size_t)n <= sizeof(der))
		n = i2d_PKCS8_PRIV_KEY_INFO(info, &p);
	else
		n = -1;
	PKCS8_PRIV_KEY_INFO_free(info);
	if (n <= 0)
		return writ_fail_ossl(err, WRIT_ECRYPTO, "encode a private key");
	writ_rc rc = writ_secret_set(ret, der, (size_t)n, err);
	writ_wipe(der, sizeof(der));
	return rc;
}

static writ_rc from_traditional(int id, const struct writ_buf *der, bool any_rsa,
	struct writ_key **ret, struct writ_err *err)
{
	const uint8_t *p = der->p;
	EVP_PKEY *pkey = d2i_PrivateKey(id, NULL, &p, (long)der->n);
	if (pkey && p != der->p + der->n) {
		EVP_PKEY_free(pkey);
		return writ_fail(err, WRIT_EINVAL, "private key: bytes follow it");
	}
	if (!pkey)
		return writ_fail_ossl(err, WRIT_EINVAL, "private key");
	ERR_clear_error();
	return adopt(pkey, any_rsa, ret, err);
}

static writ_rc from_pem(
	struct writ_str text, bool any_rsa, struct writ_key **ret, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_wipe) struct writ_buf der = WRIT_BUF(PEM_KEY_MAX);
	char label[32];
	writ_rc rc;
	ERR_clear_error();
	while ((rc = writ_pem_next(&text, label, &der, err)) == WRIT_OK) {
		if (!strcmp(label, "PRIVATE KEY"))
			return from_pkcs8(der.p, der.n, any_rsa, ret, err);
		if (!strcmp(label, "EC PRIVATE KEY"))
			return from_traditional(EVP_PKEY_EC, &der, any_rsa, ret, err);
		if (!strcmp(label, "RSA PRIVATE KEY"))
			return from_traditional(EVP_PKEY_RSA, &der, any_rsa, ret, err);
		if (!strcmp(label, "ENCRYPTED PRIVATE KEY"))
			return writ_fail(err, WRIT_EUNSUP,
				"the private key is encrypted; write it with: openssl pkcs8 -topk8 "
				"-nocrypt");
	}
	if (rc == WRIT_ENOENT)
		return writ_fail(err, rc, "no PRIVATE KEY block in the PEM text");
	return rc;
}

writ_rc writ_key_from_pem(struct writ_str text, struct writ_key **ret, struct writ_err *err)
{
	return from_pem(text, false, ret, err);
}

writ_rc writ_key_from_pem_rsa(struct writ_str text, struct writ_key **ret, struct writ_err *err)
{
	return from_pem(text, true, ret, err);
}

struct writ_key *writ_key_ref(struct writ_key *k)
{
	if (k)
		__atomic_add_fetch(&k->refs, 1, __ATOMIC_RELAXED);
	return k;
}

void writ_key_unref(struct writ_key *k)
{
	if (!k || __atomic_sub_fetch(&k->refs, 1, __ATOMIC_ACQ_REL))
		return;
	EVP_PKEY_free(k->pkey);
	writ_free(k);
}

void writ_key_unrefp(struct writ_key **k)
{
	writ_key_unref(*k);
}

enum writ_key_type writ_key_type_of(const struct writ_key *k)
{
	return k->type;
}

struct evp_pkey_st *writ_key_evp(const struct writ_key *k)
{
	return k->pkey;
}

static const EVP_MD *digest_for(const EVP_PKEY *pkey)
{
	bool wide = EVP_PKEY_get_base_id(pkey) == EVP_PKEY_EC && EVP_PKEY_get_bits(pkey) > 256;
	return wide ? writ_md_sha384() : writ_md_sha256();
}

writ_rc writ_key_sign(const struct writ_key *k, const void *p, size_t n, uint8_t sig[WRIT_SIG_MAX],
	size_t *sig_len, struct writ_err *err)
{
	size_t len = WRIT_SIG_MAX;
	ERR_clear_error();
	WRIT_AUTO(writ_evp_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (!ctx || EVP_DigestSignInit(ctx, NULL, digest_for(k->pkey), NULL, k->pkey) != 1 ||
		EVP_DigestSign(ctx, sig, &len, p, n) != 1)
		return writ_fail_ossl(err, WRIT_ECRYPTO, "sign with a key of type %s",
			writ_key_type_name(k->type));
	*sig_len = len;
	return WRIT_OK;
}

writ_rc writ_evp_verify(EVP_PKEY *pkey, const EVP_MD *type, const void *p, size_t n,
	const void *sig, size_t sig_len, struct writ_err *err)
{
	ERR_clear_error();
	WRIT_AUTO(writ_evp_md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (!ctx ||
		EVP_DigestVerifyInit(ctx, NULL, type ? type : digest_for(pkey), NULL, pkey) != 1)
		return writ_fail_ossl(err, WRIT_ECRYPTO, "check a signature");
	if (EVP_DigestVerify(ctx, sig, sig_len, p, n) != 1)
		return writ_fail_ossl(err, WRIT_ECRYPTO, "the signature does not hold");
	return WRIT_OK;
}

writ_rc writ_pubkey_verify(const struct writ_pubkey *k, const void *p, size_t n, const void *sig,
	size_t sig_len, struct writ_err *err)
{
	WRIT_AUTO(writ_evp_pkey_freep) EVP_PKEY *pkey = NULL;
	struct writ_pubkey again;
	writ_rc rc = writ_pubkey_load(k->spki, k->spki_len, &again, &pkey, err);
	return rc == WRIT_OK ? writ_evp_verify(pkey, NULL, p, n, sig, sig_len, err) : rc;
}
