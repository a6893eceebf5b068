/* SPDX-License-Identifier: Apache-2.0 */
/* The front on real Unix sockets: limits, shaping, back-pressure, raw connections, listening. */
#include "check.h"
#include "ux.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- limits --- */

static void a_uid_and_a_process_have_their_maximum(void **state)
{
	(void)state;
	static const struct {
		uint32_t uid, process, total;
		const char *text;
	} rows[] = { { 3, 9, 9, "this uid has 3" }, { 9, 3, 9, "this process has 3" },
		{ 9, 9, 3, "3 connections are open" } };
	for (size_t i = 0; i < 3; i++) {
		struct ux x;
		struct writ_front_limits l = WRIT_FRONT_LIMITS;
		l.per_uid = rows[i].uid;
		l.per_process = rows[i].process;
		l.total = rows[i].total;
		ux_open_with(&x, &l, true);
		int fds[4];
		for (int k = 0; k < 4; k++)
			fds[k] = ux_dial(&x);
		ux_wait(&x, &x.refused, 1);
		assert_non_null(strstr(x.why, rows[i].text));
		assert_int_equal(writ_front_count(x.front), 3);
		close(fds[0]);
		ux_wait(&x, &x.refused, 2);
		int fd = ux_call(&x); /* there is room again */
		close(fd);
		for (int k = 1; k < 4; k++)
			close(fds[k]);
		ux_close(&x);
	}
}

/* Whoever may be 65,536 users has not as many shares. */
static void uids_of_one_range_share_their_connections(void **state)
{
	(void)state;
	static const uid_t uids[] = { 131072, 131073, 196607, 196608, 40000, 40000, 65535 };
	enum { N = WRIT_COUNT(uids) };
	struct ux x;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	if (geteuid() != 0)
		skip();
	l.total = 8; /* a quarter: 2 */
	ux_open_with(&x, &l, true);
	assert_int_equal(chmod(x.dir, 0755), 0);
	int fds[N];
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(seteuid(uids[i]), 0);
		fds[i] = ux_dial(&x);
		assert_int_equal(seteuid(0), 0);
	}
	ux_wait(&x, &x.refused, 1);
	ux_turn(&x, 5);
	assert_non_null(strstr(x.why, "upper 16 bits of this one have 2 connections open"));
	assert_int_equal(writ_front_count(x.front), N - 1);
	assert_true(ux_over(&x, fds[2]));
	close(fds[0]);
	ux_wait(&x, &x.refused, 2);
	assert_int_equal(seteuid(uids[2]), 0);
	fds[0] = ux_dial(&x);
	assert_int_equal(seteuid(0), 0);
	ux_turn(&x, 5);
	assert_int_equal(writ_front_count(x.front), N - 1); /* there is room again */
	for (size_t i = 0; i < N; i++)
		close(fds[i]);
	ux_close(&x);
}

static void one_uid_has_half_where_descriptors_are_few(void **state)
{
	(void)state;
	struct ux x;
	struct rlimit old, few;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = 64 + 4 * 8; /* eight connections */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	l.total = 0;
	ux_open_with(&x, &l, true);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	int fds[5];
	for (int i = 0; i < 5; i++)
		fds[i] = ux_dial(&x);
	ux_wait(&x, &x.refused, 1);
	assert_non_null(strstr(x.why, "this uid has 4"));
	assert_int_equal(writ_front_count(x.front), 4);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
	ux_close(&x);
}

/* A caller who connects and leaves costs more than he says; the next one of his uid waits. */
static void who_leaves_at_once_owes_for_it(void **state)
{
	(void)state;
	struct ux x;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.fault_ms = 40;
	l.debt_ms = 150;
	ux_open_with(&x, &l, true);
	for (int i = 0; i < 10; i++)
		close(ux_dial(&x));
	ux_wait(&x, &x.refused, 4);
	int64_t begin = writ_mono_ms();
	int fd = ux_call(&x);
	assert_in_range(writ_mono_ms() - begin, 60, 2000); /* no more than debt_ms, though */
	close(fd);
	ux_wait(&x, &x.closed, 1);
	assert_int_equal(writ_front_count(x.front), 0);
	ux_close(&x);
}

