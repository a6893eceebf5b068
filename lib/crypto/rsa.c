/* SPDX-License-Identifier: Apache-2.0 */
/* Which RSA keys are too weak to certify. All tests look at the public half only. */
#include "crypto/ossl.h"

#include "base/mem.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>

#define BITS_MIN      2048
#define BITS_MAX      4096
#define PRIME_LIMIT   752 /* trial division below this */
#define ROCA_LIMIT    167 /* the first 39 primes: enough for keys of any size */
#define FERMAT_ROUNDS 100

static void bn_freep(BIGNUM **b)
{
	BN_free(*b);
}

static void bn_ctx_freep(BN_CTX **c)
{
	BN_CTX_free(*c);
}

static bool is_prime(unsigned v)
{
	for (unsigned d = 2; d * d <= v; d++) {
		if (v % d == 0)
			return false;
	}
	return v > 1;
}

/* Is r a power of 65537 modulo p? */
static bool is_power(unsigned r, unsigned p)
{
	unsigned g = 65537 % p, x = 1;
	do {
		if (x == r)
			return true;
		x = x * g % p;
	} while (x != 1 && x != 0);
	return false;
}

/* Small factors; and ROCA (CVE-2017-15361): primes of the form k*M + (65537^a mod M) leave n a
 * power of 65537 modulo every small prime, which n of an honest key is with a chance of 2^-154. */
static const char *check_residues(const BIGNUM *n)
{
	bool roca = true;
	for (unsigned p = 2; p < PRIME_LIMIT; p++) {
		if (!is_prime(p))
			continue;
		BN_ULONG r = BN_mod_word(n, p);
		if (r == 0)
			return "its modulus has a small factor";
		if (p > 2 && p <= ROCA_LIMIT)
			roca = roca && is_power((unsigned)r, p);
	}
	return roca ? "its modulus is of the ROCA kind (CVE-2017-15361)" : NULL;
}

/* r = floor(sqrt(n)), n > 0, by Newton's method from above. */
static bool isqrt(BIGNUM *r, const BIGNUM *n, BN_CTX *ctx)
{
	WRIT_AUTO(bn_freep) BIGNUM *x = BN_new();
	if (!x || !BN_set_bit(x, (BN_num_bits(n) + 1) / 2))
		return false;
	for (;;) {
		if (!BN_div(r, NULL, n, x, ctx) || !BN_add(r, r, x) || !BN_rshift1(r, r))
			return false;
		if (BN_cmp(r, x) >= 0)
			return BN_copy(r, x) != NULL;
		BN_swap(r, x);
	}
}

/* Squares leave few remainders: modulo 64, 63, 65 and 11 all but one in 120 numbers are found out
 * to be none, which spares their roots. */
static bool may_be_square(const BIGNUM *v)
{
	static const uint64_t squares64 = 0x0202021202030213ULL;
	static const uint64_t squares63 = 0x0402483012450293ULL;
	static const uint64_t squares65 = 0x218a019866014613ULL; /* less 64, which is one */
	static const uint64_t squares11 = 0x000000000000023bULL;
	BN_ULONG r = BN_mod_word(v, 63 * 64 * 65 * 11);
	return r != (BN_ULONG)-1 && squares64 >> r % 64 & 1 && squares63 >> r % 63 & 1 &&
		(r % 65 == 64 || squares65 >> r % 65 & 1) && squares11 >> r % 11 & 1;
}

/* Fermat: a^2 - n is a square for some a near sqrt(n) when both primes are close. -1: out of
 * memory. */
static int factors_are_close(const BIGNUM *n)
{
	WRIT_AUTO(bn_ctx_freep) BN_CTX *ctx = BN_CTX_new();
	WRIT_AUTO(bn_freep) BIGNUM *a = BN_new();
	WRIT_AUTO(bn_freep) BIGNUM *b2 = BN_new();
	WRIT_AUTO(bn_freep) BIGNUM *root = BN_new();
	WRIT_AUTO(bn_freep) BIGNUM *square = BN_new();
	if (!ctx || !a || !b2 || !root || !square || !isqrt(a, n, ctx))
		return -1;
	for (int i = 0; i <= FERMAT_ROUNDS; i++, BN_add_word(a, 1)) {
		if (!BN_sqr(b2, a, ctx) || !BN_sub(b2, b2, n))
			return -1;
		if (BN_is_zero(b2))
			return 1;
		if (BN_is_negative(b2) || !may_be_square(b2))
			continue;
		if (!isqrt(root, b2, ctx) || !BN_sqr(square, root, ctx))
			return -1;
		if (!BN_cmp(square, b2))
			return 1;
	}
	return 0;
}

writ_rc writ_rsa_check(const EVP_PKEY *pkey, struct writ_err *err)
{
	WRIT_AUTO(bn_freep) BIGNUM *n = NULL;
	WRIT_AUTO(bn_freep) BIGNUM *e = NULL;
	if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) != 1 ||
		EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
		return writ_fail_ossl(err, WRIT_ECRYPTO, "read an RSA key");
	int bits = BN_num_bits(n);
	if (bits < BITS_MIN || bits > BITS_MAX)
		return writ_fail(err, WRIT_EINVAL, "RSA of %d bits, %d to %d are accepted", bits,
			BITS_MIN, BITS_MAX);
	if (!BN_is_word(e, 65537))
		return writ_fail(err, WRIT_EINVAL, "the RSA exponent is not 65537");
	const char *weak = check_residues(n);
	if (weak)
		return writ_fail(err, WRIT_EINVAL, "RSA: %s", weak);
	int near = factors_are_close(n);
	if (near < 0)
		return writ_fail_ossl(err, WRIT_ECRYPTO, "check an RSA key");
	if (near)
		return writ_fail(err, WRIT_EINVAL, "RSA: the two primes are close together");
	return WRIT_OK;
}
