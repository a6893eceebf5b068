/* SPDX-License-Identifier: Apache-2.0 */
/* Entry: reading. */
#include "api/convert.h"
#include "api/methods.h"
#include "base/mem.h"
#include "google/protobuf/wrappers.pb-c.h"
#include "spire/api/server/entry/v1/entry.pb-c.h"

#include <assert.h>
#include <string.h>

/* A page is cut where its message would get near the 4 MiB that clients take. */
#define PAGE_COST_MAX ((size_t)6 * 1024 * 1024)

#define E(name) Spire__Api__Server__Entry__V1__##name

typedef E(ListEntriesRequest__Filter) filter_msg;
static_assert(sizeof(filter_msg) == sizeof(E(CountEntriesRequest__Filter)),
	"both requests have the same filter");

static writ_rc read_federates(struct writ_call *c, const Spire__Api__Types__FederatesWithMatch *m,
	struct writ_match_filter *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf pack = WRIT_BUF(WRIT_ROW_BYTES_MAX);
	if (!m)
		return WRIT_OK;
	if (m->n_trust_domains == 0 || m->n_trust_domains > WRIT_FEDERATES_MAX)
		return writ_fail(err, WRIT_EINVAL, "malformed federates with filter: %s",
			m->n_trust_domains ? "too many trust domains" : "empty trust domain set");
	if ((unsigned)m->match > WRIT_MATCH_ANY)
		return writ_fail(err, WRIT_EINVAL,
			"malformed federates with filter: unknown match behavior %d",
			(int)m->match);
	struct writ_str items[WRIT_FEDERATES_MAX];
	for (size_t i = 0; i < m->n_trust_domains; i++)
		items[i] = writ_cstr(m->trust_domains[i]);
	writ_pack_set(&pack, items, m->n_trust_domains);
	writ_rc rc = writ_buf_check(&pack, "malformed federates with filter", err);
	if (rc != WRIT_OK)
		return rc;
	ret->on = true;
	ret->match = (enum writ_match)m->match;
	ret->set = (struct writ_str){ writ_api_dup(c, writ_buf_str(&pack)), pack.n };
	return WRIT_OK;
}

static writ_rc read_id(struct writ_call *c, const Spire__Api__Types__SPIFFEID *id, const char *what,
	struct writ_str *ret, struct writ_err *err)
{
	if (!id)
		return WRIT_OK;
	writ_rc rc = writ_from_id(c, id, ret, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "malformed %s filter", what);
}

static writ_rc read_filter(
	struct writ_call *c, const filter_msg *m, struct writ_entry_filter *f, struct writ_err *err)
{
	*f = (struct writ_entry_filter){ 0 };
	if (!m)
		return WRIT_OK;
	if (m->by_hint)
		f->hint = writ_cstr(m->by_hint->value);
	f->by_downstream = m->by_downstream != NULL;
	f->downstream = m->by_downstream && m->by_downstream->value;
	writ_rc rc = read_id(c, m->by_spiffe_id, "SPIFFE ID", &f->spiffe_id, err);
	if (rc == WRIT_OK)
		rc = read_id(c, m->by_parent_id, "parent ID", &f->parent_id, err);
	if (rc == WRIT_OK)
		rc = writ_from_selector_match(c, m->by_selectors, &f->selectors, err);
	if (rc == WRIT_OK)
		rc = read_federates(c, m->by_federates_with, &f->federates_with, err);
	return rc;
}

void writ_h_entry_count(struct writ_call *c)
{
	const E(CountEntriesRequest) *q = (const void *)writ_call_request(c);
	E(CountEntriesResponse) m = SPIRE__API__SERVER__ENTRY__V1__COUNT_ENTRIES_RESPONSE__INIT;
	struct writ_entry_filter f;
	struct writ_err err;
	size_t n = 0;
	writ_rc rc = read_filter(c, (const filter_msg *)(const void *)q->filter, &f, &err);
	if (rc == WRIT_OK)
		rc = writ_registry_count_entries(writ_api_call(c)->api->registry, &f, &n, &err);
	m.count = writ_to_count(n);
	writ_api_end(c, rc, &m.base, &err);
}

/* How many of the first entries fit into one answer; at least one. */
static size_t fitting(const struct writ_entry_list *list)
{
	size_t n = 0;
	for (size_t cost = 0; n < list->n; n++) {
		cost += writ_entry_cost(list->v[n]);
		if (n > 0 && cost > PAGE_COST_MAX)
			break;
	}
	return n;
}

void writ_h_entry_list(struct writ_call *c)
{
	const E(ListEntriesRequest) *q = (const void *)writ_call_request(c);
	struct writ_registry *r = writ_api_call(c)->api->registry;
	struct writ_entry_list list = { 0 };
	struct writ_entry_filter f;
	struct writ_err err;
	struct writ_str page = writ_cstr(q->page_token);
	char next[32];
	size_t size = 0;
	writ_rc rc = read_filter(c, q->filter, &f, &err);
	if (rc == WRIT_OK)
		rc = writ_from_page_size(q->page_size, &size, &err);
	if (rc == WRIT_OK)
		rc = writ_registry_list_entries(r, &f, size, page, &list, next, &err);
	size_t n = rc == WRIT_OK ? fitting(&list) : 0;
	if (rc == WRIT_OK && n < list.n) {
		writ_entry_list_done(&list);
		list = (struct writ_entry_list){ 0 };
		rc = writ_registry_list_entries(r, &f, n, page, &list, next, &err);
	}
	if (rc != WRIT_OK) {
		writ_call_fail(c, &err);
		return;
	}
	E(ListEntriesResponse) *m =
		writ_api_new(c, &spire__api__server__entry__v1__list_entries_response__descriptor);
	uint32_t bits = writ_mask_bits((const void *)q->output_mask);
	m->entries = writ_api_alloc(c, list.n * sizeof(*m->entries));
	for (size_t i = 0; i < list.n && !writ_api_call(c)->full; i++)
		m->entries[m->n_entries++] = writ_to_entry(c, list.v[i], bits);
	m->next_page_token = next;
	writ_entry_list_done(&list);
	writ_api_reply(c, &m->base);
}

void writ_h_entry_get(struct writ_call *c)
{
	const E(GetEntryRequest) *q = (const void *)writ_call_request(c);
	if (!*q->id) {
		writ_api_fail(c, WRIT_EINVAL, "missing ID");
		return;
	}
	const struct writ_entry *e =
		writ_registry_entry(writ_api_call(c)->api->registry, writ_cstr(q->id));
	if (!e) {
		writ_api_fail(c, WRIT_ENOENT, "entry not found");
		return;
	}
	writ_api_reply(c, &writ_to_entry(c, e, writ_mask_bits((const void *)q->output_mask))->base);
}
