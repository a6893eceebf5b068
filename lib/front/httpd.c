/* SPDX-License-Identifier: Apache-2.0 */
#include "front/httpd.h"

#include "base/mem.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_A_TURN  16
#define ACCEPT_RETRY_MS 200

struct writ_httpd {
	struct writ_loop *loop;
	int fd;
	struct writ_poll *poll;
	struct writ_timer *retry; /* after the process ran out of descriptors */
	struct writ_list conns;
	size_t n;
	void (*handle)(
		void *arg, const struct writ_httpd_request *req, struct writ_httpd_answer *answer);
	void *arg;
};

struct conn {
	struct writ_list node;
	struct writ_httpd *h;
	int fd;
	struct writ_poll *poll;
	struct writ_timer *deadline;
	size_t got;
	char head[WRIT_HTTPD_HEAD_MAX];
	struct writ_buf out;
	size_t put;
	bool answered, lingering;
};

static void drop(struct conn *c)
{
	writ_list_remove(&c->node);
	c->h->n--;
	/* The listener was deaf while all places were taken. */
	if (c->h->n == WRIT_HTTPD_CONNS_MAX - 1 && c->h->poll)
		writ_poll_set(c->h->poll, WRIT_READABLE);
	writ_timer_free(c->deadline);
	writ_poll_free(c->poll);
	close(c->fd);
	writ_buf_done(&c->out);
	writ_free(c);
}

static void on_deadline(void *arg)
{
	drop(arg);
}

static const char *reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} rows[] = { { 200, "OK" }, { 400, "Bad Request" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" }, { 503, "Service Unavailable" } };
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		if (rows[i].status == status)
			return rows[i].text;
	}
	return "Answer";
}

static void print_answer(struct conn *c, const struct writ_httpd_answer *a, bool head)
{
	writ_buf_addf(&c->out,
		"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
		"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
		"Connection: close\r\n%s\r\n",
		a->status, reason(a->status), a->type, a->body.n,
		a->status == 405 ? "Allow: GET, HEAD\r\n" : "");
	if (!head)
		writ_buf_add(&c->out, a->body.p, a->body.n);
	c->answered = true;
}

static void answer(struct conn *c, writ_rc rc, const struct writ_httpd_request *req)
{
	struct writ_httpd_answer a = { .status = 404,
		.type = "text/plain; charset=utf-8",
		.body = WRIT_BUF(WRIT_HTTPD_BODY_MAX) };
	if (rc == WRIT_OK)
		c->h->handle(c->h->arg, req, &a);
	else
		a.status = rc == WRIT_EUNSUP ? 405 : rc == WRIT_EBUSY ? 431 : 400;
	if (a.body.failed) {
		writ_buf_reset(&a.body);
		a.status = 500;
	}
	print_answer(c, &a, rc == WRIT_OK && req->head);
	writ_buf_done(&a.body);
}

/* Sends; then waits for the client to close, because closing with bytes unread would throw away
 * what was sent. */
static void flush(struct conn *c)
{
	while (c->put < c->out.n) {
		ssize_t n = send(c->fd, c->out.p + c->put, c->out.n - c->put, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			writ_poll_set(c->poll, WRIT_WRITABLE);
			return;
		}
		if (n <= 0) {
			drop(c);
			return;
		}
		c->put += (size_t)n;
	}
	c->lingering = true;
	shutdown(c->fd, SHUT_WR);
	writ_poll_set(c->poll, WRIT_READABLE);
}

/* True: there may be more to read at once. */
static bool receive(struct conn *c)
{
	struct writ_httpd_request req;
	ssize_t n = recv(c->fd, c->head + c->got, sizeof(c->head) - c->got, 0);
	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0) {
		drop(c);
		return false;
	}
	c->got += (size_t)n;
	writ_rc rc = writ_httpd_parse(writ_strn(c->head, c->got), &req, NULL);
	if (rc == WRIT_EBUSY && c->got < sizeof(c->head))
		return true;
	answer(c, rc, &req);
	flush(c);
	return false;
}

static void linger(struct conn *c)
{
	ssize_t n = recv(c->fd, c->head, sizeof(c->head), 0);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		drop(c);
}

static void on_conn(void *arg, int events)
{
	struct conn *c = arg;
	(void)events;
	if (c->lingering)
		linger(c);
	else if (c->answered)
		flush(c);
	else
		while (receive(c))
			;
}

static bool admit(struct writ_httpd *h, int fd)
{
	struct conn *c = writ_alloc(sizeof(*c));
	c->h = h;
	c->fd = fd;
	c->out = WRIT_BUF(WRIT_HTTPD_BODY_MAX + WRIT_HTTPD_HEAD_MAX);
	if (writ_poll_new(h->loop, fd, on_conn, c, &c->poll, NULL) != WRIT_OK) {
		close(fd);
		writ_free(c);
		return false;
	}
	writ_list_push(&h->conns, &c->node);
	h->n++;
	c->deadline = writ_timer_new(h->loop, on_deadline, c);
	writ_timer_start(c->deadline, WRIT_HTTPD_DEADLINE_MS);
	writ_poll_set(c->poll, WRIT_READABLE);
	return true;
}

static void on_retry(void *arg)
{
	struct writ_httpd *h = arg;
	writ_poll_set(h->poll, WRIT_READABLE);
}

static void on_accept(void *arg, int events)
{
	struct writ_httpd *h = arg;
	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		if (h->n >= WRIT_HTTPD_CONNS_MAX) {
			writ_poll_set(h->poll, 0);
			return;
		}
		int fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			(void)admit(h, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			writ_poll_set(h->poll, 0);
			writ_timer_start(h->retry, ACCEPT_RETRY_MS);
		}
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

writ_rc writ_httpd_start(struct writ_loop *loop, int listen_fd,
	void (*handle)(
		void *arg, const struct writ_httpd_request *req, struct writ_httpd_answer *answer),
	void *arg, struct writ_httpd **ret, struct writ_err *err)
{
	struct writ_httpd *h = writ_alloc(sizeof(*h));
	h->loop = loop;
	h->fd = listen_fd;
	h->handle = handle;
	h->arg = arg;
	writ_list_init(&h->conns);
	writ_rc rc = writ_poll_new(loop, listen_fd, on_accept, h, &h->poll, err);
	if (rc != WRIT_OK) {
		close(listen_fd);
		writ_free(h);
		return rc;
	}
	h->retry = writ_timer_new(loop, on_retry, h);
	writ_poll_set(h->poll, WRIT_READABLE);
	*ret = h;
	return WRIT_OK;
}

void writ_httpd_stop(struct writ_httpd *h)
{
	if (!h)
		return;
	writ_poll_free(writ_steal(h->poll));
	WRIT_LIST_EACH (it, &h->conns)
		drop(writ_container(it, struct conn, node));
	writ_timer_free(h->retry);
	close(h->fd);
	writ_free(h);
}
