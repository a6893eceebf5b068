/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes between two ends in this process, over a socket pair. */
#include "check.h"
#include "forge.h"
#include "tls_kit.h"

#include "base/clock.h"
#include "base/mem.h"
#include "tls/tls_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVER "spiffe://a.test/server"
#define CLIENT "spiffe://a.test/client"

struct pair {
	int fd[2];
	struct writ_tls *server, *client;
	enum writ_tls_io s, c; /* outcomes of the handshake */
	struct writ_err serr, cerr;
};

static const struct kit_ctx good_server = {
	.server = true, .h2 = true, .ca = KIT_A, .id = SERVER, .trust = KIT_A
};
static const struct kit_ctx good_client = { .h2 = true, .ca = KIT_A, .id = CLIENT, .trust = KIT_A };

static bool stuck(enum writ_tls_io io)
{
	return io == WRIT_TLS_WANT_READ || io == WRIT_TLS_WANT_WRITE;
}

static void run(struct pair *p)
{
	p->s = p->c = WRIT_TLS_WANT_READ;
	for (int i = 0; i < 20 && (stuck(p->s) || stuck(p->c)); i++) {
		if (stuck(p->c))
			p->c = writ_tls_handshake(p->client, &p->cerr);
		if (stuck(p->s))
			p->s = writ_tls_handshake(p->server, &p->serr);
	}
}

static void meet(struct pair *p, const struct kit_ctx *server, const struct kit_ctx *client)
{
	*p = (struct pair){ .server = NULL };
	struct writ_tls_ctx *s = kit_ctx(server), *c = kit_ctx(client);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p->fd), 0);
	assert_ok(writ_tls_new(s, p->fd[0], &p->server, &p->serr), p->serr);
	assert_ok(writ_tls_new(c, p->fd[1], &p->client, &p->cerr), p->cerr);
	writ_tls_ctx_unref(s); /* the connections keep them */
	writ_tls_ctx_unref(c);
	run(p);
}

static void part(struct pair *p)
{
	writ_tls_free(p->server);
	writ_tls_free(p->client);
	close(p->fd[0]);
	close(p->fd[1]);
}

static void say(struct writ_tls *from, struct writ_tls *to, const char *text)
{
	struct writ_err err = { .rc = WRIT_OK };
	char c[64] = "";
	size_t n = 0;
	assert_int_equal(writ_tls_write(from, text, strlen(text), &n, &err), WRIT_TLS_DONE);
	assert_int_equal(n, strlen(text));
	if (writ_tls_read(to, c, sizeof(c), &n, &err) != WRIT_TLS_DONE)
		fail_msg("%s", err.msg);
	assert_int_equal(n, strlen(text));
	assert_memory_equal(c, text, n);
}

/* What the client hears at its first read: a refused client learns of it there. */
static enum writ_tls_io first_read(struct pair *p)
{
	char c[16];
	size_t n;
	return writ_tls_read(p->client, c, sizeof(c), &n, &p->cerr);
}

static void both_ends_know_each_other(void **state)
{
	(void)state;
	struct pair p;
	char c[8];
	size_t n;
	meet(&p, &good_server, &good_client);
	if (p.s != WRIT_TLS_DONE || p.c != WRIT_TLS_DONE)
		fail_msg("%s / %s", p.serr.msg, p.cerr.msg);
	assert_string_equal(writ_tls_peer_id(p.server), CLIENT);
	assert_string_equal(writ_tls_peer_id(p.client), SERVER);
	assert_true(writ_str_eq(writ_cert_uri(writ_tls_peer_cert(p.server), 0), WRIT_STR(CLIENT)));
	say(p.client, p.server, "ping");
	say(p.server, p.client, "pong");
	assert_int_equal(writ_tls_read(p.server, c, 8, &n, &p.serr), WRIT_TLS_WANT_READ);
	writ_tls_shutdown(p.client);
	assert_int_equal(writ_tls_read(p.server, c, 8, &n, &p.serr), WRIT_TLS_EOF);
	part(&p);
}