static void exhausted_descriptors_do_not_end_the_service(void **state)
{
	(void)state;
	struct ux x;
	struct rlimit old, tight;
	ux_open(&x);
	int fds[40];
	for (int i = 0; i < 40; i++)
		fds[i] = ux_dial(&x);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	tight = old;
	tight.rlim_cur = (rlim_t)fds[39] + 13;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	int64_t cpu = writ_thread_cpu_us();
	ux_wait(&x, &x.refused, 20);
	ux_turn(&x, 200);
	assert_true(writ_thread_cpu_us() - cpu < 100000); /* it does not spin */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(writ_front_count(x.front) < 20);
	for (int i = 0; i < 40; i++)
		close(fds[i]);
	int fd = ux_call(&x); /* and it accepts again */
	close(fd);
	ux_close(&x);
}

/* --- shaping --- */

static void a_flood_is_slowed_and_then_goes_on(void **state)
{
	(void)state;
	struct ux x;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.control_burst = 20;
	l.control_rate = 200;
	ux_open_with(&x, &l, true);
	int fd = ux_call(&x);
	char pings[50 * 17] = { 0 }, back[sizeof(pings)];
	for (int i = 0; i < 50; i++) {
		pings[i * 17 + 2] = 8;
		pings[i * 17 + 3] = 6;
		pings[i * 17 + 9] = (char)i;
	}
	int64_t begin = writ_mono_ms();
	ux_put(fd, pings, sizeof(pings));
	/* Regression: paused again inside the resume timer, the connection must wake up again; it
	 * needs ten pauses or so. */
	ux_get(&x, x.fd, back, sizeof(back));
	assert_memory_equal(back, pings, sizeof(pings));
	assert_in_range(writ_mono_ms() - begin, 100, 4000);
	assert_true(writ_front_stats(x.front).shaped > 3);
	assert_int_equal(x.closed, 0);
	close(fd);
	ux_wait(&x, &x.closed, 1);
	ux_close(&x);
}

/* Regression: the end of a client must be noticed while nobody reads from it. */
static void a_paused_client_that_leaves_is_noticed(void **state)
{
	(void)state;
	struct ux x;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.control_burst = 10;
	l.control_rate = 1; /* the pause would last seconds */
	ux_open_with(&x, &l, true);
	int fd = ux_call(&x);
	char pings[40 * 17] = { 0 };
	for (int i = 0; i < 40; i++) {
		pings[i * 17 + 2] = 8;
		pings[i * 17 + 3] = 6;
	}
	ux_put(fd, pings, sizeof(pings));
	ux_turn(&x, 10);
	assert_int_equal(writ_front_stats(x.front).shaped, 1);
	int64_t begin = writ_mono_ms();
	close(fd);
	ux_wait(&x, &x.closed, 1);
	assert_true(writ_mono_ms() - begin < 500);
	ux_close(&x);
}

static void debt_delays_the_next_connection_of_the_uid_once(void **state)
{
	(void)state;
	struct ux x;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.control_burst = 80;
	l.control_rate = 200;
	l.debt_ms = 100;
	l.start_ms = 90; /* shorter than the delay: the delay must not count */
	ux_open_with(&x, &l, true);
	int fd = ux_call(&x);
	char pings[79 * 17] = { 0 };
	for (int i = 0; i < 79; i++) {
		pings[i * 17 + 2] = 8;
		pings[i * 17 + 3] = 6;
	}
	ux_put(fd, pings, sizeof(pings));
	char back[sizeof(pings)];
	ux_get(&x, x.fd, back, sizeof(back));
	close(fd);
	ux_wait(&x, &x.closed, 1);
	close(x.fd);
	int64_t begin = writ_mono_ms();
	fd = ux_call(&x);
	assert_in_range(writ_mono_ms() - begin, 60, 2000);
	close(fd);
	ux_wait(&x, &x.closed, 2);
	close(x.fd);
	begin = writ_mono_ms();
	fd = ux_call(&x); /* the heir spent nothing */
	assert_true(writ_mono_ms() - begin < 60);
	close(fd);
	ux_wait(&x, &x.closed, 3);
	ux_close(&x);
}

