/* SPDX-License-Identifier: Apache-2.0 */
/* The public library, as a workload uses it: sources, contexts, handshakes during rotation. */
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#include "check.h"
#include "fake_agent.h"

#include "writ/source.h"
#include "writ/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ID_TOOL  "spiffe://a.test/tool"
#define ID_AGENT "spiffe://a.test/agent/one"
#define WAIT_MS  10000

static struct fake_ca ca_a, ca_b;
static char dir[64], path[96];

static X509SVIDResponse *answer(const char *id)
{
	X509SVIDResponse *a = fake_answer_new();
	fake_answer_add(a, &ca_a, id, "");
	return a;
}

struct world {
	struct fake_agent *agent;
	struct writ_x509_source *source;
};

static int changes;

static void count_change(void *arg, struct writ_x509_source *s)
{
	(void)s;
	__atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
}

static void wait_changes(int n)
{
	int64_t until = writ_mono_ms() + WAIT_MS;
	while (__atomic_load_n(&changes, __ATOMIC_SEQ_CST) < n) {
		assert_true(writ_mono_ms() < until);
		usleep(1000);
	}
}

static struct writ_x509_source_options options(void)
{
	return (struct writ_x509_source_options){ .size = sizeof(struct writ_x509_source_options),
		.endpoint = path,
		.timeout_ms = WAIT_MS,
		.changed = count_change,
		.arg = &changes };
}

static struct writ_x509_source *open_source(const struct writ_x509_source_options *o)
{
	struct writ_error e = { 0 };
	struct writ_x509_source *s = NULL;
	if (writ_x509_source_new(o, &s, &e))
		fail_msg("%s", e.message);
	return s;
}

static int setup(void **state)
{
	struct world *w = writ_alloc(sizeof(*w));
	struct writ_x509_source_options o = options();
	__atomic_store_n(&changes, 0, __ATOMIC_SEQ_CST);
	w->agent = fake_agent_start(path);
	fake_agent_say(w->agent, answer(ID_TOOL));
	w->source = open_source(&o);
	wait_changes(1);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	writ_x509_source_free(w->source);
	if (w->agent)
		fake_agent_stop(w->agent);
	writ_free(w);
	return 0;
}

static SSL_CTX *context(struct writ_x509_source *s, bool server, const char *peer)
{
	struct writ_error e;
	SSL_CTX *ctx = NULL;
	const struct writ_authorize a = { .ids = &peer, .n_ids = 1 };
	if ((server ? writ_tls_server : writ_tls_client)(s, &a, &ctx, &e))
		fail_msg("%s", e.message);
	return ctx;
}

/* One side of a handshake on a blocking socket. */
struct side {
	SSL *ssl;
	bool good;
	char peer[128], error[512];
};

static void take_error(struct side *s)
{
	const char *data = "";
	int flags = 0;
	unsigned long e = ERR_get_error_all(NULL, NULL, NULL, &data, &flags);
	snprintf(s->error, sizeof(s->error), "%s (%s)", e ? ERR_reason_error_string(e) : "none",
		flags & ERR_TXT_STRING ? data : "");
	ERR_clear_error();
}

static void *drive(void *arg)
{
	struct side *s = arg;
	char byte = 'x';
	ERR_clear_error();
	assert_null(writ_tls_peer(s->ssl));
	/* A byte from the server: in TLS 1.3 a client learns by it that it was let in. */
	s->good = SSL_do_handshake(s->ssl) == 1;
	if (s->good && SSL_is_server(s->ssl))
		s->good = SSL_write(s->ssl, &byte, 1) == 1;
	else if (s->good)
		s->good = SSL_read(s->ssl, &byte, 1) == 1;
	if (!s->good)
		take_error(s);
	const char *peer = writ_tls_peer(s->ssl);
	snprintf(s->peer, sizeof(s->peer), "%s", peer ? peer : "");
	/* The other side must not wait for us. */
	(void)shutdown(SSL_get_fd(s->ssl), SHUT_RDWR);
	return NULL;
}