static writ_rc nobody(void *arg, const struct writ_id *id, struct writ_err *err)
{
	++*(int *)arg;
	return writ_fail(err, WRIT_EDENIED, WRIT_FMT " may not connect", WRIT_ARG(id->uri));
}

static int asked;

static void the_wrong_client_is_refused_and_told_why(void **state)
{
	(void)state;
	const struct {
		const char *name;
		struct kit_ctx client;
		writ_rc rc;
		const char *text;
	} rows[] = {
		{ "none", { .h2 = true, .trust = KIT_A }, WRIT_EUNAUTH,
			"presented no certificate" },
		{ "made by itself", { .h2 = true, .ca = KIT_ROGUE, .id = CLIENT, .trust = KIT_A },
			WRIT_ECRYPTO, CLIENT },
		{ "of a domain without bundle",
			{ .h2 = true, .ca = KIT_B, .id = "spiffe://b.test/w", .trust = KIT_A },
			WRIT_EUNAUTH, "b.test" },
		{ "of another domain's CA",
			{ .h2 = true, .ca = KIT_B, .id = CLIENT, .trust = KIT_A }, WRIT_ECRYPTO,
			CLIENT },
		{ "expired",
			{ .h2 = true,
				.ca = KIT_A,
				.id = CLIENT,
				.not_after = FORGE_NOW - 5,
				.trust = KIT_A },
			WRIT_EEXPIRED, "5 s too late" },
		{ "without h2", { .ca = KIT_A, .id = CLIENT, .trust = KIT_A }, WRIT_EPROTO,
			"HTTP/2" },
	};
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct pair p;
		meet(&p, &good_server, &rows[i].client);
		if (p.s != WRIT_TLS_FAILED || p.serr.rc != rows[i].rc ||
			!strstr(p.serr.msg, rows[i].text))
			fail_msg("%s: %s %s", rows[i].name, writ_rc_name(p.serr.rc), p.serr.msg);
		assert_null(writ_tls_peer_id(p.server));
		assert_null(writ_tls_peer_cert(p.server));
		if (p.c == WRIT_TLS_DONE && i < 5) {
			assert_int_equal(first_read(&p), WRIT_TLS_FAILED);
			assert_non_null(strstr(p.cerr.msg, "the peer "));
		}
		char c[8];
		size_t n;
		assert_int_equal(writ_tls_read(p.server, c, 8, &n, &p.serr), WRIT_TLS_FAILED);
		assert_int_equal(writ_tls_write(p.server, c, 8, &n, &p.serr), WRIT_TLS_FAILED);
		part(&p);
	}
}

static void authorisation_is_a_step_of_its_own(void **state)
{
	(void)state;
	struct pair p;
	struct kit_ctx server = good_server, client = good_client;
	asked = 0;
	server.authorize = nobody;
	server.arg = &asked;
	meet(&p, &server, &client);
	assert_int_equal(p.s, WRIT_TLS_FAILED);
	assert_int_equal(p.serr.rc, WRIT_EDENIED);
	assert_non_null(strstr(p.serr.msg, CLIENT " may not connect"));
	assert_int_equal(asked, 1);
	assert_int_equal(first_read(&p), WRIT_TLS_FAILED);
	part(&p);

	client.authorize = nobody;
	client.arg = &asked;
	meet(&p, &good_server, &client);
	assert_int_equal(p.c, WRIT_TLS_FAILED);
	assert_int_equal(p.cerr.rc, WRIT_EDENIED);
	assert_non_null(strstr(p.cerr.msg, SERVER));
	part(&p);

	/* Never asked about a chain that does not hold. */
	asked = 0;
	client = good_client;
	client.ca = KIT_ROGUE;
	meet(&p, &server, &client);
	assert_int_equal(p.s, WRIT_TLS_FAILED);
	assert_int_equal(asked, 0);
	part(&p);
}

