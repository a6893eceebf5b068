/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a caller: the attestation process looks, names and runtimes are added here. */
#include "wlapi/caller_impl.h"

#include "base/clock.h"
#include "base/mem.h"

#define FACTS_MS        60000 /* names, and what a path leads to, may change meanwhile */
#define TOLD_MS         10000 /* what runtimes told: labels may change too */
#define TOLD_NOTHING_MS 1000  /* where one did not answer */

static void start_look(struct writ_caller *c, unsigned flags);

/* Those who came with further questions while it looked wait for the next look. */
static void tell(struct writ_caller *c, writ_rc rc, const struct writ_err *err)
{
	struct writ_facts *f = rc == WRIT_OK ? writ_facts_ref(c->facts) : NULL;
	struct writ_list now, *node;
	unsigned more = 0;
	writ_list_init(&now);
	while ((node = writ_list_pop(&c->waiting)))
		writ_list_push(&now, node);
	while ((node = writ_list_pop(&now))) {
		struct writ_attest_wait *w = writ_container(node, struct writ_attest_wait, node);
		if (!f || !(w->flags & ~f->flags)) {
			w->done(w, rc, err, f);
			continue;
		}
		writ_list_push(&c->waiting, &w->node);
		more |= w->flags | f->flags;
	}
	if (more && !c->is_looking)
		start_look(c, more);
	writ_facts_unref(f);
}

/* The reference of the look is let go last: those who wait hold others. */
static void end_look(struct writ_caller *c, writ_rc rc, const struct writ_err *err)
{
	struct writ_facts *f = writ_steal(c->next);
	c->is_looking = false;
	if (rc == WRIT_OK) {
		writ_facts_unref(c->facts);
		c->facts = f;
	} else {
		writ_facts_unref(f);
	}
	tell(c, rc, err);
	writ_caller_unref(c);
}

/* What the two processes found, together. */
static writ_rc merge(struct writ_facts *f, struct writ_answer *own, struct writ_err *err)
{
	WRIT_AUTO(writ_answer_done) struct writ_answer all;
	writ_answer_init(&all);
	writ_rc rc = writ_answer_merge(&all, &f->answer, err);
	if (rc == WRIT_OK)
		rc = writ_answer_merge(&all, own, err);
	if (rc != WRIT_OK)
		return rc;
	writ_selectors_seal(&all.selectors);
	struct writ_answer before = f->answer;
	f->answer = all;
	all = before;
	return WRIT_OK;
}

static void job_ended(struct writ_attest_env *env)
{
	env->jobs--;
	if (!env->jobs && env->quiet)
		writ_steal(env->quiet)(env->quiet_arg);
}

/* A pod's labels can change, and what runtimes do not tell now they may tell soon. */
static void add_told(struct writ_caller *c, struct writ_answer *told)
{
	struct writ_err err = { .rc = WRIT_OK };
	struct writ_facts *f = c->next;
	if (told->nnotes > 0 || told->selectors.n > 0)
		f->seen_ms -= FACTS_MS - (told->nnotes > 0 ? TOLD_NOTHING_MS : TOLD_MS);
	writ_selectors_seal(&told->selectors);
	if (merge(f, told, &err) != WRIT_OK)
		writ_answer_note(&f->answer, "runtimes: %s", err.msg);
	writ_answer_done(told);
}

static void on_told(void *arg)
{
	struct writ_caller *c = arg;
	struct writ_attest_env *env = c->env;
	const struct writ_err none = { .rc = WRIT_OK };
	writ_ask_take(writ_steal(c->told), &c->own);
	add_told(c, &c->own);
	end_look(c, WRIT_OK, &none);
	job_ended(env);
}

/* Runtimes come last: they are asked about the place that the attestors found. */
static void ask_runtimes(struct writ_caller *c)
{
	const struct writ_err none = { .rc = WRIT_OK };
	struct writ_place place;
	if (!c->env->asks || !writ_asks_would(c->env->asks, c->next->flags)) {
		end_look(c, WRIT_OK, &none);
		return;
	}
	writ_place_of(&c->next->answer.selectors, c->next->snapshot.cgroup, c->key.pid, &place);
	writ_answer_init(&c->own);
	if (writ_asks_start(c->env->asks, &place, c->next->flags, &c->own, on_told, c, &c->told) ==
		WRIT_EBUSY) {
		c->env->jobs++;
		return;
	}
	add_told(c, &c->own);
	end_look(c, WRIT_OK, &none);
}

