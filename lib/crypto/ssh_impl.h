/* SPDX-License-Identifier: Apache-2.0 */
/* ssh_impl: the wire's elements, and keys as OpenSSL has them. Inside lib/crypto only. */
#ifndef WRIT_CRYPTO_SSH_IMPL_H
#define WRIT_CRYPTO_SSH_IMPL_H

#include "crypto/ssh.h"

#include <openssl/evp.h>

/* Cuts an element off the front of *at. False: it is not there whole. */
bool writ__ssh_u32(struct writ_str *at, uint32_t *ret);
bool writ__ssh_u64(struct writ_str *at, uint64_t *ret);
bool writ__ssh_string(struct writ_str *at, struct writ_str *ret);
/* A number that is not negative, without its sign byte. */
bool writ__ssh_mpint(struct writ_str *at, struct writ_str *ret);
void writ__ssh_put(struct writ_buf *out, const void *p, size_t n); /* a string */

/* A kind of key. */
struct writ__ssh_kind {
	const char *type;      /* "ssh-rsa" */
	const char *cert_type; /* "ssh-rsa-cert-v01@openssh.com" */
	unsigned fields;       /* of a public key, each a string on the wire */
	int id;                /* EVP_PKEY_RSA, _EC, _ED25519 */
	const char *group;     /* EC: OpenSSL's name */
	const char *curve;     /* EC: SSH's */
	size_t point;          /* EC: bytes of an uncompressed point */
};
const struct writ__ssh_kind *writ__ssh_kind(struct writ_str type); /* NULL */
const struct writ__ssh_kind *writ__ssh_kind_of_cert(struct writ_str cert_type);

/* The public key from its fields. */
WRIT_MUST writ_rc writ__ssh_load(const struct writ__ssh_kind *k, struct writ_str fields,
	EVP_PKEY **ret, struct writ_err *err);
WRIT_MUST writ_rc writ__ssh_verify(const struct writ__ssh_kind *k, struct writ_str fields,
	const void *p, size_t n, struct writ_str format, struct writ_str sig, bool sha1,
	struct writ_err *err);

#endif
