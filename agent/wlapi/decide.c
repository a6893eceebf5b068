/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions about callers, as lines: who it was, what is known of it, what came out. */
#include "wlapi/wlapi_impl.h"

#include "base/clock.h"
#include "base/mem.h"
#include "wlapi/trace.h"

#define SELECTORS_SHOWN   2048
#define PERMISSION_DENIED 7

static void describe(const struct stream *s, struct writ_buf *out)
{
	struct writ_buf all = WRIT_BUF(WRIT_SELECTORS_BYTES * 2);
	if (s->attested)
		writ_selectors_print(&s->facts.answer.selectors, &all);
	writ_buf_add(out, all.p, all.n < SELECTORS_SHOWN ? all.n : SELECTORS_SHOWN);
	if (all.n > SELECTORS_SHOWN)
		writ_buf_add_cstr(out, " ...");
	writ_buf_done(&all);
}

static void write_audit(const struct stream *s, const char *event, const char *trace,
	const char *reason, const struct writ_buf *selectors)
{
	const struct writ_peer *p = writ_call_peer(s->call);
	const struct writ_kv kv[] = {
		WRIT_KV("method", s->kind->name),
		WRIT_KV("pid", (int)p->pid),
		WRIT_KV("uid", (unsigned)p->uid),
		WRIT_KV("gid", (unsigned)p->gid),
		WRIT_KV("selectors", writ_buf_str(selectors)),
		WRIT_KV("spiffe_id", s->n ? s->entries[0]->spiffe_id : ""),
		WRIT_KV("identities", s->n),
		WRIT_KV(trace ? "trace" : NULL, trace),
		WRIT_KV(reason ? "reason" : NULL, reason),
	};
	struct writ_err err;
	if (s->w->cfg.audit &&
		writ_audit_write(s->w->cfg.audit, event, kv, WRIT_COUNT(kv), &err) != WRIT_OK)
		WRIT_LOG_LIMITED(ERROR, "audit.failed", WRIT_KV("error", err.msg));
}

void writ__grant(const struct stream *s)
{
	const struct writ_peer *p = writ_call_peer(s->call);
	WRIT_LOG_LIMITED(INFO, "workload.attested", WRIT_KV("method", s->kind->name),
		WRIT_KV("pid", (int)p->pid), WRIT_KV("uid", (unsigned)p->uid),
		WRIT_KV("spiffe_id", s->entries[0]->spiffe_id), WRIT_KV("identities", s->n),
		WRIT_KV("took_us", writ_mono_us() - s->started_us));
	if (!s->w->cfg.audit)
		return;
	WRIT_AUTO(writ_buf_done) struct writ_buf selectors = WRIT_BUF(SELECTORS_SHOWN + 8);
	describe(s, &selectors);
	write_audit(s, "workload.attested", NULL, NULL, &selectors);
}

/* One line for each trace, as far as the limit allows; only then is it worth writing down who the
 * caller is. Callers that were gone before they were looked at have a limit of their own: they may
 * not hide why a process that is there was refused. */
static void log_denial(
	const struct stream *s, const char *trace, const char *reason, struct writ_buf *selectors)
{
	static struct writ_log_limit limits[2];
	int64_t lost = 0;
	bool logged = writ_log_enabled(WRIT_LOG_WARN) && writ_log_pass(&limits[s->attested], &lost);
	const struct writ_peer *p = writ_call_peer(s->call);
	struct writ_str notes = s->attested ? writ_buf_str(&s->facts.answer.notes) : writ_cstr("");
	if (!logged && !s->w->cfg.audit)
		return;
	describe(s, selectors);
	if (logged)
		WRIT_LOG(WARN, "workload.denied", writ_kv_suppressed(lost), WRIT_KV("trace", trace),
			WRIT_KV("method", s->kind->name), WRIT_KV("reason", reason),
			WRIT_KV("pid", (int)p->pid), WRIT_KV("uid", (unsigned)p->uid),
			WRIT_KV("gid", (unsigned)p->gid),
			WRIT_KV("selectors", writ_buf_str(selectors)),
			WRIT_KV(notes.n ? "withheld" : NULL, notes));
	write_audit(s, "workload.denied", trace, reason, selectors);
}

void writ__deny(struct stream *s, const struct writ_err *why)
{
	char trace[WRIT_TRACE_LEN + 1], text[64 + WRIT_TRACE_LEN];
	WRIT_AUTO(writ_buf_done) struct writ_buf selectors = WRIT_BUF(SELECTORS_SHOWN + 8);
	writ_trace_new(trace);
	log_denial(s, trace, why->msg, &selectors);
	struct writ_buf b = WRIT_BUF(sizeof(text));
	writ_buf_addf(&b, "no identity issued (trace %s)", trace);
	writ_call_fail_status(s->call, PERMISSION_DENIED, writ_buf_cstr(&b), NULL, 0);
	writ_buf_done(&b);
}
