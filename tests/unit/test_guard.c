/* SPDX-License-Identifier: Apache-2.0 */
#include "front/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SECOND 1000000

enum { DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONT };

static struct writ_front_limits limits;

struct wire {
	uint8_t p[1 << 20];
	size_t n;
};

static struct wire wire; /* too big for the stack */

static void add(const void *p, size_t n)
{
	assert_true(wire.n + n <= sizeof(wire.p));
	memcpy(wire.p + wire.n, p, n);
	wire.n += n;
}

static void frame(int type, int flags, uint32_t stream, uint32_t length)
{
	const uint8_t h[9] = { length >> 16, length >> 8, length, type, flags, stream >> 24,
		stream >> 16, stream >> 8, stream };
	static const uint8_t zero[70000];
	add(h, 9);
	add(zero, length);
}

static void hello(void)
{
	wire.n = 0;
	add("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	frame(SETTINGS, 0, 0, 0);
}

static enum writ_guard_verdict feed(struct writ_guard *g, int64_t now, size_t *pass)
{
	size_t k;
	enum writ_guard_verdict v = writ_guard_up(g, wire.p, wire.n, now, pass ? pass : &k);
	wire.n = 0;
	return v;
}

static void started(struct writ_guard *g)
{
	writ_guard_init(g, &limits, 0);
	hello();
	assert_int_equal(feed(g, 0, NULL), WRIT_GUARD_PASS);
	assert_true(g->started);
}

static void down(
	struct writ_guard *g, int64_t now, int type, int flags, uint32_t stream, uint32_t length)
{
	wire.n = 0;
	frame(type, flags, stream, length);
	assert_int_equal(writ_guard_down(g, wire.p, wire.n, now, false), wire.n);
	wire.n = 0;
}

static void starts_with_the_last_byte_of_settings(void **state)
{
	(void)state;
	struct writ_guard g;
	size_t pass;
	writ_guard_init(&g, &limits, 0);
	wire.n = 0;
	add("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	frame(SETTINGS, 0, 0, 12);
	for (size_t i = 0; i < 24 + 9 + 12; i++) {
		assert_false(g.started);
		assert_int_equal(writ_guard_up(&g, wire.p + i, 1, 0, &pass), WRIT_GUARD_PASS);
		assert_int_equal(pass, 1);
	}
	assert_true(g.started);
	writ_guard_done(&g);
}

struct bad {
	const char *name;
	int type, flags;
	uint32_t stream, length;
};

static void kills_what_no_client_sends(void **state)
{
	(void)state;
	static const struct bad rows[] = {
		{ "DATA on stream 0", DATA, 0, 0, 1 },
		{ "HEADERS on stream 0", HEADERS, 4, 0, 1 },
		{ "HEADERS on an even stream", HEADERS, 4, 2, 1 },
		{ "empty HEADERS", HEADERS, 4, 1, 0 },
		{ "PUSH_PROMISE", PUSH, 4, 1, 4 },
		{ "PING of 7", PING, 0, 0, 7 },
		{ "PING of 9", PING, 0, 0, 9 },
		{ "PING on a stream", PING, 0, 1, 8 },
		{ "RST_STREAM of 5", RST, 0, 1, 5 },
		{ "RST_STREAM on stream 0", RST, 0, 0, 4 },
		{ "PRIORITY of 4", PRIORITY, 0, 1, 4 },
		{ "WINDOW_UPDATE of 3", WINDOW, 0, 0, 3 },
		{ "SETTINGS of 7", SETTINGS, 0, 0, 7 },
		{ "SETTINGS of 246", SETTINGS, 0, 0, 246 },
		{ "SETTINGS ACK with a payload", SETTINGS, 1, 0, 6 },
		{ "SETTINGS on a stream", SETTINGS, 0, 1, 6 },
		{ "GOAWAY of 7", GOAWAY, 0, 0, 7 },
		{ "CONTINUATION alone", CONT, 4, 1, 1 },
		{ "frame over 16 KiB", DATA, 0, 1, 16385 },
		{ "unknown frame over 16 KiB", 0x77, 0, 0, 16385 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct writ_guard g;
		size_t pass;
		started(&g);
		frame(rows[i].type, rows[i].flags, rows[i].stream, rows[i].length);
		if (feed(&g, 0, &pass) != WRIT_GUARD_KILL)
			fail_msg("%s passed", rows[i].name);
		assert_int_equal(pass, 8); /* its header's last byte never passes */
		assert_non_null(g.why);
		writ_guard_done(&g);
	}
}

static void limits_hold_to_the_byte(void **state)
{
	(void)state;
	static const struct bad rows[] = { { "frame", DATA, 0, 1, 16384 },
		{ "settings", SETTINGS, 0, 0, 240 }, { "headers", HEADERS, 4, 1, 16384 } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct writ_guard g;
		started(&g);
		frame(rows[i].type, rows[i].flags, rows[i].stream, rows[i].length);
		assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_PASS);
		writ_guard_done(&g);
	}
}

static void needs_the_preface_and_settings_first(void **state)
{
	(void)state;
	struct writ_guard g;
	size_t pass;
	writ_guard_init(&g, &limits, 0);
	wire.n = 0;
	add("GET / HTTP/1.1\r\n", 16);
	assert_int_equal(feed(&g, 0, &pass), WRIT_GUARD_KILL);
	assert_int_equal(pass, 0);
	writ_guard_done(&g);
	writ_guard_init(&g, &limits, 0);
	add("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	frame(PING, 0, 0, 8);
	assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_KILL);
	writ_guard_done(&g);
	writ_guard_init(&g, &limits, 0);
	add("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	frame(SETTINGS, 1, 0, 0);
	assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_KILL);
	writ_guard_done(&g);
}

static void header_block_stays_whole_and_small(void **state)
{
	(void)state;
	struct writ_guard g;
	started(&g);
	frame(HEADERS, 0, 1, 8000);
	frame(CONT, 0, 1, 8000);
	frame(CONT, 4, 1, 384);
	assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_PASS);
	frame(HEADERS, 0, 3, 8000);
	frame(CONT, 0, 3, 8385);
	assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_KILL);
	writ_guard_done(&g);

	started(&g);
	frame(HEADERS, 0, 1, 1);
	for (int i = 0; i < 8; i++)
		frame(CONT, 0, 1, 1);
	assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_PASS);
	frame(CONT, 4, 1, 1);
	assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_KILL);
	writ_guard_done(&g);

	started(&g);
	frame(HEADERS, 0, 1, 1);
	frame(DATA, 0, 1, 1);
	assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_KILL);
	writ_guard_done(&g);

	started(&g);
	frame(HEADERS, 0, 1, 1);
	frame(CONT, 4, 3, 1);
	assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_KILL);
	writ_guard_done(&g);
}

