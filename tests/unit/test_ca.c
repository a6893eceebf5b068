/* SPDX-License-Identifier: Apache-2.0 */
/* A CA manager on a fake clock, with a signer in the same process and a store of a few lines. */
#include "signer_kit.h"

#include "base/clock.h"
#include "base/mem.h"
#include "ca/ca.h"
#include "signer/frame.h"

#include <stdio.h>
#include <string.h>

#define TTL   1800
#define START 1800000000LL
#define TURNS 60

struct answer { /* one reply on its way back */
	struct writ_task task;
	struct world *w;
	struct writ_signer_call *call;
	struct writ_buf bytes;
};

struct world {
	struct kit kit;
	struct writ_loop *loop;
	struct writ_signer_port port;
	struct writ_ca *ca;
	bool down, hold; /* hold: the store does not answer */
	bool fail_store, fail_signer;
	bool die; /* the signer dies of the next request to sign, having done it */
	struct writ_ca_change *held;
	struct writ_task ack;
	struct writ_cert *bundle[64];
	size_t n_bundle;
	char *slots[16], *states[16];
	size_t n_slots;
	unsigned prepared, activated, sign_calls, changed, svids, refused, prunes;
	int64_t last_activation;
};

static void deliver(struct writ_task *t)
{
	struct answer *a = writ_container(t, struct answer, task);
	struct writ_err err = { 0 };
	kit_reply *r = writ__signer__v1__reply__unpack(NULL, a->bytes.n, a->bytes.p);
	assert_non_null(r);
	writ_rc rc = r->rc ? writ_fail(&err, (writ_rc)r->rc, "%s", r->error) : WRIT_OK;
	if (a->w->down)
		rc = writ_fail(&err, WRIT_EUNAVAIL, "down");
	a->call->done(a->call, rc, r, &err);
	kit_free(r);
	writ_buf_done(&a->bytes);
	writ_free(a);
}

static bool in_bundle(struct world *w, const char *id)
{
	for (size_t i = 0; i < w->n_bundle; i++)
		if (strcmp(writ_cert_ski_hex(w->bundle[i]), id) == 0)
			return true;
	return false;
}

static void watch(struct world *w, const kit_request *q)
{
	w->prepared += q->op_case == WRIT__SIGNER__V1__REQUEST__OP_PREPARE_CA;
	w->sign_calls += q->op_case == WRIT__SIGNER__V1__REQUEST__OP_SIGN;
	if (q->op_case != WRIT__SIGNER__V1__REQUEST__OP_ACTIVATE_CA)
		return;
	w->activated++;
	w->last_activation = writ_wall_s();
	/* The rule that matters most: never active before it is published. */
	assert_true(in_bundle(w, q->activate_ca->authority_id));
}

static writ_rc port_call(struct writ_signer_port *p, struct writ_signer_call *c, kit_request *q,
	struct writ_err *err)
{
	struct world *w = writ_container(p, struct world, port);
	if (w->down)
		return writ_fail(err, WRIT_EUNAVAIL, "down");
	if (w->fail_signer)
		return writ_fail(err, WRIT_EIO, "no luck");
	watch(w, q);
	struct answer *a = writ_alloc(sizeof(*a));
	*a = (struct answer){
		.task = { .run = deliver }, .w = w, .call = c, .bytes = WRIT_BUF(WRIT_FRAME_MAX)
	};
	struct writ_buf req = WRIT_BUF(WRIT_FRAME_MAX);
	q->id = 7;
	size_t n = writ__signer__v1__request__get_packed_size(q);
	writ_buf_grew(&req, writ__signer__v1__request__pack(q, writ_buf_room(&req, n)));
	assert_int_equal(
		writ_signer_handle(w->kit.signer, writ_buf_str(&req), &a->bytes, err), WRIT_OK);
	writ_buf_done(&req);
	w->down = w->die && q->op_case == WRIT__SIGNER__V1__REQUEST__OP_SIGN;
	writ_loop_post(w->loop, &a->task);
	return WRIT_OK;
}

