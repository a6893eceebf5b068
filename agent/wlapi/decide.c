/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions about callers: recorded with what is known of them, and told to them as far as it is
 * their business. */
#include "wlapi/wlapi_impl.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>

#define PERMISSION_DENIED 7

static const struct writ_decision *record(const struct stream *s, bool granted, const char *reason)
{
	const struct writ_peer *p = writ_call_peer(s->call);
	struct writ_launches *ls = s->w->cfg.launches;
	WRIT_AUTO(writ_selectors_done) struct writ_selectors all;
	writ_selectors_init(&all);
	bool launched = s->facts && writ_launches_count(ls);
	enum writ_run_place place = WRIT_RUN_NONE;
	if (launched)
		place = writ_launches_merge(ls, p->pid, writ_caller_pidfd(s->caller),
			&s->facts->answer.selectors, &all);
	const struct writ_decision_fact f = {
		.method = s->kind->name,
		.granted = granted,
		.reason = reason,
		.pid = p->pid,
		.uid = p->uid,
		.gid = p->gid,
		.facts = s->facts,
		.selectors = launched ? &all : NULL,
		.note = place == WRIT_RUN_CHILD ? WRIT_RUN_CHILD_NOTE : NULL,
		.entries = s->entries,
		.n_entries = s->n,
		.took_us = writ_mono_us() - s->started_us,
	};
	return writ_decisions_add(s->w->cfg.decisions, &f);
}

void writ__grant(const struct stream *s)
{
	(void)record(s, true, NULL);
}

/* Of its own business is the number alone: what else is known is for operators (writ explain). */
void writ__deny(struct stream *s, const struct writ_err *why)
{
	char text[64 + WRIT_TRACE_LEN];
	(void)snprintf(text, sizeof(text), "no identity issued (trace %s)",
		record(s, false, why->msg)->trace);
	writ_call_fail_status(s->call, PERMISSION_DENIED, text, NULL, 0);
}
