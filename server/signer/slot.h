/* SPDX-License-Identifier: Apache-2.0 */
/* slot: one CA of the signer: its key, its certificate, what leads from it to a root, and how far
 * it is in its life. And the text form in which a key manager keeps it: a few lines, then PEM. */
#ifndef WRIT_SIGNER_SLOT_H
#define WRIT_SIGNER_SLOT_H

#include "crypto/cert.h"

#define WRIT_AUTHORITY_MAX 40 /* hex digits of a subject key identifier */

enum writ_slot_state { WRIT_SLOT_PREPARED, WRIT_SLOT_ACTIVE, WRIT_SLOT_OLD };

struct writ_slot {
	enum writ_slot_state state;
	int64_t activated;                      /* Unix seconds; 0: never */
	char authority[WRIT_AUTHORITY_MAX + 1]; /* of cert's subject key identifier */
	struct writ_key *key;                   /* owned reference, as all below */
	struct writ_cert *cert;
	struct writ_cert
		*chain[WRIT_CHAIN_MAX]; /* upstream certificates, nearest first, without the root */
	size_t n_chain;
	struct writ_cert *roots[WRIT_CHAIN_MAX]; /* what goes into the bundle */
	size_t n_roots;
	struct writ_anchors *self; /* cert alone, to check what it signed */
};

void writ_slot_done(struct writ_slot *s);
/* Checks that key and certificate belong together and that it is a CA's, and sets authority and
 * self. Takes no references: they are in s already. */
WRIT_MUST writ_rc writ_slot_seal(struct writ_slot *s, struct writ_err *err);

/* The whole slot, private key included: wipe the buffer. */
WRIT_MUST writ_rc writ_slot_print(
	const struct writ_slot *s, struct writ_buf *out, struct writ_err *err);
WRIT_MUST writ_rc writ_slot_parse(
	struct writ_str text, struct writ_slot *ret, struct writ_err *err);

#endif