static void put_root(struct world *w, struct writ_cert *c)
{
	for (size_t i = 0; i < w->n_bundle; i++)
		if (writ_str_eq(writ_cert_der(w->bundle[i]), writ_cert_der(c)))
			return;
	assert_true(w->n_bundle < WRIT_COUNT(w->bundle));
	w->bundle[w->n_bundle++] = writ_cert_ref(c);
}

static void prune(struct world *w, int64_t before)
{
	w->prunes++;
	for (size_t i = 0; i < w->n_bundle; i++)
		if (writ_cert_not_after(w->bundle[i]) < before) {
			writ_cert_unref(w->bundle[i]);
			w->bundle[i--] = w->bundle[--w->n_bundle];
		}
}

static void put_slot(struct world *w, const char *id, const char *state)
{
	size_t i = 0;
	while (i < w->n_slots && strcmp(w->slots[i], id) != 0)
		i++;
	if (i < w->n_slots) {
		writ_free(w->slots[i]);
		writ_free(w->states[i]);
		w->slots[i] = w->slots[w->n_slots - 1];
		w->states[i] = w->states[--w->n_slots];
	}
	if (!state)
		return;
	assert_true(w->n_slots < WRIT_COUNT(w->slots));
	w->slots[w->n_slots] = writ_strdup(id);
	w->states[w->n_slots++] = writ_strdup(state);
}

static void acked(struct writ_task *t)
{
	struct world *w = writ_container(t, struct world, ack);
	struct writ_ca_change *c = writ_steal(w->held);
	struct writ_err err;
	if (w->fail_store) {
		c->done(c, writ_fail(&err, WRIT_EIO, "disk"), &err);
		return;
	}
	for (size_t i = 0; i < c->n_roots; i++)
		put_root(w, c->roots[i]);
	if (c->prune_before)
		prune(w, c->prune_before);
	if (c->authority)
		put_slot(w, c->authority, c->state);
	c->done(c, WRIT_OK, NULL);
}

static void on_commit(void *arg, struct writ_ca_change *c)
{
	struct world *w = arg;
	assert_null(w->held);
	w->held = c;
	w->ack.run = acked;
	if (!w->hold)
		writ_loop_post(w->loop, &w->ack);
}

static void on_changed(void *arg)
{
	((struct world *)arg)->changed++;
}

static void on_svid(void *arg, struct writ_svid *svid)
{
	struct world *w = arg;
	struct writ_anchors *anchors;
	w->svids++;
	assert_int_equal(writ_anchors_new(w->bundle, w->n_bundle, &anchors, NULL), WRIT_OK);
	assert_int_equal(writ_chain_verify(anchors, svid->chain, svid->n_chain,
				 WRIT_PURPOSE_TLS_SERVER, writ_wall_s(), NULL),
		WRIT_OK);
	writ_anchors_unref(anchors);
}

static const struct writ_ca_hooks hooks = { on_commit, on_changed, on_svid };

struct mark {
	struct writ_task task;
	bool seen;
};

static void see(struct writ_task *t)
{
	writ_container(t, struct mark, task)->seen = true;
}

static void turn(struct world *w)
{
	for (int i = 0; i < TURNS; i++) {
		struct mark m = { .task = { .run = see } };
		writ_loop_post(w->loop, &m.task);
		assert_true(writ_loop_run_until(w->loop, &m.seen, writ_mono_ms() + 10000));
	}
}

static void open_ca(struct world *w)
{
	const struct writ_ca_config c = { .trust_domain = KIT_TD,
		.ca_ttl_s = TTL,
		.key_type = WRIT_KEY_P256,
		.subject = { "US", "Writ", NULL },
		.server_svid_ttl_s = 300,
		.known = (const char *const *)w->slots,
		.n_known = w->n_slots };
	w->ca = writ_ca_new(w->loop, &c, &w->port, &hooks, w);
	writ_ca_signer_up(w->ca);
}