/* --- back-pressure --- */

static size_t stuff(struct ux *x, int fd, const void *p, size_t n)
{
	size_t sum = 0;
	int64_t until = writ_mono_ms() + 300;
	while (writ_mono_ms() < until) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (k > 0)
			sum += (size_t)k;
		else
			ux_turn(x, 1);
	}
	return sum;
}

static void who_does_not_read_stops_the_other(void **state)
{
	(void)state;
	struct ux x;
	static char block[65536];
	ux_open_with(&x, NULL, false);
	int pair[2], fd = ux_dial(&x);
	ux_wait(&x, &x.opened, 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	writ_front_backend(x.conn, pair[0]);
	int64_t cpu = writ_thread_cpu_us();
	size_t up = stuff(&x, fd, block, sizeof(block)),
	       down = stuff(&x, pair[1], block, sizeof(block));
	/* Two kernel buffers (some 200 kB each) and at most 64 KiB of ours. */
	assert_in_range(up, 1, 2 * 300000 + 65536);
	assert_in_range(down, 1, 2 * 300000 + 65536);
	assert_true(writ_thread_cpu_us() - cpu < 450000);
	/* Nothing is lost once they read. */
	size_t got = 0;
	int64_t until = writ_mono_ms() + UX_PATIENCE_MS;
	while (got < up + down && writ_mono_ms() < until) {
		ssize_t a = recv(pair[1], block, sizeof(block), MSG_DONTWAIT);
		ssize_t b = recv(fd, block, sizeof(block), MSG_DONTWAIT);
		got += (a > 0 ? (size_t)a : 0) + (b > 0 ? (size_t)b : 0);
		if (a <= 0 && b <= 0)
			ux_turn(&x, 1);
	}
	assert_int_equal(got, up + down);
	close(fd);
	assert_true(ux_over(&x, pair[1]));
	close(pair[1]);
	ux_wait(&x, &x.closed, 1);
	ux_close(&x);
}

/* --- raw --- */

static void raw_halves_close_one_by_one(void **state)
{
	(void)state;
	struct ux x;
	char c[16];
	ux_open_with(&x, NULL, false);
	int pair[2], fd = ux_dial(&x);
	ux_put(fd, "question", 8);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	ux_wait(&x, &x.opened, 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	writ_front_backend(x.conn, pair[0]);
	ux_get(&x, pair[1], c, 8);
	assert_true(ux_over(&x, pair[1])); /* the end came through */
	ux_put(pair[1], "answer", 6);
	ux_get(&x, fd, c, 6);
	assert_int_equal(x.closed, 0);
	close(pair[1]);
	assert_true(ux_over(&x, fd));
	ux_wait(&x, &x.closed, 1);
	close(fd);
	ux_close(&x);
}

static void raw_refusal_and_deadline(void **state)
{
	(void)state;
	struct ux x;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.backend_ms = 50;
	ux_open_with(&x, &l, false);
	int fd = ux_dial(&x);
	ux_wait(&x, &x.opened, 1);
	writ_front_refuse(x.conn, "not today");
	assert_int_equal(x.closed, 0);
	ux_wait(&x, &x.closed, 1);
	assert_string_equal(x.why, "not today");
	assert_true(ux_over(&x, fd));
	close(fd);
	fd = ux_dial(&x);
	ux_wait(&x, &x.closed, 2);
	assert_non_null(strstr(x.why, "no backend"));
	close(fd);
	ux_close(&x);
}

/* --- listening --- */

static void a_socket_has_its_mode_whatever_the_umask(void **state)
{
	(void)state;
	static const mode_t umasks[] = { 0, 022, 077 };
	for (size_t i = 0; i < 3; i++) {
		struct ux x;
		struct stat st;
		mode_t old = umask(umasks[i]);
		ux_open(&x);
		(void)umask(old);
		assert_int_equal(stat(x.path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0777);
		ux_close(&x);
	}
}

static void only_a_dead_socket_of_ours_is_replaced(void **state)
{
	(void)state;
	struct ux x;
	struct writ_err err;
	int fd = -1;
	char path[128];
	ux_open(&x);
	assert_int_equal(writ_listen_unix(x.path, 0600, &fd, &err), WRIT_EEXIST); /* alive */
	assert_non_null(strstr(err.msg, "in use"));
	writ_front_stop_accepting(x.front);
	assert_int_equal(writ_listen_unix(x.path, 0600, &fd, &err), WRIT_OK); /* stale */
	close(fd);
	(void)snprintf(path, sizeof(path), "%s/file", x.dir);
	assert_int_equal(writ_fs_write(path, "x", 1, 0600, &err), WRIT_OK);
	assert_int_equal(writ_listen_unix(path, 0600, &fd, &err), WRIT_EEXIST);
	(void)snprintf(path, sizeof(path), "%s/link", x.dir);
	assert_int_equal(symlink(x.path, path), 0);
	assert_int_equal(writ_listen_unix(path, 0600, &fd, &err), WRIT_EEXIST);
	assert_int_equal(writ_listen_unix("/nowhere/at/all.sock", 0600, &fd, &err), WRIT_ENOENT);
	char longest[200];
	memset(longest, 'a', sizeof(longest));
	longest[199] = '\0';
	assert_int_equal(writ_listen_unix(longest, 0600, &fd, &err), WRIT_EINVAL);
	assert_int_equal(chmod(x.dir, 0777), 0);
	(void)snprintf(path, sizeof(path), "%s/new.sock", x.dir);
	assert_int_not_equal(
		writ_listen_unix(path, 0600, &fd, &err), WRIT_OK); /* anybody may write there */
	ux_close(&x);
}

static void a_front_goes_with_connections_in_every_state(void **state)
{
	(void)state;
	struct ux x;
	ux_open(&x);
	int a = ux_dial(&x), b = ux_call(&x), c = ux_dial(&x);
	ux_put(c, ux_hello, 10);
	writ_front_challenge(x.front, x.peer, 5000, ux_on_answer, &x);
	ux_turn(&x, 5);
	ux_close(&x);
	assert_int_equal(x.closed, 0); /* no callback after free, but the question's answer */
	assert_int_equal(x.answered, 1);
	close(a);
	close(b);
	close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_uid_and_a_process_have_their_maximum),
		cmocka_unit_test(uids_of_one_range_share_their_connections),
		cmocka_unit_test(one_uid_has_half_where_descriptors_are_few),
		cmocka_unit_test(who_leaves_at_once_owes_for_it),
		cmocka_unit_test(exhausted_descriptors_do_not_end_the_service),
		cmocka_unit_test(a_flood_is_slowed_and_then_goes_on),
		cmocka_unit_test(a_paused_client_that_leaves_is_noticed),
		cmocka_unit_test(debt_delays_the_next_connection_of_the_uid_once),
		cmocka_unit_test(who_does_not_read_stops_the_other),
		cmocka_unit_test(raw_halves_close_one_by_one),
		cmocka_unit_test(raw_refusal_and_deadline),
		cmocka_unit_test(a_socket_has_its_mode_whatever_the_umask),
		cmocka_unit_test(only_a_dead_socket_of_ours_is_replaced),
		cmocka_unit_test(a_front_goes_with_connections_in_every_state),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
