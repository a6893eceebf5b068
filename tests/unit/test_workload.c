/* SPDX-License-Identifier: Apache-2.0 */
/* The Workload API's client against an agent that does what the test says. WC-NN: the numbers of
 * the conformance list. */
#include "workload/client.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "rpc/channel.h"
#include "rpc/rpc.h"

#include "check.h"
#include "fake_agent.h"

#include <stdlib.h>
#include <unistd.h>

#define PATIENCE_MS 10000
#define ID_A        "spiffe://a.test/one"

static struct fake_ca ca_a, ca_b;
static char dir[64], path[96];

/* A client, and what it has said. */
struct client {
	struct fake_agent *agent;
	struct writ_loop *loop;
	struct writ_wl *wl;
	struct writ_wl_update *last;
	int updates, failures, denials, finals;
	struct writ_err err;
	bool stopped, stop_in_callback;
};

static void on_stopped(void *arg)
{
	((struct client *)arg)->stopped = true;
}

static void on_update(void *arg, struct writ_wl_update *u)
{
	struct client *c = arg;
	c->updates++;
	writ_wl_update_unref(c->last);
	c->last = writ_wl_update_ref(u);
	if (c->stop_in_callback)
		writ_wl_stop(writ_steal(c->wl), on_stopped, c);
}

static void on_failed(void *arg, const struct writ_err *err, bool denied, bool final)
{
	struct client *c = arg;
	c->failures++;
	c->denials += denied;
	c->finals += final;
	c->err = *err;
	if (c->stop_in_callback && c->wl)
		writ_wl_stop(writ_steal(c->wl), on_stopped, c);
}

static void turn(struct client *c, int64_t ms)
{
	const bool never = false;
	(void)writ_loop_run_until(c->loop, &never, writ_mono_ms() + ms);
}

static void wait_for(struct client *c, const int *n, int want)
{
	int64_t until = writ_mono_ms() + PATIENCE_MS;
	while (*n < want && writ_mono_ms() < until)
		turn(c, 2);
	if (*n < want)
		fail_msg("waited for %d, got %d (last: %s)", want, *n, c->err.msg);
}

static void begin(struct client *c)
{
	const struct writ_wl_config cfg = {
		.loop = c->loop,
		.socket_path = path,
		.update = on_update,
		.failed = on_failed,
		.arg = c,
	};
	c->wl = writ_wl_start(&cfg);
}

static void end(struct client *c)
{
	if (c->wl)
		writ_wl_stop(writ_steal(c->wl), on_stopped, c);
	assert_true(writ_loop_run_until(c->loop, &c->stopped, writ_mono_ms() + PATIENCE_MS));
}

static X509SVIDResponse *good_answer(void)
{
	X509SVIDResponse *a = fake_answer_new();
	fake_answer_add(a, &ca_a, ID_A, "");
	return a;
}

static int setup(void **state)
{
	struct client *c = writ_alloc(sizeof(*c));
	struct writ_err err;
	c->agent = fake_agent_start(path);
	writ_rpc_init();
	assert_ok(writ_loop_new(&c->loop, &err), err);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	struct client *c = *state;
	if (c->wl)
		end(c);
	writ_loop_free(c->loop);
	writ_rpc_shutdown();
	if (c->agent)
		fake_agent_stop(c->agent);
	writ_wl_update_unref(c->last);
	writ_free(c);
	return 0;
}

static void the_first_answer_is_delivered_checked(void **state)
{
	struct client *c = *state;
	struct writ_svid *s = NULL;
	struct writ_err err;
	fake_agent_say(c->agent, good_answer());
	begin(c);
	assert_int_equal(c->updates, 0); /* never inside start */
	wait_for(c, &c->updates, 1);
	assert_int_equal(c->last->n, 1);
	assert_ok(writ_wl_pick(c->last, NULL, NULL, &s, &err), err);
	assert_string_equal(s->spiffe_id, ID_A);
	assert_non_null(writ_bundles_get(c->last->bundles, WRIT_STR("a.test")));
	assert_int_equal(fake_agent_bare(c->agent), 0); /* WC-03 */
	assert_int_equal(fake_agent_calls(c->agent), 1);
}

