/* SPDX-License-Identifier: Apache-2.0 */
#include "wlapi/decisions.h"

#include "attest/shown.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "crypto/digest.h"
#include "wlapi/log_quota.h"

#include <string.h>

#define ENTRIES_KEPT 16
#define TRACE_MIN    8
#define SHOWN_MAX    2048 /* of the selectors, in a line of the log or the audit */
#define TEXT_MAX     (WRIT_DECISION_SELECTORS + 8 * WRIT_DECISION_TEXT)
#define NOTES_KEPT   (2 * WRIT_DECISION_TEXT)

struct decisions_user {
	uid_t uid;
	size_t n;
	struct writ_list records; /* oldest in front; the user goes with the last */
};

struct writ_decisions {
	struct writ_audit *audit;
	struct writ_log_quota *quota;
	struct writ_list all;
	struct writ_map users;
	size_t n, bytes;
};

struct writ_decisions *writ_decisions_new(struct writ_loop *l, struct writ_audit *audit)
{
	struct writ_decisions *d = writ_alloc(sizeof(*d));
	d->audit = audit;
	d->quota = writ_log_quota_new(l);
	writ_list_init(&d->all);
	return d;
}

static void drop(struct writ_decisions *d, struct writ_decision *r)
{
	struct decisions_user *u = r->user;
	writ_list_remove(&r->node);
	writ_list_remove(&r->of_user);
	d->n--;
	d->bytes -= r->bytes;
	if (--u->n == 0) {
		writ_map_remove(&d->users, writ_strn(&u->uid, sizeof(u->uid)));
		writ_free(u);
	}
	writ_free(r);
}

void writ_decisions_free(struct writ_decisions *d)
{
	if (!d)
		return;
	while (!writ_list_empty(&d->all))
		drop(d, writ_container(d->all.next, struct writ_decision, node));
	writ_map_done(&d->users);
	writ_log_quota_free(d->quota);
	writ_free(d);
}

static void drop_old(struct writ_decisions *d, int64_t now)
{
	while (!writ_list_empty(&d->all)) {
		struct writ_decision *r = writ_container(d->all.next, struct writ_decision, node);
		if (now - r->at_mono_ms < WRIT_DECISIONS_KEEP_MS)
			return;
		drop(d, r);
	}
}

static struct writ_decision *oldest_of(const struct decisions_user *u)
{
	return writ_container(u->records.next, struct writ_decision, of_user);
}

/* Room for one more: the user who has the most gives up its oldest. */
static void make_room(struct writ_decisions *d, size_t bytes)
{
	while (d->n && (d->n >= WRIT_DECISIONS_MAX || d->bytes + bytes > WRIT_DECISIONS_BYTES)) {
		const struct decisions_user *u, *most = NULL;
		size_t i = 0;
		while ((u = writ_map_next(&d->users, &i, NULL)) != NULL) {
			if (!most || u->n > most->n)
				most = u;
		}
		drop(d, oldest_of(most));
	}
}

/* --- making a record --- */

static struct writ_str head_of(struct writ_str s, size_t max)
{
	return writ_strn(s.p, s.n < max ? s.n : max);
}

/* Whole lines of text, as many as fit; cut tells whether all did. */
static struct writ_str lines_of(struct writ_str text, size_t max, bool *cut)
{
	*cut = text.n > max;
	size_t n = *cut ? max : text.n;
	while (*cut && n && text.p[n - 1] != '\n')
		n--;
	return writ_strn(text.p, n);
}

struct writ_str writ_decision_cgroup(const struct writ_snapshot *s)
{
	struct writ_str rest = s->cgroup, line, first = { NULL, 0 }, best = { NULL, 0 };
	while (rest.n) {
		(void)writ_str_cut(&rest, '\n', &line);
		struct writ_str path = line, field;
		bool unified = writ_str_starts(line, WRIT_STR("0::"));
		bool systemd = writ_str_cut(&path, ':', &field) &&
			writ_str_starts(path, WRIT_STR("name=systemd:"));
		if (!writ_str_cut(&path, ':', &field))
			continue;
		if (!first.p)
			first = path;
		if ((unified && path.n > 1) || (systemd && !best.p))
			best = path;
	}
	return best.p ? best : first;
}

struct text {
	struct writ_buf bytes;
	size_t at; /* where the part that is being written begins */
};

/* The part from t->at on, as a slice whose p is an offset until the text has its place. */
static struct writ_str part(struct text *t)
{
	struct writ_str s = { (const char *)(uintptr_t)t->at, t->bytes.n - t->at };
	t->at = t->bytes.n;
	return s;
}

