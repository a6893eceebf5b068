/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc_fixture.h"

static writ_rc call(struct fixture *f, const char *path, const char *text, char *out, size_t n,
	struct writ_rpc_status *st, struct writ_err *err)
{
	Text m = TEXT_INIT;
	ProtobufCMessage *answer = NULL;
	m.service = writ_strdup(text);
	writ_rc rc = writ_rpc_call(f->ch[0], path, &m.base, TEXT, WAIT_MS, &answer, st, err);
	if (rc == WRIT_OK)
		snprintf(out, n, "%s", ((Text *)(void *)answer)->service);
	writ_pb_free(answer);
	writ_free(m.service);
	return rc;
}

static void a_unary_call_gets_its_answer(void **state)
{
	struct fixture *f = *state;
	struct writ_rpc_status st;
	struct writ_err err;
	char out[64];
	assert_ok(call(f, "/t.Echo/Unary", "hello", out, sizeof(out), &st, &err), err);
	assert_string_equal(out, "hello");
	assert_int_equal(st.code, 0);
	assert_in_range(f->deadline_left, 1, WAIT_MS + 1000); /* gRPC rounds it up */
	assert_ok(call(f, "/t.Echo/Unary", "", out, sizeof(out), NULL, &err), err);
	assert_string_equal(out, "");
	wait_count(f, &f->after, 2);
	assert_int_equal(f->last_status, 0);
}

static void errors_become_statuses(void **state)
{
	static const struct {
		const char *path, *text;
		writ_rc rc;
		int code;
		const char *message;
	} rows[] = {
		{ "/t.Echo/Fail", "x", WRIT_ENOENT, 5, "/t.Echo/Fail: NotFound: no entry x" },
		{ "/t.Echo/Fail", "secret", WRIT_EINTERNAL, 13, "failed inside the server" },
		{ "/t.Echo/Fail", "details", WRIT_EBUSY, 10, "Aborted: changed?meanwhile" },
		{ "/t.Echo/Nope", "x", WRIT_EUNSUP, 12, "no method /t.Echo/Nope" },
		{ "/t.Echo/Later", "x", WRIT_EUNSUP, 12, "Unimplemented: " },
		{ "/t.Echo/Big", "5000000", WRIT_ELIMIT, 8, "larger than 4194304" },
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_rpc_status st;
		struct writ_err err = { 0 };
		char out[64];
		writ_rc rc = call(f, rows[i].path, rows[i].text, out, sizeof(out), &st, &err);
		if (rc != rows[i].rc || st.code != rows[i].code ||
			!strstr(err.msg, rows[i].message))
			fail_msg("%s %s: %s %d '%s'", rows[i].path, rows[i].text, writ_rc_name(rc),
				st.code, err.msg);
		assert_null(strstr(err.msg, "/var/lib"));
		if (strcmp(rows[i].text, "details") == 0) {
			assert_int_equal(st.n_details, 2);
			assert_memory_equal(st.details, "\x08\x05", 2);
		}
	}
	wait_count(f, &f->after, WRIT_COUNT(rows));
}

static void messages_of_many_slices_come_whole(void **state)
{
	struct fixture *f = *state;
	struct writ_err err;
	char *big = writ_alloc(60001), *out = writ_alloc(60001);
	memset(big, 'a', 60000);
	assert_ok(call(f, "/t.Echo/Big", "1000000", out, 8, NULL, &err), err);
	assert_string_equal(out, "bbbbbbb");
	writ_free(big);
	writ_free(out);
}

static void a_request_over_the_maximum_is_refused(void **state)
{
	struct fixture *f = *state;
	struct writ_rpc_status st;
	struct writ_err err;
	char out[8], *big = writ_alloc(MAX_REQUEST + 2);
	memset(big, 'a', MAX_REQUEST + 1);
	assert_int_equal(call(f, "/t.Echo/Unary", big, out, sizeof(out), &st, &err), WRIT_ELIMIT);
	assert_int_equal(st.code, 8);
	/* the connection is fine afterwards */
	assert_ok(call(f, "/t.Echo/Unary", "x", out, sizeof(out), NULL, &err), err);
	writ_free(big);
}

