/* SPDX-License-Identifier: Apache-2.0 */
/* The front on TCP with TLS: who gets in, what is passed on, what ends a connection. */
#include "check.h"
#include "forge.h"
#include "front_kit.h"

#include "base/clock.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct kit_ctx h2_client = {
	.h2 = true, .ca = KIT_A, .id = "spiffe://a.test/client", .trust = KIT_A
};
static const struct kit_ctx raw_client = {
	.ca = KIT_A, .id = "spiffe://a.test/client", .trust = KIT_A
};

static void begin(struct rig *x, struct call *c)
{
	int before = x->ready;
	char back[RIG_HELLO];
	rig_dial(x, c, "127.0.0.1", x->port, &h2_client, 4000);
	rig_wait(x, &c->done, 1);
	assert_int_equal(c->rc, WRIT_OK);
	assert_int_equal(send(c->fd, rig_hello, RIG_HELLO, MSG_NOSIGNAL), RIG_HELLO);
	rig_wait(x, &x->ready, before + 1);
	rig_get(x, x->fd, back, RIG_HELLO);
}

static int tcp(uint16_t port, const char *from)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in me = { .sin_family = AF_INET };
	assert_int_equal(inet_pton(AF_INET, from, &me.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&me, sizeof(me)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void who_has_no_identity_never_reaches_the_backend(void **state)
{
	(void)state;
	const struct {
		struct kit_ctx client;
		writ_rc rc;
	} rows[] = {
		{ { .h2 = true, .trust = KIT_A }, WRIT_EUNAUTH },
		{ { .h2 = true, .ca = KIT_ROGUE, .id = "spiffe://a.test/client", .trust = KIT_A },
			WRIT_ECRYPTO },
		{ { .h2 = true, .ca = KIT_B, .id = "spiffe://b.test/w", .trust = KIT_A },
			WRIT_EUNAUTH },
		{ { .h2 = true,
			  .ca = KIT_A,
			  .id = "spiffe://a.test/client",
			  .not_after = FORGE_NOW - 1,
			  .trust = KIT_A },
			WRIT_EEXPIRED },
	};
	struct rig x;
	rig_open(&x, NULL, true, WRIT_TLS_PEER_REQUIRED);
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct call c;
		rig_dial(&x, &c, "127.0.0.1", x.port, &rows[i].client, 4000);
		rig_wait(&x, &x.refused, (int)i + 1);
		assert_int_equal(x.refused_rc, rows[i].rc);
		rig_wait(&x, &c.done, 1); /* TLS 1.3: its handshake may be done from its side */
		if (c.rc == WRIT_OK) {
			assert_true(rig_over(&x, c.fd));
			close(c.fd);
			c.fd = -1;
			rig_wait(&x, &c.closed, 1);
			assert_non_null(strstr(c.why, "the peer "));
		}
		rig_hang_up(&c);
	}
	assert_int_equal(x.ready, 0);
	assert_int_equal(writ_front_stats(x.front).handshakes_failed, WRIT_COUNT(rows));
	rig_close(&x);
}

static void rotation_serves_the_next_and_keeps_the_last(void **state)
{
	(void)state;
	struct rig x;
	struct call a, b;
	char c[9];
	rig_open(&x, NULL, true, WRIT_TLS_PEER_REQUIRED);
	begin(&x, &a);
	int backend = x.fd;
	const struct kit_ctx next = { .server = true,
		.h2 = true,
		.ca = KIT_A,
		.id = "spiffe://a.test/server2",
		.trust = KIT_A };
	writ_tls_ctx_unref(x.server);
	x.server = kit_ctx(&next);
	begin(&x, &b);
	assert_string_equal(b.peer->spiffe_id, "spiffe://a.test/server2");
	assert_int_equal(send(backend, rig_hello + 24, 9, MSG_NOSIGNAL), 9);
	rig_get(&x, a.fd, c, 9);
	rig_hang_up(&a);
	rig_hang_up(&b);
	close(backend);
	rig_close(&x);
}

static void a_bundle_without_its_ca_cuts_a_connection(void **state)
{
	(void)state;
	struct rig x;
	struct call c;
	rig_open(&x, NULL, true, WRIT_TLS_PEER_REQUIRED);
	begin(&x, &c);
	struct writ_bundles *a = kit_bundles(KIT_A), *b = kit_bundles(KIT_B);
	assert_int_equal(writ_front_reverify(x.front, a), 0);
	assert_int_equal(x.closed, 0);
	assert_int_equal(writ_front_reverify(x.front, b), 1);
	rig_wait(&x, &x.closed, 1);
	assert_non_null(strstr(x.why, "spiffe://a.test/client"));
	assert_true(rig_over(&x, c.fd));
	writ_bundles_unref(a);
	writ_bundles_unref(b);
	rig_hang_up(&c);
	rig_close(&x);
}

static bool by_id(void *arg, const struct writ_peer *p)
{
	return strcmp(p->spiffe_id, arg) == 0;
}

static void a_cut_by_spiffe_id_ends_the_connection(void **state)
{
	(void)state;
	struct rig x;
	struct call c;
	char id[] = "spiffe://a.test/client";
	rig_open(&x, NULL, true, WRIT_TLS_PEER_REQUIRED);
	begin(&x, &c);
	assert_int_equal(writ_front_cut(x.front, by_id, id, "banned"), 1);
	assert_true(rig_over(&x, c.fd));
	rig_wait(&x, &x.closed, 1);
	assert_string_equal(x.why, "banned");
	rig_hang_up(&c);
	rig_close(&x);
}

static void no_more_handshakes_than_allowed(void **state)
{
	(void)state;
	struct rig x;
	struct call c[12];
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.handshakes_per_s = 20; /* and 6 at once */
	rig_open(&x, &l, true, WRIT_TLS_PEER_REQUIRED);
	int64_t start = writ_mono_ms();
	for (int i = 0; i < 12; i++)
		rig_dial(&x, &c[i], "127.0.0.1", x.port, &h2_client, 4000);
	for (int i = 0; i < 12; i++)
		rig_wait(&x, &c[i].done, 1);
	assert_in_range(writ_mono_ms() - start, 200, 3500); /* six of them waited 50 ms each */
	for (int i = 0; i < 12; i++) {
		assert_int_equal(c[i].rc, WRIT_OK);
		rig_hang_up(&c[i]);
	}
	rig_close(&x);
}

static void a_flood_from_one_address_delays_that_address(void **state)
{
	(void)state;
	struct rig x;
	struct call c;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.handshakes_per_s = 10;
	l.start_ms = 60000;
	int fds[40];
	rig_open(&x, &l, true, WRIT_TLS_PEER_REQUIRED);
	for (int i = 0; i < 40; i++) { /* four seconds' worth of handshakes */
		fds[i] = tcp(x.port, "127.0.0.9");
		assert_int_equal(send(fds[i], "\x16", 1, MSG_NOSIGNAL), 1);
	}
	rig_turn(&x, 20);
	int64_t start = writ_mono_ms();
	rig_dial(&x, &c, "127.0.0.1", x.port, &h2_client, 4000);
	rig_wait(&x, &c.done, 1);
	assert_int_equal(c.rc, WRIT_OK);
	assert_true(writ_mono_ms() - start < 1000);
	for (int i = 0; i < 40; i++)
		close(fds[i]);
	rig_hang_up(&c);
	rig_close(&x);
}

static void an_address_has_its_maximum_and_silence_a_deadline(void **state)
{
	(void)state;
	struct rig x;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.per_uid = 2;
	l.start_ms = 60;
	int fds[3];
	rig_open(&x, &l, true, WRIT_TLS_PEER_REQUIRED);
	for (int i = 0; i < 3; i++)
		fds[i] = tcp(x.port, "127.0.0.1");
	rig_wait(&x, &x.refused, 1);
	assert_non_null(strstr(x.why, "this address has 2"));
	rig_wait(&x, &x.refused, 3);
	assert_non_null(strstr(x.why, "deadline"));
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	rig_close(&x);
}

static void junk_and_resets_leave_nothing(void **state)
{
	(void)state;
	struct rig x;
	const struct linger now = { 1, 0 };
	rig_open(&x, NULL, true, WRIT_TLS_PEER_REQUIRED);
	for (int i = 0; i < 20; i++) {
		int fd = tcp(x.port, "127.0.0.1");
		if (i % 2)
			assert_int_equal(
				send(fd, "\x16\x03\x01\x02\x00\x01junk", 10, MSG_NOSIGNAL), 10);
		rig_turn(&x, 2);
		if (i % 3)
			assert_int_equal(
				setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
		close(fd);
		rig_wait(&x, &x.refused, i + 1);
	}
	assert_int_equal(writ_front_count(x.front), 0);
	rig_close(&x);
}

static void a_flood_over_tls_is_slowed_and_ended(void **state)
{
	(void)state;
	struct rig x;
	struct call c;
	struct writ_front_limits l = WRIT_FRONT_LIMITS;
	l.control_burst = 10;
	l.control_rate = 50;
	l.pauses = 8;
	rig_open(&x, &l, true, WRIT_TLS_PEER_REQUIRED);
	begin(&x, &c);
	static char pings[200 * 17];
	for (int i = 0; i < 200; i++) {
		pings[i * 17 + 2] = 8;
		pings[i * 17 + 3] = 6;
	}
	assert_int_equal(send(x.fd, rig_hello + 24, 9, MSG_NOSIGNAL),
		9); /* SETTINGS: now a GOAWAY may be sent */
	char s[9], goaway[17];
	rig_get(&x, c.fd, s, 9);
	assert_int_equal(send(c.fd, pings, sizeof(pings), MSG_NOSIGNAL), sizeof(pings));
	rig_wait(&x, &x.closed, 1);
	assert_non_null(strstr(x.why, "flood"));
	/* how often depends on how fast the machine is */
	assert_true(writ_front_stats(x.front).shaped >= 3);
	ssize_t n = 0;
	for (int i = 0; i < 100 && n <= 0; i++) {
		n = recv(c.fd, goaway, 17, MSG_DONTWAIT);
		if (n == 0)
			break; /* a reset may overtake it */
		rig_turn(&x, 1);
	}
	if (n == 17) {
		assert_int_equal(goaway[3], 7);
		assert_int_equal(goaway[16], 11); /* ENHANCE_YOUR_CALM */
	}
	rig_hang_up(&c);
	rig_close(&x);
}

/* --- raw: the gate's way
 * --------------------------------------------------------------------------- */

static size_t relay_all(struct rig *x, int from, int to, size_t total)
{
	static uint8_t block[40000], back[70000];
	size_t sent = 0, got = 0;
	int64_t until = writ_mono_ms() + 8000;
	while (got < total && writ_mono_ms() < until) {
		size_t want = total - sent < sizeof(block) ? total - sent : sizeof(block);
		for (size_t i = 0; i < want; i++)
			block[i] = (uint8_t)((sent + i) * 31 >> 3);
		ssize_t k = want ? send(from, block, want, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
		sent += k > 0 ? (size_t)k : 0;
		ssize_t r = recv(to, back, sizeof(back), MSG_DONTWAIT);
		for (ssize_t i = 0; i < r; i++)
			assert_int_equal(back[i], (uint8_t)((got + (size_t)i) * 31 >> 3));
		got += r > 0 ? (size_t)r : 0;
		if (k <= 0 && r <= 0)
			rig_turn(x, 1);
	}
	return got;
}

static void raw_bytes_and_their_end_pass_both_ways(void **state)
{
	(void)state;
	struct rig x;
	struct call c;
	int pair[2];
	rig_open(&x, NULL, false, WRIT_TLS_PEER_REQUIRED);
	rig_dial(&x, &c, "127.0.0.1", x.port, &raw_client, 4000);
	rig_wait(&x, &x.opened, 1);
	rig_wait(&x, &c.done, 1);
	assert_string_equal(x.peer->spiffe_id, "spiffe://a.test/client");
	assert_int_equal(send(c.fd, "early", 5, MSG_NOSIGNAL), 5); /* before there is a backend */
	rig_turn(&x, 10);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	writ_front_backend(x.conn, pair[0]);
	char early[5];
	rig_get(&x, pair[1], early, 5);
	assert_int_equal(relay_all(&x, c.fd, pair[1], 3000000), 3000000);
	assert_int_equal(relay_all(&x, pair[1], c.fd, 3000000), 3000000);
	assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
	assert_true(rig_over(&x, c.fd)); /* only that half is closed */
	assert_int_equal(relay_all(&x, c.fd, pair[1], 100000), 100000);
	assert_int_equal(x.closed + c.closed, 0);
	close(c.fd);
	c.fd = -1;
	assert_true(rig_over(&x, pair[1]));
	close(pair[1]);
	rig_wait(&x, &x.closed, 1);
	rig_wait(&x, &c.closed, 1);
	rig_hang_up(&c);
	rig_close(&x);
}

static void a_raw_backend_that_dies_ends_the_connection(void **state)
{
	(void)state;
	struct rig x;
	struct call c;
	int pair[2];
	char words[5];
	rig_open(&x, NULL, false, WRIT_TLS_PEER_REQUIRED);
	rig_dial(&x, &c, "127.0.0.1", x.port, &raw_client, 4000);
	rig_wait(&x, &x.opened, 1);
	rig_wait(&x, &c.done, 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	writ_front_backend(x.conn, pair[0]);
	assert_int_equal(send(pair[1], "words", 5, MSG_NOSIGNAL), 5);
	close(pair[1]);
	rig_get(&x, c.fd, words, 5);
	assert_true(rig_over(&x, c.fd));
	int64_t cpu = writ_thread_cpu_us();
	rig_wait(
		&x, &x.closed, 1); /* though the client keeps its half open: lingering has an end */
	assert_true(writ_thread_cpu_us() - cpu < 300000);
	close(c.fd);
	c.fd = -1;
	rig_wait(&x, &c.closed, 1);
	rig_hang_up(&c);
	rig_close(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_no_identity_never_reaches_the_backend),
		cmocka_unit_test(rotation_serves_the_next_and_keeps_the_last),
		cmocka_unit_test(a_bundle_without_its_ca_cuts_a_connection),
		cmocka_unit_test(a_cut_by_spiffe_id_ends_the_connection),
		cmocka_unit_test(no_more_handshakes_than_allowed),
		cmocka_unit_test(a_flood_from_one_address_delays_that_address),
		cmocka_unit_test(an_address_has_its_maximum_and_silence_a_deadline),
		cmocka_unit_test(junk_and_resets_leave_nothing),
		cmocka_unit_test(a_flood_over_tls_is_slowed_and_ended),
		cmocka_unit_test(raw_bytes_and_their_end_pass_both_ways),
		cmocka_unit_test(a_raw_backend_that_dies_ends_the_connection),
	};
	return cmocka_run_group_tests(tests, kit_set_up, kit_tear_down);
}
