/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "forge.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/ossl.h"
#include "front/http.h"
#include "tls/web.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

/* A server for one connection: says what it has to say, in two pieces, and notes what it was told.
 */
struct server {
	int fd;
	uint16_t port;
	const char *say;
	bool mute; /* answers nothing and keeps the connection */
	SSL_CTX *tls;
	char heard[4096];
	size_t n;
	pthread_t thread;
};

static void talk_tls(struct server *s, int fd)
{
	SSL *ssl = SSL_new(s->tls);
	size_t n;
	(void)SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1 && SSL_read_ex(ssl, s->heard, sizeof(s->heard) - 1, &s->n) == 1) {
		(void)SSL_write_ex(ssl, s->say, strlen(s->say), &n);
		(void)SSL_shutdown(ssl);
	}
	SSL_free(ssl);
}

static void talk(struct server *s, int fd)
{
	char byte;
	ssize_t n = recv(fd, s->heard, sizeof(s->heard) - 1, 0);
	s->n = n > 0 ? (size_t)n : 0;
	size_t half = s->say ? strlen(s->say) / 2 : 0;
	if (s->mute) {
		(void)recv(fd, &byte, 1, 0);
		return;
	}
	(void)send(fd, s->say, half, MSG_NOSIGNAL);
	(void)send(fd, s->say + half, strlen(s->say) - half, MSG_NOSIGNAL);
}

static void *server_main(void *arg)
{
	struct server *s = arg;
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0 && s->tls)
		talk_tls(s, fd);
	else if (fd >= 0)
		talk(s, fd);
	if (fd >= 0)
		close(fd);
	return NULL;
}

static void serve(struct server *s)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(s->fd, 1), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&sin, &len), 0);
	s->port = ntohs(sin.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, server_main, s), 0);
}

static void stop(struct server *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
}

struct outcome {
	struct writ_err err;
	writ_rc rc;
	int status;
	char body[256];
	size_t n;
	bool done;
};

static void on_done(void *arg, const struct writ_http_answer *a)
{
	struct outcome *o = arg;
	assert_false(o->done);
	o->done = true;
	o->rc = a->rc;
	o->err = a->err;
	o->status = a->status;
	o->n = a->body.n;
	assert_true(a->body.n < sizeof(o->body));
	if (a->body.n)
		memcpy(o->body, a->body.p, a->body.n);
}

static struct outcome ask_with(const struct writ_http_request *q)
{
	struct outcome o = { .done = false };
	struct writ_loop *loop;
	struct writ_err err = { 0 };
	assert_ok(writ_loop_new(&loop, &err), err);
	struct writ_http_request req = *q;
	req.loop = loop;
	req.done = on_done;
	req.arg = &o;
	req.method = q->method ? q->method : "GET";
	req.host = q->host ? q->host : "127.0.0.1";
	req.target = q->target ? q->target : "/x";
	req.body_max = q->body_max ? q->body_max : 64;
	req.deadline_ms = q->deadline_ms ? q->deadline_ms : 10000;
	(void)writ_http_start(&req);
	assert_false(o.done);
	assert_true(writ_loop_run_until(loop, &o.done, writ_mono_ms() + 20000));
	writ_loop_free(loop);
	return o;
}

static void test_every_form_of_body_is_read(void **state)
{
	(void)state;
	static const struct {
		const char *say;
		writ_rc rc;
		int status;
		const char *body, *text;
	} rows[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", WRIT_OK, 200, "abc", "" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0"
		  "\r\nT: u\r\n\r\n",
			WRIT_OK, 200, "abc", "" },
		{ "HTTP/1.0 200 OK\r\n\r\nabc", WRIT_OK, 200, "abc", "" },
		{ "HTTP/1.1 204 No\r\n\r\n", WRIT_OK, 204, "", "" },
		{ "HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", WRIT_OK, 302,
			"", "" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", WRIT_EPROTO, 0, "",
			"in the middle" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", WRIT_EPROTO, 0, "",
			"malformed" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nzz\r\n", WRIT_EPROTO, 0, "",
			"not chunked" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
			WRIT_EPROTO, 0, "", "both" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nabc",
			WRIT_EPROTO, 0, "", "two different" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n", WRIT_ELIMIT, 0, "",
			"more than 64 bytes" },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n41\r\nabc", WRIT_ELIMIT, 0,
			"", "more than 64 bytes" },
		{ "HTTP/1.1 200 OK\r\n\r\n"
		  "0123456789012345678901234567890123456789012345678901234567890123456789",
			WRIT_ELIMIT, 0, "", "more than 64 bytes" },
		{ "HTTP/1.1 100 Continue\r\n\r\n", WRIT_EPROTO, 0, "", "status line" },
		{ "SSH-2.0-x\r\n", WRIT_EPROTO, 0, "", "status line" },
		{ "", WRIT_EPROTO, 0, "", "no answer" },
	};
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct server s = { .say = rows[i].say };
		serve(&s);
		struct outcome o = ask_with(&(struct writ_http_request){ .port = s.port });
		if (o.rc != rows[i].rc || o.status != rows[i].status ||
			o.n != strlen(rows[i].body) || memcmp(o.body, rows[i].body, o.n) != 0 ||
			!strstr(o.err.msg, rows[i].text))
			fail_msg("row %zu: %s, %d, '%s', %s", i, writ_rc_name(o.rc), o.status,
				o.body, o.err.msg);
		stop(&s);
	}
}

