/* SPDX-License-Identifier: Apache-2.0 */
/* The front on real Unix sockets: hand-over, ends, and who writes. */
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

/* --- hand-over --- */

static void backend_sees_a_connection_only_after_preface_and_settings(void **state)
{
	(void)state;
	struct ux x;
	ux_open(&x);
	int fd = ux_dial(&x);
	for (size_t i = 0; i < UX_HELLO - 1; i++) {
		ux_put(fd, ux_hello + i, 1);
		ux_turn(&x, 1);
		assert_int_equal(x.ready, 0);
	}
	ux_put(fd, ux_hello + UX_HELLO - 1, 1);
	ux_wait(&x, &x.ready, 1);
	close(fd);
	ux_wait(&x, &x.closed, 1);
	ux_close(&x);
}

static bool first_bytes_there;

static void on_ready_look(void *arg, int fd, struct writ_peer *peer)
{
	char c[512];
	first_bytes_there = recv(fd, c, sizeof(c), MSG_PEEK | MSG_DONTWAIT) == UX_HELLO + 17;
	ux_on_ready(arg, fd, peer);
}

static void first_bytes_are_there_before_the_backend_looks(void **state)
{
	(void)state;
	struct ux x;
	struct writ_err err;
	int lfd;
	static const char ping[17] = { 0, 0, 8, 6 };
	char both[UX_HELLO + 17];
	ux_open(&x);
	writ_front_free(x.front);
	(void)unlink(x.path);
	assert_int_equal(writ_listen_unix(x.path, 0600, &lfd, &err), WRIT_OK);
	struct writ_front_config cfg = { .loop = x.loop,
		.name = "t",
		.limits = WRIT_FRONT_LIMITS,
		.http2 = true,
		.ready = on_ready_look,
		.closed = ux_on_closed,
		.arg = &x };
	assert_int_equal(writ_front_start(&cfg, lfd, &x.front, &err), WRIT_OK);
	int fd = ux_dial(&x);
	memcpy(both, ux_hello, UX_HELLO);
	memcpy(both + UX_HELLO, ping, 17);
	ux_put(fd, both, sizeof(both));
	ux_wait(&x, &x.ready, 1);
	assert_true(first_bytes_there);
	close(fd);
	ux_wait(&x, &x.closed, 1);
	ux_close(&x);
}

static void caller_is_known_by_the_kernel(void **state)
{
	(void)state;
	struct ux x;
	char c[8];
	ux_open(&x);
	int fd = ux_call(&x);
	assert_int_equal(x.peer->pid, getpid());
	assert_int_equal(x.peer->uid, getuid());
	assert_int_equal(x.peer->gid, getgid());
	gid_t groups[256];
	int n = getgroups(256, groups);
	assert_int_equal(x.peer->n_groups, n);
	struct pollfd pfd = { .fd = x.peer->pidfd, .events = POLLIN };
	assert_int_equal(poll(&pfd, 1, 0), 0); /* alive */
	assert_string_equal(x.peer->spiffe_id, "");
	ux_put(fd, "\0\0\0\1\0\0\0\0\0",
		9); /* HEADERS on stream 0: whatever comes, it is the guard's to end it */
	assert_true(ux_over(&x, fd));
	assert_true(ux_over(&x, x.fd));
	assert_int_equal(recv(x.fd, c, 8, MSG_DONTWAIT) > 0, 0);
	ux_wait(&x, &x.closed, 1);
	assert_int_equal(writ_front_stats(x.front).killed, 1);
	close(fd);
	ux_close(&x);
}

static void bytes_go_both_ways(void **state)
{
	(void)state;
	struct ux x;
	char c[17];
	static const char up[17] = { 0, 0, 8, 6, 0, 0, 0, 0, 0, 'u', 'p' };
	static const char down[17] = { 0, 0, 8, 6, 1, 0, 0, 0, 0, 'd', 'o' };
	ux_open(&x);
	int fd = ux_call(&x);
	ux_put(fd, up, 17);
	ux_get(&x, x.fd, c, 17);
	assert_memory_equal(c, up, 17);
	ux_put(x.fd, down, 17);
	ux_get(&x, fd, c, 17);
	assert_memory_equal(c, down, 17);
	close(x.fd);
	x.fd = -1;
	assert_true(ux_over(&x, fd));
	ux_wait(&x, &x.closed, 1);
	close(fd);
	ux_close(&x);
}

