/* SPDX-License-Identifier: Apache-2.0 */
/* key: private keys in OpenSSL's secure heap, and the public keys that peers send. A writ_key may
 * be used by several threads for signing at once. */
#ifndef WRIT_CRYPTO_KEY_H
#define WRIT_CRYPTO_KEY_H

#include "base/buf.h"
#include "base/secret.h"

enum writ_key_type {
	WRIT_KEY_P256,
	WRIT_KEY_P384,
	WRIT_KEY_RSA2048,
	WRIT_KEY_RSA4096,
	WRIT_KEY_OTHER
};

struct writ_key; /* opaque: private key and its public half */
struct evp_pkey_st;

/* First of all in a program of ours, never in somebody else's: what OpenSSL frees is wiped. For
 * programs that encode private keys: the agent and the gate. A signature gets a tenth dearer. */
void writ_crypto_wipe_freed(void);
/* Once at the start of a process, before threads: the secure heap (1 MiB, locked). WRIT_ELIMIT when
 * memory cannot be locked: the message says what to raise. */
WRIT_MUST writ_rc writ_crypto_init(struct writ_err *err);

WRIT_MUST writ_rc writ_key_generate(
	enum writ_key_type type, struct writ_key **ret, struct writ_err *err);
/* Unencrypted PKCS#8 DER (RFC 5958) with one of the types above. */
WRIT_MUST writ_rc writ_key_from_pkcs8(
	const void *der, size_t n, struct writ_key **ret, struct writ_err *err);
WRIT_MUST writ_rc writ_key_to_pkcs8(
	const struct writ_key *k, struct writ_secret *ret, struct writ_err *err);
/* PEM: "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY" in a text, the first one found. */
WRIT_MUST writ_rc writ_key_from_pem(
	struct writ_str text, struct writ_key **ret, struct writ_err *err);
/* The same, and RSA of any size from 2048 to 4096 bits: its type is WRIT_KEY_OTHER. For keys that
 * are not ours to choose. */
WRIT_MUST writ_rc writ_key_from_pem_rsa(
	struct writ_str text, struct writ_key **ret, struct writ_err *err);
struct writ_key *writ_key_ref(struct writ_key *k);
void writ_key_unref(struct writ_key *k);
void writ_key_unrefp(struct writ_key **k);
enum writ_key_type writ_key_type_of(const struct writ_key *k);
struct evp_pkey_st *writ_key_evp(
	const struct writ_key *k); /* borrowed; lib/tls and the signer only */

const char *writ_key_type_name(
	enum writ_key_type t); /* "ec-p256", "ec-p384", "rsa-2048", "rsa-4096" */
WRIT_MUST writ_rc writ_key_type_parse(
	struct writ_str s, enum writ_key_type *ret, struct writ_err *err);

/* A public key as it stands in a certificate: checked to be one we accept (reference: T23): P-256
 * or P-384 point on the curve and not infinity; RSA of 2048..4096 bits, e = 65537, no small
 * factors, not Fermat-close, no ROCA. */
#define WRIT_SPKI_MAX 1024
struct writ_pubkey {
	enum writ_key_type type;
	size_t spki_len;
	uint8_t spki[WRIT_SPKI_MAX]; /* DER SubjectPublicKeyInfo */
	uint8_t ski[20];    /* SHA-1 of the subjectPublicKey bits (RFC 5280 4.2.1.2 method 1) */
	uint8_t sha256[32]; /* of the spki */
};
WRIT_MUST writ_rc writ_pubkey_from_spki(
	const void *der, size_t n, struct writ_pubkey *ret, struct writ_err *err);
WRIT_MUST writ_rc writ_pubkey_of_key(
	const struct writ_key *k, struct writ_pubkey *ret, struct writ_err *err);
bool writ_pubkey_eq(const struct writ_pubkey *a, const struct writ_pubkey *b);

/* Signs SHA-256 (P-384: SHA-384) of the bytes; ECDSA as DER, RSA as PKCS#1 v1.5. */
#define WRIT_SIG_MAX 512
WRIT_MUST writ_rc writ_key_sign(const struct writ_key *k, const void *p, size_t n,
	uint8_t sig[WRIT_SIG_MAX], size_t *sig_len, struct writ_err *err);
WRIT_MUST writ_rc writ_pubkey_verify(const struct writ_pubkey *k, const void *p, size_t n,
	const void *sig, size_t sig_len, struct writ_err *err);

#endif