static void connections_of_a_source_share_a_maximum_of_streams(void **state)
{
	(void)state;
	struct writ_guard a, b;
	struct writ_front_limits few = limits;
	uint32_t shared = 0;
	size_t pass;
	few.source_streams = 5;
	started(&a);
	started(&b);
	a.limits = b.limits = &few;
	writ_guard_join(&a, &shared);
	writ_guard_join(&b, &shared);
	for (uint32_t i = 0; i < 4; i++)
		frame(HEADERS, 4, 1 + 2 * i, 1);
	assert_int_equal(feed(&a, 0, NULL), WRIT_GUARD_PASS);
	frame(HEADERS, 4, 1, 1);
	assert_int_equal(feed(&b, 0, NULL), WRIT_GUARD_PASS);
	assert_int_equal(shared, 5);
	down(&a, 0, HEADERS, 5, 1, 10); /* an end makes room, whoever's it was */
	frame(RST, 0, 3, 4);
	assert_int_equal(feed(&a, 0, NULL), WRIT_GUARD_PASS);
	assert_int_equal(shared, 3);
	frame(HEADERS, 4, 3, 1);
	frame(HEADERS, 4, 5, 1);
	assert_int_equal(feed(&b, 0, NULL), WRIT_GUARD_PASS);
	frame(HEADERS, 4, 7, 1); /* one too many waits until there is room */
	assert_int_equal(feed(&b, 0, &pass), WRIT_GUARD_PAUSE);
	assert_int_equal(pass, 8);
	uint8_t rest[2] = { 7, 0 };
	assert_int_equal(writ_guard_up(&b, rest, 2, b.resume_us, &pass), WRIT_GUARD_PAUSE);
	down(&b, b.resume_us, HEADERS, 5, 1, 10);
	assert_int_equal(writ_guard_up(&b, rest, 2, b.resume_us, &pass), WRIT_GUARD_PASS);
	assert_int_equal(b.n_open, 3);
	assert_int_equal(shared, 5);
	writ_guard_leave(&b);
	writ_guard_leave(&b);
	assert_int_equal(shared, 2);
	writ_guard_done(&b);
	writ_guard_done(&a);
	assert_int_equal(shared, 0);
}