static void what_the_check_refuses_never_reaches_a_handler(void **state)
{
	struct fixture *f = *state;
	struct writ_rpc_status st;
	struct writ_err err;
	char out[8];
	assert_int_equal(
		call(f, "/t.Echo/Unary", "\xff", out, sizeof(out), &st, &err), WRIT_EINVAL);
	assert_int_equal(st.code, 3);
	assert_non_null(strstr(err.msg, "not UTF-8"));
}

static void headers_reach_the_handler(void **state)
{
	struct fixture *f = *state;
	struct writ_rpc_header two[] = { { "x-test", "a" }, { "x-test", "b" } };
	struct probe p = { 0 };
	probe_start_with(&p, f,
		(struct writ_rpc_request){
			.path = "/t.Echo/Header", .headers = two, .n_headers = 2 },
		"");
	wait_count(f, &p.ended, 1);
	assert_string_equal(p.last, "2:a");
	struct probe bad = { 0 };
	struct writ_rpc_header wrong = { "X Test", "a" };
	probe_start_with(&bad, f,
		(struct writ_rpc_request){
			.path = "/t.Echo/Header", .headers = &wrong, .n_headers = 1 },
		"");
	assert_int_equal(bad.ended, 0); /* never inside the call */
	wait_count(f, &bad.ended, 1);
	assert_int_equal(bad.status.rc, WRIT_EINVAL);
}

static void who_may_call_is_asked_first(void **state)
{
	struct fixture *f = *state;
	struct writ_rpc_status st;
	struct writ_err err;
	struct probe p = { 0 };
	char out[8];
	f->deny = true;
	assert_int_equal(call(f, "/t.Echo/Unary", "x", out, sizeof(out), &st, &err), WRIT_EDENIED);
	assert_non_null(strstr(err.msg, "PermissionDenied: you may not"));
	f->deny = false;
	/* and may take its time */
	f->refuse_later = true;
	probe_start(&p, f, "/t.Echo/Unary", "x");
	while (!f->undecided)
		writ_loop_run_until(f->loop, &p.done, writ_mono_ms() + 1);
	writ_call_run(f->undecided);
	probe_wait(&p);
	wait_count(f, &p.ended, 1);
	assert_int_equal(p.status.code, 0);
	assert_string_equal(p.last, "x");
	/* the client may be gone by then */
	struct probe q = { 0 };
	f->undecided = NULL;
	probe_start(&q, f, "/t.Echo/Unary", "x");
	while (!f->undecided)
		writ_loop_run_until(f->loop, &q.done, writ_mono_ms() + 1);
	writ_rpc_cancel(q.rpc);
	while (!writ_call_cancelled(f->undecided))
		writ_loop_run_until(f->loop, &f->stopped, writ_mono_ms() + 1);
	writ_call_run(f->undecided);
	wait_count(f, &f->after, 3);
	assert_int_equal(f->last_status, 1);
}

static void a_stream_sends_as_fast_as_it_is_taken(void **state)
{
	struct fixture *f = *state;
	struct probe p = { 0 };
	probe_start(&p, f, "/t.Echo/Three", "");
	wait_count(f, &p.ended, 1);
	assert_int_equal(p.messages, 3);
	assert_string_equal(p.last, "3");
	assert_int_equal(p.status.code, 0);
	wait_count(f, &f->after, 1);
	assert_int_equal(f->ended, 1);
}

static void the_status_waits_for_the_message_before_it(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 50; i++) {
		struct probe p = { 0 };
		probe_start(&p, f, "/t.Echo/SendAndFinish", "x");
		wait_count(f, &p.ended, 1);
		assert_int_equal(p.messages, 1);
		assert_int_equal(p.status.code, 0);
	}
}

