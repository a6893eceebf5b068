/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc_fixture.h"

#include "base/log.h"

#include <grpc/support/log.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void set_true(void *arg)
{
	*(bool *)arg = true;
}

/* Never OK, never Canceled: several clients take those for the end of all. */
static void a_server_that_stops_ends_streams_with_unavailable(void **state)
{
	struct fixture *f = *state;
	struct probe s[4] = { { .want = 1 }, { .want = 1 }, { .want = 1 }, { .want = 1 } };
	probe_start(&s[0], f, "/t.Echo/Idle", "x");
	probe_start(&s[1], f, "/t.Echo/Idle", "x");
	probe_start_with(
		&s[2], f, (struct writ_rpc_request){ .path = "/t.Echo/Bidi", .bidi = true }, "x");
	for (int i = 0; i < 3; i++)
		probe_wait(&s[i]);
	f->hold_on_end = true;
	f->held = NULL;
	probe_start(&s[3], f, "/t.Echo/Hold", "x");
	while (!f->held)
		writ_loop_run_until(f->loop, &s[3].done, writ_mono_ms() + 1);
	fixture_stop(f, WAIT_MS);
	wait_for(f, &f->stopped);
	for (int i = 0; i < 4; i++) {
		wait_count(f, &s[i].ended, 1);
		assert_int_equal(s[i].status.code, 14);
		assert_int_equal(s[i].status.rc, WRIT_EUNAVAIL);
	}
	assert_int_equal(f->after, 4);
	assert_int_equal(f->ended, 4);
	assert_string_equal(s[0].text, "the server is stopping");
}

static void stopping_waits_for_a_handler_that_holds_a_call(void **state)
{
	struct fixture *f = *state;
	struct probe p = { 0 };
	Text m = TEXT_INIT;
	probe_start(&p, f, "/t.Echo/Hold", "x");
	while (!f->held)
		writ_loop_run_until(f->loop, &p.done, writ_mono_ms() + 1);
	fixture_stop(f, 20);
	wait_count(f, &p.ended, 1);
	assert_int_equal(p.status.code, 14);
	assert_false(writ_loop_run_until(f->loop, &f->stopped, writ_mono_ms() + 60));
	assert_true(writ_call_cancelled(f->held));
	writ_call_reply(f->held, &m.base);
	wait_for(f, &f->stopped);
}

/* A peer that opens /t.Echo/Idle with a flow-control window of nothing: no message, and so no
 * status, can ever go to it. */
static const char blocked[] =
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	"\0\0\6\4\0\0\0\0\0\0\4\0\0\0\0" /* SETTINGS: initial window 0 */
	"\0\0\70\1\4\0\0\0\1"            /* HEADERS */
	"\203\206\4\14/t.Echo/Idle\1\1x" /* POST, http, path, authority */
	"\20\2te\10trailers\17\20\20application/grpc"
	"\20\1k\1v"
	"\0\0\5\0\1\0\0\0\1\0\0\0\0\0"; /* DATA: an empty message, and the end */

static int raw_client(struct fixture *f)
{
	int pair[2];
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	struct writ_peer *peer = writ_alloc(sizeof(*peer));
	peer->refs = 1;
	peer->pidfd = -1;
	writ_rpc_server_add_fd(f->server, pair[1], peer);
	writ_peer_unref(peer);
	return pair[0];
}

static void a_client_that_takes_nothing_cannot_hold_up_a_stop(void **state)
{
	struct fixture *f = *state;
	int fd = raw_client(f);
	assert_int_equal(send(fd, blocked, sizeof(blocked) - 1, 0), (int)sizeof(blocked) - 1);
	while (!f->held)
		writ_loop_run_until(f->loop, &f->stopped, writ_mono_ms() + 1);
	assert_true(f->held->sending);
	fixture_stop(f, 50);
	wait_for(f, &f->stopped);
	assert_int_equal(f->ended, 1);
	assert_int_equal(f->last_status, 14);
	close(fd);
}

/* gRPC reads the end of what a client says as the end of the client. */
static void a_client_that_half_closes_its_socket_is_gone(void **state)
{
	struct fixture *f = *state;
	struct probe p = { 0 };
	for (int i = 0; i < 20; i++) {
		int fd = raw_client(f);
		assert_int_equal(
			send(fd, blocked, sizeof(blocked) - 1, 0), (int)sizeof(blocked) - 1);
		if (i % 2 == 0)
			while (!f->held)
				writ_loop_run_until(f->loop, &f->stopped, writ_mono_ms() + 1);
		assert_int_equal(shutdown(fd, SHUT_WR), 0);
		if (i % 2 == 0)
			while (f->held)
				writ_loop_run_until(f->loop, &f->stopped, writ_mono_ms() + 1);
		close(fd);
	}
	probe_start(&p, f, "/t.Echo/Unary", "x");
	wait_count(f, &p.ended, 1);
	assert_int_equal(p.status.code, 0);
	while (f->server->n_calls > 0)
		writ_loop_run_until(f->loop, &f->stopped, writ_mono_ms() + 1);
}