/* To wake a backend for each ACK that it does nothing with would cost as much as half a call. */
static void acks_go_up_with_the_next_bytes(void **state)
{
	(void)state;
	struct ux x;
	static const char ack[9] = { 0, 0, 0, 4, 1 };
	static const char ping[17] = { 0, 0, 8, 6, 0, 0, 0, 0, 0, 'n' };
	char c[9 * 9];
	ux_open(&x);
	int fd = ux_call(&x);
	ux_put(fd, ack, 9);
	ux_turn(&x, 20);
	assert_int_equal(recv(x.fd, c, 1, MSG_DONTWAIT), -1);
	ux_put(fd, ping, 17);
	ux_get(&x, x.fd, c, 9 + 17);
	assert_memory_equal(c, ack, 9);
	assert_memory_equal(c + 9, ping, 17);
	/* in two pieces it is no whole frame; and more than a few do not wait */
	ux_put(fd, ack, 5);
	ux_get(&x, x.fd, c, 5);
	ux_put(fd, ack + 5, 4);
	ux_get(&x, x.fd, c + 5, 4);
	assert_memory_equal(c, ack, 9);
	for (int i = 0; i < 8; i++) {
		ux_put(fd, ack, 9);
		ux_turn(&x, 5);
	}
	ux_get(&x, x.fd, c, 8 * 9);
	for (int i = 0; i < 8; i++)
		assert_memory_equal(c + 9 * i, ack, 9);
	close(fd);
	ux_wait(&x, &x.closed, 1);
	ux_close(&x);
}

/* --- ends --- */

static void half_close_and_reset_free_everything(void **state)
{
	(void)state;
	struct ux x;
	ux_open(&x);
	ux_turn(&x, 1);
	int before = ux_open_fds();
	for (int i = 0; i < 60; i++) {
		int fd = ux_call(&x);
		if (i % 3 == 0)
			(void)shutdown(fd, SHUT_WR);
		if (i % 3 == 1)
			ux_put(x.fd, "\0\0\0\4\0\0\0\0\0", 9); /* unread when it closes: a reset */
		if (i % 3 != 0)
			close(fd);
		assert_true(ux_over(&x, x.fd));
		ux_wait(&x, &x.closed, i + 1);
		assert_int_equal(x.peer->pidfd, -1);
		if (i % 3 == 0)
			close(fd);
		close(x.fd);
		x.fd = -1;
	}
	assert_int_equal(writ_front_count(x.front), 0);
	assert_int_equal(ux_open_fds(), before); /* no pidfd, no socket pair left */
	ux_close(&x);
}

/* Regression: the backend's death with our bytes unread comes as an error of the socket; what it
 * had written still counts. */
static void backends_last_words_arrive_though_it_died_with_bytes_unread(void **state)
{
	(void)state;
	struct ux x;
	char c[9];
	static const char words[9] = { 0, 0, 0, 4 };
	ux_open(&x);
	int fd = ux_call(&x);
	ux_put(fd, "\0\0\0\4\0\0\0\0\0", 9);
	struct pollfd p = { .fd = x.fd, .events = POLLIN };
	while (poll(&p, 1, 0) == 0)
		ux_turn(&x, 1);
	ux_put(x.fd, words, 9);
	close(x.fd);
	x.fd = -1;
	ux_get(&x, fd, c, 9);
	assert_memory_equal(c, words, 9);
	assert_true(ux_over(&x, fd));
	ux_wait(&x, &x.closed, 1);
	close(fd);
	ux_close(&x);
}

static void silence_ends_at_the_deadline(void **state)
{
	(void)state;
	struct ux x;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.start_ms = 60;
	ux_open_with(&x, &l, true);
	int a = ux_dial(&x), b = ux_dial(&x);
	ux_put(b, ux_hello, 30); /* and then nothing more */
	int64_t begin = writ_mono_ms();
	ux_wait(&x, &x.refused, 2);
	assert_in_range(writ_mono_ms() - begin, 40, 2000);
	assert_int_equal(x.ready, 0);
	assert_true(ux_over(&x, a));
	assert_true(ux_over(&x, b));
	assert_non_null(strstr(x.why, "deadline"));
	close(a);
	close(b);
	ux_close(&x);
}

