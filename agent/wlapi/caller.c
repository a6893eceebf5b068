/* SPDX-License-Identifier: Apache-2.0 */
#include "wlapi/caller.h"

#include "base/mem.h"

struct writ_attesting {
	struct writ_job job;
	struct writ_attest_env *env;
	struct writ_caller *caller; /* a reference */
	struct writ_facts facts;
	unsigned flags;
	writ_rc rc;
	struct writ_err err;
	void (*done)(void *arg, writ_rc rc, const struct writ_err *err, struct writ_facts *facts);
	void *arg;
};

static bool is_conn(void *arg, const struct writ_peer *p)
{
	return p->conn_id == *(const uint64_t *)arg;
}

/* A socket may outlive its process in a child: nobody is left whom it speaks for. */
static void on_end(void *arg, int events)
{
	struct writ_caller *c = arg;
	(void)events;
	writ_poll_set(c->end, 0);
	(void)writ_front_cut(c->front, is_conn, &c->conn_id, "the process has ended");
}

static void unref_user(void *user)
{
	struct writ_caller *c = user;
	/* The connection is over: nobody is to be told of the end any more. */
	writ_poll_free(writ_steal(c->end));
	writ_caller_unref(c);
}

void writ_caller_closed(struct writ_peer *peer)
{
	struct writ_caller *c = writ_steal(peer->user);
	peer->user_free = NULL;
	if (c)
		unref_user(c);
}

struct writ_caller *writ_caller_ref(struct writ_caller *c)
{
	c->refs++;
	return c;
}

void writ_caller_unref(struct writ_caller *c)
{
	if (!c || --c->refs)
		return;
	writ_pin_close(&c->pin);
	writ_free(c);
}

writ_rc writ_caller_of(struct writ_attest_env *env, struct writ_front *front,
	struct writ_peer *peer, struct writ_caller **ret, struct writ_err *err)
{
	if (peer->user) {
		*ret = peer->user;
		return WRIT_OK;
	}
	if (peer->kind != WRIT_PEER_UNIX || peer->closed)
		return writ_fail(err, WRIT_EUNAUTH, "no process is known behind this connection");
	const struct writ_pin_facts facts = { .pid = peer->pid,
		.uid = peer->uid,
		.gid = peer->gid,
		.groups = peer->groups,
		.ngroups = peer->n_groups,
		.pidfd = peer->pidfd,
		.give = true };
	struct writ_caller *c = writ_alloc(sizeof(*c));
	c->refs = 1;
	c->front = front;
	c->conn_id = peer->conn_id;
	writ_rc rc = writ_pin_open(&facts, &env->rules, &c->pin, err);
	if (rc != WRIT_OK) {
		writ_free(c);
		return rc;
	}
	c->pin.groups_cut = c->pin.groups_cut || peer->groups_withheld;
	rc = writ_poll_new(env->loop, c->pin.pidfd, on_end, c, &c->end, err);
	if (rc != WRIT_OK) {
		if (c->pin.pidfd == peer->pidfd) /* kept: another call must find the same process */
			c->pin.pidfd = -1;
		writ_caller_unref(c);
		return rc;
	}
	peer->pidfd = -1; /* the pin has it now: one descriptor for each idle stream less */
	writ_poll_set(c->end, WRIT_READABLE);
	peer->user = c;
	peer->user_free = unref_user;
	*ret = c;
	return WRIT_OK;
}

void writ_facts_done(struct writ_facts *f)
{
	writ_snapshot_done(&f->snapshot);
	writ_answer_done(&f->answer);
}

static void attest_work(struct writ_job *j)
{
	struct writ_attesting *a = writ_container(j, struct writ_attesting, job);
	a->rc = writ_attest(a->env->attestors, &a->env->ctx, &a->facts.snapshot,
		a->caller->pin.dirfd, a->flags, &a->facts.answer, &a->err);
}

static void attest_done(struct writ_job *j)
{
	struct writ_attesting *a = writ_container(j, struct writ_attesting, job);
	if (a->rc != WRIT_OK)
		writ_answer_init(&a->facts.answer);
	a->caller->jobs--;
	if (a->done)
		a->done(a->arg, a->rc, &a->err, &a->facts);
	writ_facts_done(&a->facts);
	writ_caller_unref(a->caller);
	writ_free(a);
}

writ_rc writ_caller_attest(struct writ_attest_env *env, struct writ_caller *c, unsigned wants,
	struct writ_facts *facts,
	void (*done)(void *arg, writ_rc rc, const struct writ_err *err, struct writ_facts *facts),
	void *arg, struct writ_attesting **ret, struct writ_err *err)
{
	struct writ_facts f = { .answer = { .nnotes = 0 } };
	unsigned flags = env->wants | wants;
	writ_rc rc = writ_pin_wake(&c->pin, err);
	if (rc == WRIT_OK)
		rc = writ_snapshot_take(&c->pin, &env->self, &f.snapshot, err);
	if (rc != WRIT_OK)
		return rc;
	rc = writ_attest(
		env->attestors, &env->ctx, &f.snapshot, c->pin.dirfd, flags, &f.answer, err);
	if (rc == WRIT_OK) {
		*facts = f;
		return WRIT_OK;
	}
	if (rc != WRIT_EBUSY) {
		writ_snapshot_done(&f.snapshot);
		return rc;
	}
	struct writ_attesting *a = writ_alloc(sizeof(*a));
	a->env = env;
	a->caller = writ_caller_ref(c);
	c->jobs++;
	a->facts.snapshot = f.snapshot;
	a->flags = flags | WRIT_ATTEST_MAY_BLOCK;
	a->done = done;
	a->arg = arg;
	a->job.work = attest_work;
	a->job.done = attest_done;
	writ_job_run(env->loop, &a->job);
	*ret = a;
	return WRIT_EBUSY;
}

writ_rc writ_caller_recheck(const struct writ_attest_env *env, struct writ_caller *c,
	const struct writ_facts *seen, bool just_now, struct writ_err *err)
{
	writ_rc rc = writ_pin_wake(&c->pin, err);
	if (rc == WRIT_OK && !just_now)
		rc = writ_snapshot_recheck_place(&c->pin, &seen->snapshot, err);
	if (rc == WRIT_OK && !just_now)
		rc = writ_attest_again(env->attestors, &env->ctx, &seen->snapshot, c->pin.dirfd,
			&seen->answer.selectors, err);
	return rc == WRIT_OK ? writ_snapshot_recheck(&c->pin, &seen->snapshot, err) : rc;
}

void writ_caller_rest(struct writ_caller *c)
{
	if (!c->jobs) /* a job reads through the folder */
		writ_pin_rest(&c->pin);
}

void writ_caller_forget(struct writ_attesting *a)
{
	a->done = NULL;
}
