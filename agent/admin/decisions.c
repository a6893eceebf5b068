/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/messages.h"

#define DEFAULT_MAX 20
#define LIST_MAX    1000

void writ__admin_list_decisions(struct writ_call *c)
{
	const A(ListDecisionsRequest) *q = (const void *)writ_call_request(c);
	const struct writ_admin *a = writ_call_program(c);
	A(ListDecisionsResponse) m = WRIT__AGENT__V1__LIST_DECISIONS_RESPONSE__INIT;
	size_t max = q->max ? q->max : DEFAULT_MAX;
	if (max > LIST_MAX)
		max = LIST_MAX;
	m.decisions = writ_call_alloc(c, max * sizeof(*m.decisions));
	const struct writ_decision *d = writ_decisions_before(a->cfg.decisions, NULL);
	for (; m.decisions && d && m.n_decisions < max;
		d = writ_decisions_before(a->cfg.decisions, d)) {
		if (q->denied && d->granted)
			continue;
		A(Decision) *one = writ__admin_decision(c, d);
		if (!one)
			break;
		m.decisions[m.n_decisions++] = one;
	}
	m.kept = writ_decisions_count(a->cfg.decisions);
	if (m.decisions)
		writ_call_reply(c, &m.base);
	else
		writ__admin_too_large(c);
}
