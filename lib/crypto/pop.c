/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/pop.h"

#include "base/mem.h"
#include "crypto/der.h"
#include "crypto/ossl.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

static void ctx_freep(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
}

bool writ_pop_is_rsa(enum writ_key_type type)
{
	return type != WRIT_KEY_P256 && type != WRIT_KEY_P384;
}

void writ_pop_message(const uint8_t challenge[WRIT_POP_NONCE], const uint8_t answer[WRIT_POP_NONCE],
	uint8_t out[WRIT_SHA256_LEN])
{
	uint8_t both[2 * WRIT_POP_NONCE];
	memcpy(both, challenge, WRIT_POP_NONCE);
	memcpy(both + WRIT_POP_NONCE, answer, WRIT_POP_NONCE);
	writ_sha256(both, sizeof(both), out);
}

/* What is signed is a hash already. */
static bool set_pss(EVP_PKEY_CTX *ctx, int salt)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		EVP_PKEY_CTX_set_signature_md(ctx, writ_md_sha256()) == 1 &&
		EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, writ_md_sha256()) == 1 &&
		EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt) == 1;
}

writ_rc writ_pop_sign(const struct writ_key *k, const uint8_t message[WRIT_SHA256_LEN],
	struct writ_pop_sig *ret, struct writ_err *err)
{
	struct writ_pop_sig out = { .is_rsa = writ_pop_is_rsa(writ_key_type_of(k)) };
	uint8_t sig[WRIT_SIG_MAX];
	size_t n = sizeof(sig);
	ERR_clear_error();
	WRIT_AUTO(ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(writ_key_evp(k), NULL);
	if (!ctx || EVP_PKEY_sign_init(ctx) != 1 ||
		(out.is_rsa && !set_pss(ctx, RSA_PSS_SALTLEN_DIGEST)) ||
		EVP_PKEY_sign(ctx, sig, &n, message, WRIT_SHA256_LEN) != 1)
		return writ_fail_ossl(err, WRIT_ECRYPTO, "sign the answer to a challenge");
	if (out.is_rsa) {
		memcpy(out.a, sig, n);
		out.n_a = n;
	} else if (!writ_ecdsa_split(sig, n, out.a, &out.n_a, out.b, &out.n_b)) {
		return writ_fail_ossl(err, WRIT_ECRYPTO, "take a signature apart");
	}
	*ret = out;
	return WRIT_OK;
}

writ_rc writ_pop_kind(struct writ_str spki, bool *is_rsa, struct writ_err *err)
{
	static const struct writ_der rsa = WRIT_DER_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01");
	static const struct writ_der ec = WRIT_DER_LIT("\x2a\x86\x48\xce\x3d\x02\x01");
	struct writ_der at = writ_der(spki.p, spki.n), inside, alg, oid;
	if (!writ_der_get(&at, WRIT_DER_SEQ, &inside) ||
		!writ_der_get(&inside, WRIT_DER_SEQ, &alg) ||
		!writ_der_get(&alg, WRIT_DER_OID, &oid) ||
		(!writ_der_eq(oid, rsa) && !writ_der_eq(oid, ec)))
		return writ_fail(
			err, WRIT_EINVAL, "unsupported public key type: RSA and ECDSA are taken");
	*is_rsa = writ_der_eq(oid, rsa);
	return WRIT_OK;
}

writ_rc writ_pop_verify(struct writ_str spki, const uint8_t message[WRIT_SHA256_LEN],
	const struct writ_pop_sig *sig, struct writ_err *err)
{
	uint8_t der[WRIT_ECDSA_DER_MAX];
	const uint8_t *p = sig->a;
	size_t n = sig->n_a;
	bool is_rsa;
	writ_rc rc = writ_pop_kind(spki, &is_rsa, err);
	if (rc != WRIT_OK)
		return rc;
	if (sig->is_rsa != is_rsa)
		return writ_fail(err, WRIT_ECRYPTO, "an %s signature, and the key is %s",
			sig->is_rsa ? "RSA" : "ECDSA", is_rsa ? "RSA" : "ECDSA");
	if (!is_rsa) {
		p = der;
		n = writ_ecdsa_join(writ_strn(sig->a, sig->n_a), writ_strn(sig->b, sig->n_b), der);
	}
	WRIT_AUTO(writ_evp_pkey_freep) EVP_PKEY *pkey = NULL;
	struct writ_pubkey loaded;
	rc = writ_pubkey_load(spki.p, spki.n, &loaded, &pkey, err);
	if (rc != WRIT_OK)
		return rc;
	WRIT_AUTO(ctx_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	if (!ctx || EVP_PKEY_verify_init(ctx) != 1 ||
		(is_rsa && !set_pss(ctx, RSA_PSS_SALTLEN_AUTO)))
		return writ_fail_ossl(err, WRIT_ECRYPTO, "check a signature");
	int got = n ? EVP_PKEY_verify(ctx, p, n, message, WRIT_SHA256_LEN) : 0;
	ERR_clear_error();
	return got == 1 ? WRIT_OK
			: writ_fail(err, WRIT_ECRYPTO, "the signature is not by that key");
}
