/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/asks.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "front/http.h"
#include "runtime/findings.h"

#define BUSY_MAX    2 /* requests to one runtime at a time: half of the pool is for others */
#define WAITING_MAX 128
#define UNKNOWN_MS  1000 /* how long "no such container" holds */
#define KEY_MAX     (640 + WRIT_PLACE_FOLDER_MAX)

enum step { WAITING, REACHING, ASKING, JUDGING, SLEEPING, OVER };

/* One question to one runtime. */
struct inquiry {
	struct writ_list node;    /* in row->live until it is over */
	struct writ_list waiters; /* struct part */
	struct writ_asks *a;
	struct row *row;
	struct writ_place place;
	char *key;
	enum step step;
	bool job_runs, holds_slot;
	unsigned tries;
	int64_t until_ms; /* of this try */
	struct writ_timer *timer;
	struct writ_job job;
	struct writ_reach reach;
	void *talk; /* NULL: none is under way */
	int status;
	struct writ_str body; /* owned copy */
	writ_rc rc;           /* how it ended */
	struct writ_err err;
	struct { /* the job's, until its done */
		writ_rc rc;
		struct writ_err err;
		struct writ_answer answer;
	} work;
};

struct row {
	struct writ_asks_row what;
	size_t index, busy, waiting;
	struct writ_list live;
};

struct writ_asks {
	int refs; /* the owner's, and one of each inquiry */
	bool closed;
	struct writ_asks_config cfg;
	struct row rows[WRIT_ASKS_ROWS_MAX];
	size_t n;
	struct writ_findings *findings;
};

/* A caller that waits for one inquiry. */
struct part {
	struct writ_list node;
	struct writ_ask *ask;
	struct writ_finding *found; /* reference */
	const char *name;
};

struct writ_ask {
	struct part parts[WRIT_ASKS_ROWS_MAX];
	size_t n, open;
	void (*done)(void *arg);
	void *arg;
};

static void begin(struct inquiry *q);

/* --- HTTP, the usual way --- */

static void *http_start(struct writ_loop *loop, struct writ_reach *r, size_t answer_max,
	int64_t deadline_ms, void (*done)(void *arg, const struct writ_http_answer *a), void *arg)
{
	const struct writ_http_request req = {
		.loop = loop,
		.method = "GET",
		.host = r->host,
		.port = r->port,
		.target = r->target,
		.bearer = writ_buf_str(&r->bearer),
		.tls = r->tls,
		.body_max = answer_max,
		.deadline_ms = deadline_ms,
		.has_socket = r->has_socket,
		.socket = r->socket,
		.done = done,
		.arg = arg,
	};
	r->has_socket = false;
	return writ_http_start(&req);
}

static void http_cancel(void *talk)
{
	writ_http_cancel(talk);
}

static const struct writ_runtime_way http_way = { http_start, http_cancel };

static const struct writ_runtime_way *way_of(const struct inquiry *q)
{
	return q->row->what.vt->way ? q->row->what.vt->way : &http_way;
}

static void end_talk(struct inquiry *q)
{
	if (q->talk)
		way_of(q)->cancel(writ_steal(q->talk));
}

/* --- an inquiry --- */

static void unref_asks(struct writ_asks *a)
{
	if (--a->refs)
		return;
	writ_findings_free(a->findings);
	if (a->cfg.gone)
		a->cfg.gone(a->cfg.arg);
	writ_free(a);
}

static uint32_t owner_of(const struct inquiry *q)
{
	return q->place.rootless ? q->place.owner : 0;
}

static void free_inquiry(struct inquiry *q)
{
	writ_timer_free(q->timer);
	end_talk(q);
	writ_reach_done(&q->reach);
	writ_answer_done(&q->work.answer);
	writ_free((void *)(uintptr_t)q->body.p);
	writ_free(q->key);
	unref_asks(q->a);
	writ_free(q);
}

static void release_slot(struct inquiry *q)
{
	struct row *row = q->row;
	if (!q->holds_slot)
		return;
	q->holds_slot = false;
	row->busy--;
	if (q->a->closed)
		return;
	WRIT_LIST_EACH (it, &row->live) {
		struct inquiry *next = writ_container(it, struct inquiry, node);
		if (next->step == WAITING) {
			row->waiting--;
			begin(next);
			return;
		}
	}
}

