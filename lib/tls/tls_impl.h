/* SPDX-License-Identifier: Apache-2.0 */
/* tls_impl: what the files of lib/tls share. Inside lib/tls only. */
#ifndef WRIT_TLS_TLS_IMPL_H
#define WRIT_TLS_TLS_IMPL_H

#include "tls/tls.h"

#include <openssl/ssl.h>

struct writ_tls_ctx {
	int refs; /* atomic */
	SSL_CTX *ssl;
	struct writ_tls_config cfg; /* svid and bundles: references */
	char *host;                 /* owned: a context of tls/web.h; NULL: of SVIDs */
};

/* What the peer showed in the handshake, kept for later questions. */
struct writ_tls_seen {
	struct writ_cert *chain[WRIT_CHAIN_MAX];
	size_t n_chain;
	char *id;             /* owned; NULL before the chain passed */
	struct writ_err *why; /* owned; set when the chain was refused */
};

struct writ_tls {
	SSL *ssl;
	struct writ_tls_ctx *ctx;
	struct writ_tls_seen seen;
	bool done, failed;
	/* KeyUpdates of the second that began at key_updates_ms. */
	unsigned key_updates;
	int64_t key_updates_ms;
};

/* The fixed settings, the same for our contexts and for those of others (writ_tls_apply). */
WRIT_MUST writ_rc writ_tls_harden(
	SSL_CTX *ssl, const struct writ_tls_config *cfg, struct writ_err *err);
/* Checks a whole configuration before anything is built from it. */
WRIT_MUST writ_rc writ_tls_config_check(const struct writ_tls_config *cfg, struct writ_err *err);

/* What all contexts of ours have, and none of others: how records are read and written. */
void writ_tls_tune(SSL_CTX *ssl);

/* A connection of tls/web.h: asks for the name; looks at the verdict once more; says it in words.
 */
WRIT_MUST bool writ_tls_web_begin(SSL *ssl, const char *host);
WRIT_MUST writ_rc writ_tls_web_check(const SSL *ssl, const char *host, struct writ_err *err);

/* Judges the peer's chain that OpenSSL holds in x by the rules of cfg (role, mode, authorize) and
 * these bundles. Fills seen, which may be NULL. Sets the verdict in x, so that the peer gets a
 * fitting alert. */
WRIT_MUST writ_rc writ_tls_judge(X509_STORE_CTX *x, const struct writ_tls_config *cfg,
	const struct writ_bundles *bundles, struct writ_tls_seen *seen, struct writ_err *err);
void writ_tls_seen_done(struct writ_tls_seen *s);

/* Starts an error from OpenSSL's queue in words that say what the peer did; the queue is empty
 * afterwards. */
writ_rc writ_tls_explain(struct writ_err *err, const char *doing);

#endif
