/* SPDX-License-Identifier: Apache-2.0 */
/* bundle: the trust anchors of one trust domain, and a set of bundles by trust domain. Immutable
 * once built; share by reference. */
#ifndef WRIT_SPIFFE_BUNDLE_H
#define WRIT_SPIFFE_BUNDLE_H

#include "base/map.h"
#include "crypto/cert.h"
#include "spiffe/id.h"

#define WRIT_BUNDLE_CAS_MAX   256
#define WRIT_BUNDLE_BYTES_MAX (1024 * 1024)

struct writ_bundle {
	int refs;
	char *td;               /* owned */
	struct writ_cert **cas; /* owned array of references */
	bool *tainted;          /* owned, parallel to cas */
	size_t n;
	uint64_t sequence;
	int64_t refresh_hint_s; /* 0: none */
	struct writ_anchors
		*anchors;    /* of all cas (tainted ones too: they still verify until removed) */
	struct writ_str der; /* owned: all CAs back to back, as the Workload API wants them */
};

/* Takes references. n may be 0 (then nothing verifies). Duplicates are dropped. */
WRIT_MUST writ_rc writ_bundle_new(struct writ_str td, struct writ_cert *const *cas,
	const bool *tainted, size_t n, uint64_t sequence, int64_t refresh_hint_s,
	struct writ_bundle **ret, struct writ_err *err);
WRIT_MUST writ_rc writ_bundle_parse_der(struct writ_str td, const void *der, size_t n,
	struct writ_bundle **ret, struct writ_err *err);
WRIT_MUST writ_rc writ_bundle_parse_pem(
	struct writ_str td, struct writ_str text, struct writ_bundle **ret, struct writ_err *err);
/* SPIFFE bundle document (SPIFFE_Trust_Domain_and_Bundle.md 4: a JWK set). Taken are the x509-svid
 * entries that hold a CA certificate whose key the entry describes; others are passed over, as the
 * standard says, so that b->n may be 0. WRIT_EINVAL: no JSON object, a member twice, no array
 * "keys", a sequence or hint that is no whole number. */
WRIT_MUST writ_rc writ_bundle_parse_jwks(
	struct writ_str td, struct writ_str json, struct writ_bundle **ret, struct writ_err *err);
void writ_bundle_print_pem(const struct writ_bundle *b, struct writ_buf *out);
WRIT_MUST writ_rc writ_bundle_print_jwks(
	const struct writ_bundle *b, struct writ_buf *out, struct writ_err *err);
struct writ_bundle *writ_bundle_ref(struct writ_bundle *b);
void writ_bundle_unref(struct writ_bundle *b);
void writ_bundle_unrefp(struct writ_bundle **b);
bool writ_bundle_same_cas(const struct writ_bundle *a, const struct writ_bundle *b);
/* Are the same ones tainted? What taint is: the operator no longer stands by what that authority
 * has signed; it holds until the authority goes, and what it signed is to be renewed before. */
bool writ_bundle_same_taint(const struct writ_bundle *a, const struct writ_bundle *b);
bool writ_bundle_has_taint(const struct writ_bundle *b);
/* Does the key of a tainted authority stand behind one of these certificates? By key identifiers:
 * for chains that are verified already. */
bool writ_bundle_taints(const struct writ_bundle *b, struct writ_cert *const *chain, size_t n);

/* Bundles by trust domain name. Immutable once shared; with copies for a change. */
struct writ_bundles {
	int refs;
	struct writ_map by_td; /* struct writ_bundle * */
};
struct writ_bundles *writ_bundles_new(void);
/* A new set like s (may be NULL) with b put in place of that trust domain's. Owned by the caller.
 */
struct writ_bundles *writ_bundles_with(const struct writ_bundles *s, struct writ_bundle *b);
/* A new set like s without that trust domain's bundle. Owned by the caller. */
struct writ_bundles *writ_bundles_without(const struct writ_bundles *s, struct writ_str td);
const struct writ_bundle *writ_bundles_get(
	const struct writ_bundles *s, struct writ_str td); /* borrowed; NULL */
struct writ_bundles *writ_bundles_ref(struct writ_bundles *s);
void writ_bundles_unref(struct writ_bundles *s);
void writ_bundles_unrefp(struct writ_bundles **s);

#endif
