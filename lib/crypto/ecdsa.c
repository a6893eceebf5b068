/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/ossl.h"

#include "base/mem.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>

static void sig_freep(ECDSA_SIG **s)
{
	ECDSA_SIG_free(*s);
}

static BIGNUM *number(struct writ_str v)
{
	bool ok = v.n > 0 && v.n <= WRIT_ECDSA_NUMBER_MAX;
	return ok ? BN_bin2bn((const uint8_t *)v.p, (int)v.n, NULL) : NULL;
}

size_t writ_ecdsa_join(struct writ_str r, struct writ_str s, uint8_t der[WRIT_ECDSA_DER_MAX])
{
	WRIT_AUTO(sig_freep) ECDSA_SIG *both = ECDSA_SIG_new();
	BIGNUM *a = number(r), *b = number(s);
	if (!both || !a || !b || ECDSA_SIG_set0(both, a, b) != 1) {
		BN_free(a);
		BN_free(b);
		return 0;
	}
	int n = i2d_ECDSA_SIG(both, NULL);
	if (n <= 0 || n > WRIT_ECDSA_DER_MAX)
		return 0;
	n = i2d_ECDSA_SIG(both, &der);
	return n > 0 ? (size_t)n : 0;
}

bool writ_ecdsa_split(const uint8_t *der, size_t n, uint8_t r[WRIT_ECDSA_NUMBER_MAX], size_t *n_r,
	uint8_t s[WRIT_ECDSA_NUMBER_MAX], size_t *n_s)
{
	WRIT_AUTO(sig_freep) ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
	const BIGNUM *a = sig ? ECDSA_SIG_get0_r(sig) : NULL,
		     *b = sig ? ECDSA_SIG_get0_s(sig) : NULL;
	if (!a || !b || BN_num_bytes(a) > WRIT_ECDSA_NUMBER_MAX ||
		BN_num_bytes(b) > WRIT_ECDSA_NUMBER_MAX)
		return false;
	*n_r = (size_t)BN_bn2bin(a, r);
	*n_s = (size_t)BN_bn2bin(b, s);
	return true;
}