static void the_wrong_server_is_refused(void **state)
{
	(void)state;
	struct pair p;
	struct kit_ctx server = good_server;
	server.ca = KIT_ROGUE;
	meet(&p, &server, &good_client);
	assert_int_equal(p.c, WRIT_TLS_FAILED);
	assert_int_equal(p.cerr.rc, WRIT_ECRYPTO);
	part(&p);
	server = good_server;
	server.not_after = FORGE_NOW - 1;
	meet(&p, &server, &good_client);
	assert_int_equal(p.cerr.rc, WRIT_EEXPIRED);
	part(&p);
}

static void a_certificate_may_be_optional_but_never_wrong(void **state)
{
	(void)state;
	struct pair p;
	struct kit_ctx server = good_server, client = good_client;
	server.peer = WRIT_TLS_PEER_OPTIONAL;
	client.id = NULL;
	meet(&p, &server, &client);
	assert_int_equal(p.s, WRIT_TLS_DONE);
	assert_null(writ_tls_peer_id(p.server));
	assert_ok(writ_tls_reverify(p.server, NULL, FORGE_NOW, &p.serr), p.serr);
	say(p.client, p.server, "hello");
	part(&p);
	client.id = CLIENT;
	client.ca = KIT_ROGUE;
	meet(&p, &server, &client);
	assert_int_equal(p.s, WRIT_TLS_FAILED);
	part(&p);
}

static writ_rc only_server(void *arg, const struct writ_id *id, struct writ_err *err)
{
	(void)arg;
	return writ_str_eq(id->uri, WRIT_STR(SERVER))
		? WRIT_OK
		: writ_fail(err, WRIT_EDENIED, "wrong server");
}

static void unverified_still_checks_the_name(void **state)
{
	(void)state;
	struct pair p;
	struct kit_ctx server = good_server, client = good_client;
	client.peer = WRIT_TLS_PEER_UNVERIFIED;
	client.authorize = only_server;
	server.ca = KIT_ROGUE;
	server.peer = WRIT_TLS_PEER_OPTIONAL;
	meet(&p, &server, &client);
	assert_int_equal(p.c, WRIT_TLS_DONE);
	assert_string_equal(writ_tls_peer_id(p.client), SERVER);
	part(&p);
	server.id = "spiffe://a.test/other";
	meet(&p, &server, &client);
	assert_int_equal(p.c, WRIT_TLS_FAILED);
	part(&p);
}

static void configurations_that_cannot_be_safe_are_errors(void **state)
{
	(void)state;
	struct writ_err err;
	struct writ_tls_ctx *c;
	struct writ_bundles *b = kit_bundles(KIT_A);
	struct writ_svid *s = kit_svid(KIT_A, SERVER, 0);
	const struct writ_tls_config rows[] = {
		{ .server = true, .bundles = b },
		{ .server = true, .svid = s },
		{ .server = true, .svid = s, .bundles = b, .peer = WRIT_TLS_PEER_UNVERIFIED },
		{ .svid = s },
	};
	for (size_t i = 0; i < WRIT_COUNT(rows); i++)
		assert_int_equal(writ_tls_ctx_new(&rows[i], &c, &err), WRIT_EINVAL);
	writ_bundles_unref(b);
	writ_svid_unref(s);
}

/* A client that is not ours: any version, no ALPN, tickets wanted. */
struct foreign {
	int fd[2];
	SSL_CTX *ctx;
	SSL *ssl;
	struct writ_tls *server;
	enum writ_tls_io s;
	struct writ_err err;
	int tickets;
};

static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct foreign *x = SSL_get_app_data(ssl);
	(void)session;
	x->tickets++;
	return 0;
}

