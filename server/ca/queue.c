/* SPDX-License-Identifier: Apache-2.0 */
/* The part of ca.h that gathers what is to be signed. */
#include "base/clock.h"
#include "base/mem.h"
#include "ca/ca_impl.h"
#include "signer/frame.h"

#include <string.h>

#define TRIES 2 /* an unanswered certificate never left, so asking the next signer is safe */
/* What an item adds to a request beyond its strings, generously; half a frame is enough for one
 * batch. */
#define ITEM_OVERHEAD 256
#define BATCH_BYTES   (WRIT_FRAME_MAX / 2)

typedef Writ__Signer__V1__SignItem sign_item;

static void finish(struct writ_ca_item *i, writ_rc rc, const struct writ_ca_issued *out,
	const struct writ_err *err)
{
	i->place = NULL;
	i->done(i, rc, out, err);
}

static struct writ_ca_item *first(const struct writ_ca_queue *q)
{
	return writ_list_empty(&q->items)
		? NULL
		: writ_container(q->items.next, struct writ_ca_item, node);
}

static struct writ_ca_item *pop(struct writ_ca_queue *q)
{
	q->n--;
	return writ_container(writ_list_pop(&q->items), struct writ_ca_item, node);
}

static void arm(struct writ_ca *ca)
{
	struct writ_ca_item *i = first(&ca->queue);
	int64_t now = writ_mono_ms();
	if (!i)
		writ_timer_stop(ca->queue.timer);
	else if (!writ_timer_active(ca->queue.timer))
		writ_timer_start(ca->queue.timer, i->deadline_ms > now ? i->deadline_ms - now : 1);
}

/* Items are in the order of their deadlines: those that are put back were the oldest. */
static void expire(void *arg)
{
	struct writ_ca *ca = arg;
	struct writ_err err;
	const char *why = "the CA is not ready";
	(void)writ_ca_failing(ca, &why);
	(void)writ_fail(
		&err, WRIT_EUNAVAIL, "no signature within %d ms: %s", WRIT_CA_ITEM_WAIT_MS, why);
	for (struct writ_ca_item *i; (i = first(&ca->queue)) && i->deadline_ms <= writ_mono_ms();)
		finish(pop(&ca->queue), WRIT_EUNAVAIL, NULL, &err);
	arm(ca);
}

static size_t size_of(const struct writ_ca_item *i)
{
	size_t n = ITEM_OVERHEAD + strlen(i->spiffe_id) + i->key->spki_len + i->subject.n;
	n += (i->entry_id ? strlen(i->entry_id) : 0) + (i->agent_id ? strlen(i->agent_id) : 0);
	for (size_t k = 0; k < i->n_dns; k++)
		n += strlen(i->dns[k]) + 4;
	return n;
}

static void fill(const struct writ_ca_item *i, int64_t now, sign_item *out)
{
	union {
		const char *const *in;
		char **out;
	} dns = { .in = i->dns };
	union {
		const void *in;
		uint8_t *out;
	} spki = { .in = i->key->spki }, subject = { .in = i->subject.p };
	writ__signer__v1__sign_item__init(out);
	out->spiffe_id = writ_ca_unconst(i->spiffe_id);
	out->spki = (ProtobufCBinaryData){ i->key->spki_len, spki.out };
	out->not_before = now - WRIT_CA_BACKDATE_S;
	out->not_after = now + i->ttl_s;
	out->dns = dns.out;
	out->n_dns = i->n_dns;
	out->subject = (ProtobufCBinaryData){ i->subject.n, i->subject.n ? subject.out : NULL };
	out->entry_id = writ_ca_unconst(i->entry_id);
	out->agent_id = writ_ca_unconst(i->agent_id);
}

static void fail_all(struct writ_ca_batch *b, writ_rc rc, const struct writ_err *err)
{
	for (size_t k = 0; k < b->n; k++)
		if (b->items[k])
			finish(b->items[k], rc, NULL, err);
}

/* Back to the front, in their order, unless they were tried often enough. */
static void put_back(struct writ_ca_batch *b, writ_rc rc, const struct writ_err *err)
{
	struct writ_ca_queue *q = &b->ca->queue;
	for (size_t k = b->n; k-- > 0;) {
		struct writ_ca_item *i = b->items[k];
		if (!i)
			continue;
		if (i->tries >= TRIES) {
			finish(i, rc, NULL, err);
			continue;
		}
		i->place = NULL;
		writ_list_add_before(&i->node, q->items.next);
		q->n++;
	}
	arm(b->ca);
}

static void give_results(struct writ_ca_batch *b, const Writ__Signer__V1__Reply *r)
{
	const struct writ_authority *issuer = writ_ca_active(b->ca);
	struct writ_err err;
	if (r->n_results != b->n || !issuer) {
		(void)writ_fail(
			&err, WRIT_EPROTO, "signer: %zu answers to %zu items", r->n_results, b->n);
		fail_all(b, WRIT_EPROTO, &err);
		return;
	}
	for (size_t k = 0; k < b->n; k++) {
		const Writ__Signer__V1__SignResult *one = r->results[k];
		const struct writ_ca_issued out = { writ_strn(one->cert.data, one->cert.len),
			one->not_after, issuer };
		if (!b->items[k])
			continue;
		if (one->rc == 0 && one->cert.len) {
			finish(b->items[k], WRIT_OK, &out, NULL);
			continue;
		}
		bool known = one->rc > 0 && one->rc < WRIT_RC_COUNT;
		writ_rc rc = writ_fail(
			&err, known ? (writ_rc)one->rc : WRIT_EINTERNAL, "%s", one->error);
		finish(b->items[k], rc, NULL, &err);
	}
}