static void each_answer_is_the_whole_state(void **state) /* WC-08, WC-17, WC-18 */
{
	struct client *c = *state;
	static const char *const keys[] = { "spiffe://b.test", "b.test" };
	begin(c);
	for (int i = 0; i < 2; i++) {
		X509SVIDResponse *a = good_answer();
		fake_answer_federate(a, keys[i], &ca_b);
		fake_answer_add_crl(a);
		fake_agent_say(c->agent, a);
		wait_for(c, &c->updates, 2 * i + 1);
		assert_non_null(writ_bundles_get(c->last->bundles, WRIT_STR("b.test")));
		fake_agent_say(c->agent, good_answer());
		wait_for(c, &c->updates, 2 * i + 2);
		assert_null(writ_bundles_get(c->last->bundles, WRIT_STR("b.test")));
	}
	assert_int_equal(c->failures, 0);
}

static void what_cannot_get_better_is_not_tried_again(void **state) /* WC-04, WC-06 */
{
	static const int codes[] = { 3, 12 };
	for (size_t i = 0; i < WRIT_COUNT(codes); i++) {
		struct client *c = *state;
		fake_agent_plan(c->agent, codes[i]);
		begin(c);
		wait_for(c, &c->finals, (int)i + 1);
		turn(c, 400);
		assert_int_equal(fake_agent_calls(c->agent), (int)i + 1);
		assert_int_equal(c->denials, 0);
		c->stopped = false;
		end(c);
	}
}

static void what_may_get_better_is_tried_until_it_does(void **state) /* WC-05 */
{
	struct client *c = *state;
	static const int codes[] = { 7, 14, 7, 2 };
	for (size_t i = 0; i < WRIT_COUNT(codes); i++)
		fake_agent_plan(c->agent, codes[i]);
	fake_agent_say(c->agent, good_answer());
	begin(c);
	wait_for(c, &c->updates, 1);
	assert_int_equal(fake_agent_calls(c->agent), 5);
	assert_int_equal(c->failures, 4);
	/* A refusal before the first identity takes nothing away. */
	assert_int_equal(c->denials, 0);
	assert_int_equal(c->finals, 0);
}

static void spoil_nothing_there(X509SVIDResponse *a)
{
	(void)a;
}

static void spoil_id(X509SVIDResponse *a)
{
	fake_text(&fake_answer_add(a, &ca_a, ID_A, "")->spiffe_id, "");
}

static void spoil_other_id(X509SVIDResponse *a)
{
	fake_text(&fake_answer_add(a, &ca_a, ID_A, "")->spiffe_id, "spiffe://a.test/two");
}

static void spoil_td(X509SVIDResponse *a)
{
	fake_text(&fake_answer_add(a, &ca_a, ID_A, "")->spiffe_id, "spiffe://b.test/one");
}

static void spoil_cert(X509SVIDResponse *a)
{
	fake_bytes(&fake_answer_add(a, &ca_a, ID_A, "")->x509_svid, "\x30\x01", 2);
}

static void spoil_no_cert(X509SVIDResponse *a)
{
	fake_bytes(&fake_answer_add(a, &ca_a, ID_A, "")->x509_svid, "", 0);
}

static void spoil_key(X509SVIDResponse *a)
{
	X509SVID *one = fake_answer_add(a, &ca_a, ID_A, "");
	X509SVID *two = fake_answer_add(a, &ca_a, ID_A, "");
	fake_bytes(&one->x509_svid_key, two->x509_svid_key.data, two->x509_svid_key.len);
}

static void spoil_no_key(X509SVIDResponse *a)
{
	fake_bytes(&fake_answer_add(a, &ca_a, ID_A, "")->x509_svid_key, "", 0);
}

