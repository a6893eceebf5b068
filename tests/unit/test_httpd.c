/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/mem.h"
#include "base/clock.h"
#include "front/httpd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct server {
	struct writ_loop *loop;
	struct writ_httpd *httpd;
	uint16_t port;
	size_t body;
};

static void handle(void *arg, const struct writ_httpd_request *req, struct writ_httpd_answer *a)
{
	const struct server *s = arg;
	if (!writ_str_eq(req->path, WRIT_STR("/live")))
		return;
	a->status = 200;
	for (size_t i = 0; i < s->body; i++)
		writ_buf_add_byte(&a->body, 'x');
}

static void start(struct server *s)
{
	struct writ_err err = { 0 };
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	s->port = ntohs(sin.sin_port);
	assert_ok(writ_loop_new(&s->loop, &err), err);
	assert_ok(writ_httpd_start(s->loop, fd, handle, s, &s->httpd, &err), err);
}

static void stop(struct server *s)
{
	writ_httpd_stop(s->httpd);
	writ_loop_free(s->loop);
}

static int dial(const struct server *s)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(s->port) };
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

struct client {
	const char *request;
	char answer[2 * 1024 * 1024];
	size_t n;
	bool done;
	struct writ_task task;
	struct server *s;
};

static void finished(struct writ_task *t)
{
	writ_container(t, struct client, task)->done = true;
}

static void *client_main(void *arg)
{
	struct client *c = arg;
	int fd = dial(c->s);
	for (const char *p = c->request; *p; p++)
		assert_int_equal(send(fd, p, 1, MSG_NOSIGNAL), 1);
	ssize_t n;
	while ((n = recv(fd, c->answer + c->n, sizeof(c->answer) - 1 - c->n, 0)) > 0)
		c->n += (size_t)n;
	close(fd);
	c->task.run = finished;
	writ_loop_post(c->s->loop, &c->task);
	return NULL;
}

static struct client *ask(struct server *s, const char *request)
{
	struct client *c = writ_alloc(sizeof(*c));
	pthread_t thread;
	c->request = request;
	c->s = s;
	assert_int_equal(pthread_create(&thread, NULL, client_main, c), 0);
	assert_true(writ_loop_run_until(s->loop, &c->done, writ_mono_ms() + 20000));
	pthread_join(thread, NULL);
	return c;
}

static void test_answers_by_method_and_path(void **state)
{
	(void)state;
	static const struct {
		const char *request, *status, *tail;
	} rows[] = {
		{ "GET /live HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n", "xxx" },
		{ "GET /live?x=1 HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n", "xxx" },
		{ "HEAD /live HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n" },
		{ "GET /other HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found\r\n", "\r\n\r\n" },
		{ "POST /live HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method", "\r\n\r\n" },
		{ "GET live HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad", "\r\n\r\n" },
		{ "PRI * HTTP/2.0\r\n\r\n", "HTTP/1.1 400 Bad", "\r\n\r\n" },
		{ "GET /live HTTP/1.1\r\n folded: x\r\n\r\n", "HTTP/1.1 400 Bad", "\r\n\r\n" },
	};
	struct server s = { .body = 3 };
	start(&s);
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct client *c = ask(&s, rows[i].request);
		if (!writ_str_starts(writ_strn(c->answer, c->n), writ_cstr(rows[i].status)) ||
			!writ_str_ends(writ_strn(c->answer, c->n), writ_cstr(rows[i].tail)))
			fail_msg("'%s': '%s'", rows[i].request, c->answer);
		writ_free(c);
	}
	stop(&s);
}

static void test_headers_are_found_by_name(void **state)
{
	(void)state;
	struct writ_httpd_request req;
	struct writ_err err = { 0 };
	assert_ok(writ_httpd_parse(
			  WRIT_STR("GET / HTTP/1.1\r\nHost: a\r\nX-Id:  b c \r\n\r\n"), &req, &err),
		err);
	assert_true(writ_str_eq(writ_httpd_header(&req, "x-id"), WRIT_STR("b c")));
	assert_true(writ_str_eq(writ_httpd_header(&req, "HOST"), WRIT_STR("a")));
	assert_int_equal(writ_httpd_header(&req, "X").n, 0);
}

static void test_a_large_body_arrives_whole(void **state)
{
	(void)state;
	struct server s = { .body = 1024 * 1024 };
	start(&s);
	struct client *c = ask(&s, "GET /live HTTP/1.1\r\n\r\n");
	assert_true(c->n > s.body);
	assert_non_null(strstr(c->answer, "Content-Length: 1048576\r\n"));
	writ_free(c);
	stop(&s);
}

static void test_a_head_without_end_is_refused(void **state)
{
	(void)state;
	struct server s = { .body = 1 };
	char request[WRIT_HTTPD_HEAD_MAX + 1] = "GET /live HTTP/1.1\r\na: ";
	memset(request + strlen(request), 'b', sizeof(request) - 1 - strlen(request));
	request[sizeof(request) - 1] = 0;
	start(&s);
	struct client *c = ask(&s, request);
	assert_true(writ_str_starts(writ_strn(c->answer, c->n), WRIT_STR("HTTP/1.1 431 ")));
	writ_free(c);
	stop(&s);
}

/* More silent clients than places: those who come later wait, and are served once places are free.
 */
static void test_silent_clients_do_not_hold_places_for_ever(void **state)
{
	(void)state;
	struct server s = { .body = 3 };
	int silent[WRIT_HTTPD_CONNS_MAX + 4];
	start(&s);
	for (size_t i = 0; i < WRIT_COUNT(silent); i++)
		silent[i] = dial(&s);
	int64_t began = writ_mono_ms();
	struct client *c = ask(&s, "GET /live HTTP/1.1\r\n\r\n");
	assert_true(writ_str_starts(writ_strn(c->answer, c->n), WRIT_STR("HTTP/1.1 200 ")));
	assert_true(writ_mono_ms() - began >= WRIT_HTTPD_DEADLINE_MS - 500);
	writ_free(c);
	for (size_t i = 0; i < WRIT_COUNT(silent); i++)
		close(silent[i]);
	stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_by_method_and_path),
		cmocka_unit_test(test_headers_are_found_by_name),
		cmocka_unit_test(test_a_large_body_arrives_whole),
		cmocka_unit_test(test_a_head_without_end_is_refused),
		cmocka_unit_test(test_silent_clients_do_not_hold_places_for_ever),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
