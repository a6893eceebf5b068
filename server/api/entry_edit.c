/* SPDX-License-Identifier: Apache-2.0 */
/* Entry: changes, in batches. Each item has its own status; the call as a whole is OK. */
#include "api/convert.h"
#include "api/methods.h"
#include "base/mem.h"
#include "spire/api/server/entry/v1/entry.pb-c.h"

#include <string.h>

#define NOTE_MAX 4096 /* bytes of IDs in an audit record */

#define E(name) Spire__Api__Server__Entry__V1__##name

/* SPIRE's words in front of what is wrong with an item. */
static const char *what_failed(writ_rc rc, const char *if_invalid)
{
	return rc == WRIT_EINVAL ? if_invalid : NULL;
}

/* Says in the audit record which entries the call was about. */
static void note_ids(struct writ_call *c, const struct writ_outcome *out)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf ids = WRIT_BUF(NOTE_MAX);
	size_t good = 0;
	for (size_t i = 0; i < out->n; i++) {
		const struct writ_item *it = &out->items[i];
		if (it->rc != WRIT_OK)
			continue;
		good++;
		if (!it->entry)
			continue;
		if (ids.n)
			writ_buf_add_byte(&ids, ' ');
		writ_buf_add_str(&ids, writ_entry_get(it->entry, WRIT_ENTRY_ID));
	}
	struct writ_str text = writ_buf_str(&ids);
	writ_api_note(c, "entries", writ_cstr(writ_api_printf(c, "%zu of %zu", good, out->n)));
	writ_api_note(c, "entry_ids", writ_strn(writ_api_dup(c, text), text.n));
}

static bool ended_badly(struct writ_call *c, const struct writ_outcome *out)
{
	if (out->rc == WRIT_OK)
		return false;
	WRIT_LOG_LIMITED(ERROR, "api.store", WRIT_KV("error", out->msg),
		WRIT_KV("method", writ_call_method(c)->path));
	writ_api_fail(c, out->rc, "%s", out->msg);
	return true;
}

static bool too_many(struct writ_call *c, size_t n)
{
	if (n <= WRIT_BATCH_MAX)
		return false;
	writ_api_fail(
		c, WRIT_EINVAL, "%zu items in one call, at most %d are allowed", n, WRIT_BATCH_MAX);
	return true;
}

static struct writ_entry_request *read_entries(
	struct writ_call *c, Spire__Api__Types__Entry *const *list, size_t n, uint32_t bits)
{
	struct writ_entry_request *q = writ_api_alloc(c, n * sizeof(*q));
	for (size_t i = 0; i < n; i++)
		writ_from_entry(c, list[i], bits, &q[i]);
	return q;
}

static void created(void *arg, const struct writ_outcome *out)
{
	struct writ_call *c = arg;
	if (ended_badly(c, out))
		return;
	const E(BatchCreateEntryRequest) *q = (const void *)writ_call_request(c);
	uint32_t bits = writ_mask_bits((const void *)q->output_mask);
	E(BatchCreateEntryResponse) *m = writ_api_new(
		c, &spire__api__server__entry__v1__batch_create_entry_response__descriptor);
	m->results = writ_api_alloc(c, out->n * sizeof(*m->results));
	for (size_t i = 0; i < out->n; i++) {
		const struct writ_item *it = &out->items[i];
		E(BatchCreateEntryResponse__Result) *x = writ_api_new(c,
			&spire__api__server__entry__v1__batch_create_entry_response__result__descriptor);
		x->status = writ_to_status(
			c, it->rc, what_failed(it->rc, "failed to convert entry"), it->msg);
		if (it->entry)
			x->entry = writ_to_entry(c, it->entry, bits);
		m->results[m->n_results++] = x;
	}
	note_ids(c, out);
	writ_api_reply(c, &m->base);
}

void writ_h_entry_create(struct writ_call *c)
{
	const E(BatchCreateEntryRequest) *q = (const void *)writ_call_request(c);
	if (too_many(c, q->n_entries))
		return;
	writ_registry_create_entries(writ_api_call(c)->api->registry,
		read_entries(c, q->entries, q->n_entries, UINT32_MAX), q->n_entries, created, c);
}

static void updated(void *arg, const struct writ_outcome *out)
{
	struct writ_call *c = arg;
	if (ended_badly(c, out))
		return;
	const E(BatchUpdateEntryRequest) *q = (const void *)writ_call_request(c);
	uint32_t bits = writ_mask_bits((const void *)q->output_mask);
	E(BatchUpdateEntryResponse) *m = writ_api_new(
		c, &spire__api__server__entry__v1__batch_update_entry_response__descriptor);
	m->results = writ_api_alloc(c, out->n * sizeof(*m->results));
	for (size_t i = 0; i < out->n; i++) {
		const struct writ_item *it = &out->items[i];
		E(BatchUpdateEntryResponse__Result) *x = writ_api_new(c,
			&spire__api__server__entry__v1__batch_update_entry_response__result__descriptor);
		x->status = writ_to_status(
			c, it->rc, what_failed(it->rc, "failed to convert entry"), it->msg);
		if (it->entry && it->rc == WRIT_OK)
			x->entry = writ_to_entry(c, it->entry, bits);
		m->results[m->n_results++] = x;
	}
	note_ids(c, out);
	writ_api_reply(c, &m->base);
}

void writ_h_entry_update(struct writ_call *c)
{
	const E(BatchUpdateEntryRequest) *q = (const void *)writ_call_request(c);
	if (too_many(c, q->n_entries))
		return;
	uint32_t bits = writ_mask_bits((const void *)q->input_mask);
	writ_registry_update_entries(writ_api_call(c)->api->registry,
		read_entries(c, q->entries, q->n_entries, bits), q->n_entries, updated, c);
}

static void deleted(void *arg, const struct writ_outcome *out)
{
	struct writ_call *c = arg;
	if (ended_badly(c, out))
		return;
	const E(BatchDeleteEntryRequest) *q = (const void *)writ_call_request(c);
	E(BatchDeleteEntryResponse) *m = writ_api_new(
		c, &spire__api__server__entry__v1__batch_delete_entry_response__descriptor);
	m->results = writ_api_alloc(c, out->n * sizeof(*m->results));
	for (size_t i = 0; i < out->n; i++) {
		E(BatchDeleteEntryResponse__Result) *x = writ_api_new(c,
			&spire__api__server__entry__v1__batch_delete_entry_response__result__descriptor);
		x->status = writ_to_status(c, out->items[i].rc, NULL, out->items[i].msg);
		x->id = q->ids[i];
		m->results[m->n_results++] = x;
	}
	note_ids(c, out);
	writ_api_reply(c, &m->base);
}

void writ_h_entry_delete(struct writ_call *c)
{
	const E(BatchDeleteEntryRequest) *q = (const void *)writ_call_request(c);
	if (too_many(c, q->n_ids))
		return;
	struct writ_str *ids = writ_api_alloc(c, q->n_ids * sizeof(*ids));
	for (size_t i = 0; i < q->n_ids; i++)
		ids[i] = writ_cstr(q->ids[i]);
	writ_registry_delete_entries(writ_api_call(c)->api->registry, ids, q->n_ids, deleted, c);
}
