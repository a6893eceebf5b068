/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "forge.h"
#include "front_kit.h"

#include "base/clock.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct kit_ctx client = {
	.h2 = true, .ca = KIT_A, .id = "spiffe://a.test/client", .trust = KIT_A
};

static int open_fds(void)
{
	int n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void connects_and_knows_the_server(void **state)
{
	(void)state;
	static const char *const hosts[] = { "127.0.0.1", "localhost" };
	/* A bare root has no /etc/hosts. */
	struct addrinfo *found = NULL;
	size_t n = getaddrinfo("localhost", NULL, NULL, &found) == 0 ? 2 : 1;
	if (found)
		freeaddrinfo(found);
	for (size_t i = 0; i < n; i++) {
		struct rig x;
		struct call c;
		char back[RIG_HELLO];
		rig_open(&x, NULL, true, WRIT_TLS_PEER_REQUIRED);
		rig_dial(&x, &c, hosts[i], x.port, &client, 4000);
		rig_wait(&x, &c.done, 1);
		if (c.rc != WRIT_OK)
			fail_msg("%s", c.why);
		assert_string_equal(c.peer->spiffe_id, "spiffe://a.test/server");
		assert_non_null(c.peer->cert);
		assert_int_equal(send(c.fd, rig_hello, RIG_HELLO, MSG_NOSIGNAL), RIG_HELLO);
		rig_wait(&x, &x.ready, 1);
		assert_string_equal(x.peer->spiffe_id, "spiffe://a.test/client");
		assert_int_equal(x.peer->kind, WRIT_PEER_TCP);
		rig_get(&x, x.fd, back, RIG_HELLO);
		assert_memory_equal(back, rig_hello, RIG_HELLO);
		assert_int_equal(send(x.fd, rig_hello + 24, 9, MSG_NOSIGNAL), 9);
		rig_get(&x, c.fd, back, 9);
		rig_hang_up(&c);
		rig_close(&x);
	}
}

static void the_servers_end_is_reported(void **state)
{
	(void)state;
	struct rig x;
	struct call c;
	char hello[RIG_HELLO];
	rig_open(&x, NULL, true, WRIT_TLS_PEER_REQUIRED);
	rig_dial(&x, &c, "127.0.0.1", x.port, &client, 4000);
	rig_wait(&x, &c.done, 1);
	assert_int_equal(send(c.fd, rig_hello, RIG_HELLO, MSG_NOSIGNAL), RIG_HELLO);
	rig_wait(&x, &x.ready, 1);
	rig_get(&x, x.fd, hello, RIG_HELLO);
	assert_int_equal(send(x.fd, "last words", 10, MSG_NOSIGNAL), 10);
	close(x.fd);
	x.fd = -1;
	char words[10];
	rig_get(&x, c.fd, words, 10);
	assert_memory_equal(words, "last words", 10);
	assert_true(rig_over(&x, c.fd));
	close(c.fd); /* as gRPC does */
	c.fd = -1;
	rig_wait(&x, &c.closed, 1);
	rig_wait(&x, &x.closed, 1);
	assert_true(c.peer->closed);
	rig_hang_up(&c);
	rig_close(&x);
}

static void our_end_reaches_the_server(void **state)
{
	(void)state;
	struct rig x;
	struct call c;
	rig_open(&x, NULL, true, WRIT_TLS_PEER_REQUIRED);
	rig_dial(&x, &c, "127.0.0.1", x.port, &client, 4000);
	rig_wait(&x, &c.done, 1);
	assert_int_equal(send(c.fd, rig_hello, RIG_HELLO, MSG_NOSIGNAL), RIG_HELLO);
	rig_wait(&x, &x.ready, 1);
	close(c.fd);
	c.fd = -1;
	rig_wait(&x, &x.closed, 1);
	rig_wait(&x, &c.closed, 1);
	rig_hang_up(&c);
	rig_close(&x);
}

static writ_rc only_other(void *arg, const struct writ_id *id, struct writ_err *err)
{
	(void)arg;
	return writ_fail(err, WRIT_EDENIED, "expected spiffe://a.test/other, " WRIT_FMT " answered",
		WRIT_ARG(id->uri));
}

static void a_server_with_another_name_is_refused(void **state)
{
	(void)state;
	struct rig x;
	struct call c;
	struct kit_ctx picky = client;
	picky.authorize = only_other;
	rig_open(&x, NULL, true, WRIT_TLS_PEER_REQUIRED);
	rig_dial(&x, &c, "127.0.0.1", x.port, &picky, 4000);
	rig_wait(&x, &c.done, 1);
	assert_int_equal(c.rc, WRIT_EDENIED);
	assert_int_equal(c.fd, -1);
	assert_non_null(strstr(c.why, "expected spiffe://a.test/other"));
	assert_non_null(strstr(c.why, "connect to 127.0.0.1:"));
	rig_wait(&x, &x.refused, 1);
	rig_hang_up(&c);
	rig_close(&x);
}

static void a_closed_port_and_a_wrong_name_fail_soon(void **state)
{
	(void)state;
	struct rig x;
	struct call c;
	int fd;
	uint16_t port;
	struct writ_err err;
	rig_open(&x, NULL, true, WRIT_TLS_PEER_REQUIRED);
	assert_ok(writ_listen_tcp("127.0.0.1", 0, &fd, &port, &err), err);
	close(fd);
	rig_dial(&x, &c, "127.0.0.1", port, &client, 4000);
	rig_wait(&x, &c.done, 1);
	assert_int_equal(c.rc, WRIT_EUNAVAIL);
	rig_hang_up(&c);
	rig_dial(&x, &c, "no such name", port, &client, 4000);
	rig_wait(&x, &c.done, 1);
	assert_int_equal(c.rc, WRIT_EUNAVAIL);
	assert_non_null(strstr(c.why, "look up the name"));
	rig_hang_up(&c);
	rig_close(&x);
}

static void a_silent_server_costs_no_more_than_the_deadline(void **state)
{
	(void)state;
	struct rig x;
	struct call c;
	int fd;
	uint16_t port;
	struct writ_err err;
	rig_open(&x, NULL, true, WRIT_TLS_PEER_REQUIRED);
	assert_ok(writ_listen_tcp("127.0.0.1", 0, &fd, &port, &err), err); /* nobody accepts */
	int64_t begin = writ_mono_ms();
	rig_dial(&x, &c, "127.0.0.1", port, &client, 80);
	rig_wait(&x, &c.done, 1);
	assert_int_equal(c.rc, WRIT_ETIMEOUT);
	assert_non_null(strstr(c.why, "TLS handshake"));
	assert_in_range(writ_mono_ms() - begin, 60, 2000);
	rig_hang_up(&c);
	close(fd);
	rig_close(&x);
}

static void freed_in_every_state_it_leaves_nothing(void **state)
{
	(void)state;
	struct rig x;
	struct call c;
	rig_open(&x, NULL, true, WRIT_TLS_PEER_REQUIRED);
	rig_turn(&x, 2);
	int before = open_fds();
	for (int i = 0; i < 40; i++) {
		rig_dial(&x, &c, i % 2 ? "127.0.0.1" : "localhost", x.port, &client, 4000);
		c.free_in_callback = i % 4 == 3;
		for (int k = 0; k < i / 2 && !c.done; k++)
			rig_turn(&x, 1);
		int done = c.done;
		if (c.free_in_callback && !done)
			rig_wait(&x, &c.done, 1);
		rig_hang_up(&c);
		rig_turn(&x, 3);
	}
	int64_t until = writ_mono_ms() + 3000;
	while (writ_front_count(x.front) && writ_mono_ms() < until)
		rig_turn(&x, 5);
	assert_int_equal(open_fds(), before);
	rig_close(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connects_and_knows_the_server),
		cmocka_unit_test(the_servers_end_is_reported),
		cmocka_unit_test(our_end_reaches_the_server),
		cmocka_unit_test(a_server_with_another_name_is_refused),
		cmocka_unit_test(a_closed_port_and_a_wrong_name_fail_soon),
		cmocka_unit_test(a_silent_server_costs_no_more_than_the_deadline),
		cmocka_unit_test(freed_in_every_state_it_leaves_nothing),
	};
	return cmocka_run_group_tests(tests, kit_set_up, kit_tear_down);
}
