/* SPDX-License-Identifier: Apache-2.0 */
#include "front/httpd.h"

#include "base/mem.h"

#include <errno.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct conn {
	struct writ_list node;
	struct writ_httpd *httpd;
	int fd;
	struct writ_poll *poll;
	struct writ_timer *deadline;
	struct writ_buf in, out;
	size_t sent;
	bool answering, closing;
};

struct writ_httpd {
	struct writ_loop *loop;
	int fd;
	struct writ_poll *poll;
	struct writ_list conns;
	size_t n;
	void (*handle)(
		void *arg, const struct writ_httpd_request *req, struct writ_httpd_answer *answer);
	void *arg;
};

static bool is_token(char c)
{
	return c > ' ' && c < 127;
}

writ_rc writ_httpd_parse(struct writ_str head, struct writ_httpd_request *ret, struct writ_err *err)
{
	struct writ_str rest = head, line, method, target;
	if (!writ_str_cut(&rest, '\n', &line))
		return head.n < WRIT_HTTPD_HEAD_MAX
			? writ_fail(err, WRIT_EBUSY, "no whole line yet")
			: writ_fail(err, WRIT_EINVAL, "the request line is too long");
	line = writ_str_trim(line);
	bool good = writ_str_cut(&line, ' ', &method) && writ_str_cut(&line, ' ', &target) &&
		writ_str_starts(line, WRIT_STR("HTTP/1.")) && target.n && target.p[0] == '/';
	for (size_t i = 0; good && i < target.n; i++)
		good = is_token(target.p[i]);
	if (!good)
		return writ_fail(err, WRIT_EINVAL, "not a request of HTTP/1");
	if (!writ_str_eq(method, WRIT_STR("GET")))
		return writ_fail(err, WRIT_EUNSUP, "only GET is answered");
	struct writ_str headers = rest;
	for (;;) {
		if (!writ_str_cut(&rest, '\n', &line))
			return head.n < WRIT_HTTPD_HEAD_MAX
				? writ_fail(err, WRIT_EBUSY, "the headers are not complete yet")
				: writ_fail(err, WRIT_EINVAL, "the headers are too long");
		if (!writ_str_trim(line).n)
			break;
	}
	(void)writ_str_cut(&target, '?', &ret->path);
	ret->headers = writ_strn(headers.p, (size_t)(line.p - headers.p));
	return WRIT_OK;
}

struct writ_str writ_httpd_header(const struct writ_httpd_request *req, const char *name)
{
	struct writ_str rest = req->headers, line, key;
	size_t n = writ_cstr(name).n;
	while (rest.n) {
		(void)writ_str_cut(&rest, '\n', &line);
		if (writ_str_cut(&line, ':', &key) && key.n == n &&
			strncasecmp(key.p, name, n) == 0)
			return writ_str_trim(line);
	}
	return writ_strn(NULL, 0);
}

static void conn_free(struct conn *c)
{
	writ_list_remove(&c->node);
	c->httpd->n--;
	writ_poll_free(c->poll);
	writ_timer_free(c->deadline);
	close(c->fd);
	writ_buf_done(&c->in);
	writ_buf_done(&c->out);
	writ_free(c);
}

static const char *reason(int status)
{
	switch (status) {
	case 200: return "OK";
	case 400: return "Bad Request";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 500: return "Internal Server Error";
	case 503: return "Service Unavailable";
	default: return "Status";
	}
}

static void answer(struct conn *c, const struct writ_httpd_answer *a)
{
	writ_buf_addf(&c->out,
		"HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n"
		"Cache-Control: no-store\r\n\r\n",
		a->status, reason(a->status), a->type, a->body.n);
	writ_buf_add(&c->out, a->body.p, a->body.n);
	c->answering = true;
	writ_poll_set(c->poll, WRIT_WRITABLE);
}

