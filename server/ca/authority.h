/* SPDX-License-Identifier: Apache-2.0 */
/* authority: one of our CAs as the serving process knows it: everything but the key. */
#ifndef WRIT_CA_AUTHORITY_H
#define WRIT_CA_AUTHORITY_H

#include "ca/plan.h"
#include "crypto/cert.h"

struct Writ__Signer__V1__Ca;

struct writ_authority {
	char *id; /* owned: hex of the subject key identifier */
	struct writ_ca_fact fact;
	bool noted; /* the store has it with this state */
	struct writ_cert *cert;
	struct writ_cert *chain[WRIT_CHAIN_MAX]; /* behind a leaf: empty for a root of ours, else
						    cert and what is above it */
	size_t n_chain;
	struct writ_cert *roots[WRIT_CHAIN_MAX]; /* what the bundle has to hold */
	size_t n_roots;
};

WRIT_MUST writ_rc writ_authority_parse(
	const struct Writ__Signer__V1__Ca *ca, struct writ_authority *ret, struct writ_err *err);
void writ_authority_done(struct writ_authority *a);
const char *writ_ca_state_name(enum writ_ca_state s); /* "prepared", "active", "old" */

#endif
