/* SPDX-License-Identifier: Apache-2.0 */
/* httpd: answers GET on a plain listener, for health probes, metrics and the echo tool of `writ
 * dev`. HTTP/1.0 and 1.1, one request a connection, bodies are not read (docs/adr/0008 says why
 * this is not a library). Loop thread. */
#ifndef WRIT_FRONT_HTTPD_H
#define WRIT_FRONT_HTTPD_H

#include "base/buf.h"
#include "loop/loop.h"

#define WRIT_HTTPD_HEAD_MAX  4096          /* request line and headers */
#define WRIT_HTTPD_BODY_MAX  (1024 * 1024) /* of an answer */
#define WRIT_HTTPD_CONNS_MAX 64
#define WRIT_HTTPD_MS        5000 /* from accept to the answer's last byte */

struct writ_httpd_request {
	struct writ_str path;    /* without the query */
	struct writ_str headers; /* the raw header lines; see writ_httpd_header */
};

struct writ_httpd_answer {
	int status;       /* 200, 404, 503... */
	const char *type; /* content type; static */
	struct writ_buf body;
};

struct writ_httpd;

/* Owns listen_fd (writ_listen_tcp, writ_listen_unix). handle() fills the answer, which is 404 until
 * it does. */
WRIT_MUST writ_rc writ_httpd_start(struct writ_loop *loop, int listen_fd,
	void (*handle)(
		void *arg, const struct writ_httpd_request *req, struct writ_httpd_answer *answer),
	void *arg, struct writ_httpd **ret, struct writ_err *err);
void writ_httpd_stop(struct writ_httpd *h); /* closes everything at once; frees */

/* Pure: the head of a request, up to and with its empty line. WRIT_EBUSY: not complete yet.
 * WRIT_EINVAL: not a GET request of HTTP/1. */
WRIT_MUST writ_rc writ_httpd_parse(
	struct writ_str head, struct writ_httpd_request *ret, struct writ_err *err);
/* The value of a header (any case), trimmed; empty when it is not there. */
struct writ_str writ_httpd_header(const struct writ_httpd_request *req, const char *name);

#endif