static void open_streams_have_a_maximum_whatever_the_server_says(void **state)
{
	(void)state;
	struct writ_guard g;
	started(&g);
	for (uint32_t i = 0; i < 200; i++)
		frame(HEADERS, 5, 1 + 2 * i, 1); /* END_STREAM of the client closes nothing */
	assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_PASS);
	assert_int_equal(g.n_open, 200);
	down(&g, 0, HEADERS, 5, 1, 10);
	assert_int_equal(g.n_open, 199);
	frame(HEADERS, 5, 401, 1);
	assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_PASS);
	frame(HEADERS, 5, 403, 1);
	assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_KILL);
	assert_string_equal(g.why, "too many open streams");
	writ_guard_done(&g);
}

static void rapid_reset_is_slowed_then_ended(void **state)
{
	(void)state;
	struct writ_guard g;
	started(&g);
	int64_t now = 0;
	uint32_t stream = 1, passed = 0;
	enum writ_guard_verdict v = WRIT_GUARD_PASS;
	while (v != WRIT_GUARD_KILL) {
		size_t pass;
		frame(HEADERS, 5, stream, 1);
		frame(RST, 0, stream, 4);
		size_t n = wire.n, at = 0;
		wire.n = 0;
		while (at < n) {
			v = writ_guard_up(&g, wire.p + at, n - at, now, &pass);
			at += pass;
			if (v == WRIT_GUARD_KILL)
				break;
			if (v == WRIT_GUARD_PAUSE) {
				assert_true(g.resume_us > now);
				now = g.resume_us;
			}
		}
		passed++;
		stream += 2;
	}
	assert_in_range(passed, 256, 600);            /* the burst and what trickled in */
	assert_in_range(now, SECOND / 2, 2 * SECOND); /* a second or so, not at once */
	writ_guard_done(&g);
}

static void calls_that_the_server_answers_are_never_slowed(void **state)
{
	(void)state;
	struct writ_guard g;
	started(&g);
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t stream = 1 + 2 * i;
		frame(HEADERS, 4, stream, 60);
		frame(DATA, 0, stream, 300);
		frame(DATA, 1, stream, 0);
		frame(WINDOW, 0, 0, 4);
		frame(PING, 0, 0, 8);
		assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_PASS); /* the clock stands */
		down(&g, 0, HEADERS, 4, stream, 30);
		down(&g, 0, DATA, 0, stream, 1500);
		down(&g, 0, PING, 1, 0, 8);
		down(&g, 0, HEADERS, 5, stream, 10);
	}
	assert_int_equal(g.n_open, 0);
	assert_int_equal(g.pauses, 0);
	writ_guard_done(&g);
}

/* Appends a DATA frame with these bytes, the padding last. */
static void data(uint32_t stream, const void *p, uint8_t n, int pad)
{
	const uint8_t length = pad < 0 ? n : (uint8_t)(n + 1 + pad), flags = pad < 0 ? 0 : 8;
	const uint8_t h[9] = { 0, 0, length, DATA, flags, 0, 0, 0, (uint8_t)stream };
	static const uint8_t zero[256];
	add(h, 9);
	if (pad >= 0)
		add(&(uint8_t){ (uint8_t)pad }, 1);
	add(p, n);
	add(zero, pad > 0 ? (size_t)pad : 0);
}