/* --- the end of one --- */

static bool is_failure_of_runtime(writ_rc rc)
{
	return rc == WRIT_ETIMEOUT || rc == WRIT_EUNAVAIL || rc == WRIT_EIO || rc == WRIT_EDENIED;
}

static struct writ_finding *make_finding(struct inquiry *q)
{
	struct writ_finding *f = writ_alloc(sizeof(*f));
	f->refs = 1;
	f->key = writ_steal(q->key);
	f->rc = q->rc;
	f->err = q->err;
	writ_answer_init(&f->answer);
	if (q->rc == WRIT_OK) {
		f->answer = q->work.answer;
		writ_answer_init(&q->work.answer);
	}
	f->until_ms = writ_mono_ms() + (q->rc == WRIT_OK ? q->a->cfg.cache_ms : UNKNOWN_MS);
	return f;
}

static void tell_waiters(struct inquiry *q, struct writ_finding *f)
{
	for (struct writ_list *n = writ_list_pop(&q->waiters); n; n = writ_list_pop(&q->waiters)) {
		struct part *p = writ_container(n, struct part, node);
		struct writ_ask *k = p->ask;
		p->found = writ_finding_ref(f);
		if (--k->open)
			continue;
		k->done(k->arg);
		writ_ask_cancel(k);
	}
}

static void remember(struct inquiry *q, struct writ_finding *f)
{
	const char *name = q->row->what.vt->name;
	if (!is_failure_of_runtime(q->rc)) {
		writ_findings_put(q->a->findings, f);
		return;
	}
	writ_findings_rest(q->a->findings, q->row->index, owner_of(q), q->a->cfg.rest_ms);
	WRIT_LOG_LIMITED(WARN, "runtime.failed", WRIT_KV("runtime", name),
		WRIT_KV("error", q->err.msg), WRIT_KV("left_alone_ms", q->a->cfg.rest_ms));
}

static void settle(struct inquiry *q)
{
	bool again = !q->a->closed && q->rc == WRIT_ENOENT && q->tries < q->row->what.retries;
	if (again && !q->job_runs) {
		q->step = SLEEPING;
		release_slot(q);
		writ_timer_start(q->timer, q->row->what.retry_ms);
		return;
	}
	struct writ_finding *f = make_finding(q);
	q->step = OVER;
	writ_list_remove(&q->node);
	writ_timer_stop(q->timer);
	end_talk(q);
	remember(q, f);
	tell_waiters(q, f);
	writ_finding_unref(f);
	if (q->job_runs)
		return; /* it still reads what q holds */
	release_slot(q);
	free_inquiry(q);
}

static void on_timer(void *arg)
{
	static const char *const doing[] = { [WAITING] = "waiting for its turn",
		[REACHING] = "looking for its socket",
		[ASKING] = "waiting for its answer",
		[JUDGING] = "reading its answer" };
	struct inquiry *q = arg;
	if (q->step == SLEEPING) {
		q->step = WAITING;
		begin(q);
		return;
	}
	if (q->step == WAITING)
		q->row->waiting--;
	q->rc = writ_fail(&q->err, WRIT_ETIMEOUT, "no answer in time, at last %s", doing[q->step]);
	settle(q);
}

/* --- the steps of one --- */

/* True: nobody waits for what the job did. */
static bool job_was_late(struct inquiry *q)
{
	q->job_runs = false;
	if (q->step != OVER)
		return false;
	release_slot(q);
	free_inquiry(q);
	return true;
}

static void take_work(struct inquiry *q)
{
	q->rc = q->work.rc;
	q->err = q->work.err;
}

static void judge_work(struct writ_job *j)
{
	struct inquiry *q = writ_container(j, struct inquiry, job);
	q->work.rc = q->row->what.vt->judge(
		q->row->what.self, &q->place, q->status, q->body, &q->work.answer, &q->work.err);
	writ_selectors_seal(&q->work.answer.selectors);
}

