/* SPDX-License-Identifier: Apache-2.0 */
#include "front/http.h"

#include "base/clock.h"
#include "base/mem.h"
#include "tls/tls.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define REQUEST_MAX (128 * 1024)
#define READ_MAX    (16 * 1024)

/* A name being looked up. It outlives a request that gives up. libuv lets slow look-ups take half
 * of its pool at most. */
struct lookup {
	uv_getaddrinfo_t req;
	struct writ_http *http; /* NULL: nobody waits any more */
};

enum step { LOOK_UP, CONNECT, HANDSHAKE, SEND, RECEIVE };

struct writ_http {
	struct writ_http_request req;
	char *host, *name; /* name: "host:port", for texts */
	enum step step;
	struct writ_task task;
	bool cancelled;
	struct lookup *lookup;
	struct addrinfo *found, *next;
	int tries_left;
	int64_t deadline_ms; /* monotonic */
	struct writ_timer *timer;
	struct writ_poll *poll;
	int fd;
	struct writ_tls *tls;
	struct writ_buf out, head; /* wiped: a token is in there */
	size_t put;
	bool no_body;
	bool has_head;
	struct writ_http_head parsed;
	struct writ_http_body body;
	struct writ_err err; /* of the last address tried */
};

static void try_next(struct writ_http *h);

static void drop_socket(struct writ_http *h)
{
	writ_poll_free(writ_steal(h->poll));
	writ_tls_free(writ_steal(h->tls));
	writ_closep(&h->fd);
	h->fd = -1;
}

static void free_http(struct writ_http *h)
{
	drop_socket(h);
	if (h->lookup) {
		h->lookup->http = NULL;
		(void)uv_cancel((uv_req_t *)&h->lookup->req);
	}
	if (h->found)
		freeaddrinfo(h->found);
	writ_timer_free(h->timer);
	writ_tls_ctx_unref(h->req.tls);
	writ_buf_wipe(&h->out);
	writ_buf_wipe(&h->head);
	writ_http_body_done(&h->body);
	writ_free(h->host);
	writ_free(h->name);
	writ_free(h);
}

static void finish(struct writ_http *h, const struct writ_http_answer *a)
{
	h->req.done(h->req.arg, a);
	free_http(h);
}

static void give_up(struct writ_http *h)
{
	struct writ_http_answer a = { .rc = h->err.rc, .err = h->err };
	(void)writ_wrap(&a.err, a.rc, "%s", h->name);
	finish(h, &a);
}

static void fail_address(struct writ_http *h)
{
	/* What was sent once is not sent to another. */
	if (h->next && h->tries_left > 0 && h->step < SEND)
		try_next(h);
	else
		give_up(h);
}

static void on_timer(void *arg)
{
	static const char *const doing[] = { [LOOK_UP] = "looking up the name",
		[CONNECT] = "waiting for a connection",
		[HANDSHAKE] = "in the TLS handshake",
		[SEND] = "sending the request",
		[RECEIVE] = "waiting for the answer" };
	struct writ_http *h = arg;
	writ_fail(&h->err, WRIT_ETIMEOUT, "no answer within %lld ms, at last %s",
		(long long)h->req.deadline_ms, doing[h->step]);
	if (writ_mono_ms() >= h->deadline_ms)
		give_up(h);
	else
		fail_address(h);
}

/* --- request and answer --- */

static enum writ_tls_io plain_io(ssize_t n, int errnum, size_t *done, struct writ_err *err)
{
	if (n > 0) {
		*done = (size_t)n;
		return WRIT_TLS_DONE;
	}
	if (n == 0)
		return WRIT_TLS_EOF;
	if (errnum == EAGAIN || errnum == EINTR)
		return WRIT_TLS_WANT_READ;
	writ_fail_errno(err, errnum, "TCP");
	return WRIT_TLS_FAILED;
}

static enum writ_tls_io put(struct writ_http *h, size_t *n)
{
	const uint8_t *p = h->out.p + h->put;
	size_t left = h->out.n - h->put;
	if (h->tls)
		return writ_tls_write(h->tls, p, left, n, &h->err);
	ssize_t sent = send(h->fd, p, left, MSG_NOSIGNAL);
	enum writ_tls_io io = plain_io(sent, errno, n, &h->err);
	return io == WRIT_TLS_WANT_READ ? WRIT_TLS_WANT_WRITE : io;
}

static enum writ_tls_io get(struct writ_http *h, uint8_t *p, size_t max, size_t *n)
{
	if (h->tls)
		return writ_tls_read(h->tls, p, max, n, &h->err);
	ssize_t got = recv(h->fd, p, max, 0);
	return plain_io(got, errno, n, &h->err);
}

