/* SPDX-License-Identifier: Apache-2.0 */
/* The front on real Unix sockets, with a backend that is only the other end of the socket pair. */
#include "front/front.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 5000

struct fx {
	struct writ_loop *loop;
	struct writ_front *front;
	char dir[64], path[96];
	int fd; /* the newest backend end */
	int ready, closed, refused, opened, answered;
	bool answer;
	struct writ_peer *peer; /* of the newest connection; a reference */
	struct writ_conn *conn;
	char why[WRIT_ERR_MAX];
};

static void on_ready(void *arg, int fd, struct writ_peer *peer)
{
	struct fx *x = arg;
	x->fd = fd;
	x->ready++;
	writ_peer_unref(x->peer);
	x->peer = writ_peer_ref(peer);
	assert_ptr_equal(writ_front_peer(x->front, fd), peer);
}

static void on_open(void *arg, struct writ_conn *c, struct writ_peer *peer)
{
	struct fx *x = arg;
	x->opened++;
	x->conn = c;
	writ_peer_unref(x->peer);
	x->peer = writ_peer_ref(peer);
}

static void on_closed(void *arg, struct writ_peer *peer, const char *why)
{
	struct fx *x = arg;
	assert_true(peer->closed);
	assert_int_equal(peer->pidfd, -1);
	x->closed++;
	(void)snprintf(x->why, sizeof(x->why), "%s", why);
}

static void on_refused(void *arg, const char *addr, const struct writ_err *why)
{
	struct fx *x = arg;
	(void)addr;
	x->refused++;
	(void)snprintf(x->why, sizeof(x->why), "%s", why->msg);
}

static void on_answer(void *arg, bool ok)
{
	struct fx *x = arg;
	x->answered++;
	x->answer = ok;
}