static struct writ_str keep(struct text *t, struct writ_str s)
{
	writ_buf_add_str(&t->bytes, s);
	return part(t);
}

static struct writ_str keep_selectors(struct text *t, const struct writ_selectors *s, bool *cut)
{
	for (size_t i = 0; i < s->n; i++) {
		struct writ_str one = writ_selectors_at(s, i).text;
		*cut = t->bytes.n - t->at + one.n + 1 > WRIT_DECISION_SELECTORS;
		if (*cut)
			break;
		writ_buf_add_str(&t->bytes, one);
		writ_buf_add_byte(&t->bytes, '\n');
	}
	return part(t);
}

static struct writ_str keep_entries(struct text *t, const struct writ_decision_fact *f)
{
	for (size_t i = 0; i < f->n_entries && i < ENTRIES_KEPT; i++) {
		const struct writ_entry *e = f->entries[i];
		writ_buf_addf(&t->bytes, "%.128s %.2048s\n", e->id, e->spiffe_id);
		if (t->bytes.n - t->at > 2 * WRIT_DECISION_TEXT)
			break;
	}
	return part(t);
}

static const struct writ_selectors *selectors_of(const struct writ_decision_fact *f)
{
	return f->selectors || !f->facts ? f->selectors : &f->facts->answer.selectors;
}

static struct writ_decision *record_of(const struct writ_decision_fact *f)
{
	struct text t = { .bytes = WRIT_BUF(TEXT_MAX) };
	struct writ_decision r = { .method = f->method,
		.granted = f->granted,
		.attested = f->facts != NULL,
		.pid = f->pid,
		.uid = f->uid,
		.gid = f->gid,
		.at_ms = writ_wall_ms(),
		.at_mono_ms = writ_mono_ms(),
		.took_us = f->took_us,
		.n_entries = f->n_entries };
	bool cut;
	writ_trace_new(r.trace);
	r.reason = keep(&t, head_of(writ_cstr(f->reason), WRIT_DECISION_TEXT));
	r.entries = keep_entries(&t, f);
	if (f->facts) {
		const struct writ_snapshot *s = &f->facts->snapshot;
		r.start_time = s->start_time;
		r.asked = f->facts->flags;
		r.binary = keep(&t, head_of(s->exe_path, WRIT_DECISION_TEXT));
		r.cgroup = keep(&t, head_of(writ_decision_cgroup(s), WRIT_DECISION_TEXT));
		if (f->note)
			writ_buf_addf(&t.bytes, "%s\n", f->note);
		r.notes =
			keep(&t, lines_of(writ_buf_str(&f->facts->answer.notes), NOTES_KEPT, &cut));
		r.selectors = keep_selectors(&t, selectors_of(f), &r.cut);
	}
	r.bytes = sizeof(r) + t.bytes.n;
	struct writ_decision *ret = writ_alloc(r.bytes);
	*ret = r;
	if (t.bytes.n)
		memcpy(ret->text, t.bytes.p, t.bytes.n);
	struct writ_str *parts[] = { &ret->reason, &ret->entries, &ret->binary, &ret->cgroup,
		&ret->notes, &ret->selectors };
	for (size_t i = 0; i < WRIT_COUNT(parts); i++)
		parts[i]->p = ret->text + (uintptr_t)parts[i]->p;
	writ_buf_done(&t.bytes);
	return ret;
}

static void put(struct writ_decisions *d, struct writ_decision *r)
{
	struct decisions_user *u = writ_map_get(&d->users, writ_strn(&r->uid, sizeof(r->uid)));
	if (!u) {
		u = writ_alloc(sizeof(*u));
		u->uid = r->uid;
		writ_list_init(&u->records);
		writ_map_put(&d->users, writ_strn(&u->uid, sizeof(u->uid)), u);
	}
	r->user = u;
	u->n++;
	d->n++;
	d->bytes += r->bytes;
	writ_list_push(&u->records, &r->of_user);
	writ_list_push(&d->all, &r->node);
}

/* --- lines --- */

static struct writ_str shorten(struct writ_buf *b)
{
	if (b->n > SHOWN_MAX) {
		b->n = SHOWN_MAX;
		writ_buf_add_cstr(b, " ...");
	}
	return writ_buf_str(b);
}