/* False: it is over, and h is gone; or it goes on later. */
static bool wait_for(struct writ_http *h, enum writ_tls_io io)
{
	if (io == WRIT_TLS_DONE)
		return true;
	if (io == WRIT_TLS_WANT_READ || io == WRIT_TLS_WANT_WRITE) {
		writ_poll_set(h->poll, io == WRIT_TLS_WANT_READ ? WRIT_READABLE : WRIT_WRITABLE);
		return false;
	}
	if (io == WRIT_TLS_EOF)
		writ_fail(&h->err, WRIT_EUNAVAIL, "the connection ended before the answer");
	fail_address(h);
	return false;
}

static void answered(struct writ_http *h)
{
	const struct writ_http_answer a = { .status = h->parsed.status,
		.body = writ_buf_str(&h->body.bytes) };
	finish(h, &a);
}

static writ_rc take_head(struct writ_http *h, const uint8_t *p, size_t n)
{
	writ_buf_add(&h->head, p, n);
	if (h->head.failed)
		return writ_fail(&h->err, WRIT_ELIMIT, "the head of the answer has no end");
	writ_rc rc = writ_http_parse_head(writ_buf_str(&h->head), &h->parsed, &h->err);
	if (rc != WRIT_OK)
		return rc == WRIT_EBUSY ? WRIT_OK : rc;
	h->has_head = true;
	writ_http_body_init(&h->body, &h->parsed, h->req.body_max, h->no_body);
	return writ_http_body_feed(
		&h->body, writ_strn(h->head.p + h->parsed.n, h->head.n - h->parsed.n), &h->err);
}

static void ended(struct writ_http *h)
{
	writ_rc rc = h->has_head ? writ_http_body_end(&h->body, &h->err)
				 : writ_fail(&h->err, WRIT_EPROTO, "no answer");
	if (rc == WRIT_OK)
		answered(h);
	else
		give_up(h);
}

static void receive(struct writ_http *h)
{
	uint8_t bytes[READ_MAX];
	size_t n = 0;
	for (;;) {
		enum writ_tls_io io = get(h, bytes, sizeof(bytes), &n);
		if (io == WRIT_TLS_EOF) {
			ended(h);
			return;
		}
		if (!wait_for(h, io))
			return;
		writ_rc rc = h->has_head
			? writ_http_body_feed(&h->body, writ_strn(bytes, n), &h->err)
			: take_head(h, bytes, n);
		if (rc != WRIT_OK) {
			give_up(h);
			return;
		}
		if (h->has_head && h->body.complete) {
			answered(h);
			return;
		}
	}
}

static void transmit(struct writ_http *h)
{
	while (h->put < h->out.n) {
		size_t n = 0;
		if (!wait_for(h, put(h, &n)))
			return;
		h->put += n;
	}
	h->step = RECEIVE;
	receive(h);
}

/* --- the way there --- */

static void shake_hands(struct writ_http *h)
{
	if (!wait_for(h, writ_tls_handshake(h->tls, &h->err)))
		return;
	h->step = SEND;
	transmit(h);
}

static void connected(struct writ_http *h)
{
	int errnum = 0;
	socklen_t n = sizeof(errnum);
	if (getsockopt(h->fd, SOL_SOCKET, SO_ERROR, &errnum, &n) != 0)
		errnum = errno;
	if (errnum) {
		writ_fail_errno(&h->err, errnum, "TCP");
		fail_address(h);
		return;
	}
	writ_timer_start(h->timer, h->deadline_ms - writ_mono_ms());
	h->step = h->req.tls ? HANDSHAKE : SEND;
	if (!h->req.tls)
		transmit(h);
	else if (writ_tls_new(h->req.tls, h->fd, &h->tls, &h->err) == WRIT_OK)
		shake_hands(h);
	else
		give_up(h);
}

static void on_socket(void *arg, int events)
{
	static void (*const next[])(struct writ_http * h) = { [CONNECT] = connected,
		[HANDSHAKE] = shake_hands,
		[SEND] = transmit,
		[RECEIVE] = receive };
	struct writ_http *h = arg;
	(void)events;
	next[h->step](h);
}

static bool refuse_address(struct writ_http *h, const struct sockaddr *sa)
{
	if (!h->req.distrust_host || !writ_http_is_local(sa))
		return false;
	writ_fail(&h->err, WRIT_EDENIED,
		"the name stands for an address of the server's own machine or link");
	return true;
}