static void at(int64_t wall_s)
{
	writ_clock_set_wall_ms(wall_s * 1000);
}

static void tick(struct world *w, int64_t wall_s)
{
	at(wall_s);
	writ_ca_tick(w->ca);
	turn(w);
}

static int setup(void **state)
{
	struct world *w = writ_alloc(sizeof(*w));
	assert_int_equal(writ_crypto_init(NULL), WRIT_OK);
	at(START);
	kit_init(&w->kit);
	w->port.call = port_call;
	assert_int_equal(writ_loop_new(&w->loop, NULL), WRIT_OK);
	open_ca(w);
	*state = w;
	return 0;
}

static void close_ca(struct world *w)
{
	w->down = true; /* what is on its way comes back as lost */
	w->hold = false;
	if (w->held)
		writ_loop_post(w->loop, &w->ack);
	turn(w);
	writ_ca_free(w->ca);
	w->ca = NULL;
	w->down = false;
	turn(w);
}

static int teardown(void **state)
{
	struct world *w = *state;
	close_ca(w);
	writ_loop_free(w->loop);
	writ_certs_unref(w->bundle, w->n_bundle);
	for (size_t i = 0; i < w->n_slots; i++) {
		writ_free(w->slots[i]);
		writ_free(w->states[i]);
	}
	kit_done(&w->kit);
	writ_clock_set_wall_ms(-1);
	writ_clock_set_mono_us(-1);
	writ_free(w);
	return 0;
}

struct want {
	struct writ_ca_item item;
	struct kit_item kit;
	int done;
	writ_rc rc;
	int64_t not_after;
	char issuer[41];
};

static void wanted(struct writ_ca_item *i, writ_rc rc, const struct writ_ca_issued *out,
	const struct writ_err *err)
{
	struct want *t = writ_container(i, struct want, item);
	t->done++;
	t->rc = rc;
	(void)err;
	if (rc)
		return;
	t->not_after = out->not_after;
	snprintf(t->issuer, sizeof(t->issuer), "%s", out->issuer->id);
	struct writ_cert *c;
	assert_int_equal(writ_cert_parse(out->cert.p, out->cert.n, &c, NULL), WRIT_OK);
	assert_string_equal(writ_cert_aki_hex(c), t->issuer);
	writ_cert_unref(c);
}

static void want(struct world *w, struct want *t, int64_t ttl)
{
	*t = (struct want){ 0 };
	kit_item(&t->kit);
	t->item = (struct writ_ca_item){ .spiffe_id = t->kit.item.spiffe_id,
		.key = &t->kit.key,
		.ttl_s = ttl,
		.entry_id = "e",
		.done = wanted };
	assert_int_equal(writ_ca_sign(w->ca, &t->item, NULL), WRIT_OK);
	assert_int_equal(t->done, 0);
}

static void the_first_ca_is_active_at_once(void **state)
{
	struct world *w = *state;
	assert_false(writ_ca_ready(w->ca));
	turn(w);
	assert_true(writ_ca_ready(w->ca));
	assert_int_equal(w->prepared, 1);
	assert_int_equal(w->activated, 1);
	assert_int_equal(w->changed, 1);
	assert_int_equal(w->svids, 1);
	assert_int_equal(w->n_bundle, 1);
	assert_int_equal(w->n_slots, 1);
	assert_string_equal(w->states[0], "active");
	assert_non_null(writ_ca_server_svid(w->ca));
}

static void nothing_is_active_before_its_publication_is_durable(void **state)
{
	struct world *w = *state;
	struct want t;
	w->hold = true;
	want(w, &t, 300);
	turn(w);
	assert_int_equal(w->prepared, 1);
	assert_int_equal(w->activated, 0);
	tick(w, START + 60);
	assert_int_equal(w->activated, 0);
	assert_int_equal(t.done, 0);
	at(START);
	w->hold = false;
	writ_loop_post(w->loop, &w->ack);
	turn(w);
	assert_int_equal(w->activated, 1);
	assert_int_equal(t.done, 1);
	assert_int_equal(t.rc, WRIT_OK);
}

