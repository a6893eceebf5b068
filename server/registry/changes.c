/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/impl.h"

#include "base/mem.h"
#include "registry/view.h"

#include <assert.h>

struct writ_watch {
	struct writ_list link; /* in the view's, or the registry's for bundles */
	struct writ_registry *r;
	struct writ_view *view; /* NULL: for bundles */
	void (*changed)(void *arg);
	void *arg;
};

static struct writ_change_record *record_at(const struct writ_registry *r, uint64_t i)
{
	return &r->ring[i % WRIT_RING_MAX];
}

static void forget(struct writ_registry *r, struct writ_change_record *c)
{
	writ_ids_unref(r, c->old_parent);
	writ_ids_unref(r, c->new_parent);
	writ_free(c->id);
}

void writ_changes_record(struct writ_registry *r, const struct writ_entry *e, uint32_t old_parent,
	uint32_t new_parent, uint64_t revision)
{
	if (!r->ring)
		r->ring = writ_alloc_array(WRIT_RING_MAX, sizeof(*r->ring));
	struct writ_change_record *c = record_at(r, r->ring_head);
	if (r->ring_head >= WRIT_RING_MAX) {
		r->ring_floor = c->revision;
		forget(r, c);
	}
	struct writ_str id = writ_entry_get(e, WRIT_ENTRY_ID);
	writ_ids_ref(r, old_parent);
	writ_ids_ref(r, new_parent);
	*c = (struct writ_change_record){ revision, writ_strndup(id.p, id.n), old_parent,
		new_parent };
	r->ring_head++;
}

/* Takes the watches one by one through `turn`, so that a callback may end any of them. */
static void call_watches(struct writ_list *watches)
{
	struct writ_list turn;
	writ_list_init(&turn);
	while (!writ_list_empty(watches)) {
		struct writ_list *first = watches->next;
		writ_list_remove(first);
		writ_list_push(&turn, first);
	}
	struct writ_list *l;
	while ((l = writ_list_pop(&turn))) {
		struct writ_watch *w = writ_container(l, struct writ_watch, link);
		writ_list_push(watches, l);
		w->changed(w->arg);
	}
}

static void flush(struct writ_task *t)
{
	struct writ_registry *r = writ_container(t, struct writ_registry, flush);
	struct writ_list *l;
	r->flush_posted = false;
	while ((l = writ_list_pop(&r->dirty))) {
		struct writ_view *v = writ_container(l, struct writ_view, dirty);
		v->calling = true;
		call_watches(&v->watches);
		v->calling = false;
		writ_view_drop_if_idle(r, v);
	}
	if (r->trust_dirty) {
		r->trust_dirty = false;
		call_watches(&r->trust_watches);
	}
}

static void post_flush(struct writ_registry *r)
{
	if (r->flush_posted)
		return;
	r->flush_posted = true;
	r->flush.run = flush;
	writ_loop_post(r->loop, &r->flush);
}

void writ_changes_dirty(struct writ_registry *r, struct writ_view *v)
{
	if (writ_list_empty(&v->watches) || !writ_list_empty(&v->dirty))
		return;
	writ_list_push(&r->dirty, &v->dirty);
	post_flush(r);
}

void writ_changes_dirty_trust(struct writ_registry *r)
{
	if (writ_list_empty(&r->trust_watches))
		return;
	r->trust_dirty = true;
	post_flush(r);
}

void writ_changes_finish(struct writ_registry *r)
{
	assert(r->n_watches == 0 && !r->flush_posted);
	uint64_t first = r->ring_head > WRIT_RING_MAX ? r->ring_head - WRIT_RING_MAX : 0;
	for (uint64_t i = first; i < r->ring_head; i++)
		forget(r, record_at(r, i));
	writ_free(r->ring);
}

static struct writ_watch *new_watch(
	struct writ_registry *r, struct writ_view *v, void (*changed)(void *arg), void *arg)
{
	struct writ_watch *w = writ_alloc(sizeof(*w));
	*w = (struct writ_watch){ .r = r, .view = v, .changed = changed, .arg = arg };
	writ_list_init(&w->link);
	writ_list_push(v ? &v->watches : &r->trust_watches, &w->link);
	r->n_watches++;
	return w;
}

struct writ_watch *writ_registry_watch(
	struct writ_registry *r, struct writ_str agent, void (*changed)(void *arg), void *arg)
{
	return new_watch(r, writ_views_get(r, agent), changed, arg);
}

struct writ_watch *writ_registry_watch_trust(
	struct writ_registry *r, void (*changed)(void *arg), void *arg)
{
	return new_watch(r, NULL, changed, arg);
}

void writ_registry_unwatch(struct writ_watch *w)
{
	if (!w)
		return;
	writ_list_remove(&w->link);
	w->r->n_watches--;
	if (w->view)
		writ_view_drop_if_idle(w->r, w->view);
	writ_free(w);
}

uint64_t writ_registry_agent_revision(struct writ_registry *r, struct writ_str agent)
{
	struct writ_view *v = writ_views_get(r, agent);
	uint64_t revision = v->revision;
	writ_view_drop_if_idle(r, v);
	return revision;
}

static void add_removed(struct writ_changes *c, size_t *cap, const char *id)
{
	if (c->n_removed == *cap) {
		*cap = *cap ? *cap * 2 : 8;
		c->removed = writ_realloc(c->removed, *cap * sizeof(*c->removed));
	}
	c->removed[c->n_removed++] = writ_strdup(id);
}

/* Newest first: an entry is judged once, by what it is now. */
static void difference(struct writ_registry *r, const struct writ_view *v, uint64_t since,
	struct writ_changes *ret)
{
	struct writ_map seen = { 0 };
	size_t cap = 0;
	uint64_t floor = r->ring_head > WRIT_RING_MAX ? r->ring_head - WRIT_RING_MAX : 0;
	for (uint64_t i = r->ring_head; i > floor; i--) {
		struct writ_change_record *c = record_at(r, i - 1);
		if (c->revision <= since)
			break;
		struct writ_str id = writ_cstr(c->id);
		if (!writ_view_reaches(v, c->old_parent) && !writ_view_reaches(v, c->new_parent))
			continue;
		if (writ_map_get(&seen, id))
			continue;
		writ_map_put(&seen, id, c);
		uint32_t slot = writ_entries_find(r, id);
		if (slot != WRIT_NONE && writ_view_reaches(v, r->slots[slot].parent))
			writ_entry_list_add(&ret->entries, r->slots[slot].e);
		else
			add_removed(ret, &cap, c->id);
	}
	writ_map_done(&seen);
}

void writ_registry_changes(
	struct writ_registry *r, struct writ_str agent, uint64_t since, struct writ_changes *ret)
{
	struct writ_view *v = writ_views_get(r, agent);
	*ret = (struct writ_changes){ .revision = r->revision };
	ret->full =
		since == 0 || since < r->ring_floor || since < v->full_since || since > r->revision;
	if (!ret->full)
		difference(r, v, since, ret);
	writ_view_drop_if_idle(r, v);
	if (ret->full)
		writ_registry_authorized(r, agent, &ret->entries);
}

void writ_changes_done(struct writ_changes *c)
{
	writ_entry_list_done(&c->entries);
	for (size_t i = 0; i < c->n_removed; i++)
		writ_free(c->removed[i]);
	writ_free(c->removed);
	*c = (struct writ_changes){ 0 };
}
