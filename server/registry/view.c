/* SPDX-License-Identifier: Apache-2.0 */
/* Which IDs a view reaches: its roots (the agent's ID, the names of aliases that match) always, and
 * every other name under them that has children. A name without children is left out: reaching it
 * changes nothing, and there are as many of them as entries. When such a name gets its first child,
 * the views concerned are one step above it. */
#include "registry/impl.h"

#include "base/mem.h"
#include "registry/view.h"

#include <assert.h>
#include <stdlib.h>

/* Views that one change concerns, each once. */
struct scope {
	struct writ_vec views;
	uint32_t mark;
};

static void collect(struct scope *sc, struct writ_view *v)
{
	if (v->mark == sc->mark)
		return;
	v->mark = sc->mark;
	writ_vec_add(&sc->views, v);
}

static void collect_reaching(const struct writ_registry *r, struct scope *sc, uint32_t id)
{
	const struct writ_vec *views = &r->ids[id].views;
	for (uint32_t i = 0; i < views->n; i++)
		collect(sc, views->v[i]);
}

static bool is_server(const struct writ_registry *r, uint32_t id)
{
	return writ_str_eq(writ_strn(r->ids[id].text, r->ids[id].len), writ_cstr(r->server_id));
}

/* Views that reach parent, before anything is changed. */
static void collect_parent(const struct writ_registry *r, struct scope *sc, uint32_t parent)
{
	collect_reaching(r, sc, parent);
	if (r->ids[parent].n_children)
		return;
	for (uint32_t s = r->ids[parent].name_first; s != WRIT_NONE; s = r->slots[s].name_next)
		collect_reaching(r, sc, r->slots[s].parent);
}

static struct writ_str selectors_of(const struct writ_view *v)
{
	return v->node ? writ_node_get(v->node, WRIT_NODE_SELECTORS) : WRIT_STR("");
}

static bool alias_matches(const struct writ_entry *alias, const struct writ_view *v)
{
	struct writ_str want = writ_entry_get(alias, WRIT_ENTRY_SELECTORS);
	return want.n && writ_pack_within(want, selectors_of(v));
}

/* Views that match an alias: found among those that have its rarest selector. */
static void collect_alias(
	const struct writ_registry *r, struct scope *sc, const struct writ_entry *alias)
{
	struct writ_str rest = writ_entry_get(alias, WRIT_ENTRY_SELECTORS), item;
	const struct writ_selrec *rarest = NULL;
	while (writ_pack_next(&rest, &item)) {
		const struct writ_selrec *s = writ_selectors_find(r, item);
		if (!s || !s->views.n)
			return;
		if (!rarest || s->views.n < rarest->views.n)
			rarest = s;
	}
	for (uint32_t i = 0; rarest && i < rarest->views.n; i++) {
		if (alias_matches(alias, rarest->views.v[i]))
			collect(sc, rarest->views.v[i]);
	}
}

struct walk {
	uint32_t *ids;
	uint32_t n, cap, mark;
};

static void visit(struct writ_registry *r, struct walk *w, uint32_t id)
{
	if (id == WRIT_NONE || r->ids[id].mark == w->mark || is_server(r, id))
		return;
	r->ids[id].mark = w->mark;
	if (w->n == w->cap) {
		w->cap = w->cap ? w->cap * 2 : 8;
		w->ids = writ_realloc(w->ids, w->cap * sizeof(*w->ids));
	}
	w->ids[w->n++] = id;
}