static void test_the_request_is_what_was_asked_for(void **state)
{
	(void)state;
	struct server s = { .say = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n" };
	serve(&s);
	struct outcome o = ask_with(&(struct writ_http_request){ .port = s.port,
		.method = "POST",
		.target = "/a/b",
		.bearer = WRIT_STR("t0ken"),
		.body = WRIT_STR("{}") });
	stop(&s);
	assert_ok(o.rc, o.err);
	assert_int_equal(o.status, 201);
	assert_true(writ_str_starts(
		writ_strn(s.heard, s.n), WRIT_STR("POST /a/b HTTP/1.1\r\nHost: 127.0.0.1:")));
	assert_non_null(strstr(s.heard, "\r\nAuthorization: Bearer t0ken\r\n"));
	assert_non_null(strstr(s.heard, "\r\nContent-Length: 2\r\n\r\n{}"));
}

static void test_nothing_of_a_header_can_be_smuggled_in(void **state)
{
	(void)state;
	static const struct writ_http_request rows[] = {
		{ .port = 1, .host = "a\r\nX: y" },
		{ .port = 1, .target = "/a b" },
		{ .port = 1, .bearer = { "a\nb", 3 } },
	};
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct outcome o = ask_with(&rows[i]);
		assert_fails(o.rc, WRIT_EINVAL, o.err, "bytes that HTTP does not allow");
	}
}

static void test_a_silent_server_is_given_up(void **state)
{
	(void)state;
	struct server s = { .mute = true };
	serve(&s);
	struct outcome o =
		ask_with(&(struct writ_http_request){ .port = s.port, .deadline_ms = 200 });
	assert_fails(o.rc, WRIT_ETIMEOUT, o.err, "waiting for the answer");
	stop(&s);
}

static void test_nobody_there_and_unknown_names_are_told_apart(void **state)
{
	(void)state;
	struct server s = { .say = "" };
	serve(&s);
	stop(&s);
	struct outcome o = ask_with(&(struct writ_http_request){ .port = s.port });
	assert_fails(o.rc, WRIT_EUNAVAIL, o.err, "Connection refused");
	o = ask_with(&(struct writ_http_request){ .port = 1, .host = "name.invalid" });
	assert_fails(o.rc, WRIT_EUNAVAIL, o.err, "look up the name");
}

static void test_a_strangers_name_does_not_lead_to_this_machine(void **state)
{
	(void)state;
	struct server s = { .say = "HTTP/1.1 200 OK\r\n\r\n" };
	serve(&s);
	struct outcome o =
		ask_with(&(struct writ_http_request){ .port = s.port, .distrust_host = true });
	assert_fails(o.rc, WRIT_EDENIED, o.err, "own machine");
	stop(&s);
	assert_int_equal(s.n, 0);
}

