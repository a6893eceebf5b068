/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/impl.h"

#include "base/mem.h"

#include <assert.h>

#define HOLES_MIN 1024 /* fewer are not worth a new table */

static struct writ_str text_of(const struct writ_entry *e, enum writ_entry_field f)
{
	return writ_entry_get(e, f);
}

bool writ_is_alias(const struct writ_registry *r, const struct writ_entry *e)
{
	return writ_str_eq(text_of(e, WRIT_ENTRY_PARENT_ID), writ_cstr(r->server_id));
}

uint32_t writ_entries_find(const struct writ_registry *r, struct writ_str id)
{
	uint32_t hash = writ_index_hash(id), at = hash, row;
	while ((row = writ_index_next(&r->by_entry_id, hash, &at)) != WRIT_NONE) {
		if (writ_str_eq(id, text_of(r->slots[row].e, WRIT_ENTRY_ID)))
			break;
	}
	return row;
}

struct writ_entry *writ_entries_by_key(const struct writ_registry *r, struct writ_str key)
{
	uint32_t hash = writ_index_hash(key), at = hash, row;
	while ((row = writ_index_next(&r->by_key, hash, &at)) != WRIT_NONE) {
		if (writ_str_eq(key, writ_entry_key(r->slots[row].e)))
			return r->slots[row].e;
	}
	return NULL;
}

static void link_child(struct writ_registry *r, uint32_t slot)
{
	struct writ_slot *s = &r->slots[slot];
	struct writ_idrec *p = &r->ids[s->parent];
	s->child_next = WRIT_NONE;
	s->child_prev = p->child_last;
	*(p->child_last == WRIT_NONE ? &p->child_first : &r->slots[p->child_last].child_next) =
		slot;
	p->child_last = slot;
	p->n_children++;
}

static void unlink_child(struct writ_registry *r, uint32_t slot)
{
	struct writ_slot *s = &r->slots[slot];
	struct writ_idrec *p = &r->ids[s->parent];
	*(s->child_prev == WRIT_NONE ? &p->child_first : &r->slots[s->child_prev].child_next) =
		s->child_next;
	*(s->child_next == WRIT_NONE ? &p->child_last : &r->slots[s->child_next].child_prev) =
		s->child_prev;
	p->n_children--;
}

static void link_name(struct writ_registry *r, uint32_t slot)
{
	struct writ_slot *s = &r->slots[slot];
	struct writ_idrec *n = &r->ids[s->name];
	s->name_next = WRIT_NONE;
	s->name_prev = n->name_last;
	*(n->name_last == WRIT_NONE ? &n->name_first : &r->slots[n->name_last].name_next) = slot;
	n->name_last = slot;
}

static void unlink_name(struct writ_registry *r, uint32_t slot)
{
	struct writ_slot *s = &r->slots[slot];
	struct writ_idrec *n = &r->ids[s->name];
	*(s->name_prev == WRIT_NONE ? &n->name_first : &r->slots[s->name_prev].name_next) =
		s->name_next;
	*(s->name_next == WRIT_NONE ? &n->name_last : &r->slots[s->name_next].name_prev) =
		s->name_prev;
}

static struct writ_str first_selector(const struct writ_entry *e)
{
	struct writ_str rest = text_of(e, WRIT_ENTRY_SELECTORS), item = { "", 0 };
	(void)writ_pack_next(&rest, &item);
	return item;
}

/* Enters slot, whose e is set, everywhere it can be looked up. */
static void enter(struct writ_registry *r, uint32_t slot)
{
	struct writ_entry *e = r->slots[slot].e;
	uint32_t name = writ_ids_take(r, text_of(e, WRIT_ENTRY_SPIFFE_ID));
	uint32_t parent = writ_ids_take(r, text_of(e, WRIT_ENTRY_PARENT_ID));
	r->slots[slot].name = name;
	r->slots[slot].parent = parent;
	link_child(r, slot);
	link_name(r, slot);
	writ_index_add(&r->by_key, writ_index_hash(writ_entry_key(e)), slot);
	if (writ_is_alias(r, e))
		writ_vec_add(&writ_selectors_take(r, first_selector(e))->aliases, e);
}