/* Regression: gRPC makes room for a message of any announced length; 4 GiB in the worst case. */
static void announced_length_is_cut(void **state)
{
	(void)state;
	static const struct {
		uint32_t asked, passed;
	} rows[] = { { 0, 0 }, { 1, 1 }, { 255, 255 }, { 256, 256 }, { 65539, 65539 },
		{ 65540, 65540 }, { 65541, 65541 }, { 65542, 65541 }, { 65796, 65541 },
		{ 131072, 65541 }, { 0x01000000, 65541 }, { UINT32_MAX, 65541 } };
	for (int pad = -1; pad < 3; pad++) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
			struct writ_guard g;
			limits = WRIT_FRONT_LIMITS;
			limits.message = 65540;
			started(&g);
			uint32_t n = rows[i].asked, want = rows[i].passed;
			/* A message before it; the prefix is cut in two frames. */
			const uint8_t head[] = { 0, 0, 0, 0, 2, 0xff, 0xff, 0, n >> 24 };
			const uint8_t tail[] = { n >> 16, n >> 8, n };
			frame(HEADERS, 4, 1, 1);
			data(1, head, sizeof(head), pad);
			size_t a = wire.n - 1 - (pad > 0 ? (size_t)pad : 0);
			data(1, tail, sizeof(tail), pad);
			size_t b = wire.n - 3 - (pad > 0 ? (size_t)pad : 0);
			assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_PASS);
			assert_int_equal((uint32_t)wire.p[a] << 24 | (uint32_t)wire.p[b] << 16 |
					(uint32_t)wire.p[b + 1] << 8 | wire.p[b + 2],
				want);
			writ_guard_done(&g);
		}
	}
	limits = WRIT_FRONT_LIMITS;
}

/* Regression: if our PING ACKs paid back, a PING flood would pay for itself. */
static void ping_acks_pay_nothing_back(void **state)
{
	(void)state;
	struct writ_guard g;
	started(&g);
	enum writ_guard_verdict v = WRIT_GUARD_PASS;
	int n = 0;
	for (; n < 2000 && v == WRIT_GUARD_PASS; n++) {
		frame(PING, 0, 0, 8);
		v = feed(&g, 0, NULL);
		if (v == WRIT_GUARD_PASS)
			down(&g, 0, PING, 1, 0, 8);
	}
	assert_int_equal(v, WRIT_GUARD_PAUSE);
	assert_in_range(n, 500, 513);
	writ_guard_done(&g);
}

/* Streams that the server resets because of the client's mistakes (MadeYouReset) cost as much as
 * the client's own resets. */
static void server_resets_pay_nothing_back(void **state)
{
	(void)state;
	struct writ_guard g;
	started(&g);
	enum writ_guard_verdict v = WRIT_GUARD_PASS;
	uint32_t n = 0;
	for (; n < 2000 && v == WRIT_GUARD_PASS; n++) {
		frame(HEADERS, 4, 1 + 2 * n, 1);
		v = feed(&g, 0, NULL);
		if (v == WRIT_GUARD_PASS)
			down(&g, 0, RST, 0, 1 + 2 * n, 4);
	}
	assert_int_equal(v, WRIT_GUARD_PAUSE);
	assert_in_range(n, 250, 260);
	writ_guard_done(&g);
}

static void control_floods_are_slowed(void **state)
{
	(void)state;
	static const struct bad rows[] = {
		{ "PING", PING, 0, 0, 8 },
		{ "PING ACK", PING, 1, 0, 8 },
		{ "SETTINGS", SETTINGS, 0, 0, 0 },
		{ "SETTINGS ACK", SETTINGS, 1, 0, 0 },
		{ "big SETTINGS", SETTINGS, 0, 0, 240 },
		{ "PRIORITY", PRIORITY, 0, 1, 5 },
		{ "WINDOW_UPDATE", WINDOW, 0, 0, 4 },
		{ "WINDOW_UPDATE of a stream", WINDOW, 0, 1, 4 },
		{ "empty DATA", DATA, 0, 1, 0 },
		{ "padded DATA", DATA, 8, 1, 100 },
		{ "DATA for no stream", DATA, 0, 99, 100 },
		{ "trailers", HEADERS, 4, 1, 5 },
		{ "late RST_STREAM", RST, 0, 99, 4 },
		{ "unknown", 0x42, 0, 7, 3 },
		{ "GOAWAY", GOAWAY, 0, 0, 8 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct writ_guard g;
		size_t pass;
		started(&g);
		frame(HEADERS, 4, 1, 5);
		for (int k = 0; k < 520; k++)
			frame(rows[i].type, rows[i].flags, rows[i].stream, rows[i].length);
		size_t n = wire.n;
		if (feed(&g, 0, &pass) != WRIT_GUARD_PAUSE)
			fail_msg("%s passed without limit", rows[i].name);
		assert_true(pass < n);
		writ_guard_done(&g);
	}
}

static void recovery_forgets_the_pauses(void **state)
{
	(void)state;
	struct writ_guard g;
	started(&g);
	int64_t now = 0;
	for (int round = 0; round < 300; round++) {
		size_t pass;
		for (int k = 0; k < 600; k++)
			frame(PING, 0, 0, 8);
		size_t n = wire.n, at = 0;
		wire.n = 0;
		while (at < n) {
			enum writ_guard_verdict v =
				writ_guard_up(&g, wire.p + at, n - at, now, &pass);
			assert_int_not_equal(v, WRIT_GUARD_KILL);
			at += pass;
			if (v == WRIT_GUARD_PAUSE)
				now = g.resume_us;
		}
		now += 10 * SECOND;
	}
	writ_guard_done(&g);
}

static void challenge_is_answered_by_its_own_payload_only(void **state)
{
	(void)state;
	struct writ_guard g;
	uint8_t out[WRIT_GUARD_FRAME], other[17] = { 0, 0, 8, PING, 1 };
	started(&g);
	assert_false(writ_guard_at_boundary(&g)); /* the server's SETTINGS must come first */
	down(&g, 0, SETTINGS, 0, 0, 6);
	assert_true(writ_guard_at_boundary(&g));
	writ_guard_ping(&g, (const uint8_t *)"12345678", out);
	add(other, 17);
	assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_PASS);
	assert_false(g.answered);
	add(out, 17); /* a PING, not an ACK */
	assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_PASS);
	assert_false(g.answered);
	out[4] = 1;
	for (int i = 0; i < 17; i++) { /* in the smallest pieces */
		add(out + i, 1);
		assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_PASS);
	}
	assert_true(g.answered);
	writ_guard_done(&g);
}

