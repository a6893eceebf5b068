/* SPDX-License-Identifier: Apache-2.0 */
/* httpd: answers GET and HEAD on a port for probes and scrapers, and nothing else: one request a
 * connection, a head of at most 4 KiB, 64 connections, five seconds each (docs/adr/0008). Loop
 * thread. HTTP/1.1: RFC 9112. */
#ifndef WRIT_FRONT_HTTPD_H
#define WRIT_FRONT_HTTPD_H

#include "base/buf.h"
#include "loop/loop.h"

#define WRIT_HTTPD_HEAD_MAX    4096
#define WRIT_HTTPD_CONNS_MAX   64
#define WRIT_HTTPD_DEADLINE_MS 5000
#define WRIT_HTTPD_BODY_MAX    (4 * 1024 * 1024)

struct writ_httpd;

struct writ_httpd_request {
	bool head;               /* HEAD: the answer is sent without its body */
	struct writ_str path;    /* "/metrics": without what follows a '?'; borrowed */
	struct writ_str headers; /* the raw lines; borrowed; see writ_httpd_header */
};

/* What the handler fills in. As it comes: 404 and an empty body. */
struct writ_httpd_answer {
	int status;           /* 200, 404, 503, ... */
	const char *type;     /* media type; static */
	struct writ_buf body; /* owned by the server */
};

/* listen_fd is owned from now on, also on failure. */
WRIT_MUST writ_rc writ_httpd_start(struct writ_loop *loop, int listen_fd,
	void (*handle)(
		void *arg, const struct writ_httpd_request *req, struct writ_httpd_answer *answer),
	void *arg, struct writ_httpd **ret, struct writ_err *err);
void writ_httpd_stop(struct writ_httpd *h); /* cuts what is left; NULL is fine */

/* The parser alone. WRIT_EBUSY: the head is not complete yet. WRIT_EUNSUP: a method that is not
 * GET or HEAD. WRIT_EINVAL: no HTTP/1 request. */
WRIT_MUST writ_rc writ_httpd_parse(
	struct writ_str bytes, struct writ_httpd_request *ret, struct writ_err *err);

/* The value of the first header of that name (any case), trimmed; empty when it is not there. */
struct writ_str writ_httpd_header(const struct writ_httpd_request *req, const char *name);

#endif
