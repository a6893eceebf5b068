/* SPDX-License-Identifier: Apache-2.0 */
#include "soft_tpm.h"

#include "check.h"

#include "base/mem.h"
#include "crypto/ossl.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

static void u16(struct writ_buf *b, unsigned v)
{
	writ_buf_add_byte(b, (uint8_t)(v >> 8));
	writ_buf_add_byte(b, (uint8_t)v);
}

static void u32(struct writ_buf *b, uint32_t v)
{
	u16(b, v >> 16);
	u16(b, v & 0xffff);
}

static void number(const struct writ_key *k, const char *name, struct writ_buf *out)
{
	BIGNUM *n = NULL;
	uint8_t bytes[512];
	assert_int_equal(EVP_PKEY_get_bn_param(writ_key_evp(k), name, &n), 1);
	int len = BN_bn2bin(n, bytes);
	u16(out, (unsigned)len);
	writ_buf_add(out, bytes, (size_t)len);
	BN_free(n);
}

void soft_tpm_public(const struct writ_key *k, uint32_t attributes, struct writ_buf *out)
{
	bool rsa = writ_key_type_of(k) == WRIT_KEY_RSA2048;
	u16(out, rsa ? 0x0001 : 0x0023);
	u16(out, 0x000b);
	u32(out, attributes);
	u16(out, 0);
	if (attributes & WRIT_TPM_DECRYPT) {
		u16(out, 0x0006);
		u16(out, 128);
		u16(out, 0x0043);
		u16(out, 0x0010);
	} else {
		u16(out, 0x0010);
		u16(out, rsa ? 0x0014 : 0x0018);
		u16(out, 0x000b);
	}
	if (rsa) {
		u16(out, 2048);
		u32(out, 0);
		number(k, OSSL_PKEY_PARAM_RSA_N, out);
	} else {
		u16(out, 0x0003);
		u16(out, 0x0010);
		number(k, OSSL_PKEY_PARAM_EC_PUB_X, out);
		number(k, OSSL_PKEY_PARAM_EC_PUB_Y, out);
	}
}

void soft_tpm_certify(const struct writ_key *ak, const uint8_t name[WRIT_TPM_NAME_LEN],
	struct writ_buf *attest, struct writ_buf *signature)
{
	static const uint8_t clock[25];
	uint8_t sig[WRIT_SIG_MAX];
	size_t n = 0;
	struct writ_err err = { 0 };
	u32(attest, 0xff544347);
	u16(attest, 0x8017);
	u16(attest, 0);
	u16(attest, 0);
	writ_buf_add(attest, clock, sizeof(clock));
	u16(attest, WRIT_TPM_NAME_LEN);
	writ_buf_add(attest, name, WRIT_TPM_NAME_LEN);
	u16(attest, 0);
	assert_ok(writ_key_sign(ak, attest->p, attest->n, sig, &n, &err), err);
	u16(signature, 0x0014);
	u16(signature, 0x000b);
	u16(signature, (unsigned)n);
	writ_buf_add(signature, sig, n);
}

/* One round gives all the bits that are needed. */
static void derive(const uint8_t *seed, size_t n, const char *label, const uint8_t *context,
	size_t context_len, uint32_t bits, uint8_t out[32])
{
	struct writ_buf text = WRIT_BUF(256);
	unsigned len = 32;
	u32(&text, 1);
	writ_buf_add(&text, label, strlen(label) + 1);
	writ_buf_add(&text, context, context_len);
	u32(&text, bits);
	assert_non_null(HMAC(EVP_sha256(), seed, (int)n, text.p, text.n, out, &len));
	writ_buf_done(&text);
}

static bool open_seed(
	const struct writ_key *ek, struct writ_str encrypted, uint8_t *seed, size_t *n)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, writ_key_evp(ek), NULL);
	uint8_t plain[512];
	size_t len = sizeof(plain);
	assert_int_equal(EVP_PKEY_decrypt_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()), 1);
	assert_int_equal(
		EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, OPENSSL_memdup("IDENTITY", 9), 9), 1);
	bool ok = EVP_PKEY_decrypt(ctx, plain, &len, (const uint8_t *)encrypted.p, encrypted.n) ==
			1 &&
		len <= 32;
	EVP_PKEY_CTX_free(ctx);
	if (ok)
		memcpy(seed, plain, len);
	*n = len;
	return ok;
}

bool soft_tpm_activate(const struct writ_key *ek, const uint8_t name[WRIT_TPM_NAME_LEN],
	struct writ_str credential, struct writ_str encrypted, uint8_t secret[WRIT_TPM_SECRET_LEN])
{
	uint8_t seed[32], key[32], mac[32], iv[16] = { 0 }, cv[34], text[34 + WRIT_TPM_NAME_LEN];
	size_t n = 0;
	unsigned len = 32;
	int got = 0;
	if (credential.n != 2 + 32 + 34 || !open_seed(ek, encrypted, seed, &n))
		return false;
	memcpy(text, credential.p + 34, 34);
	memcpy(text + 34, name, WRIT_TPM_NAME_LEN);
	derive(seed, n, "INTEGRITY", NULL, 0, 256, key);
	assert_non_null(HMAC(EVP_sha256(), key, 32, text, sizeof(text), mac, &len));
	if (memcmp(mac, credential.p + 2, 32) != 0)
		return false;
	derive(seed, n, "STORAGE", name, WRIT_TPM_NAME_LEN, 128, key);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	assert_int_equal(EVP_DecryptInit_ex2(ctx, EVP_aes_128_cfb128(), key, iv, NULL), 1);
	assert_int_equal(EVP_DecryptUpdate(ctx, cv, &got, text, 34), 1);
	EVP_CIPHER_CTX_free(ctx);
	memcpy(secret, cv + 2, WRIT_TPM_SECRET_LEN);
	return cv[0] == 0 && cv[1] == WRIT_TPM_SECRET_LEN;
}
