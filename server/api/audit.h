/* SPDX-License-Identifier: Apache-2.0 */
/* audit: one record for every admin call, attestation, issuance and refusal. docs/audit.md is the
 * schema. */
#ifndef WRIT_API_AUDIT_H
#define WRIT_API_AUDIT_H

#include "api/api.h"
#include "api/metrics.h"

/* A certificate that is about to be handed out. A failure refuses it. entry_id may be empty. */
struct writ_audit_svid {
	enum writ_issued_for purpose;
	struct writ_str spiffe_id, entry_id;
	struct writ_str cert; /* DER */
};
WRIT_MUST writ_rc writ_audit_issued(
	struct writ_call *c, const struct writ_audit_svid *s, struct writ_err *err);

#endif
