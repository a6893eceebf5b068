/* SPDX-License-Identifier: Apache-2.0 */
/* ossl: what the OpenSSL users below lib/tls share: errors, cleanup functions, digests. For
 * lib/crypto, lib/tls and the signer; never included by a public header. */
#ifndef WRIT_CRYPTO_OSSL_H
#define WRIT_CRYPTO_OSSL_H

#include "base/str.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

/* Starts an error and appends the reason of OpenSSL's oldest queued error; the queue is empty
 * afterwards. */
writ_rc writ_fail_ossl(struct writ_err *err, writ_rc rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

const EVP_MD *writ_md_sha256(
	void); /* fetched once: an implicit fetch for each use costs a microsecond */
const EVP_MD *writ_md_sha384(void);
const EVP_MD *writ_md_sha512(void);
const EVP_MD *writ_md_sha1(void);

struct writ_key;
struct writ_pubkey;
/* As writ_pubkey_from_spki, and *pkey gets the loaded key (owned by the caller). pkey may be NULL.
 */
WRIT_MUST writ_rc writ_pubkey_load(
	const void *der, size_t n, struct writ_pubkey *ret, EVP_PKEY **pkey, struct writ_err *err);
/* Verifies with a key that is already loaded. type NULL: the digest that writ_key_sign takes for
 * such a key. */
WRIT_MUST writ_rc writ_evp_verify(EVP_PKEY *pkey, const EVP_MD *type, const void *p, size_t n,
	const void *sig, size_t sig_len, struct writ_err *err);
WRIT_MUST writ_rc writ_rsa_check(
	const EVP_PKEY *pkey, struct writ_err *err); /* the rules of struct writ_pubkey */

/* ECDSA signatures as DER, and as the two numbers (big-endian, of at most WRIT_ECDSA_NUMBER_MAX
 * bytes). */
#define WRIT_ECDSA_NUMBER_MAX 66
#define WRIT_ECDSA_DER_MAX    160
/* Its length; 0: these are no numbers of a signature. */
size_t writ_ecdsa_join(struct writ_str r, struct writ_str s, uint8_t der[WRIT_ECDSA_DER_MAX]);
bool writ_ecdsa_split(const uint8_t *der, size_t n, uint8_t r[WRIT_ECDSA_NUMBER_MAX], size_t *n_r,
	uint8_t s[WRIT_ECDSA_NUMBER_MAX], size_t *n_s);

/* For WRIT_AUTO. */
static inline void writ_evp_pkey_freep(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}
static inline void writ_evp_md_ctx_freep(EVP_MD_CTX **p)
{
	EVP_MD_CTX_free(*p);
}
static inline void writ_x509_freep(X509 **p)
{
	X509_free(*p);
}

#endif
