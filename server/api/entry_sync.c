/* SPDX-License-Identifier: Apache-2.0 */
/* Entry: what an agent may have. SyncAuthorizedEntries sends everything at once when it is little;
 * else first the revisions, then what the agent asks for by ID, in pages. */
#include "api/convert.h"
#include "api/methods.h"
#include "base/list.h"
#include "base/mem.h"
#include "spire/api/server/entry/v1/entry.pb-c.h"

#include <string.h>

#define PAGE           500
#define QUEUE_MAX      16    /* requests that wait for their turn */
#define IDS_MAX        20000 /* of one request */
#define REVISION_FIELD 11
#define STREAM_MS      (60 * 1000) /* without a word from the agent */

#define E(name) Spire__Api__Server__Entry__V1__##name

struct request {
	struct writ_list node;
	size_t n, at;
	char *ids; /* NUL-terminated, one after another, owned */
	const char *next;
};

struct sync {
	struct writ_call *call;
	uint32_t bits;
	struct writ_entry_list list; /* while revisions are sent */
	size_t at;
	bool revisions; /* being sent */
	bool sending, half_closed;
	struct writ_list queue;
	size_t n_queue;
	struct writ_timer *idle;
};

static struct sync **sync_of(struct writ_call *c)
{
	return (struct sync **)&writ_api_call(c)->state;
}

static struct writ_str agent_of(struct writ_call *c)
{
	return writ_cstr(writ_api_call(c)->spiffe_id);
}

void writ_h_entry_authorized(struct writ_call *c)
{
	const E(GetAuthorizedEntriesRequest) *q = (const void *)writ_call_request(c);
	struct writ_entry_list list = { 0 };
	writ_registry_authorized(writ_api_call(c)->api->registry, agent_of(c), &list);
	E(GetAuthorizedEntriesResponse) *m = writ_api_new(
		c, &spire__api__server__entry__v1__get_authorized_entries_response__descriptor);
	uint32_t bits = writ_mask_bits((const void *)q->output_mask);
	m->entries = writ_api_alloc(c, list.n * sizeof(*m->entries));
	for (size_t i = 0; i < list.n && !writ_api_call(c)->full; i++)
		m->entries[m->n_entries++] = writ_to_entry(c, list.v[i], bits);
	writ_entry_list_done(&list);
	writ_api_reply(c, &m->base);
}

static void request_free(struct request *q)
{
	writ_list_remove(&q->node);
	writ_free(q->ids);
	writ_free(q);
}

/* The end of the call, whoever ended it. */
static void ended(struct writ_call *c)
{
	struct sync *s = writ_steal(*sync_of(c));
	if (!s)
		return;
	while (!writ_list_empty(&s->queue))
		request_free(writ_container(s->queue.next, struct request, node));
	writ_entry_list_done(&s->list);
	writ_timer_free(s->idle);
	writ_free(s);
}

static void fail(struct sync *s, writ_rc rc, const char *text)
{
	struct writ_call *c = s->call;
	ended(c);
	writ_call_on_end(c, NULL);
	writ_api_fail(c, rc, "%s", text);
}

static void finish(struct sync *s)
{
	struct writ_call *c = s->call;
	ended(c);
	writ_call_on_end(c, NULL);
	writ_call_finish(c);
}

static void on_idle(void *arg)
{
	fail(arg, WRIT_ETIMEOUT, "the stream was idle too long");
}

static bool send_page(struct sync *s, const ProtobufCMessage *m)
{
	struct writ_err err;
	writ_rc rc = writ_call_send(s->call, m, &err);
	if (rc == WRIT_OK) {
		s->sending = true;
		return true;
	}
	fail(s, rc, err.msg);
	return false;
}

static void send_revisions(struct sync *s)
{
	E(SyncAuthorizedEntriesResponse)
	m = SPIRE__API__SERVER__ENTRY__V1__SYNC_AUTHORIZED_ENTRIES_RESPONSE__INIT;
	E(EntryRevision) rows[PAGE], *list[PAGE];
	for (; m.n_entry_revisions < PAGE && s->at < s->list.n; s->at++) {
		const struct writ_entry *e = s->list.v[s->at];
		E(EntryRevision) *x = &rows[m.n_entry_revisions];
		*x = (E(EntryRevision))SPIRE__API__SERVER__ENTRY__V1__ENTRY_REVISION__INIT;
		x->id = (char *)(uintptr_t)writ_entry_get(e, WRIT_ENTRY_ID).p;
		x->revision_number = e->meta.revision_number;
		x->created_at = e->meta.created_at;
		list[m.n_entry_revisions++] = x;
	}
	m.entry_revisions = list;
	m.more = s->at < s->list.n;
	if (!send_page(s, &m.base) || m.more)
		return;
	writ_entry_list_done(&s->list);
	s->list = (struct writ_entry_list){ 0 };
	s->revisions = false;
}

