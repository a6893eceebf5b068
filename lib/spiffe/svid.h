/* SPDX-License-Identifier: Apache-2.0 */
/* svid: the rules of X509-SVID.md on a leaf, and on a whole chain against the bundle of the leaf's
 * own trust domain. Pure: time is a parameter. */
#ifndef WRIT_SPIFFE_SVID_H
#define WRIT_SPIFFE_SVID_H

#include "crypto/cert.h"
#include "spiffe/bundle.h"
#include "spiffe/id.h"

#define WRIT_SVID_BACKDATED_S 10   /* notBefore is so long before the issue; by us and by SPIRE */
#define WRIT_SVID_SKEW_MS     5000 /* a difference of clocks that somebody should look at */

/* Checks one leaf by itself: exactly one URI SAN that is a SPIFFE ID with a path, not a CA
 * (basicConstraints absent or cA false), keyUsage with digitalSignature and without keyCertSign and
 * cRLSign, a serial number. id borrows from c. WRIT_ECRYPTO with the rule and what was found. */
WRIT_MUST writ_rc writ_svid_check_leaf(
	const struct writ_cert *c, struct writ_id *id, struct writ_err *err);

/* The whole check of a peer: leaf rules, the bundle of the leaf's trust domain from the set, path
 * validation for the purpose at `now`, no leaf-like intermediate. WRIT_EUNAUTH when no bundle is
 * there for the trust domain. */
WRIT_MUST writ_rc writ_svid_verify(struct writ_cert *const *chain, size_t n,
	const struct writ_bundles *bundles, enum writ_purpose purpose, int64_t now,
	struct writ_id *id, struct writ_err *err);

/* An X509-SVID with its key: immutable, shared by reference. */
struct writ_svid {
	int refs;
	char *spiffe_id; /* owned */
	char *hint;      /* owned, "" when none */
	struct writ_cert *chain[WRIT_CHAIN_MAX];
	size_t n_chain;
	struct writ_key *key;
};
/* Takes references; checks that leaf, key and ID belong together. */
WRIT_MUST writ_rc writ_svid_new(struct writ_cert *const *chain, size_t n, struct writ_key *key,
	const char *hint, struct writ_svid **ret, struct writ_err *err);
struct writ_svid *writ_svid_ref(struct writ_svid *s);
void writ_svid_unref(struct writ_svid *s);
void writ_svid_unrefp(struct writ_svid **s);
int64_t writ_svid_not_after(const struct writ_svid *s);
int64_t writ_svid_not_before(const struct writ_svid *s);
/* When to renew: at 35 % +-5 points of the certificate's real life (docs: design table), Unix
 * milliseconds. Of a life under a minute the first ten seconds do not count: they were over when
 * the certificate was made. */
int64_t writ_svid_renew_at_ms(int64_t not_before_s, int64_t not_after_s, unsigned random_0_to_999);

#endif