static void leave(struct writ_registry *r, uint32_t slot)
{
	struct writ_entry *e = r->slots[slot].e;
	unlink_child(r, slot);
	unlink_name(r, slot);
	writ_index_remove(&r->by_key, writ_index_hash(writ_entry_key(e)), slot);
	if (writ_is_alias(r, e)) {
		struct writ_selrec *s = writ_selectors_find(r, first_selector(e));
		writ_vec_drop(&s->aliases, e);
		writ_selectors_give(r, s);
	}
	writ_ids_unref(r, r->slots[slot].name);
	writ_ids_unref(r, r->slots[slot].parent);
}

static uint32_t new_slot(struct writ_registry *r)
{
	if (r->n_slots == r->cap_slots) {
		r->cap_slots = r->cap_slots ? r->cap_slots + r->cap_slots / 2 : 64;
		r->slots = writ_realloc(r->slots, r->cap_slots * sizeof(*r->slots));
	}
	return r->n_slots++;
}

static void move(struct writ_registry *r, uint32_t from, uint32_t to)
{
	struct writ_slot *s = &r->slots[to];
	uint32_t key = writ_index_hash(writ_entry_key(r->slots[from].e));
	uint32_t id = writ_index_hash(text_of(r->slots[from].e, WRIT_ENTRY_ID));
	unlink_child(r, from);
	unlink_name(r, from);
	writ_index_remove(&r->by_key, key, from);
	writ_index_remove(&r->by_entry_id, id, from);
	*s = r->slots[from];
	r->slots[from].e = NULL;
	link_child(r, to);
	link_name(r, to);
	writ_index_add(&r->by_key, key, to);
	writ_index_add(&r->by_entry_id, id, to);
}

/* Closes the holes, in order. Each hole is paid for by the deletion that left it. */
static void compact(struct writ_registry *r)
{
	uint32_t to = 0;
	for (uint32_t from = 0; from < r->n_slots; from++) {
		if (!r->slots[from].e)
			continue;
		if (from != to)
			move(r, from, to);
		to++;
	}
	r->n_slots = to;
}

void writ_entries_attach(struct writ_registry *r, struct writ_entry *e)
{
	assert(r->n_slots == 0 || r->slots[r->n_slots - 1].seq < e->meta.seq);
	uint32_t slot = new_slot(r);
	r->slots[slot] = (struct writ_slot){ .e = e, .seq = e->meta.seq };
	writ_index_add(&r->by_entry_id, writ_index_hash(text_of(e, WRIT_ENTRY_ID)), slot);
	enter(r, slot);
	r->n_entries++;
	if (e->meta.seq >= r->next_seq)
		r->next_seq = e->meta.seq + 1;
	writ_prune_expect(r, e->meta.expires_at);
}

void writ_entries_replace(struct writ_registry *r, uint32_t slot, struct writ_entry *e)
{
	struct writ_entry *old = r->slots[slot].e;
	writ_index_remove(&r->by_entry_id, writ_index_hash(text_of(old, WRIT_ENTRY_ID)), slot);
	leave(r, slot);
	r->slots[slot].e = e;
	writ_index_add(&r->by_entry_id, writ_index_hash(text_of(e, WRIT_ENTRY_ID)), slot);
	enter(r, slot);
	writ_entry_unref(old);
	writ_prune_expect(r, e->meta.expires_at);
}

void writ_entries_detach(struct writ_registry *r, uint32_t slot)
{
	struct writ_entry *old = r->slots[slot].e;
	writ_index_remove(&r->by_entry_id, writ_index_hash(text_of(old, WRIT_ENTRY_ID)), slot);
	leave(r, slot);
	r->slots[slot].e = NULL;
	writ_entry_unref(old);
	r->n_entries--;
	if (r->n_slots - r->n_entries > HOLES_MIN && r->n_slots / 2 > r->n_entries)
		compact(r);
}

uint32_t writ_entries_after(const struct writ_registry *r, uint64_t seq)
{
	uint32_t low = 0, high = r->n_slots;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (r->slots[mid].seq <= seq)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void writ_entries_done(struct writ_registry *r)
{
	for (uint32_t i = 0; i < r->n_slots; i++) {
		if (r->slots[i].e) {
			leave(r, i);
			writ_entry_unref(r->slots[i].e);
		}
	}
	writ_index_done(&r->by_entry_id);
	writ_index_done(&r->by_key);
	writ_free(r->slots);
}
