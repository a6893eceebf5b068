/* SPDX-License-Identifier: Apache-2.0 */
/* issue: builds a certificate from a structured request, checks it against the profile, signs it.
 * The signer process and tests call this; nothing else holds a CA key. */
#ifndef WRIT_CRYPTO_ISSUE_H
#define WRIT_CRYPTO_ISSUE_H

#include "crypto/cert.h"

#define WRIT_SERIAL_LEN 16
#define WRIT_DNS_MAX    32

enum writ_profile {
	WRIT_PROFILE_CA,   /* self-signed root, or intermediate when issuer is given */
	WRIT_PROFILE_LEAF, /* X509-SVID of workload, agent or server */
};

struct writ_subject {
	const char *country, *organization,
		*common_name; /* NULL or "": left out. CA: a serialNumber attribute is added */
};

/* Everything that goes into a certificate. Borrowed for the call. */
struct writ_issue {
	enum writ_profile profile;
	const char *trust_domain; /* of the issuer; the SPIFFE ID must be in it */
	const char *spiffe_id;    /* leaf: the ID; CA: "spiffe://td" */
	struct writ_subject subject;
	const uint8_t *subject_der; /* if set, used instead of subject (mint) */
	size_t subject_der_len;
	const char *const *dns;
	size_t n_dns;
	const struct writ_pubkey
		*key; /* from writ_pubkey_from_spki or writ_csr_*: only they check it (T23) */
	int64_t now;  /* Unix seconds; if set, not_before must be 0 to 70 s before it (L12) */
	int64_t not_before, not_after;   /* Unix seconds; not_after is cut to the issuer's by the
					    caller, checked here */
	uint8_t serial[WRIT_SERIAL_LEN]; /* 127 random bits, big-endian, top bit clear */
	struct writ_cert *issuer;        /* NULL: self-signed */
	const struct writ_key *issuer_key;
};

/* Builds the to-be-signed certificate, runs writ_lint over its DER, signs, appends the DER to out.
 * WRIT_EINVAL with the rule's name ("L3: exactly one URI SAN, 2 found") when the profile is broken:
 * nothing was signed then. A CA certificate is re-read as writ_issue_check does before it is handed
 * out. */
WRIT_MUST writ_rc writ_issue(
	const struct writ_issue *req, struct writ_buf *out, struct writ_err *err);
/* The first step alone, for tests of the rules: appends the DER TBSCertificate, unchecked. */
WRIT_MUST writ_rc writ_issue_tbs(
	const struct writ_issue *req, struct writ_buf *out, struct writ_err *err);

/* The profile rules L1-L21 (docs/protocol/x509-profile.txt) on a DER TBSCertificate, against what
 * was asked for. */
WRIT_MUST writ_rc writ_lint(
	const void *tbs, size_t n, const struct writ_issue *req, struct writ_err *err);
/* What was signed, read again by OpenSSL: same bytes when re-encoded, signature holds under the
 * issuer's key (L19). Slow (200 us): for CA certificates and a sample of leaves. WRIT_EINTERNAL: do
 * not hand it out. */
WRIT_MUST writ_rc writ_issue_check(
	const void *der, size_t n, const struct writ_issue *req, struct writ_err *err);

void writ_serial_new(uint8_t serial[WRIT_SERIAL_LEN]);

#endif