static void judge_done(struct writ_job *j)
{
	struct inquiry *q = writ_container(j, struct inquiry, job);
	if (job_was_late(q))
		return;
	take_work(q);
	settle(q);
}

static void on_answer(void *arg, const struct writ_http_answer *a)
{
	struct inquiry *q = arg;
	q->talk = NULL;
	q->rc = a->rc;
	q->err = a->err;
	if (a->rc != WRIT_OK) {
		settle(q);
		return;
	}
	q->step = JUDGING;
	q->status = a->status;
	writ_free((void *)(uintptr_t)q->body.p);
	q->body = writ_strn(writ_memdup(a->body.p ? a->body.p : "", a->body.n), a->body.n);
	writ_answer_done(&q->work.answer);
	q->job_runs = true;
	q->job.work = judge_work;
	q->job.done = judge_done;
	writ_job_run(q->a->cfg.loop, &q->job);
}

static void send_request(struct inquiry *q)
{
	int64_t left = q->until_ms - writ_mono_ms();
	q->step = ASKING;
	q->talk = way_of(q)->start(q->a->cfg.loop, &q->reach, q->row->what.vt->answer_max,
		left > 0 ? left : 1, on_answer, q);
	writ_reach_done(&q->reach);
}

static void reach_work(struct writ_job *j)
{
	struct inquiry *q = writ_container(j, struct inquiry, job);
	q->work.rc = q->row->what.vt->reach(q->row->what.self, &q->place, &q->reach, &q->work.err);
}

static void reach_done(struct writ_job *j)
{
	struct inquiry *q = writ_container(j, struct inquiry, job);
	if (job_was_late(q))
		return;
	take_work(q);
	if (q->rc == WRIT_ENOENT) /* the runtime, not the container */
		q->rc = WRIT_EUNAVAIL;
	if (q->rc == WRIT_OK)
		send_request(q);
	else
		settle(q);
}

static void begin(struct inquiry *q)
{
	struct row *row = q->row;
	if (row->busy == BUSY_MAX) {
		row->waiting++;
		writ_timer_start(q->timer, 2 * q->a->cfg.deadline_ms);
		return;
	}
	row->busy++;
	q->holds_slot = true;
	q->tries++;
	q->step = REACHING;
	q->until_ms = writ_mono_ms() + q->a->cfg.deadline_ms;
	writ_timer_start(q->timer, q->a->cfg.deadline_ms);
	writ_reach_done(&q->reach);
	q->job_runs = true;
	q->job.work = reach_work;
	q->job.done = reach_done;
	writ_job_run(q->a->cfg.loop, &q->job);
}

/* --- asking --- */

static struct inquiry *find_live(const struct row *row, const char *key)
{
	WRIT_LIST_EACH (it, &row->live) {
		struct inquiry *q = writ_container(it, struct inquiry, node);
		if (strcmp(q->key, key) == 0)
			return q;
	}
	return NULL;
}

static struct inquiry *new_inquiry(
	struct writ_asks *a, struct row *row, const struct writ_place *place, const char *key)
{
	struct inquiry *q = writ_alloc(sizeof(*q));
	q->a = a;
	a->refs++;
	q->row = row;
	q->place = *place;
	q->key = writ_strdup(key);
	writ_list_init(&q->waiters);
	writ_list_push(&row->live, &q->node);
	writ_reach_init(&q->reach);
	writ_answer_init(&q->work.answer);
	q->timer = writ_timer_new(a->cfg.loop, on_timer, q);
	begin(q);
	return q;
}

/* The inquiry to wait for; NULL: answer has what there is. */
static struct inquiry *ask_row(struct writ_asks *a, struct row *row, const struct writ_place *place,
	struct writ_answer *answer)
{
	const char *name = row->what.vt->name;
	uint32_t owner = place->rootless ? place->owner : 0;
	struct writ_buf key = WRIT_BUF(KEY_MAX);
	struct inquiry *q = NULL;
	writ_buf_addf(&key, "%zu/", row->index);
	writ_place_key(place, &key);
	struct writ_finding *f = writ_findings_get(a->findings, writ_buf_cstr(&key));
	if (f)
		writ_finding_add(f, name, answer);
	else if (!(q = find_live(row, writ_buf_cstr(&key)))) {
		if (writ_findings_rests(a->findings, row->index, owner))
			writ_answer_note(answer, "%s: not known: it failed a moment ago", name);
		else if (row->waiting >= WAITING_MAX)
			writ_answer_note(
				answer, "%s: not known: too many questions wait for it", name);
		else
			q = new_inquiry(a, row, place, writ_buf_cstr(&key));
	}
	writ_buf_done(&key);
	return q;
}

