/* SPDX-License-Identifier: Apache-2.0 */
/* Which running processes have these selectors: all of /proc attested like callers, one process
 * each turn of the loop, so that real callers do not wait for it. */
#include "admin/compare.h"
#include "admin/messages.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define PIDS_MAX     32768
#define SHOWN        200
#define SHOWN_MAX    1000
#define WITHHELD_MAX 8

struct preview {
	struct writ_call *call; /* NULL: it has ended */
	struct writ_admin *a;
	struct writ_task turn;
	bool posted;
	struct writ_caller *caller; /* the one that is looked at; a reference */
	struct writ_attest_wait wait;
	struct writ_selectors wanted;
	unsigned wants;
	int *pids; /* owned */
	size_t n, at, max;
	A(PreviewResponse) m;
};

static void free_preview(struct preview *x)
{
	if (x->wait.done)
		writ_attest_wait_forget(&x->wait);
	writ_caller_unref(x->caller);
	writ_selectors_done(&x->wanted);
	writ_free(x->pids);
	writ_free(x);
}

static void on_end(struct writ_call *c)
{
	struct preview *x = writ_call_user(c);
	x->call = NULL;
	if (!x->posted)
		free_preview(x);
}

static void next(struct preview *x)
{
	x->posted = true;
	writ_loop_post(x->a->cfg.loop, &x->turn);
}

/* --- one process --- */

static void add_withheld(struct preview *x, const char *why)
{
	for (size_t i = 0; i < x->m.n_withheld; i++)
		if (strcmp(x->m.withheld[i], why) == 0)
			return;
	if (x->m.n_withheld < WITHHELD_MAX)
		x->m.withheld[x->m.n_withheld++] = writ__admin_text(x->call, writ_cstr(why));
}

/* Does it rest on nothing but what was withheld that it does not match? */
static bool is_unsure(struct preview *x, const struct writ_facts *f)
{
	const struct writ_have have = { &f->answer.selectors, writ_buf_str(&f->answer.notes),
		x->a->cfg.env->all, f->flags };
	struct writ_part part, why = { .why = "" };
	if (!have.notes.n)
		return false;
	for (size_t i = 0; i < x->wanted.n; i++) {
		writ_compare(&x->wanted, i, &have, &part);
		if (!part.has && (!part.why[0] || !writ_giver_of(have.attestors, part.selector)))
			return false;
		if (part.why[0])
			why = part;
	}
	add_withheld(x, why.why);
	return true;
}

static void judge(struct preview *x, const struct writ_facts *f)
{
	const struct writ_snapshot *s = &f->snapshot;
	WRIT_AUTO(writ_selectors_done) struct writ_selectors all;
	writ_selectors_init(&all);
	if (s->withheld[WRIT_PART_EXE] == ENOENT) /* a thread of the kernel: it calls nobody */
		return;
	x->m.looked_at++;
	(void)writ_launches_merge(x->a->cfg.launches, (pid_t)s->pid, writ_caller_pidfd(x->caller),
		&f->answer.selectors, &all);
	if (!writ_selectors_match(&x->wanted, &all)) {
		x->m.unsure += is_unsure(x, f);
		return;
	}
	x->m.matches++;
	if (x->m.n_processes == x->max)
		return;
	A(Process) *p = writ__admin_process(x->call, (int)s->pid, (uid_t)s->uid, (gid_t)s->gid,
		s->start_time, s->exe_path, writ_decision_cgroup(s));
	if (p)
		x->m.processes[x->m.n_processes++] = p;
}

/* facts: NULL when it could not be attested. */
static void done_with(struct preview *x, writ_rc rc, const struct writ_facts *facts)
{
	if (rc == WRIT_OK) {
		judge(x, facts);
		/* Not to be remembered in the place of one who calls. */
		writ_caller_outdated(x->caller, facts);
	} else if (rc != WRIT_ENOENT && rc != WRIT_EUNAUTH) { /* those have ended meanwhile */
		x->m.unseen++;
	}
	writ_caller_unref(writ_steal(x->caller));
	next(x);
}

static void on_attested(struct writ_attest_wait *w, writ_rc rc, const struct writ_err *err,
	struct writ_facts *facts)
{
	struct preview *x = writ_container(w, struct preview, wait);
	(void)err;
	done_with(x, rc, facts);
}