static void a_cancelled_stream_is_told_to_its_handler(void **state)
{
	struct fixture *f = *state;
	struct probe p = { .want = 1, .cancel_at_want = true };
	probe_start(&p, f, "/t.Echo/Idle", "x");
	wait_count(f, &p.ended, 1);
	assert_int_equal(p.status.code, 1);
	assert_int_equal(p.status.rc, WRIT_ECANCELED);
	wait_count(f, &f->after, 1);
	assert_int_equal(f->ended, 1);
	assert_true(f->last_cancelled);
	assert_int_equal(f->last_status, 1);
}

static void a_held_call_stays_valid_until_it_is_answered(void **state)
{
	struct fixture *f = *state;
	struct probe p = { 0 };
	struct writ_err err;
	probe_start(&p, f, "/t.Echo/Hold", "x");
	while (!f->held)
		writ_loop_run_until(f->loop, &p.done, writ_mono_ms() + 1);
	assert_false(writ_call_cancelled(f->held));
	writ_rpc_cancel(p.rpc);
	while (!writ_call_cancelled(f->held))
		writ_loop_run_until(f->loop, &f->stopped, writ_mono_ms() + 1);
	wait_count(f, &p.ended, 1);
	assert_int_equal(f->after, 0);
	(void)writ_fail(&err, WRIT_EUNAVAIL, "late");
	writ_call_fail(f->held, &err); /* dropped silently */
	wait_count(f, &f->after, 1);
	assert_int_equal(f->last_status, 1);
}

static void memory_of_a_call_is_zeroed_and_bounded(void **state)
{
	struct fixture *f = *state;
	struct probe p = { 0 };
	Text m = TEXT_INIT;
	size_t total = 0;
	probe_start(&p, f, "/t.Echo/Hold", "x");
	while (!f->held)
		writ_loop_run_until(f->loop, &p.done, writ_mono_ms() + 1);
	for (size_t n = 1; n < 5000; n = n * 3 + 1) {
		char *a = writ_call_alloc(f->held, n), *b = writ_call_alloc(f->held, n);
		for (size_t i = 0; i < n; i++)
			assert_true(a[i] == 0 && b[i] == 0);
		memset(a, 1, n);
		memset(b, 2, n);
		assert_int_equal(a[n - 1], 1);
	}
	/* Small ones behind each size: none reaches over the end of its block. */
	for (size_t n = 1; n < 2200; n += 37) {
		memset(writ_call_alloc(f->held, n), 3, n);
		for (size_t i = 0; i < 5; i++)
			memset(writ_call_alloc(f->held, 90), 4, 90);
	}
	while (writ_call_alloc(f->held, 1 << 16))
		total += 1 << 16;
	assert_in_range(total, WRIT_CALL_ARENA_MAX / 2, WRIT_CALL_ARENA_MAX);
	writ_call_reply(f->held, &m.base);
	wait_count(f, &p.ended, 1);
}

static void the_clients_deadline_ends_both_sides(void **state)
{
	struct fixture *f = *state;
	struct probe p = { 0 };
	f->hold_on_end = true;
	probe_start_with(
		&p, f, (struct writ_rpc_request){ .path = "/t.Echo/Hold", .deadline_ms = 30 }, "x");
	wait_count(f, &p.ended, 1);
	assert_int_equal(p.status.code, 4);
	assert_int_equal(p.status.rc, WRIT_ETIMEOUT);
	wait_count(f, &f->after, 1);
	assert_int_equal(f->ended, 1);
	assert_int_equal(f->last_status, 4);
}

