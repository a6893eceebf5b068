/* SPDX-License-Identifier: Apache-2.0 */
/* trust: whom an agent believes to be its server. */
#ifndef WRIT_AGENT_TRUST_H
#define WRIT_AGENT_TRUST_H

#include "tls/tls.h"

#define WRIT_OLD_ANCHOR_S (INT64_C(30) * 24 * 3600) /* docs/adr/0009 */

struct writ_trust_config {
	const char *td;
	struct writ_bundle *bundle; /* NULL: only with insecure */
	bool insecure;              /* bootstrap: the ID is checked, the chain is not */
	struct writ_svid *svid;     /* NULL: without a client certificate */
	int64_t now;
};

/* What the server is checked with next: the bundle that we got from it, else what the operator
 * configured. Both, where what is configured counts again: at a first contact, and when none of
 * ours is in time any more but one of his is. A reference; NULL when there is neither. */
WRIT_MUST writ_rc writ_trust_choose(struct writ_bundle *ours, struct writ_bundle *configured,
	bool first_contact, int64_t now, struct writ_bundle **ret, struct writ_err *err);
/* For one connection to the server of td: it has to be exactly spiffe://td/spire/server. */
WRIT_MUST writ_rc writ_trust_server(
	const struct writ_trust_config *cfg, struct writ_tls_ctx **ret, struct writ_err *err);
/* Reads a file of trust_bundle_path. Blocks. */
WRIT_MUST writ_rc writ_trust_load(const char *path, bool is_spiffe, struct writ_str td,
	struct writ_bundle **ret, struct writ_err *err);

#endif
