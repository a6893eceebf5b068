/* SPDX-License-Identifier: Apache-2.0 */
/* tls: TLS 1.3 with X509-SVIDs over OpenSSL, the one implementation in the product. A context is
 * immutable and shared by reference: rotation makes a new one and swaps the pointer, live
 * connections keep theirs. No tickets, no session cache, no renegotiation: every connection is
 * verified against the bundles of its context. */
#ifndef WRIT_TLS_TLS_H
#define WRIT_TLS_TLS_H

#include "spiffe/svid.h"

struct writ_tls_ctx;
struct writ_tls;
struct ssl_ctx_st;
struct ssl_st;

enum writ_tls_peer_mode {
	WRIT_TLS_PEER_REQUIRED,   /* the peer must present a certificate that verifies */
	WRIT_TLS_PEER_OPTIONAL,   /* none is fine; one that does not verify is refused */
	WRIT_TLS_PEER_UNVERIFIED, /* client, bootstrap only: the SPIFFE ID is checked, the chain is
				     not */
};

struct writ_tls_config {
	bool server;
	enum writ_tls_peer_mode peer;
	bool h2;                      /* ALPN: offer (client) or demand (server) "h2" */
	struct writ_svid *svid;       /* NULL: a client without certificate */
	struct writ_bundles *bundles; /* whom to trust, by trust domain */
	/* Called in the handshake with the peer's verified ID, on the thread that drives the
	 * connection. NULL: every verified ID passes. WRIT_EDENIED (with text) refuses. */
	writ_rc (*authorize)(void *arg, const struct writ_id *id, struct writ_err *err);
	void *arg; /* must outlive the context and its connections */
};

/* Takes references to svid and bundles. About 0.2 ms. */
WRIT_MUST writ_rc writ_tls_ctx_new(
	const struct writ_tls_config *cfg, struct writ_tls_ctx **ret, struct writ_err *err);
struct writ_tls_ctx *writ_tls_ctx_ref(struct writ_tls_ctx *c);
void writ_tls_ctx_unref(struct writ_tls_ctx *c);

/* A connection on a connected, non-blocking socket (borrowed). References ctx. Not thread-safe. */
WRIT_MUST writ_rc writ_tls_new(
	struct writ_tls_ctx *ctx, int fd, struct writ_tls **ret, struct writ_err *err);
void writ_tls_free(struct writ_tls *t); /* no close_notify; see shutdown */

enum writ_tls_io {
	WRIT_TLS_DONE,
	WRIT_TLS_WANT_READ,
	WRIT_TLS_WANT_WRITE,
	WRIT_TLS_EOF,
	WRIT_TLS_FAILED
};
/* One step of the handshake. A client whose certificate is refused sees DONE and then FAILED at its
 * first read (TLS 1.3). FAILED sets err: why, and for a verification failure what the peer
 * presented. */
enum writ_tls_io writ_tls_handshake(struct writ_tls *t, struct writ_err *err);
enum writ_tls_io writ_tls_read(
	struct writ_tls *t, void *p, size_t n, size_t *got, struct writ_err *err);
enum writ_tls_io writ_tls_write(
	struct writ_tls *t, const void *p, size_t n, size_t *put, struct writ_err *err);
bool writ_tls_pending(
	const struct writ_tls *t);          /* decrypted bytes wait: read again without polling */
void writ_tls_shutdown(struct writ_tls *t); /* sends close_notify if it can at once */

/* The peer's verified leaf after the handshake, NULL when it presented none. Borrowed from t. */
struct writ_cert *writ_tls_peer_cert(const struct writ_tls *t);
const char *writ_tls_peer_id(const struct writ_tls *t); /* its SPIFFE ID; NULL when none */
/* Verifies the peer's chain again, now, against other bundles: for live connections after a bundle
 * change. */
WRIT_MUST writ_rc writ_tls_reverify(const struct writ_tls *t, const struct writ_bundles *bundles,
	int64_t now, struct writ_err *err);

/* For the SDK and curl: makes an SSL_CTX that behaves the same. provider() is asked at each
 * handshake, on its thread, for the context in force and gives a reference of its own; NULL: there
 * is none now, the handshake fails. */
WRIT_MUST writ_rc writ_tls_apply(struct ssl_ctx_st *ssl_ctx, const struct writ_tls_config *cfg,
	struct writ_tls_ctx *(*provider)(void *arg), void *arg, struct writ_err *err);
/* The verified SPIFFE ID of the peer of an SSL made from such an SSL_CTX; NULL before. Lives as
 * long as ssl. */
const char *writ_tls_ssl_peer_id(const struct ssl_st *ssl);

#endif
