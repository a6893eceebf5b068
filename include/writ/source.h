/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writ/source.h: this process's X.509 identity, always the newest, from the SPIFFE Workload API.
 *
 * A source is one connection to the agent and one background thread ("writ-source"), started by
 * writ_x509_source_new and ended by writ_x509_source_free. gRPC core runs a few threads of its own
 * beside it. Every function here may be called from any thread.
 *
 * fork: a source does not work in a child process. There every function returns WRIT_ERROR_FORKED
 * at once, writ_x509_source_free does nothing, and handshakes of its SSL_CTXs fail; a child that
 * wants an identity opens a source of its own after exec. Copies that writ_x509_source_svid gave
 * are zeroes in the child; the source's own key, in OpenSSL's locked heap, is there until exec.
 */
#ifndef WRIT_SOURCE_H
#define WRIT_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WRIT_API __attribute__((visibility("default")))

enum writ_error_code {
	WRIT_ERROR_NONE = 0,
	WRIT_ERROR_INVALID = 1,     /* an argument or SPIFFE_ENDPOINT_SOCKET is wrong */
	WRIT_ERROR_UNAVAILABLE = 2, /* the agent cannot be reached */
	WRIT_ERROR_DENIED = 3,  /* no identity issued: no registration entry matches this process */
	WRIT_ERROR_TIMEOUT = 4, /* no answer within the deadline */
	WRIT_ERROR_AMBIGUOUS = 5, /* several identities: say which by spiffe_id or hint */
	WRIT_ERROR_VERIFY = 6,    /* what the agent sent does not hold */
	WRIT_ERROR_FORKED = 7,
	WRIT_ERROR_INTERNAL = 8,
	WRIT_ERROR_NOT_FOUND = 9, /* the agent gives no such identity, or no such bundle */
};

struct writ_error {
	enum writ_error_code code;
	char message[512]; /* NUL-terminated */
};

struct writ_x509_source;

struct writ_x509_source_options {
	size_t size;          /* sizeof(struct writ_x509_source_options) */
	const char *endpoint; /* "unix:///path" or "/path"; NULL: SPIFFE_ENDPOINT_SOCKET (not in
				 set-user-ID programs) */
	const char
		*spiffe_id;  /* which identity, when the agent gives several; NULL: the only one */
	const char *hint;    /* or by its hint */
	unsigned timeout_ms; /* for the first identity; 0: 30,000 */
	/* Called on the source's thread after every change, the first and the loss of the identity
	 * included. Must not block and must not free the source. */
	void (*changed)(void *arg, struct writ_x509_source *source);
	void *arg;
};

/* Waits for the first identity. Returns 0 and *ret, or a code (also in error, which may be NULL).
 * PermissionDenied and an agent that is not there yet are tried again until the deadline; the error
 * then says what the last try saw. */
WRIT_API int writ_x509_source_new(const struct writ_x509_source_options *options,
	struct writ_x509_source **ret, struct writ_error *error);
/* Ends the thread. SSL_CTXs made from the source must be freed before. NULL is fine. */
WRIT_API void writ_x509_source_free(struct writ_x509_source *source);

/* A copy of the identity in force. Free it with writ_x509_svid_free (the key is wiped). */
struct writ_x509_svid {
	char *spiffe_id;
	uint8_t *certs; /* DER certificates back to back, leaf first */
	size_t certs_len;
	uint8_t *key; /* PKCS#8 DER, in locked memory */
	size_t key_len;
	int64_t not_after; /* Unix seconds */
};
WRIT_API int writ_x509_source_svid(
	struct writ_x509_source *source, struct writ_x509_svid **ret, struct writ_error *error);
WRIT_API void writ_x509_svid_free(struct writ_x509_svid *svid);

/* The CA certificates of a trust domain ("example.org", or NULL for one's own) as PEM; free with
 * writ_text_free. */
WRIT_API int writ_x509_source_bundle_pem(struct writ_x509_source *source, const char *trust_domain,
	char **ret, struct writ_error *error);
WRIT_API void writ_text_free(char *text);

#ifdef __cplusplus
}
#endif

#endif