static void serve(struct conn *c)
{
	struct writ_httpd_request req;
	struct writ_httpd_answer a = { .status = 404,
		.type = "text/plain; charset=utf-8",
		.body = WRIT_BUF(WRIT_HTTPD_BODY_MAX) };
	writ_rc rc = writ_httpd_parse(writ_buf_str(&c->in), &req, NULL);
	if (rc == WRIT_EBUSY)
		return;
	if (rc == WRIT_OK)
		c->httpd->handle(c->httpd->arg, &req, &a);
	else
		a.status = rc == WRIT_EUNSUP ? 405 : 400;
	if (a.body.failed)
		a.status = 500;
	if (!a.body.n)
		writ_buf_addf(&a.body, "%d %s\n", a.status, reason(a.status));
	answer(c, &a);
	writ_buf_done(&a.body);
}

static void read_some(struct conn *c)
{
	uint8_t *at = writ_buf_room(&c->in, WRIT_HTTPD_HEAD_MAX - c->in.n);
	ssize_t n = recv(c->fd, at, WRIT_HTTPD_HEAD_MAX - c->in.n, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_free(c);
		return;
	}
	writ_buf_grew(&c->in, (size_t)n);
	serve(c);
}

static void write_some(struct conn *c)
{
	while (c->sent < c->out.n) {
		ssize_t n = send(c->fd, c->out.p + c->sent, c->out.n - c->sent, MSG_NOSIGNAL);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			conn_free(c);
			return;
		}
		c->sent += (size_t)n;
	}
	/* Half-close and wait for the client's end: closing with unread bytes would reset what was
	 * just sent. */
	shutdown(c->fd, SHUT_WR);
	c->closing = true;
	writ_poll_set(c->poll, WRIT_READABLE);
}

static void drain(struct conn *c)
{
	char waste[1024];
	ssize_t n = recv(c->fd, waste, sizeof(waste), 0);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		conn_free(c);
}

static void on_ready(void *arg, int events)
{
	struct conn *c = arg;
	(void)events;
	if (c->closing)
		drain(c);
	else if (c->answering)
		write_some(c);
	else
		read_some(c);
}

static void on_deadline(void *arg)
{
	conn_free(arg);
}

static void on_accept(void *arg, int events)
{
	struct writ_httpd *h = arg;
	struct writ_err err;
	(void)events;
	int fd = accept4(h->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	if (h->n >= WRIT_HTTPD_CONNS_MAX) {
		close(fd);
		return;
	}
	struct conn *c = writ_alloc(sizeof(*c));
	*c = (struct conn){ .httpd = h,
		.fd = fd,
		.in = WRIT_BUF(WRIT_HTTPD_HEAD_MAX),
		.out = WRIT_BUF(WRIT_HTTPD_BODY_MAX + 1024) };
	if (writ_poll_new(h->loop, fd, on_ready, c, &c->poll, &err) != WRIT_OK) {
		close(fd);
		writ_free(c);
		return;
	}
	c->deadline = writ_timer_new(h->loop, on_deadline, c);
	writ_timer_start(c->deadline, WRIT_HTTPD_MS);
	writ_list_push(&h->conns, &c->node);
	h->n++;
	writ_poll_set(c->poll, WRIT_READABLE);
}

writ_rc writ_httpd_start(struct writ_loop *loop, int listen_fd,
	void (*handle)(
		void *arg, const struct writ_httpd_request *req, struct writ_httpd_answer *answer),
	void *arg, struct writ_httpd **ret, struct writ_err *err)
{
	struct writ_httpd *h = writ_alloc(sizeof(*h));
	*h = (struct writ_httpd){ .loop = loop, .fd = listen_fd, .handle = handle, .arg = arg };
	writ_list_init(&h->conns);
	writ_rc rc = writ_poll_new(loop, listen_fd, on_accept, h, &h->poll, err);
	if (rc != WRIT_OK) {
		close(listen_fd);
		writ_free(h);
		return rc;
	}
	writ_poll_set(h->poll, WRIT_READABLE);
	*ret = h;
	return WRIT_OK;
}

void writ_httpd_stop(struct writ_httpd *h)
{
	if (!h)
		return;
	WRIT_LIST_EACH (it, &h->conns)
		conn_free(writ_container(it, struct conn, node));
	writ_poll_free(h->poll);
	close(h->fd);
	writ_free(h);
}