static void spoil_bundle(X509SVIDResponse *a)
{
	struct writ_str other = writ_cert_der(ca_b.cert);
	fake_bytes(&fake_answer_add(a, &ca_a, ID_A, "")->bundle, other.p, other.n);
}

static void spoil_no_bundle(X509SVIDResponse *a)
{
	fake_bytes(&fake_answer_add(a, &ca_a, ID_A, "")->bundle, "", 0);
}

static void spoil_time(X509SVIDResponse *a)
{
	struct fake_svid s;
	fake_svid_init(&s, &ca_a, ID_A, -600, -300);
	fake_answer_add_svid(a, &ca_a, &s, ID_A, "");
	fake_svid_done(&s);
}

static void spoil_ca_as_leaf(X509SVIDResponse *a)
{
	struct fake_svid s = { ca_a.key, ca_a.cert };
	fake_answer_add_svid(a, &ca_a, &s, ID_A, "");
}

static void spoil_federated(X509SVIDResponse *a)
{
	fake_answer_add(a, &ca_a, ID_A, "");
	fake_answer_federate(a, "spiffe://b.test", &ca_b);
	fake_bytes(&a->federated_bundles[0]->value, "junk", 4);
}

static void spoil_federated_key(X509SVIDResponse *a)
{
	fake_answer_add(a, &ca_a, ID_A, "");
	fake_answer_federate(a, "spiffe://B test", &ca_b);
}

static void (*const spoils[])(X509SVIDResponse *a) = { spoil_nothing_there, spoil_id,
	spoil_other_id, spoil_td, spoil_cert, spoil_no_cert, spoil_key, spoil_no_key, spoil_bundle,
	spoil_no_bundle, spoil_time, spoil_ca_as_leaf, spoil_federated, spoil_federated_key };

static void a_bad_answer_changes_nothing(void **state) /* WC-09, WC-16 */
{
	struct client *c = *state;
	fake_agent_say(c->agent, good_answer());
	begin(c);
	wait_for(c, &c->updates, 1);
	const struct writ_wl_update *before = c->last;
	for (size_t i = 0; i < WRIT_COUNT(spoils); i++) {
		X509SVIDResponse *a = fake_answer_new();
		spoils[i](a);
		fake_agent_say(c->agent, a);
		wait_for(c, &c->failures, (int)i + 1);
		if (c->updates != 1)
			fail_msg("bad answer %zu was taken", i);
		assert_ptr_equal(c->last, before);
	}
	assert_int_equal(c->finals + c->denials, 0);
	fake_agent_say(c->agent, good_answer());
	wait_for(c, &c->updates, 2);
	assert_int_equal(fake_agent_calls(c->agent), 1); /* the stream was kept */
}

static void a_refusal_on_a_live_stream_takes_the_identity(void **state) /* WC-10 */
{
	struct client *c = *state;
	fake_agent_say(c->agent, good_answer());
	begin(c);
	wait_for(c, &c->updates, 1);
	fake_agent_plan(c->agent, 7);
	fake_agent_end(c->agent, 7);
	wait_for(c, &c->denials, 1);
	assert_int_equal(c->err.rc, WRIT_EDENIED);
	wait_for(c, &c->updates, 2); /* given again: it is taken again */
	assert_int_equal(c->denials, 1);
}

static void a_refusal_after_a_reconnect_takes_it_too(void **state)
{
	struct client *c = *state;
	fake_agent_say(c->agent, good_answer());
	begin(c);
	wait_for(c, &c->updates, 1);
	fake_agent_plan(c->agent, 7);
	fake_agent_end(c->agent, 14);
	wait_for(c, &c->denials, 1);
}

