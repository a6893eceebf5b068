/* SPDX-License-Identifier: Apache-2.0 */
/* Why a process has an identity, or none: its selectors against every entry, a slice of them each
 * turn of the loop, so that callers do not wait for it. */
#include "admin/compare.h"
#include "admin/messages.h"

#include "base/clock.h"
#include "base/mem.h"

#include <limits.h>

#define ENTRIES_DEFAULT 20
#define ENTRIES_MAX     1000
#define SLICE           256
#define ANSWER_MAX      ((size_t)2 * 1024 * 1024) /* bytes of entries, about */
#define NOTES_MAX       (WRIT_WIRE_NOTES_MAX + 1)

struct ranked {
	struct writ_entry *entry; /* borrowed of list */
	struct writ_score score;
};

struct explain {
	struct writ_call *call; /* NULL: it has ended */
	struct writ_admin *a;
	struct writ_task slice;
	bool posted;
	struct writ_caller *caller; /* a reference; by pid */
	struct writ_attest_wait wait;
	struct writ_selectors selectors;
	struct writ_buf notes;
	unsigned asked;           /* enum writ_attest_flag */
	struct writ_entry **list; /* owned, as writ_cache_list_done wants it */
	size_t n, at;
	struct ranked *top; /* owned; nearest first */
	size_t n_top, max;
	A(ExplainResponse) m;
};

static void free_explain(struct explain *x)
{
	if (x->wait.done)
		writ_attest_wait_forget(&x->wait);
	writ_caller_unref(x->caller);
	writ_selectors_done(&x->selectors);
	writ_buf_done(&x->notes);
	writ_cache_list_done(x->list, x->n);
	writ_free(x->top);
	writ_free(x);
}

static void on_end(struct writ_call *c)
{
	struct explain *x = writ_call_user(c);
	x->call = NULL;
	if (!x->posted)
		free_explain(x);
}

/* --- ranking --- */

static bool is_nearer(const struct ranked *a, const struct ranked *b)
{
	int order = writ_score_cmp(a->score, b->score);
	return order ? order < 0 : a->entry->created_at < b->entry->created_at;
}

static void rank(struct explain *x, struct writ_entry *e)
{
	struct ranked r = { e, writ_score_of(&e->selectors, &x->selectors) };
	if (!r.score.missing)
		x->m.matches++;
	if (x->n_top == x->max && !is_nearer(&r, &x->top[x->n_top - 1]))
		return;
	size_t i = x->n_top < x->max ? x->n_top++ : x->n_top - 1;
	for (; i > 0 && is_nearer(&r, &x->top[i - 1]); i--)
		x->top[i] = x->top[i - 1];
	x->top[i] = r;
}

/* --- the answer --- */

static void add_found(struct explain *x)
{
	struct writ_call *c = x->call;
	const struct writ_attestor_vt *const *attestors = x->a->cfg.env->all;
	size_t n = x->selectors.n;
	A(Found) *all = writ_call_alloc(c, n * sizeof(*all) + 1);
	x->m.found = writ_call_alloc(c, n * sizeof(*x->m.found) + 1);
	for (size_t i = 0; all && x->m.found && i < n; i++) {
		struct writ_str text = writ_selectors_at(&x->selectors, i).text;
		const struct writ_attestor_vt *by = writ_giver_of(attestors, text);
		writ__agent__v1__found__init(&all[i]);
		all[i].selector = writ__admin_selector(c, text, &all[i].redacted);
		all[i].attestor = writ__admin_text(c,
			by                                                ? writ_cstr(by->name)
				: writ_str_starts(text, WRIT_STR("run:")) ? WRIT_STR("writ run")
									  : WRIT_STR(""));
		x->m.redacted += all[i].redacted != 0;
		x->m.found[x->m.n_found++] = &all[i];
	}
}

/* What serves in its place, when it matches and is not served. */
static struct writ_str shadow_of(const struct explain *x, const struct writ_entry *e)
{
	struct writ_entry *served[WRIT_MATCHES_MAX];
	const char *by = "";
	size_t n = writ_cache_match(x->a->cfg.cache, &x->selectors, served, WRIT_MATCHES_MAX);
	for (size_t i = 0; i < n; i++) {
		if (served[i] == e)
			return WRIT_STR("");
		if (e->hint[0] && writ_str_eq(writ_cstr(served[i]->hint), writ_cstr(e->hint)))
			by = served[i]->id;
	}
	return writ_cstr(by);
}