static void setup_with(struct fx *x, const struct writ_front_limits *limits, bool http2)
{
	struct writ_err err;
	int fd = -1;
	*x = (struct fx){ .fd = -1 };
	strcpy(x->dir, "/tmp/writ-front-XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	(void)snprintf(x->path, sizeof(x->path), "%s/api.sock", x->dir);
	assert_int_equal(writ_loop_new(&x->loop, &err), WRIT_OK);
	if (writ_listen_unix(x->path, 0777, &fd, &err) != WRIT_OK)
		fail_msg("%s", err.msg);
	struct writ_front_config cfg = { .loop = x->loop,
		.name = "test",
		.limits = limits ? *limits : WRIT_FRONT_LIMITS,
		.http2 = http2,
		.ready = on_ready,
		.open = on_open,
		.closed = on_closed,
		.refused = on_refused,
		.arg = x };
	if (writ_front_start(&cfg, fd, &x->front, &err) != WRIT_OK)
		fail_msg("%s", err.msg);
}

static void setup(struct fx *x)
{
	setup_with(x, NULL, true);
}

static void teardown(struct fx *x)
{
	writ_peer_unref(x->peer);
	if (x->fd >= 0)
		close(x->fd);
	writ_front_free(x->front);
	writ_loop_free(x->loop);
	assert_int_equal(writ_fs_remove_tree(x->dir, NULL), WRIT_OK);
}

static void turn(struct fx *x, int64_t ms)
{
	bool never = false;
	(void)writ_loop_run_until(x->loop, &never, writ_mono_ms() + ms);
}

/* Until *counter is n. */
static void wait_for(struct fx *x, const int *counter, int n)
{
	int64_t until = writ_mono_ms() + PATIENCE_MS;
	while (*counter < n && writ_mono_ms() < until)
		turn(x, 2);
	if (*counter < n)
		fail_msg("waited for %d, got %d (last: %s)", n, *counter, x->why);
}

static int dial(const struct fx *x)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	memcpy(sa.sun_path, x->path, strlen(x->path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static const char hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
#define HELLO (sizeof(hello) - 1)

static void put(int fd, const void *p, size_t n)
{
	assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
}

/* Exactly n bytes, turning the loop meanwhile. */
static void get(struct fx *x, int fd, void *p, size_t n)
{
	int64_t until = writ_mono_ms() + PATIENCE_MS;
	size_t got = 0;
	while (got < n && writ_mono_ms() < until) {
		ssize_t k = recv(fd, (char *)p + got, n - got, MSG_DONTWAIT);
		if (k == 0)
			fail_msg("end after %zu of %zu bytes", got, n);
		if (k > 0)
			got += k;
		else
			turn(x, 1);
	}
	assert_int_equal(got, n);
}

/* True when the far side of fd has closed it. */
static bool is_over(struct fx *x, int fd)
{
	char c[4096];
	int64_t until = writ_mono_ms() + PATIENCE_MS;
	while (writ_mono_ms() < until) {
		ssize_t k = recv(fd, c, sizeof(c), MSG_DONTWAIT);
		if (k == 0 || (k < 0 && errno != EAGAIN))
			return true;
		if (k < 0)
			turn(x, 1);
	}
	return false;
}

static int open_fds(void)
{
	int n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int start_call(struct fx *x)
{
	char back[HELLO];
	int fd = dial(x), before = x->ready;
	put(fd, hello, HELLO);
	wait_for(x, &x->ready, before + 1);
	get(x, x->fd, back, HELLO);
	return fd;
}

/* --- hand-over
 * ------------------------------------------------------------------------------------ */

static void backend_sees_a_connection_only_after_preface_and_settings(void **state)
{
	(void)state;
	struct fx x;
	setup(&x);
	int fd = dial(&x);
	for (size_t i = 0; i < HELLO - 1; i++) {
		put(fd, hello + i, 1);
		turn(&x, 1);
		assert_int_equal(x.ready, 0);
	}
	put(fd, hello + HELLO - 1, 1);
	wait_for(&x, &x.ready, 1);
	close(fd);
	wait_for(&x, &x.closed, 1);
	teardown(&x);
}

static bool first_bytes_there;

static void on_ready_look(void *arg, int fd, struct writ_peer *peer)
{
	char c[512];
	first_bytes_there = recv(fd, c, sizeof(c), MSG_PEEK | MSG_DONTWAIT) == HELLO + 17;
	on_ready(arg, fd, peer);
}

static void first_bytes_are_there_before_the_backend_looks(void **state)
{
	(void)state;
	struct fx x;
	struct writ_err err;
	int lfd;
	static const char ping[17] = { 0, 0, 8, 6 };
	char both[HELLO + 17];
	setup(&x);
	writ_front_free(x.front);
	(void)unlink(x.path);
	assert_int_equal(writ_listen_unix(x.path, 0600, &lfd, &err), WRIT_OK);
	struct writ_front_config cfg = { .loop = x.loop,
		.name = "t",
		.limits = WRIT_FRONT_LIMITS,
		.http2 = true,
		.ready = on_ready_look,
		.closed = on_closed,
		.arg = &x };
	assert_int_equal(writ_front_start(&cfg, lfd, &x.front, &err), WRIT_OK);
	int fd = dial(&x);
	memcpy(both, hello, HELLO);
	memcpy(both + HELLO, ping, 17);
	put(fd, both, sizeof(both));
	wait_for(&x, &x.ready, 1);
	assert_true(first_bytes_there);
	close(fd);
	wait_for(&x, &x.closed, 1);
	teardown(&x);
}

static void caller_is_known_by_the_kernel(void **state)
{
	(void)state;
	struct fx x;
	char c[8];
	setup(&x);
	int fd = start_call(&x);
	assert_int_equal(x.peer->pid, getpid());
	assert_int_equal(x.peer->uid, getuid());
	assert_int_equal(x.peer->gid, getgid());
	gid_t groups[256];
	int n = getgroups(256, groups);
	assert_int_equal(x.peer->n_groups, n);
	struct pollfd pfd = { .fd = x.peer->pidfd, .events = POLLIN };
	assert_int_equal(poll(&pfd, 1, 0), 0); /* alive */
	assert_string_equal(x.peer->spiffe_id, "");
	put(fd, "\0\0\0\1\0\0\0\0\0",
		9); /* HEADERS on stream 0: whatever comes, it is the guard's to end it */
	assert_true(is_over(&x, fd));
	assert_true(is_over(&x, x.fd));
	assert_int_equal(recv(x.fd, c, 8, MSG_DONTWAIT) > 0, 0);
	wait_for(&x, &x.closed, 1);
	assert_int_equal(writ_front_stats(x.front).killed, 1);
	close(fd);
	teardown(&x);
}

static void bytes_go_both_ways(void **state)
{
	(void)state;
	struct fx x;
	char c[17];
	static const char up[17] = { 0, 0, 8, 6, 0, 0, 0, 0, 0, 'u', 'p' };
	static const char down[17] = { 0, 0, 8, 6, 1, 0, 0, 0, 0, 'd', 'o' };
	setup(&x);
	int fd = start_call(&x);
	put(fd, up, 17);
	get(&x, x.fd, c, 17);
	assert_memory_equal(c, up, 17);
	put(x.fd, down, 17);
	get(&x, fd, c, 17);
	assert_memory_equal(c, down, 17);
	close(x.fd);
	x.fd = -1;
	assert_true(is_over(&x, fd));
	wait_for(&x, &x.closed, 1);
	close(fd);
	teardown(&x);
}

/* --- ends
 * ------------------------------------------------------------------------------------------ */

static void half_close_and_reset_free_everything(void **state)
{
	(void)state;
	struct fx x;
	setup(&x);
	turn(&x, 1);
	int before = open_fds();
	for (int i = 0; i < 60; i++) {
		int fd = start_call(&x);
		if (i % 3 == 0)
			(void)shutdown(fd, SHUT_WR);
		if (i % 3 == 1)
			put(x.fd, "\0\0\0\4\0\0\0\0\0", 9); /* unread when it closes: a reset */
		if (i % 3 != 0)
			close(fd);
		assert_true(is_over(&x, x.fd));
		wait_for(&x, &x.closed, i + 1);
		assert_int_equal(x.peer->pidfd, -1);
		if (i % 3 == 0)
			close(fd);
		close(x.fd);
		x.fd = -1;
	}
	assert_int_equal(writ_front_count(x.front), 0);
	assert_int_equal(open_fds(), before); /* no pidfd, no socket pair left */
	teardown(&x);
}

/* Regression: the backend's death with our bytes unread comes as an error of the socket; what it
 * had written still counts. */
static void backends_last_words_arrive_though_it_died_with_bytes_unread(void **state)
{
	(void)state;
	struct fx x;
	char c[9];
	static const char words[9] = { 0, 0, 0, 4 };
	setup(&x);
	int fd = start_call(&x);
	put(fd, "\0\0\0\4\0\0\0\0\0", 9);
	struct pollfd p = { .fd = x.fd, .events = POLLIN };
	while (poll(&p, 1, 0) == 0)
		turn(&x, 1);
	put(x.fd, words, 9);
	close(x.fd);
	x.fd = -1;
	get(&x, fd, c, 9);
	assert_memory_equal(c, words, 9);
	assert_true(is_over(&x, fd));
	wait_for(&x, &x.closed, 1);
	close(fd);
	teardown(&x);
}

static void silence_ends_at_the_deadline(void **state)
{
	(void)state;
	struct fx x;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.start_ms = 60;
	setup_with(&x, &l, true);
	int a = dial(&x), b = dial(&x);
	put(b, hello, 30); /* and then nothing more */
	int64_t begin = writ_mono_ms();
	wait_for(&x, &x.refused, 2);
	assert_in_range(writ_mono_ms() - begin, 40, 2000);
	assert_int_equal(x.ready, 0);
	assert_true(is_over(&x, a));
	assert_true(is_over(&x, b));
	assert_non_null(strstr(x.why, "deadline"));
	close(a);
	close(b);
	teardown(&x);
}

static void a_byte_at_a_time_does_not_stretch_the_deadline(void **state)
{
	(void)state;
	struct fx x;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.start_ms = 80;
	setup_with(&x, &l, true);
	int fd = dial(&x);
	size_t i = 0;
	int64_t begin = writ_mono_ms();
	while (!x.refused && i < HELLO - 1 && writ_mono_ms() - begin < 3000) {
		(void)send(fd, hello + i++, 1, MSG_NOSIGNAL);
		turn(&x, 10);
	}
	assert_int_equal(x.refused, 1);
	close(fd);
	teardown(&x);
}

static void idle_connections_end_when_asked_for(void **state)
{
	(void)state;
	struct fx x;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.idle_ms = 60;
	setup_with(&x, &l, true);
	int fd = start_call(&x);
	put(fd, "\0\0\1\1\4\0\0\0\1x", 10); /* a stream is open: not idle */
	turn(&x, 150);
	assert_int_equal(x.closed, 0);
	put(x.fd, "\0\0\1\1\5\0\0\0\1x", 10); /* the server ends it */
	wait_for(&x, &x.closed, 1);
	assert_non_null(strstr(x.why, "idle"));
	close(fd);
	teardown(&x);
}

static bool match_conn(void *arg, const struct writ_peer *p)
{
	return p->conn_id == *(const uint64_t *)arg;
}

static void a_cut_reaches_both_ends_at_once(void **state)
{
	(void)state;
	struct fx x;
	char c;
	setup(&x);
	int other = start_call(&x);
	int other_backend = x.fd;
	int fd = start_call(&x);
	uint64_t id = x.peer->conn_id;
	assert_int_equal(writ_front_cut(x.front, match_conn, &id, "revoked"), 1);
	assert_int_equal(x.closed, 0); /* no callback inside the call */
	assert_int_equal(recv(fd, &c, 1, MSG_DONTWAIT), 0);
	assert_int_equal(recv(x.fd, &c, 1, MSG_DONTWAIT), 0);
	wait_for(&x, &x.closed, 1);
	assert_string_equal(x.why, "revoked");
	assert_int_equal(writ_front_cut(x.front, match_conn, &id, "again"), 0);
	assert_int_equal(recv(other, &c, 1, MSG_DONTWAIT), -1); /* the other one lives */
	assert_int_equal(writ_front_stats(x.front).cut, 1);
	close(fd);
	close(other);
	close(other_backend);
	teardown(&x);
}

static void peer_is_found_while_its_number_is_not_used_again(void **state)
{
	(void)state;
	struct fx x;
	setup(&x);
	int fd = start_call(&x);
	struct writ_peer *p = writ_peer_ref(x.peer);
	close(fd);
	wait_for(&x, &x.closed, 1);
	assert_ptr_equal(writ_front_peer(x.front, x.fd), p); /* a call may still be alive */
	assert_true(p->closed);
	assert_null(writ_front_peer(x.front, 9999));
	assert_null(writ_front_peer(x.front, -1));
	writ_peer_unref(p);
	teardown(&x);
}

/* --- who writes
 * ------------------------------------------------------------------------------------ */

static void in_child(void (*what)(int fd), int fd)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		what(fd);
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void write_ping(int fd)
{
	static const char ping[17] = { 0, 0, 8, 6 };
	if (send(fd, ping, 17, MSG_NOSIGNAL) != 17)
		_exit(1);
}

static void another_process_with_the_same_socket_is_cut(void **state)
{
	(void)state;
	struct fx x;
	char c;
	setup(&x);
	int fd = start_call(&x);
	in_child(write_ping, fd);
	wait_for(&x, &x.closed, 1);
	assert_non_null(strstr(x.why, "another process"));
	assert_true(is_over(&x, fd));
	assert_int_equal(recv(x.fd, &c, 1, MSG_DONTWAIT), 0); /* not one byte of it came through */
	assert_int_equal(writ_front_stats(x.front).killed, 1);
	close(fd);
	teardown(&x);
}

static void send_hello(int fd)
{
	if (send(fd, hello, HELLO, MSG_NOSIGNAL) != (ssize_t)HELLO)
		_exit(1);
}

static void a_child_that_speaks_first_is_refused(void **state)
{
	(void)state;
	struct fx x;
	setup(&x);
	int fd = dial(&x);
	in_child(send_hello, fd);
	wait_for(&x, &x.refused, 1);
	assert_int_equal(x.ready, 0);
	close(fd);
	teardown(&x);
}

static void passed_descriptors_are_never_installed(void **state)
{
	(void)state;
	struct fx x;
	setup(&x);
	int fd = start_call(&x);
	int before = open_fds();
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	char ping[17] = { 0, 0, 8, 6 };
	struct iovec iov = { ping, sizeof(ping) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(int));
	ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL);
	if (n > 0) /* a kernel before 6.16 */
		wait_for(&x, &x.closed, 1);
	else
		assert_int_equal(errno, EPERM);
	turn(&x, 5);
	assert_true(open_fds() <= before);
	close(fd);
	teardown(&x);
}

static void challenge_is_answered_by_the_peer_alone(void **state)
{
	(void)state;
	struct fx x;
	char ping[17];
	setup(&x);
	int fd = start_call(&x);
	writ_front_challenge(
		x.front, x.peer, 2000, on_answer, &x); /* before the server said anything */
	turn(&x, 5);
	assert_int_equal(recv(fd, ping, 17, MSG_DONTWAIT), -1);
	put(x.fd, "\0\0\0\4\0\0\0\0\0", 9);
	char c[9];
	get(&x, fd, c, 9); /* the server's SETTINGS come first */
	get(&x, fd, ping, 17);
	assert_int_equal(ping[3], 6);
	ping[4] = 1;
	put(fd, ping, 17);
	wait_for(&x, &x.answered, 1);
	assert_true(x.answer);

	writ_front_challenge(x.front, x.peer, 30, on_answer, &x);
	assert_int_equal(x.answered, 1); /* no callback inside the call */
	wait_for(&x, &x.answered, 2);
	assert_false(x.answer); /* in time */

	writ_front_challenge(x.front, x.peer, 5000, on_answer, &x);
	close(fd);
	wait_for(&x, &x.answered, 3);
	assert_false(x.answer); /* the connection ended */
	writ_front_challenge(x.front, x.peer, 5000, on_answer, &x);
	wait_for(&x, &x.answered, 4);
	assert_false(x.answer);
	teardown(&x);
}

/* --- limits
 * ---------------------------------------------------------------------------------------- */

static void a_uid_and_a_process_have_their_maximum(void **state)
{
	(void)state;
	static const struct {
		uint32_t uid, process, total;
		const char *text;
	} rows[] = { { 3, 9, 9, "this uid has 3" }, { 9, 3, 9, "this process has 3" },
		{ 9, 9, 3, "3 connections are open" } };
	for (size_t i = 0; i < 3; i++) {
		struct fx x;
		struct writ_front_limits l = WRIT_FRONT_LIMITS;
		l.per_uid = rows[i].uid;
		l.per_process = rows[i].process;
		l.total = rows[i].total;
		setup_with(&x, &l, true);
		int fds[4];
		for (int k = 0; k < 4; k++)
			fds[k] = dial(&x);
		wait_for(&x, &x.refused, 1);
		assert_non_null(strstr(x.why, rows[i].text));
		assert_int_equal(writ_front_count(x.front), 3);
		close(fds[0]);
		wait_for(&x, &x.refused, 2);
		int fd = start_call(&x); /* there is room again */
		close(fd);
		for (int k = 1; k < 4; k++)
			close(fds[k]);
		teardown(&x);
	}
}

static void exhausted_descriptors_do_not_end_the_service(void **state)
{
	(void)state;
	struct fx x;
	struct rlimit old, tight;
	setup(&x);
	int fds[40];
	for (int i = 0; i < 40; i++)
		fds[i] = dial(&x);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	tight = old;
	tight.rlim_cur = (rlim_t)fds[39] + 13;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	int64_t cpu = writ_thread_cpu_us();
	wait_for(&x, &x.refused, 20);
	turn(&x, 200);
	assert_true(writ_thread_cpu_us() - cpu < 100000); /* it does not spin */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(writ_front_count(x.front) < 20);
	for (int i = 0; i < 40; i++)
		close(fds[i]);
	int fd = start_call(&x); /* and it accepts again */
	close(fd);
	teardown(&x);
}

/* --- shaping
 * --------------------------------------------------------------------------------------- */

static void a_flood_is_slowed_and_then_goes_on(void **state)
{
	(void)state;
	struct fx x;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.control_burst = 20;
	l.control_rate = 200;
	setup_with(&x, &l, true);
	int fd = start_call(&x);
	char pings[50 * 17] = { 0 }, back[sizeof(pings)];
	for (int i = 0; i < 50; i++) {
		pings[i * 17 + 2] = 8;
		pings[i * 17 + 3] = 6;
		pings[i * 17 + 9] = (char)i;
	}
	int64_t begin = writ_mono_ms();
	put(fd, pings, sizeof(pings));
	/* Regression: paused again inside the resume timer, the connection must wake up again; it
	 * needs ten pauses or so. */
	get(&x, x.fd, back, sizeof(back));
	assert_memory_equal(back, pings, sizeof(pings));
	assert_in_range(writ_mono_ms() - begin, 100, 4000);
	assert_true(writ_front_stats(x.front).shaped > 3);
	assert_int_equal(x.closed, 0);
	close(fd);
	wait_for(&x, &x.closed, 1);
	teardown(&x);
}

/* Regression: the end of a client must be noticed while nobody reads from it. */
static void a_paused_client_that_leaves_is_noticed(void **state)
{
	(void)state;
	struct fx x;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.control_burst = 10;
	l.control_rate = 1; /* the pause would last seconds */
	setup_with(&x, &l, true);
	int fd = start_call(&x);
	char pings[40 * 17] = { 0 };
	for (int i = 0; i < 40; i++) {
		pings[i * 17 + 2] = 8;
		pings[i * 17 + 3] = 6;
	}
	put(fd, pings, sizeof(pings));
	turn(&x, 10);
	assert_int_equal(writ_front_stats(x.front).shaped, 1);
	int64_t begin = writ_mono_ms();
	close(fd);
	wait_for(&x, &x.closed, 1);
	assert_true(writ_mono_ms() - begin < 500);
	teardown(&x);
}

static void debt_delays_the_next_connection_of_the_uid_once(void **state)
{
	(void)state;
	struct fx x;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.control_burst = 80;
	l.control_rate = 200;
	l.debt_ms = 100;
	l.start_ms = 90; /* shorter than the delay: the delay must not count */
	setup_with(&x, &l, true);
	int fd = start_call(&x);
	char pings[79 * 17] = { 0 };
	for (int i = 0; i < 79; i++) {
		pings[i * 17 + 2] = 8;
		pings[i * 17 + 3] = 6;
	}
	put(fd, pings, sizeof(pings));
	char back[sizeof(pings)];
	get(&x, x.fd, back, sizeof(back));
	close(fd);
	wait_for(&x, &x.closed, 1);
	close(x.fd);
	int64_t begin = writ_mono_ms();
	fd = start_call(&x);
	assert_in_range(writ_mono_ms() - begin, 60, 2000);
	close(fd);
	wait_for(&x, &x.closed, 2);
	close(x.fd);
	begin = writ_mono_ms();
	fd = start_call(&x); /* the heir spent nothing */
	assert_true(writ_mono_ms() - begin < 60);
	close(fd);
	wait_for(&x, &x.closed, 3);
	teardown(&x);
}

/* --- back-pressure
 * --------------------------------------------------------------------------------- */

static size_t stuff(struct fx *x, int fd, const void *p, size_t n)
{
	size_t sum = 0;
	int64_t until = writ_mono_ms() + 300;
	while (writ_mono_ms() < until) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (k > 0)
			sum += (size_t)k;
		else
			turn(x, 1);
	}
	return sum;
}

static void who_does_not_read_stops_the_other(void **state)
{
	(void)state;
	struct fx x;
	static char block[65536];
	setup_with(&x, NULL, false);
	int pair[2], fd = dial(&x);
	wait_for(&x, &x.opened, 1);
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
	int64_t until = writ_mono_ms() + PATIENCE_MS;
	while (got < up + down && writ_mono_ms() < until) {
		ssize_t a = recv(pair[1], block, sizeof(block), MSG_DONTWAIT);
		ssize_t b = recv(fd, block, sizeof(block), MSG_DONTWAIT);
		got += (a > 0 ? (size_t)a : 0) + (b > 0 ? (size_t)b : 0);
		if (a <= 0 && b <= 0)
			turn(&x, 1);
	}
	assert_int_equal(got, up + down);
	close(fd);
	assert_true(is_over(&x, pair[1]));
	close(pair[1]);
	wait_for(&x, &x.closed, 1);
	teardown(&x);
}

/* --- raw
 * ------------------------------------------------------------------------------------------- */

static void raw_halves_close_one_by_one(void **state)
{
	(void)state;
	struct fx x;
	char c[16];
	setup_with(&x, NULL, false);
	int pair[2], fd = dial(&x);
	put(fd, "question", 8);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	wait_for(&x, &x.opened, 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	writ_front_backend(x.conn, pair[0]);
	get(&x, pair[1], c, 8);
	assert_true(is_over(&x, pair[1])); /* the end came through */
	put(pair[1], "answer", 6);
	get(&x, fd, c, 6);
	assert_int_equal(x.closed, 0);
	close(pair[1]);
	assert_true(is_over(&x, fd));
	wait_for(&x, &x.closed, 1);
	close(fd);
	teardown(&x);
}

static void raw_refusal_and_deadline(void **state)
{
	(void)state;
	struct fx x;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.start_ms = 50;
	setup_with(&x, &l, false);
	int fd = dial(&x);
	wait_for(&x, &x.opened, 1);
	writ_front_refuse(x.conn, "not today");
	assert_int_equal(x.closed, 0);
	wait_for(&x, &x.closed, 1);
	assert_string_equal(x.why, "not today");
	assert_true(is_over(&x, fd));
	close(fd);
	fd = dial(&x);
	wait_for(&x, &x.closed, 2);
	assert_non_null(strstr(x.why, "no backend"));
	close(fd);
	teardown(&x);
}

/* --- listening
 * ------------------------------------------------------------------------------------- */

static void a_socket_has_its_mode_whatever_the_umask(void **state)
{
	(void)state;
	static const mode_t umasks[] = { 0, 022, 077 };
	for (size_t i = 0; i < 3; i++) {
		struct fx x;
		struct stat st;
		mode_t old = umask(umasks[i]);
		setup(&x);
		(void)umask(old);
		assert_int_equal(stat(x.path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0777);
		teardown(&x);
	}
}

static void only_a_dead_socket_of_ours_is_replaced(void **state)
{
	(void)state;
	struct fx x;
	struct writ_err err;
	int fd = -1;
	char path[128];
	setup(&x);
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
	teardown(&x);
}

static void a_front_goes_with_connections_in_every_state(void **state)
{
	(void)state;
	struct fx x;
	setup(&x);
	int a = dial(&x), b = start_call(&x), c = dial(&x);
	put(c, hello, 10);
	writ_front_challenge(x.front, x.peer, 5000, on_answer, &x);
	turn(&x, 5);
	teardown(&x);
	assert_int_equal(x.closed, 0); /* no callback after free, but the question's answer */
	assert_int_equal(x.answered, 1);
	close(a);
	close(b);
	close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(backend_sees_a_connection_only_after_preface_and_settings),
		cmocka_unit_test(first_bytes_are_there_before_the_backend_looks),
		cmocka_unit_test(caller_is_known_by_the_kernel),
		cmocka_unit_test(bytes_go_both_ways),
		cmocka_unit_test(half_close_and_reset_free_everything),
		cmocka_unit_test(backends_last_words_arrive_though_it_died_with_bytes_unread),
		cmocka_unit_test(silence_ends_at_the_deadline),
		cmocka_unit_test(a_byte_at_a_time_does_not_stretch_the_deadline),
		cmocka_unit_test(idle_connections_end_when_asked_for),
		cmocka_unit_test(a_cut_reaches_both_ends_at_once),
		cmocka_unit_test(peer_is_found_while_its_number_is_not_used_again),
		cmocka_unit_test(another_process_with_the_same_socket_is_cut),
		cmocka_unit_test(a_child_that_speaks_first_is_refused),
		cmocka_unit_test(passed_descriptors_are_never_installed),
		cmocka_unit_test(challenge_is_answered_by_the_peer_alone),
		cmocka_unit_test(a_uid_and_a_process_have_their_maximum),
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