static void a_byte_at_a_time_does_not_stretch_the_deadline(void **state)
{
	(void)state;
	struct ux x;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.start_ms = 80;
	ux_open_with(&x, &l, true);
	int fd = ux_dial(&x);
	size_t i = 0;
	int64_t begin = writ_mono_ms();
	while (!x.refused && i < UX_HELLO - 1 && writ_mono_ms() - begin < 3000) {
		(void)send(fd, ux_hello + i++, 1, MSG_NOSIGNAL);
		ux_turn(&x, 10);
	}
	assert_int_equal(x.refused, 1);
	close(fd);
	ux_close(&x);
}

static void idle_connections_end_when_asked_for(void **state)
{
	(void)state;
	struct ux x;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.idle_ms = 60;
	ux_open_with(&x, &l, true);
	int fd = ux_call(&x);
	ux_put(fd, "\0\0\1\1\4\0\0\0\1x", 10); /* a stream is open: not idle */
	ux_turn(&x, 150);
	assert_int_equal(x.closed, 0);
	ux_put(x.fd, "\0\0\1\1\5\0\0\0\1x", 10); /* the server ends it */
	ux_wait(&x, &x.closed, 1);
	assert_non_null(strstr(x.why, "idle"));
	close(fd);
	ux_close(&x);
}

static bool match_conn(void *arg, const struct writ_peer *p)
{
	return p->conn_id == *(const uint64_t *)arg;
}

static void a_cut_reaches_both_ends_at_once(void **state)
{
	(void)state;
	struct ux x;
	char c;
	ux_open(&x);
	int other = ux_call(&x);
	int other_backend = x.fd;
	int fd = ux_call(&x);
	uint64_t id = x.peer->conn_id;
	assert_int_equal(writ_front_cut(x.front, match_conn, &id, "revoked"), 1);
	assert_int_equal(x.closed, 0); /* no callback inside the call */
	assert_int_equal(recv(fd, &c, 1, MSG_DONTWAIT), 0);
	assert_int_equal(recv(x.fd, &c, 1, MSG_DONTWAIT), 0);
	ux_wait(&x, &x.closed, 1);
	assert_string_equal(x.why, "revoked");
	assert_int_equal(writ_front_cut(x.front, match_conn, &id, "again"), 0);
	assert_int_equal(recv(other, &c, 1, MSG_DONTWAIT), -1); /* the other one lives */
	assert_int_equal(writ_front_stats(x.front).cut, 1);
	close(fd);
	close(other);
	close(other_backend);
	ux_close(&x);
}

static void peer_is_found_while_its_number_is_not_used_again(void **state)
{
	(void)state;
	struct ux x;
	ux_open(&x);
	int fd = ux_call(&x);
	struct writ_peer *p = writ_peer_ref(x.peer);
	close(fd);
	ux_wait(&x, &x.closed, 1);
	assert_ptr_equal(writ_front_peer(x.front, x.fd), p); /* a call may still be alive */
	assert_true(p->closed);
	assert_null(writ_front_peer(x.front, 9999));
	assert_null(writ_front_peer(x.front, -1));
	writ_peer_unref(p);
	ux_close(&x);
}

/* --- who writes --- */

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
	struct ux x;
	char c;
	ux_open(&x);
	int fd = ux_call(&x);
	in_child(write_ping, fd);
	ux_wait(&x, &x.closed, 1);
	assert_non_null(strstr(x.why, "another process"));
	assert_true(ux_over(&x, fd));
	assert_int_equal(recv(x.fd, &c, 1, MSG_DONTWAIT), 0); /* not one byte of it came through */
	assert_int_equal(writ_front_stats(x.front).killed, 1);
	close(fd);
	ux_close(&x);
}

static void send_ux_hello(int fd)
{
	if (send(fd, ux_hello, UX_HELLO, MSG_NOSIGNAL) != (ssize_t)UX_HELLO)
		_exit(1);
}