static void answered(struct writ_signer_call *c, writ_rc rc, const Writ__Signer__V1__Reply *reply,
	const struct writ_err *err)
{
	struct writ_ca_batch *b = writ_container(c, struct writ_ca_batch, call);
	/* No active CA: a new signer with nothing in memory, and we have not heard of it yet. */
	if (rc == WRIT_EPRECOND)
		writ_ca_resync(b->ca);
	if (!rc)
		give_results(b, reply);
	else if (rc == WRIT_EUNAVAIL || rc == WRIT_EPRECOND)
		put_back(b, rc, err);
	else
		fail_all(b, rc, err);
	b->busy = false;
	writ_ca_advance(b->ca);
}

static void collect(struct writ_ca *ca, struct writ_ca_batch *b)
{
	size_t bytes = 0;
	b->n = 0;
	while (b->n < WRIT_SIGNER_BATCH_MAX && first(&ca->queue)) {
		bytes += size_of(first(&ca->queue));
		if (b->n && bytes > BATCH_BYTES)
			return;
		struct writ_ca_item *i = pop(&ca->queue);
		i->tries++;
		i->place = &b->items[b->n];
		b->items[b->n++] = i;
	}
}

static void send_batch(struct writ_ca *ca, struct writ_ca_batch *b)
{
	Writ__Signer__V1__Sign sign = WRIT__SIGNER__V1__SIGN__INIT;
	Writ__Signer__V1__Request q = WRIT__SIGNER__V1__REQUEST__INIT;
	sign_item items[WRIT_SIGNER_BATCH_MAX], *list[WRIT_SIGNER_BATCH_MAX];
	struct writ_err err;
	int64_t now = writ_wall_s();
	collect(ca, b);
	for (size_t k = 0; k < b->n; k++) {
		fill(b->items[k], now, &items[k]);
		list[k] = &items[k];
	}
	sign.items = list;
	sign.n_items = b->n;
	q.op_case = WRIT__SIGNER__V1__REQUEST__OP_SIGN;
	q.sign = &sign;
	b->call.done = answered;
	writ_rc rc = ca->port->call(ca->port, &b->call, &q, &err);
	b->busy = !rc;
	for (size_t k = 0; k < b->n && rc; k++) /* it was not even asked */
		b->items[k]->tries--;
	if (rc == WRIT_EUNAVAIL || rc == WRIT_EBUSY)
		put_back(b, rc, &err);
	else if (rc)
		fail_all(b, rc, &err);
}

static void flush(struct writ_task *t)
{
	struct writ_ca_flush *f = writ_container(t, struct writ_ca_flush, task);
	struct writ_ca *ca = f->ca;
	writ_free(f);
	if (!ca)
		return;
	struct writ_ca_queue *q = &ca->queue;
	q->flush = NULL;
	for (size_t k = 0; k < WRIT_CA_BATCHES && q->n && writ_ca_ready(ca); k++)
		if (!q->batches[k].busy)
			send_batch(ca, &q->batches[k]);
	arm(ca);
}

void writ_ca_queue_flush(struct writ_ca *ca)
{
	if (ca->queue.flush || !ca->queue.n)
		return;
	struct writ_ca_flush *f = writ_alloc(sizeof(*f));
	f->task.run = flush;
	f->ca = ca;
	ca->queue.flush = f;
	writ_loop_post(ca->loop, &f->task);
}

void writ_ca_queue_init(struct writ_ca *ca)
{
	writ_list_init(&ca->queue.items);
	ca->queue.timer = writ_timer_new(ca->loop, expire, ca);
	for (size_t k = 0; k < WRIT_CA_BATCHES; k++)
		ca->queue.batches[k].ca = ca;
}

void writ_ca_queue_done(struct writ_ca *ca)
{
	struct writ_err err;
	(void)writ_fail(&err, WRIT_ECANCELED, "the server stops");
	for (size_t k = 0; k < WRIT_CA_BATCHES; k++)
		if (ca->queue.batches[k].busy)
			fail_all(&ca->queue.batches[k], WRIT_ECANCELED, &err);
	while (first(&ca->queue))
		finish(pop(&ca->queue), WRIT_ECANCELED, NULL, &err);
	writ_timer_free(ca->queue.timer);
	if (ca->queue.flush)
		ca->queue.flush->ca = NULL;
}

writ_rc writ_ca_sign(struct writ_ca *ca, struct writ_ca_item *i, struct writ_err *err)
{
	if (ca->queue.n >= WRIT_CA_QUEUE_MAX)
		return writ_fail(err, WRIT_EBUSY, "%zu requests wait for a signature", ca->queue.n);
	i->deadline_ms = writ_mono_ms() + WRIT_CA_ITEM_WAIT_MS;
	i->tries = 0;
	i->place = NULL;
	writ_list_push(&ca->queue.items, &i->node);
	ca->queue.n++;
	writ_ca_queue_flush(ca);
	arm(ca);
	return WRIT_OK;
}

void writ_ca_cancel(struct writ_ca *ca, struct writ_ca_item *i)
{
	if (i->place) {
		*i->place = NULL;
		i->place = NULL;
		return;
	}
	writ_list_remove(&i->node);
	ca->queue.n--;
}