static void visit_aliases(struct writ_registry *r, struct walk *w, const struct writ_view *v)
{
	struct writ_str rest = selectors_of(v), item;
	while (writ_pack_next(&rest, &item)) {
		const struct writ_selrec *s = writ_selectors_find(r, item);
		for (uint32_t i = 0; s && i < s->aliases.n; i++) {
			const struct writ_entry *alias = s->aliases.v[i];
			if (alias_matches(alias, v))
				visit(r, w,
					writ_ids_find(
						r, writ_entry_get(alias, WRIT_ENTRY_SPIFFE_ID)));
		}
	}
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static void walk_from(struct writ_registry *r, struct walk *w, const struct writ_view *v)
{
	w->mark = ++r->mark;
	if (!v->node || v->node->meta.banned)
		return;
	visit(r, w, v->agent);
	visit_aliases(r, w, v);
	for (uint32_t i = 0; i < w->n; i++) {
		uint32_t s = r->ids[w->ids[i]].child_first;
		for (; s != WRIT_NONE; s = r->slots[s].child_next) {
			if (r->ids[r->slots[s].name].n_children)
				visit(r, w, r->slots[s].name);
		}
	}
	if (w->n > 1)
		qsort(w->ids, w->n, sizeof(*w->ids), by_number);
}

/* Walks again: what was lost and gained is unhooked and hooked. */
static void reach(struct writ_registry *r, struct writ_view *v, bool *lost, bool *gained)
{
	struct walk w = { 0 };
	walk_from(r, &w, v);
	*lost = *gained = false;
	uint32_t i = 0, k = 0;
	while (i < v->n_reached || k < w.n) {
		if (k == w.n || (i < v->n_reached && v->reached[i] < w.ids[k])) {
			writ_vec_drop(&r->ids[v->reached[i]].views, v);
			writ_ids_unref(r, v->reached[i++]);
			*lost = true;
		} else if (i == v->n_reached || w.ids[k] < v->reached[i]) {
			writ_ids_ref(r, w.ids[k]);
			writ_vec_add(&r->ids[w.ids[k++]].views, v);
			*gained = true;
		} else {
			i++;
			k++;
		}
	}
	writ_free(v->reached);
	v->reached = w.ids;
	v->n_reached = w.n;
}

bool writ_view_reaches(const struct writ_view *v, uint32_t id)
{
	return id != WRIT_NONE && v->n_reached &&
		bsearch(&id, v->reached, v->n_reached, sizeof(id), by_number);
}

/* One entry's way from what it was to what it becomes. */
struct step {
	struct writ_entry *old, *new;
	uint32_t slot;
	uint32_t old_name, old_parent, new_name,
		new_parent; /* WRIT_NONE: none, or an alias's parent */
	bool aliases_only;  /* nobody's set holds the entry itself */
	bool restructure;   /* reached IDs may change */
	bool subtree;       /* the new one brings entries that stood before */
};

static bool same_field(const struct step *t, enum writ_entry_field f)
{
	return writ_str_eq(writ_entry_get(t->old, f), writ_entry_get(t->new, f));
}

static bool is_moved(const struct step *t, bool alias)
{
	return !t->old || !t->new || !same_field(t, WRIT_ENTRY_SPIFFE_ID) ||
		!same_field(t, WRIT_ENTRY_PARENT_ID) ||
		(alias && !same_field(t, WRIT_ENTRY_SELECTORS));
}

static void plan_old(struct writ_registry *r, struct step *t, struct scope *sc)
{
	if (writ_is_alias(r, t->old)) {
		collect_alias(r, sc, t->old);
	} else {
		t->old_parent = r->slots[t->slot].parent;
		collect_parent(r, sc, t->old_parent);
	}
	t->old_name = r->slots[t->slot].name;
	writ_ids_ref(r, t->old_parent);
	writ_ids_ref(r, t->old_name);
	if (is_moved(t, writ_is_alias(r, t->old)))
		t->restructure |= r->ids[t->old_name].n_children || r->ids[t->old_name].views.n;
}

static void plan_new(struct writ_registry *r, struct step *t, struct scope *sc)
{
	bool alias = writ_is_alias(r, t->new);
	t->new_name = writ_ids_take(r, writ_entry_get(t->new, WRIT_ENTRY_SPIFFE_ID));
	if (alias) {
		collect_alias(r, sc, t->new);
	} else {
		t->new_parent = writ_ids_take(r, writ_entry_get(t->new, WRIT_ENTRY_PARENT_ID));
		collect_parent(r, sc, t->new_parent);
		t->restructure |= !r->ids[t->new_parent].n_children;
	}
	if (is_moved(t, alias)) {
		t->subtree = r->ids[t->new_name].n_children > 0;
		t->restructure |= t->subtree || alias;
	}
}

static void tell(
	struct writ_registry *r, const struct step *t, struct writ_view *v, uint64_t revision)
{
	bool lost = false, gained = false;
	if (t->restructure)
		reach(r, v, &lost, &gained);
	bool full = lost || (gained && t->subtree);
	if (full)
		v->full_since = revision;
	if (!full && t->aliases_only)
		return;
	v->revision = revision;
	writ_changes_dirty(r, v);
}

void writ_views_apply_entry(
	struct writ_registry *r, struct writ_str id, struct writ_entry *e, uint64_t revision)
{
	struct scope sc = { .mark = ++r->mark };
	struct step t = { .new = e,
		.slot = writ_entries_find(r, id),
		.old_name = WRIT_NONE,
		.old_parent = WRIT_NONE,
		.new_name = WRIT_NONE,
		.new_parent = WRIT_NONE };
	WRIT_AUTO(writ_entry_unrefp) struct writ_entry *old = NULL;
	if (t.slot != WRIT_NONE)
		t.old = old = writ_entry_ref(r->slots[t.slot].e);
	assert(t.old || t.new);
	if (t.old)
		plan_old(r, &t, &sc);
	if (t.new)
		plan_new(r, &t, &sc);
	t.aliases_only = t.old_parent == WRIT_NONE && t.new_parent == WRIT_NONE;
	if (!t.aliases_only)
		writ_changes_record(r, t.new ? t.new : t.old, t.old_parent, t.new_parent, revision);
	if (!t.new)
		writ_entries_detach(r, t.slot);
	else if (t.old)
		writ_entries_replace(r, t.slot, e);
	else
		writ_entries_attach(r, e);
	for (uint32_t i = 0; i < sc.views.n; i++)
		tell(r, &t, sc.views.v[i], revision);
	writ_vec_done(&sc.views);
	writ_ids_unref(r, t.old_name);
	writ_ids_unref(r, t.old_parent);
	writ_ids_unref(r, t.new_name);
	writ_ids_unref(r, t.new_parent);
}

static void hook_node(struct writ_registry *r, struct writ_view *v)
{
	v->node = writ_node_ref(
		writ_registry_node(r, writ_strn(r->ids[v->agent].text, r->ids[v->agent].len)));
	struct writ_str rest = selectors_of(v), item;
	while (writ_pack_next(&rest, &item))
		writ_vec_add(&writ_selectors_take(r, item)->views, v);
}

static void unhook_node(struct writ_registry *r, struct writ_view *v)
{
	struct writ_str rest = selectors_of(v), item;
	while (writ_pack_next(&rest, &item)) {
		struct writ_selrec *s = writ_selectors_find(r, item);
		writ_vec_drop(&s->views, v);
		writ_selectors_give(r, s);
	}
	writ_node_unref(v->node);
	v->node = NULL;
}

void writ_views_apply_node(struct writ_registry *r, struct writ_str agent, uint64_t revision)
{
	uint32_t id = writ_ids_find(r, agent);
	struct writ_view *v = id == WRIT_NONE ? NULL : r->ids[id].own;
	bool lost, gained;
	if (!v)
		return;
	unhook_node(r, v);
	hook_node(r, v);
	reach(r, v, &lost, &gained);
	if (lost || gained) {
		v->revision = v->full_since = revision;
		writ_changes_dirty(r, v);
	}
	writ_view_drop_if_idle(r, v);
}

struct writ_view *writ_views_get(struct writ_registry *r, struct writ_str agent)
{
	uint32_t id = writ_ids_take(r, agent);
	struct writ_view *v = r->ids[id].own;
	if (v) {
		writ_ids_unref(r, id);
		return v;
	}
	bool lost, gained;
	v = writ_alloc(sizeof(*v));
	writ_list_init(&v->dirty);
	writ_list_init(&v->watches);
	v->agent = id;
	v->revision = v->full_since = r->revision;
	r->ids[id].own = v;
	hook_node(r, v);
	reach(r, v, &lost, &gained);
	return v;
}

static void free_view(struct writ_registry *r, struct writ_view *v)
{
	unhook_node(r, v);
	for (uint32_t i = 0; i < v->n_reached; i++) {
		writ_vec_drop(&r->ids[v->reached[i]].views, v);
		writ_ids_unref(r, v->reached[i]);
	}
	writ_free(v->reached);
	writ_list_remove(&v->dirty);
	r->ids[v->agent].own = NULL;
	writ_ids_unref(r, v->agent);
	writ_free(v);
}

/* The view of an agent that is there is kept: it knows since when differences can be told. */
void writ_view_drop_if_idle(struct writ_registry *r, struct writ_view *v)
{
	if (!v->node && !v->calling && writ_list_empty(&v->watches))
		free_view(r, v);
}

void writ_views_done(struct writ_registry *r)
{
	for (uint32_t i = 0; i < r->n_ids; i++) {
		if (r->ids[i].text && r->ids[i].own)
			free_view(r, r->ids[i].own);
	}
}

void writ_registry_authorized(
	struct writ_registry *r, struct writ_str agent, struct writ_entry_list *ret)
{
	struct writ_view *v = writ_views_get(r, agent);
	for (uint32_t i = 0; i < v->n_reached; i++) {
		uint32_t s = r->ids[v->reached[i]].child_first;
		for (; s != WRIT_NONE; s = r->slots[s].child_next)
			writ_entry_list_add(ret, r->slots[s].e);
	}
	writ_view_drop_if_idle(r, v);
}

struct writ_entry *writ_registry_authorized_entry(
	struct writ_registry *r, struct writ_str agent, struct writ_str entry_id)
{
	uint32_t slot = writ_entries_find(r, entry_id);
	if (slot == WRIT_NONE)
		return NULL;
	struct writ_view *v = writ_views_get(r, agent);
	bool may = writ_view_reaches(v, r->slots[slot].parent);
	writ_view_drop_if_idle(r, v);
	return may ? r->slots[slot].e : NULL;
}