static void a_child_that_speaks_first_is_refused(void **state)
{
	(void)state;
	struct ux x;
	ux_open(&x);
	int fd = ux_dial(&x);
	in_child(send_ux_hello, fd);
	ux_wait(&x, &x.refused, 1);
	assert_int_equal(x.ready, 0);
	close(fd);
	ux_close(&x);
}

static void passed_descriptors_are_never_installed(void **state)
{
	(void)state;
	struct ux x;
	ux_open(&x);
	int fd = ux_call(&x);
	int before = ux_open_fds();
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
		ux_wait(&x, &x.closed, 1);
	else
		assert_int_equal(errno, EPERM);
	ux_turn(&x, 5);
	assert_true(ux_open_fds() <= before);
	close(fd);
	ux_close(&x);
}

static void challenge_is_answered_by_the_peer_alone(void **state)
{
	(void)state;
	struct ux x;
	char ping[17];
	ux_open(&x);
	int fd = ux_call(&x);
	writ_front_challenge(
		x.front, x.peer, 2000, ux_on_answer, &x); /* before the server said anything */
	ux_turn(&x, 5);
	assert_int_equal(recv(fd, ping, 17, MSG_DONTWAIT), -1);
	ux_put(x.fd, "\0\0\0\4\0\0\0\0\0", 9);
	char c[9];
	ux_get(&x, fd, c, 9); /* the server's SETTINGS come first */
	ux_get(&x, fd, ping, 17);
	assert_int_equal(ping[3], 6);
	ping[4] = 1;
	ux_put(fd, ping, 17);
	ux_wait(&x, &x.answered, 1);
	assert_true(x.answer);

	writ_front_challenge(x.front, x.peer, 30, ux_on_answer, &x);
	assert_int_equal(x.answered, 1); /* no callback inside the call */
	ux_wait(&x, &x.answered, 2);
	assert_false(x.answer); /* in time */

	writ_front_challenge(x.front, x.peer, 5000, ux_on_answer, &x);
	close(fd);
	ux_wait(&x, &x.answered, 3);
	assert_false(x.answer); /* the connection ended */
	writ_front_challenge(x.front, x.peer, 5000, ux_on_answer, &x);
	ux_wait(&x, &x.answered, 4);
	assert_false(x.answer);
	ux_close(&x);
}

/* Whoever was asked before, and let that time run out, may be another program than the one that is
 * asked now: while the new PING waits for the end of a frame, the ACK of the old one says nothing.
 */
static void an_ack_that_comes_too_late_answers_no_later_challenge(void **state)
{
	(void)state;
	struct ux x;
	char settings[9], old[17], rest[8], new[17];
	ux_open(&x);
	int fd = ux_call(&x);
	ux_put(x.fd, "\0\0\0\4\0\0\0\0\0", 9);
	ux_get(&x, fd, settings, 9);
	writ_front_challenge(x.front, x.peer, 30, ux_on_answer, &x);
	ux_get(&x, fd, old, 17);
	ux_wait(&x, &x.answered, 1);
	assert_false(x.answer);

	ux_put(x.fd, "\0\0\10\0\0\0\0\0\1half", 13); /* of a frame */
	ux_get(&x, fd, settings, 9);
	ux_get(&x, fd, rest, 4);
	writ_front_challenge(x.front, x.peer, 5000, ux_on_answer, &x);
	old[4] = 1;
	ux_put(fd, old, 17);
	ux_turn(&x, 20);
	assert_int_equal(x.answered, 1);

	ux_put(x.fd, "rest", 4);
	ux_get(&x, fd, rest, 4);
	ux_get(&x, fd, new, 17);
	assert_memory_not_equal(new + 9, old + 9, 8);
	new[4] = 1;
	ux_put(fd, new, 17);
	ux_wait(&x, &x.answered, 2);
	assert_true(x.answer);
	close(fd);
	ux_close(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(backend_sees_a_connection_only_after_preface_and_settings),
		cmocka_unit_test(first_bytes_are_there_before_the_backend_looks),
		cmocka_unit_test(caller_is_known_by_the_kernel),
		cmocka_unit_test(bytes_go_both_ways),
		cmocka_unit_test(acks_go_up_with_the_next_bytes),
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
		cmocka_unit_test(an_ack_that_comes_too_late_answers_no_later_challenge),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