static void however_a_stream_ends_another_follows(void **state) /* WC-07 */
{
	struct client *c = *state;
	static const int codes[] = { 0, 14, 1, 13, 2, 8 };
	fake_agent_say(c->agent, good_answer());
	begin(c);
	for (size_t i = 0; i < WRIT_COUNT(codes); i++) {
		wait_for(c, &c->updates, (int)i + 1);
		fake_agent_end(c->agent, codes[i]);
		wait_for(c, &c->failures, (int)i + 1);
	}
	wait_for(c, &c->updates, (int)WRIT_COUNT(codes) + 1);
	assert_int_equal(c->denials + c->finals, 0);
}

static void an_agent_that_ends_each_stream_is_not_chased(void **state) /* WC-15 */
{
	struct client *c = *state;
	for (int i = 0; i < FAKE_PLAN; i++)
		fake_agent_plan(c->agent, -1);
	fake_agent_say(c->agent, good_answer());
	begin(c);
	turn(c, 700);
	assert_in_range(fake_agent_calls(c->agent), 2, 6);
}

static void a_restarted_agent_is_found_again(void **state)
{
	struct client *c = *state;
	fake_agent_say(c->agent, good_answer());
	begin(c);
	wait_for(c, &c->updates, 1);
	fake_agent_stop(writ_steal(c->agent));
	wait_for(c, &c->failures, 2); /* the end, and a try that finds nobody */
	if (!strstr(c->err.msg, path))
		fail_msg("no path in '%s'", c->err.msg);
	c->agent = fake_agent_start(path);
	fake_agent_say(c->agent, good_answer());
	wait_for(c, &c->updates, 2);
	assert_int_equal(c->denials, 0);
}

static void it_stops_in_every_state(void **state)
{
	struct client *c = *state;
	/* Before anything, while connected without an answer, with one, while it waits to retry. */
	begin(c);
	end(c);
	c->stopped = false;
	begin(c);
	turn(c, 30);
	end(c);
	c->stopped = false;
	fake_agent_say(c->agent, good_answer());
	begin(c);
	wait_for(c, &c->updates, 1);
	end(c);
	c->stopped = false;
	fake_agent_plan(c->agent, 14);
	begin(c);
	wait_for(c, &c->failures, 1);
	end(c);
}

static void it_may_be_stopped_by_its_callbacks(void **state)
{
	struct client *c = *state;
	c->stop_in_callback = true;
	fake_agent_say(c->agent, good_answer());
	begin(c);
	assert_true(writ_loop_run_until(c->loop, &c->stopped, writ_mono_ms() + PATIENCE_MS));
	c->stopped = false;
	fake_agent_plan(c->agent, 14);
	begin(c);
	assert_true(writ_loop_run_until(c->loop, &c->stopped, writ_mono_ms() + PATIENCE_MS));
	c->stopped = false;
	fake_agent_plan(c->agent, 3);
	begin(c);
	assert_true(writ_loop_run_until(c->loop, &c->stopped, writ_mono_ms() + PATIENCE_MS));
}

static struct writ_wl_update *decode(X509SVIDResponse *a)
{
	struct writ_err err;
	struct writ_wl_update *u = NULL;
	WRIT_AUTO(writ_buf_done) struct writ_buf bytes = WRIT_BUF(1u << 20);
	assert_ok(writ_pb_pack(&a->base, &bytes, &err), err);
	assert_ok(writ_wl_decode(bytes.p, bytes.n, writ_wall_s(), &u, &err), err);
	fake_answer_free(a);
	return u;
}