static void have_own(struct writ_caller *c, writ_rc rc, struct writ_err *err)
{
	if (rc == WRIT_OK) {
		rc = merge(c->next, &c->own, err);
		writ_answer_done(&c->own);
	}
	if (rc == WRIT_OK)
		ask_runtimes(c);
	else
		end_look(c, rc, err);
}

static writ_rc ask_own(struct writ_caller *c, unsigned flags, struct writ_err *err)
{
	return writ_attest(
		c->env->attestors, &c->env->ctx, &c->next->snapshot, -1, flags, &c->own, err);
}

static void work(struct writ_job *j)
{
	struct writ_caller *c = writ_container(j, struct writ_caller, job);
	c->job_rc = ask_own(c, c->next->flags | WRIT_ATTEST_MAY_BLOCK, &c->job_err);
}

static void worked(struct writ_job *j)
{
	struct writ_caller *c = writ_container(j, struct writ_caller, job);
	struct writ_attest_env *env = c->env;
	have_own(c, c->job_rc, &c->job_err);
	job_ended(env);
}

static writ_rc take_reply(
	struct writ_facts *f, const struct writ_talk_reply *reply, struct writ_err *err)
{
	writ_rc rc = writ_request_decode(reply->snapshot, &f->snapshot, err);
	return rc == WRIT_OK ? writ_answer_decode(reply->answer, &f->answer, err) : rc;
}

static void on_looked(struct writ_attest_ask *q, writ_rc rc, const struct writ_err *why,
	const struct writ_talk_reply *reply)
{
	struct writ_caller *c = writ_container(q, struct writ_caller, ask);
	struct writ_err err = *why;
	if (rc == WRIT_OK)
		rc = take_reply(c->next, reply, &err);
	if (rc != WRIT_OK) {
		end_look(c, rc, &err);
		return;
	}
	rc = ask_own(c, c->next->flags, &err);
	if (rc != WRIT_EBUSY) {
		have_own(c, rc, &err);
		return;
	}
	c->job = (struct writ_job){ .work = work, .done = worked };
	c->env->jobs++;
	writ_job_run(c->env->loop, &c->job);
}

static void start_look(struct writ_caller *c, unsigned flags)
{
	const struct writ_pin_facts who = { .pid = (pid_t)c->key.pid,
		.uid = c->key.uid,
		.gid = c->key.gid,
		.groups = c->key.groups,
		.ngroups = c->key.ngroups,
		.pidfd = c->pidfd };
	struct writ_facts *f = writ_alloc(sizeof(*f));
	f->refs = 1;
	f->flags = flags;
	f->seen_ms = writ_mono_ms();
	f->link = c->env->link;
	f->uid = c->key.uid;
	writ_answer_init(&f->answer);
	c->is_looking = true;
	c->next = f;
	c->ask.done = on_looked;
	(void)writ_caller_ref(c);
	f->handle = writ_attest_link_look(f->link, &c->ask, &who, c->key.cut, flags);
}

struct writ_facts *writ_caller_attest(
	struct writ_caller *c, unsigned flags, struct writ_attest_wait *w)
{
	flags |= c->env->wants;
	if (c->facts && !(flags & ~c->facts->flags) &&
		writ_mono_ms() - c->facts->seen_ms < FACTS_MS)
		return c->facts;
	w->flags = flags;
	writ_list_push(&c->waiting, &w->node);
	if (!c->is_looking)
		start_look(c, flags | (c->facts ? c->facts->flags : 0));
	return NULL;
}

void writ_attest_wait_forget(struct writ_attest_wait *w)
{
	writ_list_remove(&w->node);
}

void writ_caller_outdated(struct writ_caller *c, const struct writ_facts *f)
{
	if (c->facts == f)
		writ_facts_unref(writ_steal(c->facts));
}