bool writ_asks_would(const struct writ_asks *a, unsigned flags)
{
	for (size_t i = 0; i < a->n; i++)
		if (flags & a->rows[i].what.wanted)
			return true;
	return false;
}

writ_rc writ_asks_start(struct writ_asks *a, const struct writ_place *place, unsigned flags,
	struct writ_answer *answer, void (*done)(void *arg), void *arg, struct writ_ask **ret)
{
	struct writ_ask *k = NULL;
	for (size_t i = 0; !a->closed && i < a->n; i++) {
		struct row *row = &a->rows[i];
		if (!(flags & row->what.wanted) || !row->what.vt->wants(place))
			continue;
		struct inquiry *q = ask_row(a, row, place, answer);
		if (!q)
			continue;
		if (!k)
			k = writ_alloc(sizeof(*k));
		struct part *p = &k->parts[k->n++];
		p->ask = k;
		p->name = row->what.vt->name;
		k->open++;
		writ_list_push(&q->waiters, &p->node);
	}
	if (!k)
		return WRIT_OK;
	k->done = done;
	k->arg = arg;
	*ret = k;
	return WRIT_EBUSY;
}

void writ_ask_take(struct writ_ask *k, struct writ_answer *answer)
{
	for (size_t i = 0; i < k->n; i++)
		if (k->parts[i].found)
			writ_finding_add(k->parts[i].found, k->parts[i].name, answer);
}

void writ_ask_cancel(struct writ_ask *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->n; i++) {
		writ_list_remove(&k->parts[i].node);
		writ_finding_unref(k->parts[i].found);
	}
	writ_free(k);
}

struct writ_asks *writ_asks_new(const struct writ_asks_config *cfg)
{
	struct writ_asks *a = writ_alloc(sizeof(*a));
	a->refs = 1;
	a->cfg = *cfg;
	a->cfg.deadline_ms = cfg->deadline_ms ? cfg->deadline_ms : WRIT_ASKS_DEADLINE_MS;
	a->cfg.cache_ms = cfg->cache_ms ? cfg->cache_ms : WRIT_ASKS_CACHE_MS;
	a->cfg.rest_ms = cfg->rest_ms ? cfg->rest_ms : WRIT_ASKS_REST_MS;
	a->findings = writ_findings_new();
	for (a->n = 0; a->n < cfg->n_rows && a->n < WRIT_ASKS_ROWS_MAX; a->n++) {
		struct row *row = &a->rows[a->n];
		row->what = cfg->rows[a->n];
		row->index = a->n;
		writ_list_init(&row->live);
	}
	return a;
}

void writ_asks_stop(struct writ_asks *a)
{
	a->closed = true;
	for (size_t i = 0; i < a->n; i++) {
		while (!writ_list_empty(&a->rows[i].live)) {
			struct inquiry *q =
				writ_container(a->rows[i].live.next, struct inquiry, node);
			q->rc = writ_fail(&q->err, WRIT_ECANCELED, "the agent ends");
			settle(q);
		}
	}
}

void writ_asks_free(struct writ_asks *a)
{
	if (!a)
		return;
	a->closed = true;
	for (size_t i = 0; i < a->n; i++) {
		for (struct writ_list *n = writ_list_pop(&a->rows[i].live); n;
			n = writ_list_pop(&a->rows[i].live)) {
			struct inquiry *q = writ_container(n, struct inquiry, node);
			q->step = OVER;
			writ_timer_free(writ_steal(q->timer));
			end_talk(q);
			if (!q->job_runs)
				free_inquiry(q);
		}
	}
	unref_asks(a);
}