static void look_at(struct preview *x, int pid)
{
	struct writ_err err;
	writ_rc rc = writ_caller_of_pid(x->a->cfg.env, pid, &x->caller, &err);
	if (rc != WRIT_OK) {
		done_with(x, rc, NULL);
		return;
	}
	x->wait.done = on_attested;
	writ_caller_attest_anew(x->caller, x->wants, &x->wait);
}

static void on_turn(struct writ_task *t)
{
	struct preview *x = writ_container(t, struct preview, turn);
	x->posted = false;
	if (!x->call) {
		free_preview(x);
		return;
	}
	if (x->at < x->n)
		look_at(x, x->pids[x->at++]);
	else
		writ_call_reply(x->call, &x->m.base);
}

/* --- the list --- */

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static writ_rc list_pids(struct preview *x, struct writ_err *err)
{
	DIR *d = opendir("/proc");
	const struct dirent *e;
	if (!d)
		return writ_fail_errno(err, errno, "list /proc");
	x->pids = writ_alloc_array(PIDS_MAX, sizeof(*x->pids));
	x->m.complete = true;
	while ((e = readdir(d)) != NULL) {
		uint64_t pid;
		if (writ_parse_u64(writ_cstr(e->d_name), 1, INT32_MAX, &pid, NULL) != WRIT_OK)
			continue;
		if (x->n < PIDS_MAX)
			x->pids[x->n++] = (int)pid;
		else
			x->m.complete = false;
	}
	closedir(d);
	qsort(x->pids, x->n, sizeof(*x->pids), by_number);
	return WRIT_OK;
}

/* Spelt wrong, or of an attestor that is off: nothing can ever match. */
static bool add_unknown(struct preview *x)
{
	struct writ_selectors none;
	writ_selectors_init(&none);
	writ_selectors_seal(&none);
	const struct writ_have have = { &none, WRIT_STR(""), x->a->cfg.env->all, UINT_MAX };
	x->m.unknown = writ_call_alloc(x->call, x->wanted.n * sizeof(*x->m.unknown) + 1);
	for (size_t i = 0; x->m.unknown && i < x->wanted.n; i++) {
		struct writ_part part;
		writ_compare(&x->wanted, i, &have, &part);
		if (part.why[0])
			x->m.unknown[x->m.n_unknown++] =
				writ__admin_text(x->call, writ_cstr(part.why));
	}
	writ_selectors_done(&none);
	return x->m.unknown != NULL;
}

static writ_rc begin(struct preview *x, const A(PreviewRequest) * q, struct writ_err *err)
{
	struct writ_wants wants = { { 0 } };
	if (!q->n_selectors)
		return writ_fail(err, WRIT_EINVAL, "an entry without selectors matches nobody");
	writ_rc rc = writ__admin_read_selectors(q->selectors, q->n_selectors, &x->wanted, err);
	if (rc == WRIT_OK)
		rc = list_pids(x, err);
	if (rc != WRIT_OK)
		return rc;
	writ_wants_count(&wants, &x->wanted, 1);
	x->wants = writ_wants_flags(&wants);
	x->m.processes = writ_call_alloc(x->call, x->max * sizeof(*x->m.processes));
	x->m.withheld = writ_call_alloc(x->call, WITHHELD_MAX * sizeof(*x->m.withheld));
	if (!add_unknown(x) || !x->m.processes || !x->m.withheld)
		return writ_fail(err, WRIT_ELIMIT, "too much is asked for at once");
	x->turn.run = on_turn;
	next(x);
	return WRIT_OK;
}

void writ__admin_preview(struct writ_call *c)
{
	const A(PreviewRequest) *q = (const void *)writ_call_request(c);
	struct writ_err err = { 0 };
	struct preview *x = writ_alloc(sizeof(*x));
	x->call = c;
	x->a = writ_call_program(c);
	x->max = q->max ? q->max : SHOWN;
	if (x->max > SHOWN_MAX)
		x->max = SHOWN_MAX;
	writ_selectors_init(&x->wanted);
	writ__agent__v1__preview_response__init(&x->m);
	writ_call_set_user(c, x);
	writ_call_on_end(c, on_end);
	if (begin(x, q, &err) != WRIT_OK)
		writ_call_fail(c, &err);
}