static bool add_parts(struct explain *x, const struct writ_entry *e, A(Candidate) * m)
{
	struct writ_call *c = x->call;
	const struct writ_have have = { &x->selectors, writ_buf_str(&x->notes), x->a->cfg.env->all,
		x->asked };
	size_t n = e->selectors.n;
	A(Part) *all = writ_call_alloc(c, n * sizeof(*all) + 1);
	m->parts = writ_call_alloc(c, n * sizeof(*m->parts) + 1);
	for (size_t i = 0; all && m->parts && i < n; i++) {
		struct writ_part part;
		writ_compare(&e->selectors, i, &have, &part);
		writ__agent__v1__part__init(&all[i]);
		all[i].selector = writ__admin_selector(c, part.selector, &all[i].redacted);
		all[i].has = part.has;
		all[i].instead = writ__admin_selector(c, part.instead, NULL);
		all[i].others = (uint32_t)part.others;
		all[i].why = writ__admin_text(c, writ_cstr(part.why));
		x->m.redacted += all[i].redacted != 0;
		m->parts[m->n_parts++] = &all[i];
	}
	return all && m->parts;
}

static bool add_candidate(struct explain *x, const struct ranked *r)
{
	struct writ_call *c = x->call;
	const struct writ_entry *e = r->entry;
	A(Candidate) *m = writ_call_alloc(c, sizeof(*m));
	if (!m)
		return false;
	writ__agent__v1__candidate__init(m);
	m->id = writ__admin_text(c, writ_cstr(e->id));
	m->spiffe_id = writ__admin_text(c, writ_cstr(e->spiffe_id));
	m->hint = writ__admin_text(c, writ_cstr(e->hint));
	m->missing = (uint32_t)r->score.missing;
	m->svid_ready = writ_entry_is_ready(e, writ_wall_s());
	m->svid_expires_at = e->key ? e->not_after : 0;
	m->on_demand = !writ_cache_keeps(x->a->cfg.cache, e);
	if (!r->score.missing)
		m->shadowed_by = writ__admin_text(c, shadow_of(x, e));
	if (!add_parts(x, e, m))
		return false;
	x->m.entries[x->m.n_entries++] = m;
	return true;
}

static void answer(struct explain *x)
{
	struct writ_call *c = x->call;
	size_t bytes = 0;
	add_found(x);
	x->m.withheld = writ__admin_lines(c, writ_buf_str(&x->notes), NOTES_MAX, &x->m.n_withheld);
	x->m.entries = writ_call_alloc(c, x->n_top * sizeof(*x->m.entries) + 1);
	bool fits = x->m.found && x->m.withheld && x->m.entries;
	for (size_t i = 0; fits && i < x->n_top && bytes < ANSWER_MAX; i++) {
		bytes += x->top[i].entry->selectors.bytes.n * 2 + 512;
		fits = add_candidate(x, &x->top[i]);
	}
	x->m.entries_total = x->n;
	x->m.synced = writ_cache_is_synced(x->a->cfg.cache);
	if (fits)
		writ_call_reply(c, &x->m.base);
	else
		writ__admin_too_large(c);
}

/* --- steps --- */

static void on_slice(struct writ_task *t)
{
	struct explain *x = writ_container(t, struct explain, slice);
	x->posted = false;
	if (!x->call) {
		free_explain(x);
		return;
	}
	for (size_t k = 0; k < SLICE && x->at < x->n; k++)
		rank(x, x->list[x->at++]);
	if (x->at == x->n) {
		answer(x);
		return;
	}
	x->posted = true;
	writ_loop_post(x->a->cfg.loop, &x->slice);
}

/* The selectors are there. */
static void begin(struct explain *x)
{
	struct writ_admin_status s = { 0 };
	x->a->cfg.status(x->a->cfg.arg, &s);
	x->m.agent_id = writ__admin_text(x->call, writ_cstr(s.agent_id));
	x->n = writ_cache_list(x->a->cfg.cache, &x->list);
	x->top = writ_alloc_array(x->max, sizeof(*x->top));
	x->posted = true;
	x->slice.run = on_slice;
	writ_loop_post(x->a->cfg.loop, &x->slice);
}