static void the_meant_identity_is_picked_or_none(void **state) /* WC-11, WC-12 */
{
	(void)state;
	X509SVIDResponse *a = fake_answer_new();
	fake_answer_add(a, &ca_a, "spiffe://a.test/one", "in");
	fake_answer_add(a, &ca_a, "spiffe://a.test/two", "out");
	fake_answer_add(a, &ca_a, "spiffe://a.test/three", "out");
	fake_answer_add(a, &ca_a, "spiffe://a.test/two", "");
	struct writ_wl_update *u = decode(a);
	static const struct {
		const char *id, *hint, *in_use;
		writ_rc rc;
		int which;
		const char *says;
	} rows[] = {
		{ "spiffe://a.test/two", NULL, NULL, WRIT_OK, 1, NULL },
		{ NULL, "in", NULL, WRIT_OK, 0, NULL },
		{ NULL, "out", NULL, WRIT_OK, 1, NULL },
		{ "spiffe://a.test/three", "out", NULL, WRIT_OK, 2, NULL },
		{ NULL, NULL, NULL, WRIT_EPRECOND, 0, "spiffe://a.test/three" },
		{ NULL, NULL, "spiffe://a.test/three", WRIT_OK, 2, NULL },
		{ NULL, NULL, "spiffe://a.test/gone", WRIT_EPRECOND, 0, "say which" },
		{ "spiffe://a.test/four", NULL, NULL, WRIT_ENOENT, 0,
			"it has spiffe://a.test/one" },
		{ "spiffe://a.test/four", NULL, "spiffe://a.test/one", WRIT_ENOENT, 0, "four" },
		{ NULL, "no", NULL, WRIT_ENOENT, 0, "with hint no" },
	};
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_err err = { 0 };
		struct writ_svid *s = NULL;
		writ_rc rc = writ_wl_follow(u, rows[i].id, rows[i].hint, rows[i].in_use, &s, &err);
		assert_int_equal(rc, rows[i].rc);
		if (rc == WRIT_OK)
			assert_ptr_equal(s, u->svids[rows[i].which]);
		else if (!strstr(err.msg, rows[i].says))
			fail_msg("row %zu: no '%s' in '%s'", i, rows[i].says, err.msg);
	}
	writ_wl_update_unref(u);
}

static void one_identity_twice_is_not_ambiguous(void **state)
{
	struct writ_err err;
	struct writ_svid *s = NULL;
	(void)state;
	X509SVIDResponse *a = good_answer();
	fake_answer_add(a, &ca_a, ID_A, "");
	struct writ_wl_update *u = decode(a);
	assert_ok(writ_wl_pick(u, NULL, NULL, &s, &err), err);
	assert_ptr_equal(s, u->svids[0]);
	writ_wl_update_unref(u);
}

static void an_own_bundle_is_not_replaced_by_a_federated_one(void **state)
{
	(void)state;
	X509SVIDResponse *a = good_answer();
	fake_answer_federate(a, "spiffe://a.test", &ca_b);
	struct writ_wl_update *u = decode(a);
	const struct writ_bundle *b = writ_bundles_get(u->bundles, WRIT_STR("a.test"));
	assert_int_equal(b->n, 1);
	assert_true(writ_str_eq(writ_cert_der(b->cas[0]), writ_cert_der(ca_a.cert)));
	writ_wl_update_unref(u);
}

static int group_setup(void **state)
{
	struct writ_err err;
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/writ-test-wl-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/api.sock", dir);
	assert_ok(writ_crypto_init(&err), err);
	fake_ca_init(&ca_a, "ca-a", "a.test", "spiffe://a.test");
	fake_ca_init(&ca_b, "ca-b", "b.test", "spiffe://b.test");
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
		TEST(the_first_answer_is_delivered_checked),
		TEST(each_answer_is_the_whole_state),
		TEST(what_cannot_get_better_is_not_tried_again),
		TEST(what_may_get_better_is_tried_until_it_does),
		TEST(a_bad_answer_changes_nothing),
		TEST(a_refusal_on_a_live_stream_takes_the_identity),
		TEST(a_refusal_after_a_reconnect_takes_it_too),
		TEST(however_a_stream_ends_another_follows),
		TEST(an_agent_that_ends_each_stream_is_not_chased),
		TEST(a_restarted_agent_is_found_again),
		TEST(it_stops_in_every_state),
		TEST(it_may_be_stopped_by_its_callbacks),
		cmocka_unit_test(the_meant_identity_is_picked_or_none),
		cmocka_unit_test(one_identity_twice_is_not_ambiguous),
		cmocka_unit_test(an_own_bundle_is_not_replaced_by_a_federated_one),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
