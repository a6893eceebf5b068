/* SPDX-License-Identifier: Apache-2.0 */
/* cert: a parsed X.509 certificate (RFC 5280), immutable and shared by reference; and chains
 * verified against a set of anchors. Any thread. */
#ifndef WRIT_CRYPTO_CERT_H
#define WRIT_CRYPTO_CERT_H

#include "crypto/key.h"

#define WRIT_CERT_MAX  (16 * 1024)
#define WRIT_CHAIN_MAX 8

struct writ_cert;
struct x509_st;

WRIT_MUST writ_rc writ_cert_parse(const void *der, size_t n, struct writ_cert **ret,
	struct writ_err *err); /* nothing may follow */
/* Certificates back to back (Workload API form) or all CERTIFICATE blocks of a PEM text; at least
 * one. ret is the caller's array of max; it gets *count references. WRIT_ELIMIT when there are
 * more. */
WRIT_MUST writ_rc writ_certs_parse(const void *der, size_t n, struct writ_cert **ret, size_t max,
	size_t *count, struct writ_err *err);
WRIT_MUST writ_rc writ_certs_parse_pem(struct writ_str text, struct writ_cert **ret, size_t max,
	size_t *count, struct writ_err *err);
/* Wraps an X509 that OpenSSL holds (takes a reference). lib/tls only. */
WRIT_MUST writ_rc writ_cert_from_x509(
	struct x509_st *x, struct writ_cert **ret, struct writ_err *err);
struct writ_cert *writ_cert_ref(struct writ_cert *c);
void writ_cert_unref(struct writ_cert *c);
void writ_cert_unrefp(struct writ_cert **c);
void writ_certs_unref(struct writ_cert **c, size_t n);

struct writ_str writ_cert_der(const struct writ_cert *c);    /* borrowed, the very bytes */
int64_t writ_cert_not_before(const struct writ_cert *c);     /* Unix seconds */
int64_t writ_cert_not_after(const struct writ_cert *c);      /* Unix seconds, inclusive */
const char *writ_cert_serial_dec(const struct writ_cert *c); /* decimal, as SPIRE stores it */
const char *writ_cert_serial_hex(const struct writ_cert *c); /* lower case */
size_t writ_cert_uri_count(const struct writ_cert *c);
struct writ_str writ_cert_uri(
	const struct writ_cert *c, size_t i); /* raw bytes of the IA5String: may hold anything */
size_t writ_cert_dns_count(const struct writ_cert *c);
struct writ_str writ_cert_dns(const struct writ_cert *c, size_t i);
bool writ_cert_has_basic_constraints(const struct writ_cert *c);
bool writ_cert_self_signed(
	const struct writ_cert *c); /* by name and key id; the signature is not checked here */
/* Is this address (4 or 16 bytes, network order) among its names? */
bool writ_cert_has_ip(const struct writ_cert *c, const void *ip, size_t n);
bool writ_cert_is_ca(const struct writ_cert *c); /* basicConstraints cA */
enum {
	WRIT_KU_DIGITAL_SIGNATURE = 1,
	WRIT_KU_KEY_CERT_SIGN = 2,
	WRIT_KU_CRL_SIGN = 4,
	WRIT_KU_PRESENT = 8
};
unsigned writ_cert_key_usage(const struct writ_cert *c);
enum { WRIT_EKU_SERVER = 1, WRIT_EKU_CLIENT = 2, WRIT_EKU_PRESENT = 4 };
unsigned writ_cert_ext_key_usage(const struct writ_cert *c);
WRIT_MUST writ_rc writ_cert_pubkey(
	const struct writ_cert *c, struct writ_pubkey *ret, struct writ_err *err);
struct writ_str writ_cert_spki(
	const struct writ_cert *c); /* DER SubjectPublicKeyInfo, borrowed, not checked */
struct writ_str writ_cert_subject_der(const struct writ_cert *c); /* DER Name, borrowed */
/* The last attribute 2.5.4.type (crypto/name.h) of the subject or issuer: borrowed; empty when
 * there is none, or none that is UTF-8 or ASCII text. May hold anything else. */
struct writ_str writ_cert_subject_attr(const struct writ_cert *c, uint8_t type);
struct writ_str writ_cert_issuer_attr(const struct writ_cert *c, uint8_t type);
struct writ_str writ_cert_ski(
	const struct writ_cert *c); /* subjectKeyIdentifier, raw, borrowed; empty when absent */
const char *writ_cert_ski_hex(const struct writ_cert *c); /* "" when absent */
const char *writ_cert_aki_hex(const struct writ_cert *c);
const char *writ_cert_subject(const struct writ_cert *c); /* one line, escaped (RFC 2253) */
/* OpenSSL's object, made at the first call: borrowed; NULL when OpenSSL cannot read it. lib/tls and
 * the signer only. */
struct x509_st *writ_cert_x509(const struct writ_cert *c);

/* Anchors: the X.509 authorities of one trust domain. Immutable, shared by reference. */
struct writ_anchors;
WRIT_MUST writ_rc writ_anchors_new(
	struct writ_cert *const *cas, size_t n, struct writ_anchors **ret, struct writ_err *err);
struct writ_anchors *writ_anchors_ref(struct writ_anchors *a);
void writ_anchors_unref(struct writ_anchors *a);
/* For an agent that comes back after a long outage (docs/adr/0009): an anchor of this set also
 * holds when its own time is over for at most grace_s seconds. All below it, the leaf first, has to
 * be in time. Call it before the set is shared. */
void writ_anchors_allow_expired(struct writ_anchors *a, int64_t grace_s);

enum writ_purpose { WRIT_PURPOSE_ANY, WRIT_PURPOSE_TLS_SERVER, WRIT_PURPOSE_TLS_CLIENT };
/* RFC 5280 path validation at time now (Unix seconds): X509_V_FLAG_X509_STRICT and PARTIAL_CHAIN,
 * at most 4 certificates between leaf and anchor, security level 2 (no SHA-1, no RSA under 2048).
 * chain[0] is the leaf, the rest untrusted helpers. WRIT_EEXPIRED (with both times and the
 * difference in the text; also for what is not valid yet), WRIT_ECRYPTO otherwise, with OpenSSL's
 * reason. OpenSSL counts the second of notAfter itself as over. SPIFFE's own rules are
 * spiffe/svid.h's. */
WRIT_MUST writ_rc writ_chain_verify(const struct writ_anchors *a, struct writ_cert *const *chain,
	size_t n, enum writ_purpose purpose, int64_t now, struct writ_err *err);

/* The same for certificates of somebody else's PKI: RFC 5280's rules about extensions (STRICT) are
 * not asked for, and path (an array of WRIT_PATH_MAX) gets references to the certificates of the
 * path that was found, *n_path of them, the leaf first and the anchor last. */
#define WRIT_PATH_MAX 6
WRIT_MUST writ_rc writ_chain_find(const struct writ_anchors *a, struct writ_cert *const *chain,
	size_t n, int64_t now, struct writ_cert **path, size_t *n_path, struct writ_err *err);

#endif
