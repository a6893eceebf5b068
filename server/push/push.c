/* SPDX-License-Identifier: Apache-2.0 */
/* Push: agents hold a stream that says where things stand, and fetch the difference. The rules:
 * docs/protocol/push.txt. Nothing is queued: a stream that is behind gets one message for all that
 * happened meanwhile. */
#include "api/authorize.h"
#include "api/convert.h"
#include "api/methods.h"
#include "base/clock.h"
#include "base/mem.h"
#include "push/page.h"
#include "writ/push/v1/push.pb-c.h"

#include <stdlib.h>

#define PAGE_COST_MAX ((size_t)4 * 1024 * 1024) /* memory of a page's messages, about */

#define P(name) Writ__Push__V1__##name

/* One Watch stream; lives in its call's memory. */
struct watch {
	struct writ_call *call;
	struct writ_watch *entries, *trust;
	bool sending, dirty;
};

static struct writ_str agent_of(const struct writ_call *c)
{
	return writ_cstr(writ_api_call(c)->spiffe_id);
}

static void gone(struct writ_call *c)
{
	struct watch *w = writ_api_call(c)->state;
	writ_registry_unwatch(writ_steal(w->entries));
	writ_registry_unwatch(writ_steal(w->trust));
}

static void tell(struct watch *w)
{
	struct writ_call *c = w->call;
	const struct writ_api *api = writ_api_call(c)->api;
	P(WatchResponse) m = WRIT__PUSH__V1__WATCH_RESPONSE__INIT;
	struct writ_err err;
	if (w->sending) {
		w->dirty = true;
		return;
	}
	struct writ_verdict v = writ_authorize(
		api, writ_call_method(c)->who, false, writ_call_peer(c), writ_wall_s());
	if (!v.as) {
		gone(c);
		writ_call_on_end(c, NULL);
		writ_api_deny(c, "the agent may not watch any more", v.reason);
		return;
	}
	m.entries_revision = writ_registry_agent_revision(api->registry, agent_of(c));
	m.bundle_sequence = api->bundle ? api->bundle->sequence : 0;
	m.now_ms = writ_wall_ms();
	w->dirty = false;
	w->sending = writ_call_send(c, &m.base, &err) == WRIT_OK;
}

static void changed(void *arg)
{
	tell(arg);
}

static void writable(struct writ_call *c)
{
	struct watch *w = writ_api_call(c)->state;
	w->sending = false;
	if (w->dirty)
		tell(w);
}

void writ_h_push_watch(struct writ_call *c)
{
	struct writ_api_call *a = writ_api_call(c);
	struct watch *w = writ_api_alloc(c, sizeof(*w));
	a->state = w;
	w->call = c;
	w->entries = writ_registry_watch(a->api->registry, agent_of(c), changed, w);
	w->trust = writ_registry_watch_trust(a->api->registry, changed, w);
	writ_call_on_end(c, gone);
	writ_call_on_writable(c, writable);
	tell(w);
}

static int by_creation(const void *a, const void *b)
{
	const struct writ_entry *const *x = a, *const *y = b;
	return ((*x)->meta.seq > (*y)->meta.seq) - ((*x)->meta.seq < (*y)->meta.seq);
}

/* Entries behind the token's place, as many as go into one message; writes the next token. */
static void put_entries(struct writ_call *c, struct writ_entry_list *list,
	const struct writ_push_page *page, P(FetchResponse) * m)
{
	struct writ_push_page next = *page;
	size_t cost = 0, i = 0;
	if (list->n)
		qsort(list->v, list->n, sizeof(struct writ_entry *), by_creation);
	m->entries = writ_api_alloc(c, list->n * sizeof(*m->entries));
	while (i < list->n && list->v[i]->meta.seq <= page->after)
		i++;
	for (; i < list->n; i++) {
		cost += writ_entry_cost(list->v[i]);
		if (m->n_entries > 0 && cost > PAGE_COST_MAX)
			break;
		next.after = list->v[i]->meta.seq;
		m->entries[m->n_entries++] = writ_to_entry(c, list->v[i], WRIT_AGENT_ENTRY_BITS);
	}
	if (i < list->n) {
		char text[WRIT_PUSH_PAGE_TEXT];
		writ_push_page_print(&next, text);
		m->next_page = writ_api_dup(c, writ_cstr(text));
	}
}

static void put_removed(struct writ_call *c, const struct writ_changes *ch, P(FetchResponse) * m)
{
	m->removed = writ_api_alloc(c, ch->n_removed * sizeof(*m->removed));
	for (size_t i = 0; i < ch->n_removed; i++)
		m->removed[m->n_removed++] = writ_api_dup(c, writ_cstr(ch->removed[i]));
}

void writ_h_push_fetch(struct writ_call *c)
{
	const P(FetchRequest) *q = (const void *)writ_call_request(c);
	const struct writ_api *api = writ_api_call(c)->api;
	uint64_t epoch = writ_registry_epoch(api->registry);
	struct writ_push_page page = { 0 };
	struct writ_changes ch = { 0 };
	struct writ_err err;
	bool first = !*q->page;
	if (!first && writ_push_page_parse(writ_cstr(q->page), &page, &err) != WRIT_OK) {
		writ_call_fail(c, &err);
		return;
	}
	writ_registry_changes(api->registry, agent_of(c), q->epoch == epoch ? q->since : 0, &ch);
	if (first)
		page = (struct writ_push_page){
			.epoch = epoch, .revision = ch.revision, .full = ch.full
		};
	if (page.epoch != epoch || page.full != ch.full) {
		writ_changes_done(&ch);
		writ_api_fail(
			c, WRIT_EPRECOND, "too much has changed since the first page: fetch again");
		return;
	}
	P(FetchResponse) *m = writ_api_new(c, &writ__push__v1__fetch_response__descriptor);
	/* What changed while pages went over is told by the next difference. */
	m->revision = page.revision;
	m->epoch = epoch;
	m->full = ch.full;
	put_entries(c, &ch.entries, &page, m);
	if (first)
		put_removed(c, &ch, m);
	if (first && q->bundle && api->bundle)
		m->bundle = writ_to_bundle(c, api->bundle, UINT32_MAX);
	writ_changes_done(&ch);
	writ_api_reply(c, &m->base);
}
