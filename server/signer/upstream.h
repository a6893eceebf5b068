/* SPDX-License-Identifier: Apache-2.0 */
/* upstream: the CA above ours, with its key (UpstreamAuthority "disk"). */
#ifndef WRIT_SIGNER_UPSTREAM_H
#define WRIT_SIGNER_UPSTREAM_H

#include "crypto/cert.h"

struct writ_upstream {
	struct writ_key *key;
	struct writ_cert *chain[WRIT_CHAIN_MAX]; /* the first belongs to key */
	size_t n_chain;
	struct writ_cert
		*roots[WRIT_CHAIN_MAX]; /* with a bundle: its certificates; else chain[0] alone */
	size_t n_roots;
	bool bundled; /* roots are a bundle of their own, so the chain is handed out with ours */
};

/* From PEM; bundle may be empty, then cert must hold one self-signed CA. Checks that all fit
 * together at now. */
WRIT_MUST writ_rc writ_upstream_open(struct writ_upstream *ret, struct writ_str cert,
	struct writ_str key, struct writ_str bundle, int64_t now, struct writ_err *err);
void writ_upstream_done(struct writ_upstream *u);

#endif
