/* SPDX-License-Identifier: Apache-2.0 */
#include "attestor/link.h"

#include "attestor/turns.h"
#include "base/clock.h"
#include "base/fdpass.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN      64
#define TRIES_MAX 100  /* of a call that fails for no reason of ours */
#define CHECK_MS  1000 /* how often deadlines are looked at */

struct writ_attest_link {
	struct writ_loop *loop;
	struct writ_poll *poll;
	struct writ_timer *timer;
	int fd;
	bool is_down;
	int failures; /* in a row */
	void (*down)(void *arg);
	void *arg;
	uint64_t last_id, last_handle;
	struct writ_list asks; /* the oldest first */
	struct writ_turns turns;
	struct writ_list late; /* whose turn it is, but the socket had no room */
	struct writ_task fail; /* for what was asked while it is down */
	bool fail_posted, is_freed;
	uint8_t *packet;
};

static void finish(struct writ_attest_ask *q, writ_rc rc, const struct writ_err *err,
	const struct writ_talk_reply *reply)
{
	writ_attest_forget(q);
	q->done(q, rc, err, reply);
}

static void fail_all(struct writ_attest_link *l)
{
	struct writ_err err = { .rc = WRIT_OK };
	(void)writ_fail(&err, WRIT_EUNAVAIL, "the attestation process is gone");
	while (!writ_list_empty(&l->asks))
		finish(writ_container(l->asks.next, struct writ_attest_ask, node), WRIT_EUNAVAIL,
			&err, NULL);
}

static void go_down(struct writ_attest_link *l)
{
	if (l->is_down)
		return;
	l->is_down = true;
	writ_poll_set(l->poll, 0);
	fail_all(l);
	l->down(l->arg);
}

static void on_fail(struct writ_task *t)
{
	struct writ_attest_link *l = writ_container(t, struct writ_attest_link, fail);
	l->fail_posted = false;
	if (l->is_freed)
		writ_free(l);
	else
		fail_all(l);
}

static bool transmit(struct writ_attest_link *l, const uint8_t *p, size_t n, int fd)
{
	/* Whose end is gone will be seen by who reads. */
	return writ_fdpass_send(l->fd, p, n, fd) >= 0 || errno == EPIPE || errno == ECONNRESET;
}

static void keep(struct writ_attest_link *l, struct writ_turn *t)
{
	writ_list_push(&l->late, &t->node);
	writ_poll_set(l->poll, WRIT_READABLE | WRIT_WRITABLE);
}

static bool flush(struct writ_attest_link *l)
{
	while (!writ_list_empty(&l->late)) {
		struct writ_turn *t = writ_container(l->late.next, struct writ_turn, node);
		if (!transmit(l, t->p, t->n, t->fd))
			return false;
		writ_list_remove(&t->node);
		writ_turn_free(t);
	}
	writ_poll_set(l->poll, WRIT_READABLE);
	return true;
}

/* Sends what waits, as far as it may go now. */
static void go_on(struct writ_attest_link *l)
{
	struct writ_turn *t;
	while (!l->is_down && writ_list_empty(&l->late) &&
		(t = writ_turns_next(&l->turns, writ_mono_ms()))) {
		if (transmit(l, t->p, t->n, t->fd))
			writ_turn_free(t);
		else
			keep(l, t);
	}
}

static void put(struct writ_attest_link *l, uid_t uid, const struct writ_talk_request *q, int fd)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(WRIT_TALK_REQUEST_MAX);
	if (l->is_down)
		return;
	writ_talk_put_request(q, &b);
	if (!writ_turns_go(&l->turns, uid, q->id, writ_mono_ms())) {
		if (!writ_turns_any(&l->turns))
			writ_timer_start(l->timer, WRIT_TURNS_SLOW_MS);
		writ_turns_wait(&l->turns, uid, writ_turn_new(q->id, b.p, b.n, fd));
	} else if (!writ_list_empty(&l->late) || !transmit(l, b.p, b.n, fd)) {
		keep(l, writ_turn_new(q->id, b.p, b.n, fd));
	}
}

static struct writ_attest_ask *find(struct writ_attest_link *l, uint64_t id)
{
	/* Answers come in the order of the questions, but for those that took a job. */
	WRIT_LIST_EACH (it, &l->asks) {
		struct writ_attest_ask *q = writ_container(it, struct writ_attest_ask, node);
		if (q->id == id)
			return q;
	}
	return NULL;
}

static bool receive(struct writ_attest_link *l)
{
	struct writ_talk_reply r;
	struct writ_err err = { .rc = WRIT_OK };
	ssize_t n = recv(l->fd, l->packet, WRIT_TALK_REPLY_MAX, MSG_DONTWAIT | MSG_TRUNC);
	/* Without memory, say: it is still there the next time. */
	if (n < 0 && errno != EPIPE && errno != ECONNRESET &&
		(errno == EAGAIN || errno == EINTR || ++l->failures < TRIES_MAX))
		return false;
	l->failures = 0;
	if (n <= 0 || n > WRIT_TALK_REPLY_MAX ||
		writ_talk_get_reply(writ_strn(l->packet, (size_t)n), &r, &err) != WRIT_OK) {
		go_down(l);
		return false;
	}
	struct writ_attest_ask *q = find(l, r.id);
	if (r.rc != WRIT_OK)
		(void)writ_fail(&err, r.rc, WRIT_FMT, WRIT_ARG(r.error));
	if (q) { /* else it was forgotten, or its time was up */
		writ_turns_answered(&l->turns, q->uid, r.id);
		go_on(l); /* first: what it asks next comes after what waits */
		finish(q, r.rc, &err, &r);
	}
	return true;
}