static void frames_of_ours_fit_between_the_servers(void **state)
{
	(void)state;
	struct writ_guard g;
	started(&g);
	wire.n = 0;
	frame(SETTINGS, 0, 0, 0);
	frame(HEADERS, 0, 1, 5); /* block open: nothing may come in between */
	frame(CONT, 4, 1, 5);
	frame(DATA, 0, 1, 100);
	size_t n = wire.n;
	assert_int_equal(writ_guard_down(&g, wire.p, 5, 0, true), 5);
	assert_int_equal(writ_guard_down(&g, wire.p + 5, n - 5, 0, true), 4); /* after SETTINGS */
	assert_int_equal(writ_guard_down(&g, wire.p + 9, 3, 0, false), 3);
	assert_int_equal(writ_guard_down(&g, wire.p + 12, n - 12, 0, true),
		11 + 14); /* after CONTINUATION */
	wire.n = 0;
	writ_guard_done(&g);
}

static void a_request_has_a_maximum_for_each_stream(void **state)
{
	(void)state;
	struct writ_guard g;
	limits.stream_data = 100;
	started(&g);
	frame(HEADERS, 4, 1, 5);
	frame(DATA, 0, 1, 60);
	frame(HEADERS, 4, 3, 5);
	frame(DATA, 0, 3, 100); /* a stream of its own */
	frame(DATA, 0, 1, 40);
	assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_PASS);
	frame(DATA, 0, 1, 1);
	assert_int_equal(feed(&g, 0, NULL), WRIT_GUARD_KILL);
	assert_string_equal(g.why, "request too long");
	writ_guard_done(&g);
	limits = WRIT_FRONT_LIMITS;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_has_a_maximum_for_each_stream),
		cmocka_unit_test(starts_with_the_last_byte_of_settings),
		cmocka_unit_test(kills_what_no_client_sends),
		cmocka_unit_test(limits_hold_to_the_byte),
		cmocka_unit_test(needs_the_preface_and_settings_first),
		cmocka_unit_test(header_block_stays_whole_and_small),
		cmocka_unit_test(connections_of_a_source_share_a_maximum_of_streams),
		cmocka_unit_test(open_streams_have_a_maximum_whatever_the_server_says),
		cmocka_unit_test(rapid_reset_is_slowed_then_ended),
		cmocka_unit_test(calls_that_the_server_answers_are_never_slowed),
		cmocka_unit_test(announced_length_is_cut),
		cmocka_unit_test(ping_acks_pay_nothing_back),
		cmocka_unit_test(server_resets_pay_nothing_back),
		cmocka_unit_test(control_floods_are_slowed),
		cmocka_unit_test(recovery_forgets_the_pauses),
		cmocka_unit_test(challenge_is_answered_by_its_own_payload_only),
		cmocka_unit_test(frames_of_ours_fit_between_the_servers),
	};
	limits = WRIT_FRONT_LIMITS;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