static void the_servers_own_deadline_ends_a_unary_call(void **state)
{
	struct fixture *f = *state;
	struct probe p[3] = { 0 }, s = { .want = 1 };
	f->hold_on_end = true;
	for (int i = 0; i < 3; i++)
		probe_start(&p[i], f, "/t.Echo/Hold", "x");
	probe_start(&s, f, "/t.Echo/Idle", "x");
	probe_wait(&s);
	for (int i = 0; i < 3; i++) {
		wait_count(f, &p[i].ended, 1);
		assert_int_equal(p[i].status.code, 4);
		assert_non_null(strstr(p[i].text, "own deadline"));
	}
	assert_int_equal(f->ended, 3);
	assert_int_equal(s.ended, 0); /* a stream has none */
	/* a bidi stream that never says anything has one */
	struct probe b = { 0 };
	probe_start_with(
		&b, f, (struct writ_rpc_request){ .path = "/t.Echo/Bidi", .bidi = true }, NULL);
	wait_count(f, &b.ended, 1);
	assert_int_equal(b.status.code, 4);
	writ_rpc_cancel(s.rpc);
	wait_count(f, &s.ended, 1);
}

static void a_bidi_stream_goes_both_ways(void **state)
{
	struct fixture *f = *state;
	struct probe p = { .want = 1 };
	probe_start_with(
		&p, f, (struct writ_rpc_request){ .path = "/t.Echo/Bidi", .bidi = true }, "one");
	probe_wait(&p);
	assert_string_equal(p.last, "one");
	for (int i = 0; i < 10; i++) {
		p.want = p.messages + 1;
		probe_send(&p, "more");
		probe_wait(&p);
	}
	assert_string_equal(p.last, "more");
	writ_rpc_close_send(p.rpc);
	wait_count(f, &p.ended, 1);
	assert_int_equal(p.status.code, 0);
	assert_int_equal(p.messages, 11);
	assert_int_equal(f->half_closed, 1);
	wait_count(f, &f->after, 1);
	assert_int_equal(f->ended, 1);
}

static void a_bidi_streams_queue_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct probe p = { 0 };
	Text m = TEXT_INIT;
	struct writ_err err;
	int sent = 0;
	writ_rc rc;
	probe_start_with(
		&p, f, (struct writ_rpc_request){ .path = "/t.Echo/Bidi", .bidi = true }, "one");
	do
		rc = writ_rpc_send(p.rpc, &m.base, &err);
	while (rc == WRIT_OK && ++sent < 100);
	assert_int_equal(rc, WRIT_EBUSY);
	assert_int_equal(sent, 16);
	writ_rpc_close_send(p.rpc);
	assert_int_equal(writ_rpc_send(p.rpc, &m.base, &err), WRIT_ECANCELED);
	wait_count(f, &p.ended, 1);
	assert_int_equal(f->messages, 17);
}

static void a_bidi_stream_without_a_message_is_refused(void **state)
{
	struct fixture *f = *state;
	struct probe p = { 0 }, q = { 0 }, r = { .want = 1 };
	probe_start_with(
		&p, f, (struct writ_rpc_request){ .path = "/t.Echo/Bidi", .bidi = true }, NULL);
	writ_rpc_close_send(p.rpc);
	wait_count(f, &p.ended, 1);
	assert_int_equal(p.status.code, 3);
	/* without a half_closed handler the stream ends well with the client's side */
	probe_start(&q, f, "/t.Echo/BidiPlain", "x");
	wait_count(f, &q.ended, 1);
	assert_int_equal(q.status.code, 0);
	assert_int_equal(q.messages, 1);
	/* and without a message handler a second one is refused */
	probe_start_with(
		&r, f, (struct writ_rpc_request){ .path = "/t.Echo/BidiPlain", .bidi = true }, "x");
	probe_wait(&r);
	probe_send(&r, "y");
	wait_count(f, &r.ended, 1);
	assert_int_equal(r.status.code, 3);
}