static void write_lines(struct writ_decisions *d, const struct writ_decision *r,
	struct writ_buf *selectors, bool logged)
{
	char digest[2 * WRIT_DECISION_DIGEST + 1];
	const char *event = r->granted ? "workload.attested" : "workload.denied";
	struct writ_err err;
	writ_hex(r->digest, sizeof(r->digest), digest);
	bool known = r->attested;
	const struct writ_kv kv[] = {
		WRIT_KV("trace", (const char *)r->trace),
		WRIT_KV("method", r->method),
		WRIT_KV(r->reason.n ? "reason" : NULL, r->reason),
		WRIT_KV("pid", r->pid),
		WRIT_KV("uid", (unsigned)r->uid),
		WRIT_KV("gid", (unsigned)r->gid),
		WRIT_KV(known ? "start_time" : NULL, r->start_time),
		WRIT_KV(known ? "binary" : NULL, head_of(r->binary, WRIT_DECISION_TEXT)),
		WRIT_KV(known ? "cgroup" : NULL, head_of(r->cgroup, WRIT_DECISION_TEXT)),
		WRIT_KV(known ? "selectors_digest" : NULL, (const char *)digest),
		WRIT_KV("identities", r->n_entries),
		WRIT_KV(r->entries.n ? "entries" : NULL, writ_str_trim(r->entries)),
		WRIT_KV("took_us", r->took_us),
		WRIT_KV(r->notes.n ? "withheld" : NULL, writ_str_trim(r->notes)),
		WRIT_KV(known ? "selectors" : NULL, shorten(selectors)),
	};
	enum writ_log_level level = r->granted ? WRIT_LOG_INFO : WRIT_LOG_WARN;
	if (logged)
		writ_log_write(level, event, kv, WRIT_COUNT(kv));
	if (d->audit && writ_audit_write(d->audit, event, kv, WRIT_COUNT(kv), &err) != WRIT_OK)
		WRIT_LOG_LIMITED(ERROR, "audit.failed", WRIT_KV("error", err.msg));
}

const struct writ_decision *writ_decisions_add(
	struct writ_decisions *d, const struct writ_decision_fact *f)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf shown = WRIT_BUF(2 * WRIT_SELECTORS_BYTES);
	struct writ_decision *r = record_of(f);
	uint8_t digest[WRIT_SHA256_LEN];
	if (f->facts)
		(void)writ_selectors_show(selectors_of(f), ", ", &shown);
	writ_sha256(shown.p, shown.n, digest);
	memcpy(r->digest, digest, sizeof(r->digest));
	drop_old(d, r->at_mono_ms);
	make_room(d, r->bytes);
	put(d, r);
	enum writ_line_kind kind = r->granted ? WRIT_LINE_GRANT
		: r->attested                 ? WRIT_LINE_DENIAL
					      : WRIT_LINE_GONE;
	bool logged = writ_log_enabled(r->granted ? WRIT_LOG_INFO : WRIT_LOG_WARN) &&
		writ_log_quota_pass(d->quota, r->uid, kind);
	if (logged || d->audit)
		write_lines(d, r, &shown, logged);
	return r;
}

/* --- asking --- */

static bool begins_with(const char *trace, struct writ_str s)
{
	if (s.n > WRIT_TRACE_LEN)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i] >= 'a' && s.p[i] <= 'z' ? (char)(s.p[i] - 32) : s.p[i];
		if (c != trace[i])
			return false;
	}
	return true;
}

writ_rc writ_decisions_find(struct writ_decisions *d, struct writ_str trace,
	const struct writ_decision **ret, struct writ_err *err)
{
	const struct writ_decision *found = NULL;
	if (trace.n < TRACE_MIN)
		return writ_fail(err, WRIT_EINVAL,
			"a trace number is %d characters; its first %d and more are enough",
			WRIT_TRACE_LEN, TRACE_MIN);
	drop_old(d, writ_mono_ms());
	WRIT_LIST_EACH (it, &d->all) {
		const struct writ_decision *r = writ_container(it, struct writ_decision, node);
		if (!begins_with(r->trace, trace))
			continue;
		if (found)
			return writ_fail(err, WRIT_EINVAL,
				"more than one trace number begins so: give more of it");
		found = r;
	}
	if (!found)
		return writ_fail(err, WRIT_ENOENT,
			"no decision with this trace number is kept: it was made by another agent, "
			"before this one started, over an hour ago, or many have been made since");
	*ret = found;
	return WRIT_OK;
}

const struct writ_decision *writ_decisions_before(
	struct writ_decisions *all, const struct writ_decision *d)
{
	if (!d)
		drop_old(all, writ_mono_ms());
	struct writ_list *prev = d ? d->node.prev : all->all.prev;
	return prev == &all->all ? NULL : writ_container(prev, struct writ_decision, node);
}

size_t writ_decisions_count(const struct writ_decisions *d)
{
	return d->n;
}