static void foreign_open(struct foreign *x, int version)
{
	*x = (struct foreign){ .ctx = SSL_CTX_new(TLS_client_method()) };
	struct kit_ctx server = good_server;
	server.h2 = false;
	server.peer = WRIT_TLS_PEER_OPTIONAL;
	struct writ_tls_ctx *s = kit_ctx(&server);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, x->fd), 0);
	assert_ok(writ_tls_new(s, x->fd[0], &x->server, &x->err), x->err);
	writ_tls_ctx_unref(s);
	SSL_CTX_set_max_proto_version(x->ctx, version);
	SSL_CTX_set_session_cache_mode(x->ctx, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(x->ctx, on_session);
	x->ssl = SSL_new(x->ctx);
	SSL_set_app_data(x->ssl, x);
	SSL_set_fd(x->ssl, x->fd[1]);
	x->s = WRIT_TLS_WANT_READ;
	for (int i = 0; i < 10; i++) {
		(void)SSL_connect(x->ssl);
		if (stuck(x->s))
			x->s = writ_tls_handshake(x->server, &x->err);
	}
	ERR_clear_error();
}

static void foreign_close(struct foreign *x)
{
	SSL_free(x->ssl);
	SSL_CTX_free(x->ctx);
	writ_tls_free(x->server);
	close(x->fd[0]);
	close(x->fd[1]);
}

static void tls_1_2_is_refused(void **state)
{
	(void)state;
	struct foreign x;
	foreign_open(&x, TLS1_2_VERSION);
	assert_int_equal(x.s, WRIT_TLS_FAILED);
	assert_non_null(strstr(x.err.msg, "TLS 1.3"));
	foreign_close(&x);
}

static void no_ticket_is_ever_sent(void **state)
{
	(void)state;
	struct foreign x;
	char c[16];
	size_t n;
	foreign_open(&x, TLS1_3_VERSION);
	assert_int_equal(x.s, WRIT_TLS_DONE);
	assert_int_equal(writ_tls_write(x.server, "data", 4, &n, &x.err), WRIT_TLS_DONE);
	assert_int_equal(
		SSL_read(x.ssl, c, sizeof(c)), 4); /* reads whatever stood before it, too */
	assert_int_equal(x.tickets, 0);
	assert_int_equal(SSL_SESSION_is_resumable(SSL_get0_session(x.ssl)), 0);
	foreign_close(&x);
}

