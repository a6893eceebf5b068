/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/algs.h"

#include "base/mem.h"

/* RFC 5758 3.2 (no parameters) and RFC 4055 5 (NULL parameters). */
static const struct {
	struct writ_der alg;
	bool rsa;
	enum writ_hash hash;
} algs[] = {
	{ WRIT_DER_LIT("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"), false,
		WRIT_HASH_SHA256 },
	{ WRIT_DER_LIT("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"), false,
		WRIT_HASH_SHA384 },
	{ WRIT_DER_LIT("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04"), false,
		WRIT_HASH_SHA512 },
	{ WRIT_DER_LIT("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"), true,
		WRIT_HASH_SHA256 },
	{ WRIT_DER_LIT("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00"), true,
		WRIT_HASH_SHA384 },
	{ WRIT_DER_LIT("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00"), true,
		WRIT_HASH_SHA512 },
};

/* WRIT_KEY_OTHER is an RSA key of a size between the named ones. */
static bool is_rsa(enum writ_key_type type)
{
	return type != WRIT_KEY_P256 && type != WRIT_KEY_P384;
}

struct writ_der writ_sigalg_of(enum writ_key_type type)
{
	enum writ_hash hash = type == WRIT_KEY_P384 ? WRIT_HASH_SHA384 : WRIT_HASH_SHA256;
	for (size_t i = 0; i < WRIT_COUNT(algs) && type != WRIT_KEY_OTHER; i++) {
		if (algs[i].rsa == is_rsa(type) && algs[i].hash == hash)
			return algs[i].alg;
	}
	return writ_der(NULL, 0);
}

bool writ_sigalg_match(struct writ_der alg, enum writ_key_type type, enum writ_hash *hash)
{
	for (size_t i = 0; i < WRIT_COUNT(algs); i++) {
		if (algs[i].rsa == is_rsa(type) && writ_der_eq(algs[i].alg, alg)) {
			*hash = algs[i].hash;
			return true;
		}
	}
	return false;
}