/* With registered methods alone such a call would never be answered, and its connection never be
 * freed. */
static void calls_to_unknown_paths_leave_nothing(void **state)
{
	struct fixture *f = *state;
	enum { N = 200 };
	struct probe p[N] = { { 0 } };
	for (int i = 0; i < N; i++)
		probe_start(&p[i], f, i % 2 == 0 ? "/t.Echo/Nope" : "/x", "x");
	for (int i = 0; i < N; i++) {
		wait_count(f, &p[i].ended, 1);
		assert_int_equal(p[i].status.code, 12);
	}
	wait_count(f, &f->after, N);
	assert_int_equal(f->server->n_calls, 0);
	assert_true(f->server->unknown.posted > 0);
	/* a burst made it post more, up to a maximum */
	assert_in_range(f->server->unknown.target, POSTED_FIRST, POSTED_MAX);
}

static void a_call_that_comes_while_the_server_stops_is_told_so(void **state)
{
	struct fixture *f = *state;
	struct probe p = { 0 }, q = { 0 };
	Text m = TEXT_INIT;
	probe_start(&p, f, "/t.Echo/Hold", "x");
	while (!f->held)
		writ_loop_run_until(f->loop, &p.done, writ_mono_ms() + 1);
	fixture_stop(f, WAIT_MS);
	wait_count(f, &p.ended, 1);
	probe_start(&q, f, "/t.Echo/Unary", "x");
	wait_count(f, &q.ended, 1);
	assert_int_equal(q.status.code, 14);
	assert_string_equal(q.text, "the server is stopping");
	writ_call_reply(f->held, &m.base);
	wait_for(f, &f->stopped);
}

static void a_call_on_a_closing_channel_fails(void **state)
{
	struct fixture *f = *state;
	struct probe p = { 0 }, q = { 0 };
	bool closed = false;
	probe_start(&p, f, "/t.Echo/Idle", "x");
	writ_channel_close(f->ch[0], set_true, &closed);
	probe_start(&q, f, "/t.Echo/Unary", "x");
	f->ch[0] = NULL;
	wait_for(f, &closed);
	assert_int_equal(q.ended, 1);
	assert_int_equal(q.status.rc, WRIT_ECANCELED);
}

static void what_grpc_logs_is_escaped_and_limited(void **state)
{
	struct writ_err err;
	char dir[] = "/tmp/test_rpc.XXXXXX", path[64], line[4096];
	size_t lines = 0;
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/log", dir);
	assert_ok(writ_log_open(WRIT_LOG_INFO, WRIT_LOG_TEXT, path, "test", &err), err);
	for (int i = 0; i < 1000; i++)
		gpr_log(GPR_ERROR, "peer says \xff\x01\nlevel=error msg=forged %d", i);
	assert_ok(writ_log_open(WRIT_LOG_INFO, WRIT_LOG_TEXT, NULL, "test", &err), err);
	FILE *log = fopen(path, "re");
	assert_non_null(log);
	while (fgets(line, sizeof(line), log)) {
		lines++;
		assert_null(strchr(line, '\xff'));
		assert_null(strchr(line, '\x01'));
		assert_non_null(strstr(line, "msg=grpc"));
	}
	assert_in_range(lines, 1, 20);
	fclose(log);
	unlink(path);
	rmdir(dir);
}

/* The whole way: a Unix socket, the front, gRPC, and back. */
struct real {
	struct fixture *f;
	struct writ_rpc_server *server;
	struct writ_channel *ch;
	char dir[32], path[64];
	bool stopped;
};