static void shake(SSL_CTX *server, SSL_CTX *client, struct side *at_server, struct side *at_client)
{
	int fds[2];
	pthread_t t;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	*at_server = (struct side){ .ssl = SSL_new(server) };
	*at_client = (struct side){ .ssl = SSL_new(client) };
	assert_int_equal(SSL_set_fd(at_server->ssl, fds[0]), 1);
	assert_int_equal(SSL_set_fd(at_client->ssl, fds[1]), 1);
	SSL_set_accept_state(at_server->ssl);
	SSL_set_connect_state(at_client->ssl);
	assert_int_equal(pthread_create(&t, NULL, drive, at_server), 0);
	drive(at_client);
	pthread_join(t, NULL);
	SSL_free(at_server->ssl);
	SSL_free(at_client->ssl);
	close(fds[0]);
	close(fds[1]);
}

static void a_source_gives_the_identity_and_its_bundle(void **state)
{
	struct world *w = *state;
	struct writ_error e;
	struct writ_x509_svid *svid = NULL;
	char *pem = NULL;
	assert_int_equal(writ_x509_source_svid(w->source, &svid, &e), 0);
	assert_string_equal(svid->spiffe_id, ID_TOOL);
	assert_true(svid->certs_len > 100 && svid->key_len > 50);
	assert_in_range(svid->not_after, writ_wall_s() + 200, writ_wall_s() + 400);
	writ_x509_svid_free(svid);
	assert_int_equal(writ_x509_source_bundle_pem(w->source, NULL, &pem, &e), 0);
	assert_non_null(strstr(pem, "BEGIN CERTIFICATE"));
	writ_text_free(pem);
	assert_int_equal(writ_x509_source_bundle_pem(w->source, "other.test", &pem, &e),
		WRIT_ERROR_NOT_FOUND);
	assert_non_null(strstr(e.message, "other.test"));
	writ_x509_svid_free(NULL);
	writ_x509_source_free(NULL);
}

static void contexts_follow_the_source(void **state)
{
	struct world *w = *state;
	SSL_CTX *server = context(w->source, true, ID_TOOL);
	SSL_CTX *client = context(w->source, false, "spiffe://a.test/");
	struct side a, b;
	shake(server, client, &a, &b);
	assert_true(a.good && b.good);
	assert_string_equal(a.peer, ID_TOOL);
	assert_string_equal(b.peer, ID_TOOL);
	fake_agent_say(w->agent, answer(ID_AGENT));
	wait_changes(2);
	/* What the server sees now is the new ID, which it does not let in. */
	shake(server, client, &a, &b);
	assert_false(a.good || b.good);
	assert_non_null(strstr(a.error, ID_AGENT));
	assert_string_equal(a.peer, "");
	fake_agent_say(w->agent, answer(ID_TOOL));
	wait_changes(3);
	shake(server, client, &a, &b);
	assert_true(a.good && b.good);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
}

static int allow_agents(void *arg, const char *spiffe_id)
{
	__atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
	return strcmp(spiffe_id, ID_AGENT) == 0;
}

static void who_is_let_in_is_a_list_a_prefix_or_a_function(void **state)
{
	struct world *w = *state;
	struct writ_error e;
	static const struct {
		const char *id; /* NULL: nobody */
		bool good;
	} rows[] = { { ID_TOOL, true }, { "spiffe://a.test/", true },
		{ "spiffe://a.test/agent/", false }, { "spiffe://a.test/tool/", false },
		{ "spiffe://b.test/", false }, { NULL, false } };
	SSL_CTX *client = context(w->source, false, ID_TOOL), *server = NULL;
	struct side a, b;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		const struct writ_authorize who = { .ids = &rows[i].id,
			.n_ids = rows[i].id ? 1 : 0 };
		assert_int_equal(writ_tls_server(w->source, &who, &server, &e), 0);
		shake(server, client, &a, &b);
		SSL_CTX_free(server);
		if (a.good != rows[i].good || b.good != rows[i].good)
			fail_msg("row %zu: %s / %s", i, a.error, b.error);
	}
	int asked = 0;
	const struct writ_authorize who = { .allow = allow_agents, .arg = &asked };
	assert_int_equal(writ_tls_server(w->source, &who, &server, &e), 0);
	shake(server, client, &a, &b);
	assert_false(a.good || b.good);
	assert_int_equal(asked, 1);
	SSL_CTX_free(server);
	const char *bad = "spiffe://A.test/x";
	const struct writ_authorize wrong = { .ids = &bad, .n_ids = 1 };
	assert_int_equal(writ_tls_server(w->source, &wrong, &server, &e), WRIT_ERROR_INVALID);
	assert_int_equal(writ_tls_server(w->source, NULL, &server, &e), WRIT_ERROR_INVALID);
	SSL_CTX_free(client);
}

