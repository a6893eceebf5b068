/* SPDX-License-Identifier: Apache-2.0 */
/* http: one HTTP/1.1 request (RFC 9112) to somebody else's server, and its answer. Bounded in time
 * and size, follows no redirect, keeps no connection, knows no proxy and no cookie. Loop thread. */
#ifndef WRIT_FRONT_HTTP_H
#define WRIT_FRONT_HTTP_H

#include "base/buf.h"
#include "loop/loop.h"

#define WRIT_HTTP_HEAD_MAX  (16 * 1024)
#define WRIT_HTTP_ADDRS_MAX 4 /* addresses of one name that are tried */

struct writ_http;
struct writ_tls_ctx;
struct sockaddr;

struct writ_http_answer {
	writ_rc rc; /* WRIT_OK: an answer came, whatever its status */
	struct writ_err err;
	int status;
	struct writ_str body; /* borrowed for the callback */
};

struct writ_http_request {
	struct writ_loop *loop;
	const char *method; /* "GET", "POST" */
	const char *host;   /* name or IP literal; names are looked up off the loop */
	uint16_t port;
	const char *target;       /* "/path"; what needs escaping is escaped */
	struct writ_str bearer;   /* a token for Authorization; empty: none */
	struct writ_str body;     /* JSON; empty: none */
	struct writ_tls_ctx *tls; /* from tls/web.h, for this host; NULL: plain. Referenced */
	size_t body_max;          /* of the answer: one that is larger fails with WRIT_ELIMIT */
	int64_t deadline_ms;      /* for all of it */
	bool distrust_host; /* a stranger chose it: not to addresses of this machine or link */
	bool has_socket;    /* socket is connected already, to a Unix socket perhaps: then host and
			       port are only what the request says */
	int socket;         /* start takes it over */
	/* Exactly once, never inside start; the request is gone after it. */
	void (*done)(void *arg, const struct writ_http_answer *a);
	void *arg;
};

/* Copies what it needs; failures come through done. */
struct writ_http *writ_http_start(const struct writ_http_request *req);
void writ_http_cancel(struct writ_http *h); /* done does not come any more; NULL is fine */

/* Is it an address that means something else to each who uses it (loopback, link-local, multicast,
 * unspecified, whatever of that hides in an IPv6 one), or none of IP? */
bool writ_http_is_local(const struct sockaddr *sa);

/* --- the parser alone --- */

struct writ_http_head {
	int status;
	bool chunked, has_length;
	uint64_t length;
	size_t n; /* bytes that the head takes */
};

/* WRIT_EBUSY: not complete yet. WRIT_EPROTO: no HTTP/1 answer, or one whose end could be read in
 * two ways. */
WRIT_MUST writ_rc writ_http_parse_head(
	struct writ_str bytes, struct writ_http_head *ret, struct writ_err *err);

/* The body, decoded as it comes. */
struct writ_http_body {
	enum { WRIT_HTTP_LENGTH, WRIT_HTTP_UNTIL_END, WRIT_HTTP_CHUNKED } form;
	int state;            /* of the chunks */
	uint64_t left;        /* bytes of the body, or of the chunk */
	unsigned digits, odd; /* of a chunk's length; bytes of extensions and trailers */
	bool line_empty, complete;
	struct writ_buf bytes; /* its maximum is the body's */
};
void writ_http_body_init(
	struct writ_http_body *b, const struct writ_http_head *head, size_t max, bool no_body);
void writ_http_body_done(struct writ_http_body *b); /* wipes */
WRIT_MUST writ_rc writ_http_body_feed(
	struct writ_http_body *b, struct writ_str bytes, struct writ_err *err);
/* The connection ended: was that the end of the body? */
WRIT_MUST writ_rc writ_http_body_end(struct writ_http_body *b, struct writ_err *err);

#endif