static void try_next(struct writ_http *h)
{
	const struct addrinfo *a = h->next;
	int64_t left = h->deadline_ms - writ_mono_ms();
	int64_t share = left / h->tries_left--;
	drop_socket(h);
	h->next = a->ai_next;
	h->step = CONNECT;
	if (refuse_address(h, a->ai_addr)) {
		fail_address(h); /* at most WRIT_HTTP_ADDRS_MAX deep */
		return;
	}
	h->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (h->fd < 0 || (connect(h->fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS)) {
		writ_fail_errno(&h->err, errno, "TCP");
		fail_address(h);
		return;
	}
	writ_timer_start(h->timer, share);
	if (writ_poll_new(h->req.loop, h->fd, on_socket, h, &h->poll, &h->err) == WRIT_OK)
		writ_poll_set(h->poll, WRIT_WRITABLE);
	else
		give_up(h);
}

static void on_looked_up(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
	struct lookup *l = writ_container(req, struct lookup, req);
	struct writ_http *h = l->http;
	writ_free(l);
	if (!h) {
		uv_freeaddrinfo(found);
		return;
	}
	h->lookup = NULL;
	h->found = h->next = found;
	for (const struct addrinfo *a = found; a && h->tries_left < WRIT_HTTP_ADDRS_MAX;
		a = a->ai_next)
		h->tries_left++;
	if (h->tries_left) {
		try_next(h);
		return;
	}
	writ_fail(&h->err, WRIT_EUNAVAIL, "look up the name: %s",
		status ? uv_strerror(status) : "no address");
	give_up(h);
}

static void look_up(struct writ_http *h)
{
	/* Not AI_ADDRCONFIG: a literal of the other family would not be found. */
	const struct addrinfo hints = { .ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
	struct lookup *l = writ_alloc(sizeof(*l));
	char port[8];
	(void)snprintf(port, sizeof(port), "%u", h->req.port);
	l->http = h;
	h->lookup = l;
	writ_timer_start(h->timer, h->req.deadline_ms);
	int rc = uv_getaddrinfo(
		writ_loop_uv(h->req.loop), &l->req, on_looked_up, h->req.host, port, &hints);
	if (rc == 0)
		return;
	h->lookup = NULL;
	writ_free(l);
	writ_fail(&h->err, WRIT_EUNAVAIL, "look up the name: %s", uv_strerror(rc));
	give_up(h);
}

static void adopt(struct writ_http *h)
{
	h->step = CONNECT;
	writ_timer_start(h->timer, h->req.deadline_ms);
	if (writ_poll_new(h->req.loop, h->fd, on_socket, h, &h->poll, &h->err) == WRIT_OK)
		writ_poll_set(h->poll, WRIT_WRITABLE);
	else
		give_up(h);
}

static void on_start(struct writ_task *t)
{
	struct writ_http *h = writ_container(t, struct writ_http, task);
	h->task.run = NULL;
	if (h->cancelled) {
		free_http(h);
	} else if (h->err.rc != WRIT_OK) {
		give_up(h);
	} else if (h->req.has_socket) {
		adopt(h);
	} else {
		look_up(h);
	}
}

/* What ends a line, in a part that others chose, would start a header of theirs. */
static bool is_clean(struct writ_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f)
			return false;
	}
	return true;
}

static writ_rc print_request(struct writ_http *h)
{
	const struct writ_http_request *q = &h->req;
	bool v6 = strchr(q->host, ':') != NULL;
	if (!is_clean(writ_cstr(q->host)) || !is_clean(writ_cstr(q->target)) ||
		!is_clean(q->bearer))
		return writ_fail(&h->err, WRIT_EINVAL,
			"the host, path or token of the request has bytes that HTTP does not "
			"allow there");
	writ_buf_addf(&h->out,
		"%s %s HTTP/1.1\r\nHost: %s%s%s:%u\r\nUser-Agent: writ\r\n"
		"Accept: */*\r\nConnection: close\r\n",
		q->method, q->target, v6 ? "[" : "", q->host, v6 ? "]" : "", q->port);
	if (q->bearer.n) {
		writ_buf_add_cstr(&h->out, "Authorization: Bearer ");
		writ_buf_add_str(&h->out, q->bearer);
		writ_buf_add_cstr(&h->out, "\r\n");
	}
	if (q->body.n)
		writ_buf_addf(&h->out, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
			q->body.n);
	writ_buf_add_cstr(&h->out, "\r\n");
	writ_buf_add_str(&h->out, q->body);
	return writ_buf_check(&h->out, "the request", &h->err);
}

struct writ_http *writ_http_start(const struct writ_http_request *req)
{
	struct writ_http *h = writ_alloc(sizeof(*h));
	h->req = *req;
	h->req.tls = writ_tls_ctx_ref(req->tls);
	h->host = writ_strdup(req->host);
	h->req.host = h->host;
	h->name = strchr(req->host, ':') ? writ_asprintf("[%s]:%u", req->host, req->port)
					 : writ_asprintf("%s:%u", req->host, req->port);
	h->fd = req->has_socket ? req->socket : -1;
	h->out = WRIT_BUF(REQUEST_MAX);
	h->head = WRIT_BUF(WRIT_HTTP_HEAD_MAX + READ_MAX);
	h->no_body = strcmp(req->method, "HEAD") == 0;
	h->deadline_ms = writ_mono_ms() + req->deadline_ms;
	h->timer = writ_timer_new(req->loop, on_timer, h);
	(void)print_request(h); /* on_start looks at h->err */
	h->task.run = on_start;
	writ_loop_post(req->loop, &h->task);
	return h;
}

void writ_http_cancel(struct writ_http *h)
{
	if (!h)
		return;
	if (h->task.run)
		h->cancelled = true; /* on_start is under way */
	else
		free_http(h);
}