static void send_entries(struct sync *s, struct request *q)
{
	struct writ_call *c = s->call;
	struct writ_registry *r = writ_api_call(c)->api->registry;
	E(SyncAuthorizedEntriesResponse)
	m = SPIRE__API__SERVER__ENTRY__V1__SYNC_AUTHORIZED_ENTRIES_RESPONSE__INIT;
	Spire__Api__Types__Entry *list[PAGE];
	struct writ_api_mark mark = writ_api_mark(c);
	for (; m.n_entries < PAGE && q->at < q->n; q->at++, q->next += strlen(q->next) + 1) {
		const struct writ_entry *e =
			writ_registry_authorized_entry(r, agent_of(c), writ_cstr(q->next));
		if (e)
			list[m.n_entries++] = writ_to_entry(c, e, s->bits);
	}
	m.entries = list;
	m.more = q->at < q->n;
	bool last = !m.more;
	bool sent = send_page(s, &m.base);
	if (!sent)
		return;
	writ_api_rewind(c, mark);
	if (last) {
		s->n_queue--;
		request_free(q);
	}
}

static void go_on(struct writ_call *c)
{
	struct sync *s = *sync_of(c);
	if (!s)
		return;
	s->sending = false;
	if (s->revisions)
		send_revisions(s);
	else if (!writ_list_empty(&s->queue))
		send_entries(s, writ_container(s->queue.next, struct request, node));
	else if (s->half_closed)
		finish(s);
}

static void send_all(struct writ_call *c, const struct writ_entry_list *list, uint32_t bits)
{
	struct writ_err err;
	E(SyncAuthorizedEntriesResponse) *m = writ_api_new(
		c, &spire__api__server__entry__v1__sync_authorized_entries_response__descriptor);
	m->entries = writ_api_alloc(c, list->n * sizeof(*m->entries));
	for (size_t i = 0; i < list->n; i++)
		m->entries[m->n_entries++] = writ_to_entry(c, list->v[i], bits);
	if (writ_api_call(c)->full)
		writ_api_fail(c, WRIT_ELIMIT, "the answer is too large");
	else if (writ_call_send(c, &m->base, &err) != WRIT_OK)
		writ_call_fail(c, &err);
	else
		writ_call_finish(c);
}

void writ_h_entry_sync(struct writ_call *c)
{
	const E(SyncAuthorizedEntriesRequest) *q = (const void *)writ_call_request(c);
	struct writ_api *api = writ_api_call(c)->api;
	uint32_t bits = writ_mask_bits((const void *)q->output_mask);
	if (q->n_ids) {
		writ_api_fail(c, WRIT_EINVAL, "specifying IDs on initial request is not supported");
		return;
	}
	if (!writ_mask_has(bits, REVISION_FIELD)) {
		writ_api_fail(c, WRIT_EINVAL, "revision number cannot be masked");
		return;
	}
	struct writ_entry_list list = { 0 };
	writ_registry_authorized(api->registry, agent_of(c), &list);
	if (list.n <= PAGE) {
		send_all(c, &list, bits);
		writ_entry_list_done(&list);
		return;
	}
	struct sync *s = writ_alloc(sizeof(*s));
	s->call = c;
	s->bits = bits;
	s->list = list;
	s->revisions = true;
	s->idle = writ_timer_new(api->loop, on_idle, s);
	writ_list_init(&s->queue);
	*sync_of(c) = s;
	writ_call_on_end(c, ended);
	writ_call_on_writable(c, go_on);
	writ_timer_start(s->idle, STREAM_MS);
	send_revisions(s);
}

static struct request *copy_ids(const E(SyncAuthorizedEntriesRequest) * q)
{
	size_t bytes = 0;
	for (size_t i = 0; i < q->n_ids; i++)
		bytes += strlen(q->ids[i]) + 1;
	struct request *r = writ_alloc(sizeof(*r));
	r->n = q->n_ids;
	r->ids = writ_alloc(bytes + 1);
	r->next = r->ids;
	char *to = r->ids;
	for (size_t i = 0; i < q->n_ids; i++) {
		size_t n = strlen(q->ids[i]) + 1;
		memcpy(to, q->ids[i], n);
		to += n;
	}
	writ_list_init(&r->node);
	return r;
}

void writ_h_entry_sync_more(struct writ_call *c)
{
	const E(SyncAuthorizedEntriesRequest) *q = (const void *)writ_call_request(c);
	struct sync *s = *sync_of(c);
	if (!s)
		return; /* all was sent at once */
	if (s->n_queue == QUEUE_MAX || q->n_ids > IDS_MAX) {
		fail(s, WRIT_ELIMIT, "too many IDs are asked for at once");
		return;
	}
	struct request *r = copy_ids(q);
	s->n_queue++;
	writ_list_push(&s->queue, &r->node);
	writ_timer_start(s->idle, STREAM_MS);
	if (!s->sending)
		go_on(c);
}

void writ_h_entry_sync_end(struct writ_call *c)
{
	struct sync *s = *sync_of(c);
	if (!s)
		return;
	s->half_closed = true;
	if (!s->sending)
		go_on(c);
}
