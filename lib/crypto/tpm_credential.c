/* SPDX-License-Identifier: Apache-2.0 */
/* Credential protection: TPM 2.0 part 1, chapter 24. KDFa is SP 800-108 in counter mode. */
#include "crypto/tpm.h"

#include "base/mem.h"
#include "base/rand.h"
#include "crypto/ossl.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <string.h>

#define SEED_LEN 16 /* as wide as the cipher's key: TCG EK Credential Profile 2.1.5.1 */
#define KEY_LEN  16
#define MAC_LEN  32
#define CV_LEN   (2 + WRIT_TPM_SECRET_LEN)

static void kdf_freep(EVP_KDF **k)
{
	EVP_KDF_free(*k);
}

static void kdf_ctx_freep(EVP_KDF_CTX **c)
{
	EVP_KDF_CTX_free(*c);
}

static void pkey_ctx_freep(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
}

static void cipher_ctx_freep(EVP_CIPHER_CTX **c)
{
	EVP_CIPHER_CTX_free(*c);
}

static void *bytes(const void *p)
{
	union {
		const void *in;
		void *out;
	} u = { .in = p };
	return u.out; /* OSSL_PARAM is not const-correct; nothing is written */
}

static bool derive(const uint8_t seed[SEED_LEN], const char *label, struct writ_str context,
	uint8_t *out, size_t n)
{
	static char counter[] = "counter", hmac[] = "HMAC", sha256[] = "SHA2-256";
	WRIT_AUTO(kdf_freep) EVP_KDF *kdf = EVP_KDF_fetch(NULL, "KBKDF", NULL);
	WRIT_AUTO(kdf_ctx_freep) EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM p[8];
	size_t k = 0;
	p[k++] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, counter, 0);
	p[k++] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MAC, hmac, 0);
	p[k++] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, sha256, 0);
	p[k++] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, bytes(seed), SEED_LEN);
	p[k++] =
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, bytes(label), strlen(label));
	if (context.n)
		p[k++] = OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_INFO, bytes(context.p), context.n);
	p[k] = OSSL_PARAM_construct_end();
	return ctx && EVP_KDF_derive(ctx, out, n, p) == 1;
}

static bool seal_seed(EVP_PKEY *ek, const uint8_t seed[SEED_LEN], struct writ_buf *out)
{
	static const char label[] = "IDENTITY"; /* with its NUL */
	WRIT_AUTO(pkey_ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, ek, NULL);
	uint8_t sealed[WRIT_TPM_BLOB_MAX];
	size_t n = sizeof(sealed);
	char *copy = ctx ? OPENSSL_memdup(label, sizeof(label)) : NULL;
	bool ok = copy && EVP_PKEY_encrypt_init(ctx) == 1 &&
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
		EVP_PKEY_CTX_set_rsa_oaep_md(ctx, writ_md_sha256()) == 1 &&
		EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, writ_md_sha256()) == 1;
	if (!ok || EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, copy, sizeof(label)) != 1) {
		OPENSSL_free(copy);
		return false;
	}
	if (EVP_PKEY_encrypt(ctx, sealed, &n, seed, SEED_LEN) != 1)
		return false;
	writ_buf_add(out, sealed, n);
	return !out->failed;
}

static bool encrypt(const uint8_t key[KEY_LEN], const uint8_t cv[CV_LEN], uint8_t out[CV_LEN])
{
	static const uint8_t iv[16];
	WRIT_AUTO(cipher_ctx_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0;
	return ctx && EVP_EncryptInit_ex2(ctx, EVP_aes_128_cfb128(), key, iv, NULL) == 1 &&
		EVP_EncryptUpdate(ctx, out, &n, cv, CV_LEN) == 1 && n == CV_LEN;
}

/* TPMS_ID_OBJECT: the MAC with its size, then what it protects. */
static bool put_object(const uint8_t seed[SEED_LEN], const uint8_t sealed[CV_LEN],
	struct writ_str name, struct writ_buf *out)
{
	uint8_t key[MAC_LEN], mac[MAC_LEN], text[CV_LEN + WRIT_TPM_NAME_LEN];
	size_t n = 0;
	memcpy(text, sealed, CV_LEN);
	memcpy(text + CV_LEN, name.p, WRIT_TPM_NAME_LEN);
	bool ok = derive(seed, "INTEGRITY", writ_strn("", 0), key, sizeof(key)) &&
		EVP_Q_mac(NULL, "HMAC", NULL, "SHA2-256", NULL, key, sizeof(key), text,
			sizeof(text), mac, sizeof(mac), &n) != NULL &&
		n == sizeof(mac);
	writ_wipe(key, sizeof(key));
	writ_buf_add_byte(out, 0);
	writ_buf_add_byte(out, MAC_LEN);
	writ_buf_add(out, mac, sizeof(mac));
	writ_buf_add(out, sealed, CV_LEN);
	return ok && !out->failed;
}

writ_rc writ_tpm_credential_make(const struct writ_tpm_public *ek,
	const uint8_t name[WRIT_TPM_NAME_LEN], const uint8_t secret[WRIT_TPM_SECRET_LEN],
	struct writ_buf *credential, struct writ_buf *encrypted, struct writ_err *err)
{
	WRIT_AUTO(writ_evp_pkey_freep) EVP_PKEY *pkey = NULL;
	struct writ_str who = writ_strn(name, WRIT_TPM_NAME_LEN);
	uint8_t seed[SEED_LEN], key[KEY_LEN], cv[CV_LEN] = { 0, WRIT_TPM_SECRET_LEN },
					      sealed[CV_LEN];
	struct writ_pubkey same;
	ERR_clear_error();
	if (ek->aes_bits != KEY_LEN * 8)
		return writ_fail(err, WRIT_EINVAL,
			"an endorsement key that is not a storage key with AES-128");
	writ_rc rc = writ_pubkey_load(ek->key.spki, ek->key.spki_len, &same, &pkey, err);
	if (rc != WRIT_OK)
		return rc;
	if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA)
		return writ_fail(err, WRIT_EINVAL, "an endorsement key that is not RSA");
	writ_rand(seed, sizeof(seed));
	memcpy(cv + 2, secret, WRIT_TPM_SECRET_LEN);
	bool ok = derive(seed, "STORAGE", who, key, sizeof(key)) && encrypt(key, cv, sealed) &&
		put_object(seed, sealed, who, credential) && seal_seed(pkey, seed, encrypted);
	writ_wipe(seed, sizeof(seed));
	writ_wipe(key, sizeof(key));
	writ_wipe(cv, sizeof(cv));
	return ok ? WRIT_OK : writ_fail_ossl(err, WRIT_ECRYPTO, "make a credential for a TPM");
}