static void key_updates_are_counted(void **state)
{
	(void)state;
	struct foreign x;
	char c[16];
	size_t n;
	foreign_open(&x, TLS1_3_VERSION);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(SSL_key_update(x.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		assert_int_equal(SSL_write(x.ssl, "x", 1), 1);
	}
	for (int i = 0; i < 10; i++)
		assert_int_equal(writ_tls_read(x.server, c, 1, &n, &x.err), WRIT_TLS_DONE);
	for (int i = 0; i < 30; i++) {
		(void)SSL_key_update(x.ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
		(void)SSL_write(x.ssl, "x", 1);
	}
	enum writ_tls_io io = WRIT_TLS_DONE;
	for (int i = 0; i < 30 && io == WRIT_TLS_DONE; i++)
		io = writ_tls_read(x.server, c, 1, &n, &x.err);
	assert_int_equal(io, WRIT_TLS_FAILED);
	assert_int_equal(x.err.rc, WRIT_ELIMIT);
	foreign_close(&x);
}

static void other_protocols_get_a_clear_error(void **state)
{
	(void)state;
	static const char *const rows[][2] = { { "GET / HTTP/1.1\r\n\r\n", "plain HTTP" },
		{ "SSH-2.0-OpenSSH_9.2p1 Debian\r\n", "does not speak TLS" } };
	for (size_t i = 0; i < 2; i++) {
		int fd[2];
		struct writ_tls *t;
		struct writ_err err;
		struct writ_tls_ctx *s = kit_ctx(&good_server);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
		assert_ok(writ_tls_new(s, fd[0], &t, &err), err);
		writ_tls_ctx_unref(s);
		assert_int_equal(write(fd[1], rows[i][0], strlen(rows[i][0])), strlen(rows[i][0]));
		assert_int_equal(writ_tls_handshake(t, &err), WRIT_TLS_FAILED);
		assert_non_null(strstr(err.msg, rows[i][1]));
		writ_tls_free(t);
		close(fd[0]);
		close(fd[1]);
	}
}

static void rotation_keeps_live_connections(void **state)
{
	(void)state;
	struct pair old, fresh;
	struct kit_ctx server = good_server, client = good_client;
	meet(&old, &server, &client);
	assert_int_equal(old.s, WRIT_TLS_DONE);
	server.trust = KIT_B; /* new bundle: the old client would not get in any more */
	meet(&fresh, &server, &client);
	assert_int_equal(fresh.s, WRIT_TLS_FAILED);
	part(&fresh);
	say(old.client, old.server, "still here");
	struct writ_bundles *a = kit_bundles(KIT_A), *b = kit_bundles(KIT_B);
	assert_ok(writ_tls_reverify(old.server, a, FORGE_NOW, &old.serr), old.serr);
	assert_int_equal(writ_tls_reverify(old.server, b, FORGE_NOW, &old.serr), WRIT_EUNAUTH);
	assert_non_null(strstr(old.serr.msg, CLIENT));
	assert_int_equal(
		writ_tls_reverify(old.server, a, FORGE_NOW + 4000, &old.serr), WRIT_EEXPIRED);
	assert_ok(writ_tls_reverify(old.client, a, FORGE_NOW, &old.cerr), old.cerr);
	writ_bundles_unref(a);
	writ_bundles_unref(b);
	part(&old);
}

static void truncation_is_not_an_end(void **state)
{
	(void)state;
	struct pair p;
	char c[8];
	size_t n;
	meet(&p, &good_server, &good_client);
	assert_int_equal(shutdown(p.fd[1], SHUT_WR), 0); /* no close_notify */
	assert_int_equal(writ_tls_read(p.server, c, 8, &n, &p.serr), WRIT_TLS_FAILED);
	part(&p);
}

static void big_writes_go_in_pieces(void **state)
{
	(void)state;
	struct pair p;
	static uint8_t block[1 << 20], back[1 << 16];
	size_t sent = 0, got = 0, n;
	meet(&p, &good_server, &good_client);
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (uint8_t)(i * 7 + (i >> 13));
	while (got < sizeof(block)) {
		enum writ_tls_io io = WRIT_TLS_DONE;
		while (sent < sizeof(block) && io == WRIT_TLS_DONE) {
			io = writ_tls_write(
				p.server, block + sent, sizeof(block) - sent, &n, &p.serr);
			sent += n;
		}
		assert_true(io == WRIT_TLS_DONE || io == WRIT_TLS_WANT_WRITE);
		do {
			io = writ_tls_read(p.client, back, sizeof(back), &n, &p.cerr);
			assert_memory_equal(back, block + got, n);
			got += n;
		} while (io == WRIT_TLS_DONE);
		assert_int_equal(io, WRIT_TLS_WANT_READ);
	}
	part(&p);
}

/* --- somebody else's SSL_CTX
 * ------------------------------------------------------------------------ */

static struct writ_tls_ctx *current;

static struct writ_tls_ctx *provide(void *arg)
{
	(void)arg;
	return writ_tls_ctx_ref(current);
}

static bool foreign_meets(SSL_CTX *client, const struct kit_ctx *server, char *reason, size_t size)
{
	struct writ_err err;
	struct writ_tls *t;
	int fd[2];
	struct writ_tls_ctx *s = kit_ctx(server);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	assert_ok(writ_tls_new(s, fd[0], &t, &err), err);
	writ_tls_ctx_unref(s);
	SSL *ssl = SSL_new(client);
	SSL_set_fd(ssl, fd[1]);
	enum writ_tls_io io = WRIT_TLS_WANT_READ;
	int rc = 0;
	for (int i = 0; i < 10 && (stuck(io) || rc != 1); i++) {
		if (rc != 1) {
			ERR_clear_error();
			rc = SSL_connect(ssl);
			unsigned long e = ERR_peek_error();
			const char *data = NULL;
			int flags = 0;
			(void)ERR_peek_error_all(NULL, NULL, NULL, &data, &flags);
			if (rc != 1 && e)
				(void)snprintf(
					reason, size, "%s", flags & ERR_TXT_STRING ? data : "");
		}
		if (stuck(io))
			io = writ_tls_handshake(t, &err);
	}
	if (io == WRIT_TLS_FAILED && !reason[0])
		(void)snprintf(reason, size, "%s", err.msg);
	SSL_free(ssl);
	writ_tls_free(t);
	close(fd[0]);
	close(fd[1]);
	ERR_clear_error();
	return io == WRIT_TLS_DONE && rc == 1;
}

static void a_foreign_context_follows_the_same_rules(void **state)
{
	(void)state;
	struct writ_err err;
	char reason[600] = "";
	struct kit_ctx client = good_client, server = good_server;
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	const struct writ_tls_config cfg = { .h2 = true, .peer = WRIT_TLS_PEER_REQUIRED };
	current = kit_ctx(&client);
	assert_ok(writ_tls_apply(ctx, &cfg, provide, NULL, &err), err);
	assert_true(foreign_meets(ctx, &server, reason, sizeof(reason)));
	server.ca = KIT_ROGUE;
	assert_false(foreign_meets(ctx, &server, reason, sizeof(reason)));
	assert_non_null(strstr(reason, SERVER)); /* the sentence is in OpenSSL's queue */
	writ_tls_ctx_unref(current);
	server = good_server;
	client.ca = KIT_ROGUE; /* rotated: the next handshake shows the new one */
	current = kit_ctx(&client);
	reason[0] = '\0';
	assert_false(foreign_meets(ctx, &server, reason, sizeof(reason)));
	writ_tls_ctx_unref(current);
	current = NULL; /* none yet */
	assert_false(foreign_meets(ctx, &server, reason, sizeof(reason)));
	/* Applied again, without a provider. */
	struct writ_svid *svid = kit_svid(KIT_A, CLIENT, 0);
	struct writ_bundles *bundles = kit_bundles(KIT_A);
	const struct writ_tls_config fixed = { .h2 = true, .svid = svid, .bundles = bundles };
	assert_ok(writ_tls_apply(ctx, &fixed, NULL, NULL, &err), err);
	writ_svid_unref(svid);
	writ_bundles_unref(bundles);
	assert_true(foreign_meets(ctx, &server, reason, sizeof(reason)));
	SSL_CTX_free(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ends_know_each_other),
		cmocka_unit_test(the_wrong_client_is_refused_and_told_why),
		cmocka_unit_test(authorisation_is_a_step_of_its_own),
		cmocka_unit_test(the_wrong_server_is_refused),
		cmocka_unit_test(a_certificate_may_be_optional_but_never_wrong),
		cmocka_unit_test(unverified_still_checks_the_name),
		cmocka_unit_test(configurations_that_cannot_be_safe_are_errors),
		cmocka_unit_test(tls_1_2_is_refused),
		cmocka_unit_test(no_ticket_is_ever_sent),
		cmocka_unit_test(key_updates_are_counted),
		cmocka_unit_test(other_protocols_get_a_clear_error),
		cmocka_unit_test(rotation_keeps_live_connections),
		cmocka_unit_test(truncation_is_not_an_end),
		cmocka_unit_test(big_writes_go_in_pieces),
		cmocka_unit_test(a_foreign_context_follows_the_same_rules),
	};
	return cmocka_run_group_tests(tests, kit_set_up, kit_tear_down);
}