static void on_ready(void *arg, int events)
{
	struct writ_attest_link *l = arg;
	if (events & WRIT_WRITABLE && flush(l))
		go_on(l);
	for (int i = 0; events & ~WRIT_WRITABLE && i < TURN && receive(l); i++)
		if (writ_list_empty(&l->asks)) /* nobody waits for more */
			break;
}

static void on_time(void *arg)
{
	struct writ_attest_link *l = arg;
	int64_t now = writ_mono_ms();
	struct writ_err err = { .rc = WRIT_OK };
	(void)writ_fail(&err, WRIT_ETIMEOUT, "the attestation process did not answer in time");
	while (!writ_list_empty(&l->asks)) {
		struct writ_attest_ask *q =
			writ_container(l->asks.next, struct writ_attest_ask, node);
		if (q->deadline_ms > now)
			break;
		finish(q, WRIT_ETIMEOUT, &err, NULL);
	}
	go_on(l);
	writ_turns_sweep(&l->turns, now);
	if (writ_turns_any(&l->turns))
		writ_timer_start(l->timer, WRIT_TURNS_SLOW_MS);
	else if (!writ_list_empty(&l->asks))
		writ_timer_start(l->timer, CHECK_MS);
}

static void ask(struct writ_attest_link *l, struct writ_attest_ask *q, uid_t uid)
{
	q->id = ++l->last_id;
	q->uid = uid;
	q->deadline_ms = writ_mono_ms() + WRIT_ATTESTOR_WAIT_MS;
	writ_list_push(&l->asks, &q->node);
	if (!writ_timer_active(l->timer))
		writ_timer_start(l->timer, CHECK_MS);
	if (!l->is_down || l->fail_posted)
		return;
	l->fail_posted = true;
	writ_loop_post(l->loop, &l->fail);
}

/* Whoever answers need not look for more questions then. */
static unsigned alone(const struct writ_attest_link *l)
{
	return l->asks.next == l->asks.prev ? WRIT_TALK_ALONE : 0;
}

uint64_t writ_attest_link_look(struct writ_attest_link *l, struct writ_attest_ask *q,
	const struct writ_pin_facts *peer, bool groups_cut, unsigned flags)
{
	struct writ_talk_request r = { .op = WRIT_TALK_LOOK,
		.handle = ++l->last_handle,
		.flags = flags,
		.pid = peer->pid,
		.uid = peer->uid,
		.gid = peer->gid,
		.groups_cut = groups_cut || peer->ngroups > WRIT_PIN_GROUPS_MAX };
	r.ngroups = peer->ngroups < WRIT_PIN_GROUPS_MAX ? peer->ngroups : WRIT_PIN_GROUPS_MAX;
	if (r.ngroups)
		memcpy(r.groups, peer->groups, r.ngroups * sizeof(r.groups[0]));
	ask(l, q, peer->uid);
	r.id = q->id;
	r.flags |= alone(l);
	put(l, peer->uid, &r, peer->pidfd);
	return r.handle;
}

void writ_attest_link_check(struct writ_attest_link *l, struct writ_attest_ask *q, uid_t uid,
	uint64_t handle, unsigned flags)
{
	ask(l, q, uid);
	const struct writ_talk_request r = {
		.op = WRIT_TALK_CHECK, .id = q->id, .handle = handle, .flags = flags | alone(l)
	};
	put(l, uid, &r, -1);
}

void writ_attest_link_let_go(struct writ_attest_link *l, uid_t uid, uint64_t handle)
{
	const struct writ_talk_request r = { .op = WRIT_TALK_FORGET, .handle = handle };
	put(l, uid, &r, -1);
}

void writ_attest_forget(struct writ_attest_ask *q)
{
	writ_list_remove(&q->node);
	writ_list_init(&q->node);
}

writ_rc writ_attest_link_new(struct writ_loop *loop, int fd, void (*down)(void *arg), void *arg,
	struct writ_attest_link **ret, struct writ_err *err)
{
	struct writ_attest_link *l = writ_alloc(sizeof(*l));
	l->loop = loop;
	l->fd = fd;
	l->down = down;
	l->arg = arg;
	l->fail.run = on_fail;
	writ_list_init(&l->asks);
	writ_list_init(&l->late);
	writ_turns_init(&l->turns);
	writ_rc rc = writ_poll_new(loop, fd, on_ready, l, &l->poll, err);
	if (rc != WRIT_OK) {
		(void)close(fd);
		writ_free(l);
		return rc;
	}
	l->packet = writ_alloc(WRIT_TALK_REPLY_MAX);
	l->timer = writ_timer_new(loop, on_time, l);
	writ_poll_set(l->poll, WRIT_READABLE);
	*ret = l;
	return WRIT_OK;
}

void writ_attest_link_free(struct writ_attest_link *l)
{
	if (!l)
		return;
	while (!writ_list_empty(&l->asks))
		writ_attest_forget(writ_container(l->asks.next, struct writ_attest_ask, node));
	while (!writ_list_empty(&l->late)) {
		struct writ_turn *t = writ_container(l->late.next, struct writ_turn, node);
		writ_list_remove(&t->node);
		writ_turn_free(t);
	}
	writ_turns_done(&l->turns);
	writ_timer_free(l->timer);
	writ_poll_free(l->poll);
	(void)close(l->fd);
	writ_free(l->packet);
	l->is_freed = true;
	if (!l->fail_posted) /* else the task on its way does it */
		writ_free(l);
}
