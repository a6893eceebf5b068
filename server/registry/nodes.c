/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/impl.h"

#include "base/mem.h"

#include <assert.h>

#define HOLES_MIN 1024

static uint32_t find_id(const struct writ_registry *r, struct writ_str id)
{
	uint32_t hash = writ_index_hash(id), at = hash, row;
	while ((row = writ_index_next(&r->by_node_id, hash, &at)) != WRIT_NONE) {
		if (writ_str_eq(id, writ_node_get(r->nslots[row].n, WRIT_NODE_ID)))
			break;
	}
	return row;
}

struct writ_node *writ_registry_node(const struct writ_registry *r, struct writ_str id)
{
	uint32_t row = find_id(r, id);
	return row == WRIT_NONE ? NULL : r->nslots[row].n;
}

struct writ_node *writ_registry_node_by_serial(
	const struct writ_registry *r, struct writ_str serial)
{
	uint32_t hash = writ_index_hash(serial), at = hash, row;
	while (serial.n && (row = writ_index_next(&r->by_serial, hash, &at)) != WRIT_NONE) {
		struct writ_node *n = r->nslots[row].n;
		if (writ_str_eq(serial, writ_node_get(n, WRIT_NODE_SERIAL)) ||
			writ_str_eq(serial, writ_node_get(n, WRIT_NODE_NEW_SERIAL)))
			return n;
	}
	return NULL;
}

static void enter_serial(struct writ_registry *r, uint32_t row, enum writ_node_field f)
{
	struct writ_str s = writ_node_get(r->nslots[row].n, f);
	if (s.n)
		writ_index_add(&r->by_serial, writ_index_hash(s), row);
}

static void leave_serial(struct writ_registry *r, uint32_t row, enum writ_node_field f)
{
	struct writ_str s = writ_node_get(r->nslots[row].n, f);
	if (s.n)
		writ_index_remove(&r->by_serial, writ_index_hash(s), row);
}

static void enter(struct writ_registry *r, uint32_t row)
{
	struct writ_str id = writ_node_get(r->nslots[row].n, WRIT_NODE_ID);
	writ_index_add(&r->by_node_id, writ_index_hash(id), row);
	enter_serial(r, row, WRIT_NODE_SERIAL);
	enter_serial(r, row, WRIT_NODE_NEW_SERIAL);
}

static void leave(struct writ_registry *r, uint32_t row)
{
	struct writ_str id = writ_node_get(r->nslots[row].n, WRIT_NODE_ID);
	writ_index_remove(&r->by_node_id, writ_index_hash(id), row);
	leave_serial(r, row, WRIT_NODE_SERIAL);
	leave_serial(r, row, WRIT_NODE_NEW_SERIAL);
}

static void compact(struct writ_registry *r)
{
	uint32_t to = 0;
	for (uint32_t from = 0; from < r->n_nslots; from++) {
		if (!r->nslots[from].n)
			continue;
		if (from != to) {
			leave(r, from);
			r->nslots[to] = r->nslots[from];
			r->nslots[from].n = NULL;
			enter(r, to);
		}
		to++;
	}
	r->n_nslots = to;
}

void writ_nodes_put(struct writ_registry *r, struct writ_node *n)
{
	uint32_t row = find_id(r, writ_node_get(n, WRIT_NODE_ID));
	if (row != WRIT_NONE) {
		struct writ_node *old = r->nslots[row].n;
		leave(r, row);
		r->nslots[row].n = n;
		enter(r, row);
		writ_node_unref(old);
		return;
	}
	assert(r->n_nslots == 0 || r->nslots[r->n_nslots - 1].seq < n->meta.seq);
	if (r->n_nslots == r->cap_nslots) {
		r->cap_nslots = r->cap_nslots ? r->cap_nslots + r->cap_nslots / 2 : 64;
		r->nslots = writ_realloc(r->nslots, r->cap_nslots * sizeof(*r->nslots));
	}
	row = r->n_nslots++;
	r->nslots[row] = (struct writ_nslot){ n, n->meta.seq };
	enter(r, row);
	r->n_nodes++;
	if (n->meta.seq >= r->next_seq)
		r->next_seq = n->meta.seq + 1;
}

void writ_nodes_remove(struct writ_registry *r, struct writ_str id)
{
	uint32_t row = find_id(r, id);
	struct writ_node *old = r->nslots[row].n;
	leave(r, row);
	r->nslots[row].n = NULL;
	r->n_nodes--;
	if (r->n_nslots - r->n_nodes > HOLES_MIN && r->n_nslots / 2 > r->n_nodes)
		compact(r);
	writ_node_unref(old);
}

uint32_t writ_nodes_after(const struct writ_registry *r, uint64_t seq)
{
	uint32_t low = 0, high = r->n_nslots;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (r->nslots[mid].seq <= seq)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void writ_nodes_done(struct writ_registry *r)
{
	for (uint32_t i = 0; i < r->n_nslots; i++)
		writ_node_unref(r->nslots[i].n);
	writ_index_done(&r->by_node_id);
	writ_index_done(&r->by_serial);
	writ_free(r->nslots);
}