static void ten_lifetimes_follow_the_schedule(void **state)
{
	struct world *w = *state;
	turn(w);
	for (int64_t t = 0; t <= 10 * TTL; t += 15) {
		unsigned prepared = w->prepared, activated = w->activated;
		const struct writ_authority *a = writ_ca_active(w->ca);
		int64_t left = a->fact.end - (START + t);
		tick(w, START + t);
		assert_true(writ_ca_ready(w->ca));
		if (w->prepared != prepared)
			assert_in_range(left, TTL / 2 - 15, TTL / 2);
		if (w->activated != activated)
			assert_in_range(left, TTL / 6 - 15, TTL / 6);
		struct want one;
		want(w, &one, 300);
		turn(w);
		assert_int_equal(one.rc, WRIT_OK);
		assert_true(one.not_after > START + t + TTL / 6 - 20 ||
			one.not_after == START + t + 300);
		assert_in_range(w->n_bundle, 1, 6);
		assert_in_range(w->n_slots, 1, 3);
		assert_true(writ_svid_not_after(writ_ca_server_svid(w->ca)) > START + t);
	}
	/* Each is prepared half a life after the one before was. */
	assert_in_range(w->activated, 19, 21);
	assert_int_equal(w->changed, w->activated);
	assert_true(w->prunes > 10);
}

static void a_ca_that_failed_is_tried_again(void **state)
{
	struct world *w = *state;
	const char *why = "";
	int64_t mono = writ_mono_ms() * 1000;
	w->fail_signer = true;
	turn(w);
	for (int i = 0; i < 12; i++) {
		writ_clock_set_mono_us(mono += 40000000);
		writ_ca_tick(w->ca);
		turn(w);
	}
	assert_true(writ_ca_failing(w->ca, &why));
	assert_string_equal(why, "no luck");
	w->fail_signer = false;
	w->fail_store = true;
	writ_clock_set_mono_us(mono += 40000000);
	writ_ca_tick(w->ca);
	turn(w);
	assert_int_equal(w->prepared, 1);
	assert_int_equal(w->activated, 0);
	w->fail_store = false;
	writ_clock_set_mono_us(mono += 40000000);
	writ_ca_tick(w->ca);
	turn(w);
	assert_true(writ_ca_ready(w->ca));
	assert_int_equal(w->prepared, 1); /* the one that was made is the one that is used */
	assert_false(writ_ca_failing(w->ca, &why));
}

static void a_restart_goes_on_where_it_was(void **state)
{
	struct world *w = *state;
	/* Stops after each number of turns of the loop: in the middle of every step. The signer
	 * lives on. */
	for (int stop = 0; stop < 12; stop++) {
		w->hold = stop % 3 == 2;
		for (int i = 0; i < stop; i++) {
			struct mark m = { .task = { .run = see } };
			writ_loop_post(w->loop, &m.task);
			assert_true(writ_loop_run_until(w->loop, &m.seen, writ_mono_ms() + 10000));
		}
		close_ca(w);
		open_ca(w);
	}
	turn(w);
	assert_true(writ_ca_ready(w->ca));
	assert_int_equal(w->prepared, 1);
	assert_int_equal(w->activated, 1);
	tick(w, START + TTL / 2 + 5); /* prepared, and stopped there */
	assert_int_equal(w->prepared, 2);
	close_ca(w);
	open_ca(w);
	turn(w);
	assert_int_equal(w->prepared, 2);
	assert_int_equal(w->activated, 1);
	tick(w, START + TTL - TTL / 6 + 5);
	assert_int_equal(w->activated, 2);
	close_ca(w);
	open_ca(w);
	turn(w);
	assert_int_equal(w->activated, 2);
	assert_int_equal(w->n_slots, 2);
}

