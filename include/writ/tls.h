/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writ/tls.h: OpenSSL contexts that always use the newest SVID and bundle of a source, and check
 * the peer's SPIFFE ID.
 *
 * TLS 1.3 only, no tickets, no resumption: each handshake is verified against the bundle in force.
 * The contexts are ordinary SSL_CTXs: make any number of SSLs of them, from any thread. The source
 * must outlive them.
 */
#ifndef WRIT_TLS_SDK_H
#define WRIT_TLS_SDK_H

#include <writ/source.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_st SSL;

/* Who may be at the other end. Exactly one of ids and allow is used, allow first; with neither
 * nobody is let in. */
struct writ_authorize {
	/* Exact IDs ("spiffe://td/tool/echo") and prefixes that end in a slash
	 * ("spiffe://td/agent/"). */
	const char *const *ids;
	size_t n_ids;
	/* Called in each handshake with the verified ID, on the thread that drives it. Non-zero
	 * lets the peer in. */
	int (*allow)(void *arg, const char *spiffe_id);
	void *arg;
};

/* Copies authorize's lists. Free with SSL_CTX_free. */
WRIT_API int writ_tls_server(struct writ_x509_source *source,
	const struct writ_authorize *authorize, SSL_CTX **ret, struct writ_error *error);
WRIT_API int writ_tls_client(struct writ_x509_source *source,
	const struct writ_authorize *authorize, SSL_CTX **ret, struct writ_error *error);
/* The peer's verified SPIFFE ID, after the handshake; NULL before. Lives as long as ssl. */
WRIT_API const char *writ_tls_peer(const SSL *ssl);

#ifdef __cplusplus
}
#endif

#endif