static void a_bidi_client_that_cancels_is_seen(void **state)
{
	struct fixture *f = *state;
	struct probe p = { .want = 1, .cancel_at_want = true };
	probe_start_with(
		&p, f, (struct writ_rpc_request){ .path = "/t.Echo/Bidi", .bidi = true }, "x");
	wait_count(f, &p.ended, 1);
	wait_count(f, &f->after, 1);
	assert_int_equal(f->ended, 1);
	assert_int_equal(f->last_status, 1);
}

struct many {
	struct fixture *f;
	int started, ended, good;
};

static void many_next(struct many *m, struct writ_channel *c);

struct one {
	struct many *m;
	struct writ_channel *c;
	int answers;
};

static void one_message(void *arg, struct writ_rpc *r, const ProtobufCMessage *m)
{
	(void)r;
	(void)m;
	((struct one *)arg)->answers++;
}

static void one_ended(void *arg, struct writ_rpc *r, const struct writ_rpc_status *st)
{
	struct one *o = arg;
	(void)r;
	o->m->ended++;
	o->m->good += st->code == 0 && o->answers == 1;
	if (o->m->started < 2000)
		many_next(o->m, o->c);
	writ_free(o);
}

static void many_next(struct many *m, struct writ_channel *c)
{
	static const char *const paths[] = { "/t.Echo/Unary", "/t.Echo/SendAndFinish",
		"/t.Echo/Header" };
	Text t = TEXT_INIT;
	struct one *o = writ_alloc(sizeof(*o));
	*o = (struct one){ m, c, 0 };
	struct writ_rpc_request req = { .path = paths[m->started % 3],
		.message = &t.base,
		.out = TEXT,
		.message_in = one_message,
		.ended = one_ended,
		.arg = o,
		.deadline_ms = WAIT_MS };
	m->started++;
	(void)writ_rpc_start(c, &req);
}

static void two_thousand_calls_over_eight_channels(void **state)
{
	struct many m = { .f = *state };
	for (int i = 0; i < CHANNELS; i++)
		for (int k = 0; k < 10; k++)
			many_next(&m, m.f->ch[i]);
	wait_count(m.f, &m.ended, 2000);
	assert_int_equal(m.good, 2000);
	wait_count(m.f, &m.f->after, 2000);
	assert_int_equal(m.f->server->n_calls, 0);
}

int main(int argc, char **argv)
{
#define LIGHT(t) cmocka_unit_test_setup_teardown(t, fixture_setup_light, fixture_teardown)
#define TEST(t)  cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_unary_call_gets_its_answer),
		TEST(errors_become_statuses),
		TEST(messages_of_many_slices_come_whole),
		TEST(a_request_over_the_maximum_is_refused),
		TEST(what_the_check_refuses_never_reaches_a_handler),
		TEST(headers_reach_the_handler),
		TEST(who_may_call_is_asked_first),
		TEST(a_stream_sends_as_fast_as_it_is_taken),
		TEST(the_status_waits_for_the_message_before_it),
		TEST(a_cancelled_stream_is_told_to_its_handler),
		TEST(a_held_call_stays_valid_until_it_is_answered),
		TEST(memory_of_a_call_is_zeroed_and_bounded),
		TEST(the_clients_deadline_ends_both_sides),
		LIGHT(a_unary_call_gets_its_answer),
		LIGHT(errors_become_statuses),
		LIGHT(messages_of_many_slices_come_whole),
		LIGHT(a_request_over_the_maximum_is_refused),
		LIGHT(a_stream_sends_as_fast_as_it_is_taken),
		LIGHT(the_clients_deadline_ends_both_sides),
		LIGHT(two_thousand_calls_over_eight_channels),
		cmocka_unit_test_setup_teardown(the_servers_own_deadline_ends_a_unary_call,
			fixture_setup_short, fixture_teardown),
		TEST(a_bidi_stream_goes_both_ways),
		TEST(a_bidi_streams_queue_is_bounded),
		TEST(a_bidi_stream_without_a_message_is_refused),
		TEST(a_bidi_client_that_cancels_is_seen),
		TEST(two_thousand_calls_over_eight_channels),
	};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
