/* SPDX-License-Identifier: Apache-2.0 */
/* A question that only the connected program itself can answer: HTTP/2 makes it acknowledge a PING,
 * and the kernel says who wrote the acknowledgement. */
#include "front/conn.h"

#include "base/mem.h"
#include "base/rand.h"

struct challenge {
	struct writ_list node; /* in conn.asked or conn.sent */
	struct writ_hub *hub;
	struct writ_due due;
	struct writ_later told; /* for those that have no connection */
	void (*answered)(void *arg, bool ok);
	void *arg;
};

static void complete(struct challenge *q, bool ok)
{
	writ_list_remove(&q->node);
	writ_due_stop(q->hub, &q->due);
	writ_hub_put(q->hub);
	q->answered(q->arg, ok);
	writ_free(q);
}

static void complete_list(struct writ_list *from, bool ok)
{
	struct writ_list now, *node;
	writ_list_init(&now);
	while ((node = writ_list_pop(from)))
		writ_list_push(&now, node);
	while ((node = writ_list_pop(&now)))
		complete(writ_container(node, struct challenge, node), ok);
}

static void on_due(struct writ_due *d)
{
	complete(writ_container(d, struct challenge, due), false);
}

static void on_told(struct writ_later *l)
{
	complete(writ_container(l, struct challenge, told), false);
}

/* One PING answers all who asked before it was sent; those who ask later get the next. */
static void send_ping(struct writ_conn *c)
{
	uint8_t payload[8];
	struct writ_list *node;
	while ((node = writ_list_pop(&c->asked)))
		writ_list_push(&c->sent, node);
	/* Until this one is on its way, the ACK of one before it, whose time was up, is no answer.
	 */
	c->guard.challenged = c->guard.answered = false;
	writ_rand(payload, sizeof(payload));
	writ_relay_ping(&c->relay, payload);
}

void writ_challenge_answered(struct writ_conn *c)
{
	c->guard.answered = false;
	complete_list(&c->sent, true);
	if (!writ_list_empty(&c->asked) && c->state == WRIT_CONN_RELAY)
		send_ping(c);
}

void writ_challenge_fail_all(struct writ_conn *c)
{
	complete_list(&c->sent, false);
	complete_list(&c->asked, false);
}

void writ_front_challenge(struct writ_front *f, struct writ_peer *p, int64_t timeout_ms,
	void (*answered)(void *arg, bool ok), void *arg)
{
	struct challenge *q = writ_alloc(sizeof(*q));
	struct writ_hub *h = NULL;
	struct writ_conn *c = p->conn && p->conn->front == f ? p->conn : NULL;
	writ_rc rc = writ_hub_get(writ_hub_loop(f->hub), &h, NULL);
	(void)rc; /* it exists: only a reference is taken */
	writ_list_init(&q->node);
	q->hub = h;
	q->due.fire = on_due;
	q->answered = answered;
	q->arg = arg;
	writ_later_init(&q->told, on_told);
	if (!c || c->state != WRIT_CONN_RELAY || !c->relay.guard) {
		writ_later_ask(h, &q->told);
		return;
	}
	writ_due_set(h, &q->due, writ_hub_now_us(h) + timeout_ms * 1000);
	writ_list_push(&c->asked, &q->node);
	if (writ_list_empty(&c->sent))
		send_ping(c);
}