static bool is_local(const char *text)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return writ_http_is_local((struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return writ_http_is_local((struct sockaddr *)&v6);
}

static void test_local_addresses_are_known_in_every_dress(void **state)
{
	(void)state;
	static const char *const local[] = { "127.0.0.1", "127.1.2.3", "0.0.0.0", "169.254.169.254",
		"224.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::127.0.0.1",
		"64:ff9b::169.254.169.254", "2002:7f00:1::", "fe80::1", "febf::1", "ff02::1" };
	static const char *const others[] = { "10.0.0.1", "192.168.1.1", "8.8.8.8", "2001:db8::1",
		"fd00::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "fec0::1" };
	for (size_t i = 0; i < WRIT_COUNT(local); i++)
		assert_true(is_local(local[i]));
	for (size_t i = 0; i < WRIT_COUNT(others); i++)
		assert_false(is_local(others[i]));
	assert_true(writ_http_is_local(&(struct sockaddr){ .sa_family = AF_UNIX }));
}

static void test_a_cancelled_request_says_nothing_more(void **state)
{
	(void)state;
	struct server s = { .mute = true };
	struct outcome o = { .done = false };
	struct writ_loop *loop;
	bool never = false;
	struct writ_err err = { 0 };
	serve(&s);
	assert_ok(writ_loop_new(&loop, &err), err);
	for (int i = 0; i < 2; i++) {
		const struct writ_http_request req = { .loop = loop,
			.method = "GET",
			.host = "127.0.0.1",
			.port = s.port,
			.target = "/",
			.deadline_ms = 10000,
			.done = on_done,
			.arg = &o };
		struct writ_http *h = writ_http_start(&req);
		if (i == 1)
			(void)writ_loop_run_until(loop, &never, writ_mono_ms() + 50);
		writ_http_cancel(h);
	}
	(void)writ_loop_run_until(loop, &never, writ_mono_ms() + 20);
	assert_false(o.done);
	writ_loop_free(loop);
	stop(&s);
}

/* --- over TLS --- */

struct pki {
	struct writ_key *ca_key, *key;
	struct writ_cert *ca, *leaf;
	SSL_CTX *server;
};

static void make_pki(struct pki *p, uint8_t tag, const char *san, size_t n)
{
	struct writ_cert *other;
	p->ca_key = forge_key(WRIT_KEY_P256);
	p->key = forge_key(WRIT_KEY_P256);
	struct forge ca = forge_ca("api-ca", p->ca_key);
	struct forge leaf = forge_leaf("spiffe://x/y", p->key, "api-ca", p->ca_key);
	memset(leaf.san, 0, sizeof(leaf.san));
	leaf.san[0].tag = tag;
	leaf.san[0].p = san;
	leaf.san[0].n = n;
	ca.not_before = leaf.not_before = writ_wall_s() - 60;
	ca.not_after = leaf.not_after = writ_wall_s() + 600;
	p->ca = forge_cert(&ca);
	p->leaf = other = forge_cert(&leaf);
	assert_non_null(p->ca);
	assert_non_null(other);
	p->server = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(p->server, writ_cert_x509(p->leaf)), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(p->server, writ_key_evp(p->key)), 1);
}

static void drop_pki(struct pki *p)
{
	SSL_CTX_free(p->server);
	writ_cert_unref(p->ca);
	writ_cert_unref(p->leaf);
	writ_key_unref(p->ca_key);
	writ_key_unref(p->key);
}

static struct outcome ask_tls(struct pki *p, struct writ_cert *ca, const char *host)
{
	struct server s = { .say = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		.tls = p->server };
	struct writ_tls_ctx *ctx;
	struct writ_err err = { 0 };
	const struct writ_tls_web_config cfg = { .host = host, .cas = &ca, .n_cas = 1 };
	assert_ok(writ_tls_web_new(&cfg, &ctx, &err), err);
	serve(&s);
	struct outcome o = ask_with(&(struct writ_http_request){
		.port = s.port, .tls = ctx, .bearer = WRIT_STR("secret") });
	stop(&s);
	if (o.rc != WRIT_OK)
		assert_int_equal(s.n, 0); /* the token stayed here */
	writ_tls_ctx_unref(ctx);
	return o;
}

static void test_a_server_is_known_by_its_ca_and_name(void **state)
{
	(void)state;
	struct pki good, other;
	make_pki(&good, FORGE_IP, "\x7f\0\0\1", 4);
	make_pki(&other, FORGE_DNS, "api.test", 0);
	struct outcome o = ask_tls(&good, good.ca, "127.0.0.1");
	assert_ok(o.rc, o.err);
	assert_int_equal(o.status, 200);
	o = ask_tls(&other, other.ca, "api.test");
	assert_ok(o.rc, o.err);
	o = ask_tls(&good, other.ca, "127.0.0.1");
	assert_fails(o.rc, WRIT_ECRYPTO, o.err, "does not hold for 127.0.0.1");
	o = ask_tls(&other, other.ca, "127.0.0.1");
	assert_fails(o.rc, WRIT_ECRYPTO, o.err, "IP address mismatch");
	o = ask_tls(&other, other.ca, "api2.test");
	assert_fails(o.rc, WRIT_ECRYPTO, o.err, "ostname mismatch");
	drop_pki(&good);
	drop_pki(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_form_of_body_is_read),
		cmocka_unit_test(test_the_request_is_what_was_asked_for),
		cmocka_unit_test(test_nothing_of_a_header_can_be_smuggled_in),
		cmocka_unit_test(test_a_silent_server_is_given_up),
		cmocka_unit_test(test_nobody_there_and_unknown_names_are_told_apart),
		cmocka_unit_test(test_a_strangers_name_does_not_lead_to_this_machine),
		cmocka_unit_test(test_local_addresses_are_known_in_every_dress),
		cmocka_unit_test(test_a_cancelled_request_says_nothing_more),
		cmocka_unit_test(test_a_server_is_known_by_its_ca_and_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