static void real_start(struct real *r)
{
	struct writ_err err;
	int fd;
	snprintf(r->dir, sizeof(r->dir), "/tmp/test_rpc.XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	snprintf(r->path, sizeof(r->path), "%s/sock", r->dir);
	assert_ok(writ_listen_unix(r->path, 0600, &fd, &err), err);
	struct writ_rpc_server_config cfg = r->f->server->cfg;
	cfg.front.name = "test";
	cfg.front.limits = WRIT_FRONT_LIMITS;
	assert_ok(writ_rpc_server_start(&cfg, fd, &r->server, &err), err);
	assert_ok(writ_channel_unix(r->f->loop, r->path, &r->ch, &err), err);
}

/* An idle stream over it. */
static void real_idle(struct real *r, struct probe *p)
{
	struct writ_channel *own = r->f->ch[0];
	r->f->ch[0] = r->ch;
	probe_start(p, r->f, "/t.Echo/Idle", "x");
	probe_wait(p);
	r->f->ch[0] = own;
}

static void real_end(struct real *r)
{
	bool closed = false;
	struct writ_err err;
	if (!r->stopped)
		writ_rpc_server_stop(r->server, WAIT_MS, set_true, &r->stopped);
	wait_for(r->f, &r->stopped);
	writ_channel_close(r->ch, set_true, &closed);
	wait_for(r->f, &closed);
	/* nobody serves the path any more, and connecting says so */
	assert_fails(
		writ_channel_unix(r->f->loop, r->path, &r->ch, &err), WRIT_EUNAVAIL, err, r->path);
	unlink(r->path);
	rmdir(r->dir);
}

static void the_front_says_who_calls(void **state)
{
	struct fixture *f = *state;
	struct real r = { .f = f };
	struct probe p = { .want = 1 };
	real_start(&r);
	real_idle(&r, &p);
	const struct writ_peer *peer = writ_call_peer(f->held);
	assert_int_equal(peer->kind, WRIT_PEER_UNIX);
	assert_int_equal(peer->pid, getpid());
	assert_int_equal(peer->uid, getuid());
	assert_int_equal(writ_front_count(writ_rpc_server_front(r.server)), 1);
	/* the last word goes through the front too */
	writ_rpc_server_stop(r.server, WAIT_MS, set_true, &r.stopped);
	wait_count(f, &p.ended, 1);
	assert_int_equal(p.status.code, 14);
	assert_string_equal(p.text, "the server is stopping");
	wait_for(f, &r.stopped);
	real_end(&r);
}

static bool all_of_them(void *arg, const struct writ_peer *p)
{
	(void)arg;
	(void)p;
	return true;
}

static void a_connection_that_is_cut_ends_its_calls(void **state)
{
	struct fixture *f = *state;
	struct real r = { .f = f };
	struct probe p = { .want = 1 };
	real_start(&r);
	real_idle(&r, &p);
	assert_int_equal(
		writ_front_cut(writ_rpc_server_front(r.server), all_of_them, NULL, "test"), 1);
	wait_count(f, &p.ended, 1);
	assert_int_equal(p.status.code, 14);
	wait_count(f, &f->after, 1);
	assert_int_equal(f->ended, 1);
	real_end(&r);
}

static void a_broken_connection_ends_each_call_once(void **state)
{
	struct fixture *f = *state;
	struct probe p = { .want = 1 }, q = { 0 };
	probe_start(&p, f, "/t.Echo/Idle", "x");
	probe_wait(&p);
	assert_int_equal(shutdown(f->server_fd[0], SHUT_RDWR), 0);
	wait_count(f, &p.ended, 1);
	assert_int_equal(p.status.code, 14);
	wait_count(f, &f->after, 1);
	assert_int_equal(f->ended, 1);
	/* there is no other connection behind a channel: later calls fail at once */
	probe_start(&q, f, "/t.Echo/Unary", "x");
	assert_int_equal(q.ended, 0);
	wait_count(f, &q.ended, 1);
	assert_int_equal(q.status.code, 14);
	assert_int_equal(p.ended, 1);
}

static void a_channel_that_is_closed_cancels_its_calls(void **state)
{
	struct fixture *f = *state;
	struct probe p[5] = { 0 };
	bool closed = false;
	for (int i = 0; i < 5; i++)
		probe_start(&p[i], f, "/t.Echo/Idle", "x");
	writ_channel_close(f->ch[0], set_true, &closed);
	f->ch[0] = NULL;
	assert_false(closed);
	wait_for(f, &closed);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(p[i].ended, 1);
		assert_int_equal(p[i].status.code, 1);
	}
}

static void connecting_says_what_is_wrong(void **state)
{
	struct fixture *f = *state;
	struct writ_channel *c = NULL;
	struct writ_err err;
	char longer[200];
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	assert_fails(writ_channel_unix(f->loop, "/nonexistent/sock", &c, &err), WRIT_EUNAVAIL, err,
		"/nonexistent/sock: there is no such socket");
	assert_fails(writ_channel_unix(f->loop, longer, &c, &err), WRIT_EINVAL, err, "longer than");
	assert_null(c);
}

int main(int argc, char **argv)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_server_that_stops_ends_streams_with_unavailable),
		TEST(stopping_waits_for_a_handler_that_holds_a_call),
		TEST(a_client_that_takes_nothing_cannot_hold_up_a_stop),
		TEST(a_client_that_half_closes_its_socket_is_gone),
		TEST(calls_to_unknown_paths_leave_nothing),
		TEST(a_call_that_comes_while_the_server_stops_is_told_so),
		TEST(a_call_on_a_closing_channel_fails),
		TEST(what_grpc_logs_is_escaped_and_limited),
		TEST(the_front_says_who_calls),
		TEST(a_connection_that_is_cut_ends_its_calls),
		TEST(a_broken_connection_ends_each_call_once),
		TEST(a_channel_that_is_closed_cancels_its_calls),
		TEST(connecting_says_what_is_wrong),
	};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