static void a_server_that_slept_through_it_all_wakes_up(void **state)
{
	struct world *w = *state;
	turn(w);
	char *old = writ_strdup(writ_ca_active(w->ca)->id);
	close_ca(w);
	at(START + 10 * TTL);
	open_ca(w);
	turn(w);
	assert_true(writ_ca_ready(w->ca));
	/* The key that agents know, with a new certificate, and in the bundle before it signs. */
	assert_string_equal(writ_ca_active(w->ca)->id, old);
	assert_true(writ_ca_active(w->ca)->fact.end > writ_wall_s());
	writ_free(old);
	assert_int_equal(w->n_slots, 1);
	assert_int_equal(w->n_bundle, 1); /* the old one is pruned */
}

static void a_signer_that_lost_its_keys_gets_a_new_ca(void **state)
{
	struct world *w = *state;
	struct want before, after;
	turn(w);
	char *old = writ_strdup(writ_ca_active(w->ca)->id);
	w->die = true;
	want(w, &before, 300);
	turn(w);
	assert_true(w->down);
	writ_ca_signer_down(w->ca);
	turn(w);
	assert_int_equal(before.done, 0);
	want(w, &after, 300);
	w->die = false;
	kit_restart(&w->kit);
	w->down = false;
	writ_ca_signer_up(w->ca);
	turn(w);
	assert_int_equal(before.done, 1);
	assert_int_equal(before.rc, WRIT_OK);
	assert_int_equal(after.rc, WRIT_OK);
	assert_string_not_equal(before.issuer, old);
	assert_true(in_bundle(w, old)); /* what it signed still holds */
	assert_int_equal(w->n_slots, 1);
	assert_int_equal(w->svids, 2);
	writ_free(old);
}

static void items_of_one_turn_share_a_batch(void **state)
{
	struct world *w = *state;
	struct want *all = writ_alloc_array(300, sizeof(*all));
	turn(w);
	unsigned before = w->sign_calls;
	for (int i = 0; i < 300; i++)
		want(w, &all[i], 300);
	writ_ca_cancel(w->ca, &all[5].item);
	turn(w);
	assert_int_equal(w->sign_calls - before, 3);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(all[i].done, i != 5);
		assert_int_equal(all[i].rc, WRIT_OK);
	}
	writ_free(all);
}

static void a_bad_item_fails_alone(void **state)
{
	struct world *w = *state;
	struct want good, bad;
	turn(w);
	want(w, &good, 300);
	want(w, &bad, 300);
	bad.item.spiffe_id = "spiffe://example.com/x";
	turn(w);
	assert_int_equal(good.rc, WRIT_OK);
	assert_int_equal(bad.rc, WRIT_EDENIED);
}

static void what_waits_too_long_is_told_so(void **state)
{
	struct world *w = *state;
	struct want t;
	turn(w);
	w->down = true;
	writ_ca_signer_down(w->ca);
	writ_clock_set_mono_us(writ_mono_ms() * 1000);
	want(w, &t, 300);
	turn(w);
	assert_int_equal(t.done, 0);
	close_ca(w); /* and a stop tells it too */
	assert_int_equal(t.done, 1);
	assert_int_equal(t.rc, WRIT_ECANCELED);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_first_ca_is_active_at_once),
		T(nothing_is_active_before_its_publication_is_durable),
		T(ten_lifetimes_follow_the_schedule),
		T(a_ca_that_failed_is_tried_again),
		T(a_restart_goes_on_where_it_was),
		T(a_server_that_slept_through_it_all_wakes_up),
		T(a_signer_that_lost_its_keys_gets_a_new_ca),
		T(items_of_one_turn_share_a_batch),
		T(a_bad_item_fails_alone),
		T(what_waits_too_long_is_told_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
