/* SPDX-License-Identifier: Apache-2.0 */
/* algs: the signature AlgorithmIdentifiers that are accepted and emitted, as whole DER elements. */
#ifndef WRIT_CRYPTO_ALGS_H
#define WRIT_CRYPTO_ALGS_H

#include "crypto/der.h"
#include "crypto/key.h"

enum writ_hash { WRIT_HASH_SHA256, WRIT_HASH_SHA384, WRIT_HASH_SHA512 };

/* What writ_key_sign makes with a key of this type; empty for WRIT_KEY_OTHER. */
struct writ_der writ_sigalg_of(enum writ_key_type type);
/* Reads one from a request: false when it is not known or not for keys of this type. */
bool writ_sigalg_match(struct writ_der alg, enum writ_key_type type, enum writ_hash *hash);

#endif