static void have_facts(struct explain *x, const struct writ_facts *f)
{
	const struct writ_snapshot *s = &f->snapshot;
	x->asked = f->flags;
	writ_buf_add_str(&x->notes, writ_buf_str(&f->answer.notes));
	if (writ_launches_merge(x->a->cfg.launches, (pid_t)s->pid, writ_caller_pidfd(x->caller),
		    &f->answer.selectors, &x->selectors) == WRIT_RUN_CHILD)
		writ_buf_add_cstr(&x->notes, WRIT_RUN_CHILD_NOTE "\n");
	x->m.process = writ__admin_process(x->call, (int)s->pid, (uid_t)s->uid, (gid_t)s->gid,
		s->start_time, s->exe_path, writ_decision_cgroup(s));
	begin(x);
}

static void on_attested(struct writ_attest_wait *w, writ_rc rc, const struct writ_err *err,
	struct writ_facts *facts)
{
	struct explain *x = writ_container(w, struct explain, wait);
	if (rc == WRIT_OK)
		have_facts(x, facts);
	else
		writ_call_fail(x->call, err);
}

static writ_rc by_pid(struct explain *x, int pid, struct writ_err *err)
{
	writ_rc rc = writ_caller_of_pid(x->a->cfg.env, pid, &x->caller, err);
	if (rc != WRIT_OK)
		return rc;
	x->wait.done = on_attested;
	writ_caller_attest_anew(x->caller, writ_cache_wants(x->a->cfg.cache), &x->wait);
	return WRIT_OK;
}

static writ_rc by_trace(struct explain *x, const char *trace, struct writ_err *err)
{
	const struct writ_decision *d;
	writ_rc rc = writ_decisions_find(x->a->cfg.decisions, writ_cstr(trace), &d, err);
	if (rc != WRIT_OK)
		return rc;
	if (!d->attested)
		return writ_fail(err, WRIT_EPRECOND,
			"nothing is known of this caller but pid %d and uid %u: " WRIT_FMT, d->pid,
			(unsigned)d->uid, WRIT_ARG(d->reason));
	x->m.decision = writ__admin_decision(x->call, d);
	x->m.selectors_cut = d->cut;
	x->asked = d->asked;
	writ_buf_add_str(&x->notes, d->notes);
	struct writ_str rest = d->selectors, line;
	while (rc == WRIT_OK && rest.n) {
		(void)writ_str_cut(&rest, '\n', &line);
		rc = writ_selectors_add_text(&x->selectors, line, err);
	}
	writ_selectors_seal(&x->selectors);
	if (rc == WRIT_OK)
		begin(x);
	return rc;
}

static writ_rc by_selectors(struct explain *x, const A(ExplainRequest) * q, struct writ_err *err)
{
	writ_rc rc = writ__admin_read_selectors(q->selectors, q->n_selectors, &x->selectors, err);
	if (rc == WRIT_OK)
		begin(x);
	return rc;
}

void writ__admin_explain(struct writ_call *c)
{
	const A(ExplainRequest) *q = (const void *)writ_call_request(c);
	struct writ_err err = { 0 };
	struct explain *x = writ_alloc(sizeof(*x));
	x->call = c;
	x->a = writ_call_program(c);
	x->max = q->max_entries ? q->max_entries : ENTRIES_DEFAULT;
	if (x->max > ENTRIES_MAX)
		x->max = ENTRIES_MAX;
	x->asked = UINT_MAX;
	writ_selectors_init(&x->selectors);
	x->notes = WRIT_BUF((WRIT_WIRE_NOTES_MAX + 1) * (WRIT_WIRE_NOTE_MAX + 1));
	writ__agent__v1__explain_response__init(&x->m);
	writ_call_set_user(c, x);
	writ_call_on_end(c, on_end);
	writ_rc rc;
	if ((*q->trace != 0) + (q->pid != 0) + (q->n_selectors != 0) != 1)
		rc = writ_fail(&err, WRIT_EINVAL, "ask by a trace number, a pid or selectors");
	else if (*q->trace)
		rc = by_trace(x, q->trace, &err);
	else
		rc = q->pid ? by_pid(x, q->pid, &err) : by_selectors(x, q, &err);
	if (rc != WRIT_OK)
		writ_call_fail(c, &err);
}
