/* SPDX-License-Identifier: Apache-2.0 */
/* web: TLS as a client of a server that has no SVID, such as Kubernetes' API server: its
 * certificate has to carry the host's name and chain to a given CA. The system's CAs do not count.
 */
#ifndef WRIT_TLS_WEB_H
#define WRIT_TLS_WEB_H

#include "tls/tls.h"

struct writ_tls_web_config {
	const char *host; /* DNS name or IP address as text */
	struct writ_cert *const *cas;
	size_t n_cas;                   /* at least one */
	struct writ_cert *const *chain; /* of ours, the leaf first; may be empty */
	size_t n_chain;
	struct writ_key *key; /* of chain[0] */
	bool unverified;      /* no check, no CAs: only where something else says who answers */
};

/* A context for connections to that host, TLS 1.2 or later: of a connection made from it,
 * writ_tls_peer_cert and writ_tls_peer_id are NULL. Takes references. */
WRIT_MUST writ_rc writ_tls_web_new(
	const struct writ_tls_web_config *cfg, struct writ_tls_ctx **ret, struct writ_err *err);

#endif
