/* SPDX-License-Identifier: Apache-2.0 */
/* signer: answers requests of the serving process: which one is allowed when, what each field may
 * be, and what happens then. Pure but for the key manager and the issuance record: bytes in, bytes
 * out. One thread. Source of the format: proto/writ/signer/v1/signer.proto,
 * docs/protocol/signer.txt. */
#ifndef WRIT_SIGNER_SIGNER_H
#define WRIT_SIGNER_SIGNER_H

#include "signer/keys.h"
#include "signer/record.h"

#define WRIT_SIGNER_SLOTS_MAX 4
#define WRIT_SIGNER_BATCH_MAX 128

struct writ_signer;
struct writ_upstream;

struct writ_signer_config {
	const char *trust_domain;
	struct writ_keys *keys; /* borrowed, as all below */
	struct writ_record *record;
	const struct writ_upstream *upstream; /* NULL: our CAs are roots */
};

WRIT_MUST writ_rc writ_signer_new(
	const struct writ_signer_config *c, struct writ_signer **ret, struct writ_err *err);
void writ_signer_free(struct writ_signer *s);
void writ_signer_freep(struct writ_signer **s);

/* A CA that the key manager kept (writ_slot_print). Of several active ones the newest stays active.
 */
WRIT_MUST writ_rc writ_signer_adopt(
	struct writ_signer *s, struct writ_str text, struct writ_err *err);

/* Answers one Request with one Reply, appended to out without a head. An error in what is asked for
 * is an answer too. WRIT_EPROTO: this was no request at all; the talk is over. */
WRIT_MUST writ_rc writ_signer_handle(
	struct writ_signer *s, struct writ_str request, struct writ_buf *out, struct writ_err *err);

#endif