static void strangers_are_refused_on_both_sides(void **state)
{
	struct world *w = *state;
	SSL_CTX *server = context(w->source, true, "spiffe://a.test/");
	SSL_CTX *client = context(w->source, false, "spiffe://a.test/");
	/* One of another CA that claims our trust domain, one without a certificate, one with
	 * TLS 1.2. */
	SSL_CTX *bare = SSL_CTX_new(TLS_method());
	struct side a, b;
	shake(server, bare, &a, &b);
	assert_false(a.good || b.good);
	shake(bare, client, &a, &b);
	assert_false(a.good || b.good);
	SSL_CTX_set_max_proto_version(bare, TLS1_2_VERSION);
	shake(server, bare, &a, &b);
	assert_false(a.good || b.good);
	SSL_CTX_free(bare);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
}

/* Handshakes from two threads while the agent rotates as fast as it can. */
struct traffic {
	SSL_CTX *server, *client;
	int done, failed, stop;
	char why[1100];
};

static void *shake_on(void *arg)
{
	struct traffic *t = arg;
	while (!__atomic_load_n(&t->stop, __ATOMIC_SEQ_CST)) {
		struct side a, b;
		shake(t->server, t->client, &a, &b);
		if (!a.good || !b.good || strcmp(a.peer, ID_TOOL) != 0 ||
			strcmp(b.peer, ID_TOOL) != 0) {
			__atomic_add_fetch(&t->failed, 1, __ATOMIC_SEQ_CST);
			snprintf(t->why, sizeof(t->why), "%s / %s", a.error, b.error);
		}
		__atomic_add_fetch(&t->done, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void no_handshake_fails_while_identities_change(void **state)
{
	struct world *w = *state;
	struct traffic t = { context(w->source, true, ID_TOOL), context(w->source, false, ID_TOOL),
		0, 0, 0, "" };
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, shake_on, &t), 0);
	int64_t until = writ_mono_ms() + WAIT_MS;
	for (int i = 1; i <= 40 ||
		(__atomic_load_n(&t.done, __ATOMIC_SEQ_CST) < 40 && writ_mono_ms() < until);
		i++) {
		fake_agent_say(w->agent, answer(ID_TOOL));
		wait_changes(i + 1);
	}
	__atomic_store_n(&t.stop, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_true(t.done >= 40);
	if (t.failed)
		fail_msg("%d of %d failed: %s", t.failed, t.done, t.why);
	SSL_CTX_free(t.server);
	SSL_CTX_free(t.client);
}

static void after_a_refusal_there_is_no_handshake(void **state)
{
	struct world *w = *state;
	struct writ_error e;
	struct writ_x509_svid *svid = NULL;
	struct side a, b;
	SSL_CTX *server = context(w->source, true, ID_TOOL);
	SSL_CTX *client = context(w->source, false, ID_TOOL);
	for (int i = 0; i < FAKE_PLAN; i++)
		fake_agent_plan(w->agent, 7);
	fake_agent_end(w->agent, 7);
	wait_changes(2);
	shake(server, client, &a, &b);
	assert_false(a.good || b.good);
	assert_non_null(strstr(a.error, "no identity any more"));
	assert_int_equal(writ_x509_source_svid(w->source, &svid, &e), WRIT_ERROR_DENIED);
	assert_non_null(strstr(e.message, "no identity issued"));
	assert_null(svid);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
}

static void an_identity_that_is_not_given_any_more_is_gone(void **state)
{
	struct world *w = *state;
	struct writ_error e;
	struct writ_x509_svid *svid = NULL;
	struct writ_x509_source_options o = options();
	o.spiffe_id = ID_TOOL;
	writ_x509_source_free(w->source);
	w->source = open_source(&o);
	wait_changes(2);
	fake_agent_say(w->agent, answer(ID_AGENT));
	wait_changes(3);
	assert_int_equal(writ_x509_source_svid(w->source, &svid, &e), WRIT_ERROR_NOT_FOUND);
	assert_non_null(strstr(e.message, ID_TOOL));
}

static void a_further_identity_does_not_disturb(void **state)
{
	struct world *w = *state;
	struct writ_error e;
	struct writ_x509_svid *svid = NULL;
	X509SVIDResponse *a = answer(ID_AGENT);
	fake_answer_add(a, &ca_a, ID_TOOL, "");
	fake_agent_say(w->agent, a);
	wait_changes(2);
	assert_int_equal(writ_x509_source_svid(w->source, &svid, &e), 0);
	assert_string_equal(svid->spiffe_id, ID_TOOL);
	writ_x509_svid_free(svid);
	/* Who starts now is asked to say which. */
	struct writ_x509_source_options o = options();
	struct writ_x509_source *s = NULL;
	assert_int_equal(writ_x509_source_new(&o, &s, &e), WRIT_ERROR_AMBIGUOUS);
	assert_non_null(strstr(e.message, ID_AGENT));
	assert_null(s);
	o.spiffe_id = ID_AGENT;
	s = open_source(&o);
	writ_x509_source_free(s);
}

static void a_source_that_gets_nothing_says_why(void **state)
{
	struct world *w = *state;
	struct writ_error e;
	struct writ_x509_source *s = NULL;
	struct writ_x509_source_options o = options();
	o.timeout_ms = 300;
	for (int i = 0; i < 8; i++)
		fake_agent_plan(w->agent, 7);
	assert_int_equal(writ_x509_source_new(&o, &s, &e), WRIT_ERROR_DENIED);
	assert_non_null(strstr(e.message, "no identity issued"));
	o.endpoint = "unix:///nowhere/at/all.sock";
	assert_int_equal(writ_x509_source_new(&o, &s, &e), WRIT_ERROR_UNAVAILABLE);
	assert_non_null(strstr(e.message, "/nowhere/at/all.sock"));
	o.endpoint = "tcp://127.0.0.1:1";
	assert_int_equal(writ_x509_source_new(&o, &s, &e), WRIT_ERROR_INVALID);
	o.endpoint = "unix://tmp/x";
	assert_int_equal(writ_x509_source_new(&o, &s, &e), WRIT_ERROR_INVALID);
	o.endpoint = path;
	o.spiffe_id = "a.test/tool";
	assert_int_equal(writ_x509_source_new(&o, &s, &e), WRIT_ERROR_INVALID);
	assert_int_equal(writ_x509_source_new(NULL, &s, &e), WRIT_ERROR_INVALID);
	o.size = 0;
	assert_int_equal(writ_x509_source_new(&o, &s, NULL), WRIT_ERROR_INVALID);
	assert_null(s);
}

static void an_agent_without_an_answer_times_out(void **state)
{
	struct world *w = *state;
	struct writ_error e;
	struct writ_x509_source *s = NULL;
	struct writ_x509_source_options o = options();
	o.timeout_ms = 200;
	fake_agent_say(w->agent, NULL);
	assert_int_equal(writ_x509_source_new(&o, &s, &e), WRIT_ERROR_TIMEOUT);
	assert_non_null(strstr(e.message, "200 ms"));
}

static void the_address_comes_from_the_environment(void **state)
{
	struct writ_error e;
	struct writ_x509_source *s = NULL;
	struct writ_x509_source_options o = options();
	char uri[128];
	(void)state;
	o.endpoint = NULL;
	unsetenv("SPIFFE_ENDPOINT_SOCKET");
	assert_int_equal(writ_x509_source_new(&o, &s, &e), WRIT_ERROR_INVALID);
	assert_non_null(strstr(e.message, "SPIFFE_ENDPOINT_SOCKET"));
	setenv("SPIFFE_ENDPOINT_SOCKET", path, 1); /* a path is no URI */
	assert_int_equal(writ_x509_source_new(&o, &s, &e), WRIT_ERROR_INVALID);
	snprintf(uri, sizeof(uri), "unix://%s", path);
	setenv("SPIFFE_ENDPOINT_SOCKET", uri, 1);
	s = open_source(&o);
	writ_x509_source_free(s);
	unsetenv("SPIFFE_ENDPOINT_SOCKET");
}

/* Runs in a child: exits with the number of the first thing that is wrong. */
static int wrong_in_child(struct world *w, SSL_CTX *server, struct writ_x509_svid *copy)
{
	struct writ_error e;
	struct writ_x509_svid *svid;
	char *text;
	SSL_CTX *ctx;
	const char *id = ID_TOOL;
	const struct writ_authorize a = { .ids = &id, .n_ids = 1 };
	if (writ_x509_source_svid(w->source, &svid, &e) != WRIT_ERROR_FORKED)
		return 1;
	if (writ_x509_source_bundle_pem(w->source, NULL, &text, &e) != WRIT_ERROR_FORKED)
		return 2;
	if (writ_tls_client(w->source, &a, &ctx, &e) != WRIT_ERROR_FORKED)
		return 3;
	if (!strstr(e.message, "another process"))
		return 4;
	for (size_t i = 0; i < copy->key_len; i++) {
		if (copy->key[i])
			return 5;
	}
	/* The context is refused by the source, in words. */
	int fds[2];
	struct side s = { .ssl = SSL_new(server) };
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0 || SSL_set_fd(s.ssl, fds[0]) != 1)
		return 6;
	SSL_CTX *plain = SSL_CTX_new(TLS_client_method());
	SSL *peer = SSL_new(plain);
	(void)SSL_set_fd(peer, fds[1]);
	SSL_set_connect_state(peer);
	SSL_set_accept_state(s.ssl);
	(void)shutdown(fds[0], SHUT_WR); /* whoever waits sees the end */
	(void)SSL_do_handshake(peer);
	(void)shutdown(fds[1], SHUT_WR);
	ERR_clear_error();
	if (SSL_do_handshake(s.ssl) == 1)
		return 7;
	take_error(&s);
	if (!strstr(s.error, "another process"))
		return 8;
	writ_x509_source_free(w->source);
	return 0;
}

static void a_child_is_told_that_it_is_one(void **state)
{
	struct world *w = *state;
	struct writ_x509_svid *copy = NULL;
	SSL_CTX *server = context(w->source, true, ID_TOOL);
	int status = 0;
	assert_int_equal(writ_x509_source_svid(w->source, &copy, NULL), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(wrong_in_child(w, server, copy));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	writ_x509_svid_free(copy);
	/* The parent goes on. */
	assert_int_equal(writ_x509_source_svid(w->source, &copy, NULL), 0);
	writ_x509_svid_free(copy);
	SSL_CTX_free(server);
}

static int group_setup(void **state)
{
	struct writ_err err;
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/writ-test-sdk-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/api.sock", dir);
	assert_ok(writ_crypto_init(&err), err);
	fake_ca_init(&ca_a, "ca-a", "a.test", "spiffe://a.test");
	fake_ca_init(&ca_b, "ca-b", "b.test", "spiffe://b.test");
	(void)signal(SIGPIPE, SIG_IGN);
	return 0;
}

static int group_teardown(void **state)
{
	struct writ_err err;
	(void)state;
	fake_ca_done(&ca_a);
	fake_ca_done(&ca_b);
	assert_ok(writ_fs_remove_tree(dir, &err), err);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_source_gives_the_identity_and_its_bundle),
		TEST(contexts_follow_the_source),
		TEST(who_is_let_in_is_a_list_a_prefix_or_a_function),
		TEST(strangers_are_refused_on_both_sides),
		TEST(no_handshake_fails_while_identities_change),
		TEST(after_a_refusal_there_is_no_handshake),
		TEST(an_identity_that_is_not_given_any_more_is_gone),
		TEST(a_further_identity_does_not_disturb),
		TEST(a_source_that_gets_nothing_says_why),
		TEST(an_agent_without_an_answer_times_out),
		TEST(the_address_comes_from_the_environment),
		TEST(a_child_is_told_that_it_is_one),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
