/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/cache_impl.h"

#include "base/mem.h"
#include "spiffe/id.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void entry_free(struct writ_entry *e)
{
	assert(!e->key);
	writ_selectors_done(&e->selectors);
	writ_free(e->id);
	writ_free(e->spiffe_id);
	writ_free(e->hint);
	writ_free(e);
}

void writ_entry_unref(struct writ_entry *e)
{
	if (!--e->refs)
		entry_free(e);
}

static void on_notice(struct writ_task *t)
{
	struct writ_cache *c = writ_container(t, struct writ_cache, notice);
	c->notice_posted = false;
	if (!c->cfg.loop) { /* freed in between: this was the last of it */
		writ_free(c);
		return;
	}
	c->cfg.changed(c->cfg.arg);
}

void writ_cache_notice(struct writ_cache *c)
{
	if (c->notice_posted)
		return;
	c->notice_posted = true;
	c->notice.run = on_notice;
	writ_loop_post(c->cfg.loop, &c->notice);
}

void writ_cache_touch(struct writ_cache *c, struct writ_entry *e)
{
	e->version = ++c->versions;
	writ_cache_notice(c);
}

struct writ_cache *writ_cache_new(const struct writ_cache_config *cfg)
{
	struct writ_cache *c = writ_alloc(sizeof(*c));
	c->cfg = *cfg;
	c->td = writ_strndup(cfg->td.p, cfg->td.n);
	if (!c->cfg.prefetch_max)
		c->cfg.prefetch_max = WRIT_CACHE_PREFETCH_MAX;
	writ_index_init(&c->index);
	writ_list_init(&c->queue);
	c->slab = writ_slab_new(cfg->key_slot);
	c->timer = writ_timer_new(cfg->loop, writ_cache_on_timer, c);
	return c;
}

/* Takes e out of everything; whoever watches it keeps it readable. */
static void take_out(struct writ_cache *c, struct writ_entry *e)
{
	writ_map_remove(&c->by_id, writ_cstr(e->id));
	writ_index_remove(&c->index, &e->filed);
	e->gone = true;
	writ_cache_forget(c, e);
	writ_entry_unref(e);
	writ_cache_notice(c);
}

void writ_cache_free(struct writ_cache *c)
{
	struct writ_entry *e;
	size_t i = 0;
	while ((e = writ_map_next(&c->by_id, &i, NULL)) != NULL)
		take_out(c, e);
	writ_map_done(&c->by_id);
	writ_index_done(&c->index);
	writ_slab_free(c->slab);
	writ_bundle_unref(c->bundle);
	writ_timer_free(c->timer);
	writ_free(c->td);
	c->cfg.loop = NULL;
	if (!c->notice_posted)
		writ_free(c);
}

void writ_cache_begin(struct writ_cache *c, bool full)
{
	c->full = full;
	if (full)
		c->listing++;
}

static bool is_same(const struct writ_entry *e, const struct writ_entry_spec *s)
{
	return e->revision == s->revision && e->created_at == s->created_at &&
		e->on_demand == s->on_demand &&
		writ_str_eq(writ_cstr(e->spiffe_id), s->spiffe_id) &&
		writ_str_eq(writ_cstr(e->hint), s->hint) &&
		writ_selectors_eq(&e->selectors, s->selectors);
}

static writ_rc check(
	const struct writ_cache *c, const struct writ_entry_spec *s, struct writ_err *err)
{
	struct writ_id id;
	writ_rc rc = writ_id_parse_leaf(s->spiffe_id, &id, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, WRIT_EINVAL, "entry");
	if (!s->id.n || !writ_str_eq(id.td, writ_cstr(c->td)))
		return writ_fail(err, WRIT_EINVAL, "entry of another trust domain");
	if (!s->selectors->n)
		return writ_fail(
			err, WRIT_EINVAL, "entry '" WRIT_FMT "' has no selectors", WRIT_ARG(s->id));
	return WRIT_OK;
}

/* A changed entry is a new object: those who serve the old one see that it is gone. */
static struct writ_entry *add(struct writ_cache *c, const struct writ_entry_spec *s)
{
	struct writ_entry *e = writ_alloc(sizeof(*e));
	e->refs = 1;
	e->id = writ_strndup(s->id.p, s->id.n);
	e->spiffe_id = writ_strndup(s->spiffe_id.p, s->spiffe_id.n);
	e->hint = writ_strndup(s->hint.n ? s->hint.p : "", s->hint.n);
	e->revision = s->revision;
	e->created_at = s->created_at;
	e->on_demand = s->on_demand;
	e->seen = c->listing;
	e->selectors = *s->selectors;
	writ_selectors_init(s->selectors);
	writ_list_init(&e->queue);
	writ_map_put(&c->by_id, writ_cstr(e->id), e);
	e->filed.selectors = &e->selectors;
	writ_index_add(&c->index, &e->filed);
	writ_cache_touch(c, e);
	return e;
}

/* The SVID of the old one serves until the new one is there, if it is of the same ID. */
static struct writ_entry *replace(struct writ_cache *c, struct writ_entry *old,
	const struct writ_entry_spec *s, bool keep_svid)
{
	struct writ_entry keeper = { .gone = false };
	if (old && keep_svid)
		writ_cache_move_svid(c, old, &keeper);
	if (old)
		take_out(c, old);
	struct writ_entry *e = add(c, s);
	if (keeper.key)
		writ_cache_move_svid(c, &keeper, e);
	return e;
}

writ_rc writ_cache_put(struct writ_cache *c, const struct writ_entry_spec *s, struct writ_err *err)
{
	writ_rc rc = check(c, s, err);
	if (rc != WRIT_OK)
		return rc;
	writ_selectors_seal(s->selectors);
	struct writ_entry *old = writ_map_get(&c->by_id, s->id);
	if (old && is_same(old, s)) {
		old->seen = c->listing;
		return WRIT_OK;
	}
	if (!old && writ_map_count(&c->by_id) >= WRIT_CACHE_ENTRIES_MAX)
		return writ_fail(err, WRIT_ELIMIT,
			"more than %d entries for one agent: split the node's workloads",
			WRIT_CACHE_ENTRIES_MAX);
	if (old)
		old->refs++;
	bool same_id = old && writ_str_eq(writ_cstr(old->spiffe_id), s->spiffe_id);
	struct writ_entry *e = replace(c, old, s, same_id);
	writ_cache_want(c, e, old && old->watchers);
	if (old)
		writ_entry_unref(old);
	return WRIT_OK;
}

void writ_cache_remove(struct writ_cache *c, struct writ_str id)
{
	struct writ_entry *e = writ_map_get(&c->by_id, id);
	if (e)
		take_out(c, e);
}

void writ_cache_commit(struct writ_cache *c)
{
	struct writ_entry *e;
	size_t i = 0;
	while (c->full && (e = writ_map_next(&c->by_id, &i, NULL)) != NULL) {
		if (e->seen != c->listing)
			take_out(c, e);
	}
	c->full = false;
	if (!c->listed)
		writ_cache_notice(c);
	c->listed = true;
}

void writ_cache_abort(struct writ_cache *c)
{
	c->full = false;
}

void writ_cache_set_bundle(struct writ_cache *c, struct writ_bundle *b)
{
	bool same = c->bundle && writ_bundle_same_cas(c->bundle, b);
	bool same_taint =
		c->bundle ? writ_bundle_same_taint(c->bundle, b) : !writ_bundle_has_taint(b);
	writ_bundle_ref(b);
	writ_bundle_unref(c->bundle);
	c->bundle = b;
	if (!same)
		writ_cache_notice(c);
	if (!same_taint)
		writ_cache_renew_tainted(c);
}

bool writ_cache_is_synced(const struct writ_cache *c)
{
	return c->listed && c->bundle && c->bundle->n;
}

struct writ_bundle *writ_cache_bundle(const struct writ_cache *c)
{
	return c->bundle;
}

unsigned writ_cache_wants(const struct writ_cache *c)
{
	return writ_wants_flags(&c->index.wants);
}

struct matches {
	struct writ_entry **out;
	size_t n, max;
};

static int by_age(const void *a, const void *b)
{
	const struct writ_entry *x = *(struct writ_entry *const *)a;
	const struct writ_entry *y = *(struct writ_entry *const *)b;
	if (x->created_at != y->created_at)
		return x->created_at < y->created_at ? -1 : 1;
	return strcmp(x->id, y->id);
}

static void on_match(void *arg, struct writ_filed *f)
{
	struct matches *m = arg;
	struct writ_entry *e = writ_container(f, struct writ_entry, filed);
	if (m->n < m->max) {
		m->out[m->n++] = e;
		return;
	}
	/* Too many: the oldest are kept, whatever the order they come in. */
	size_t youngest = 0;
	for (size_t i = 1; i < m->n; i++) {
		if (by_age(&m->out[i], &m->out[youngest]) > 0)
			youngest = i;
	}
	if (m->n && by_age(&e, &m->out[youngest]) < 0)
		m->out[youngest] = e;
}

size_t writ_cache_match(const struct writ_cache *c, const struct writ_selectors *caller,
	struct writ_entry **out, size_t max)
{
	struct matches m = { .out = out, .max = max };
	size_t kept = 0;
	writ_index_match(&c->index, caller, on_match, &m);
	if (m.n > 1)
		qsort(out, m.n, sizeof(struct writ_entry *), by_age);
	for (size_t i = 0; i < m.n; i++) {
		bool twice = false;
		for (size_t k = 0; k < kept && out[i]->hint[0] && !twice; k++)
			twice = strcmp(out[k]->hint, out[i]->hint) == 0;
		if (!twice)
			out[kept++] = out[i];
	}
	return kept;
}

const struct writ_entry *writ_cache_asking(const struct writ_cache *c, struct writ_str selector)
{
	struct writ_filed *f = writ_index_asking(&c->index, selector);
	return f ? writ_container(f, struct writ_entry, filed) : NULL;
}

size_t writ_cache_list(const struct writ_cache *c, struct writ_entry ***ret)
{
	size_t n = 0, i = 0;
	struct writ_entry *e;
	*ret = writ_alloc_array(writ_map_count(&c->by_id) + 1, sizeof(**ret));
	while ((e = writ_map_next(&c->by_id, &i, NULL)) != NULL) {
		e->refs++;
		(*ret)[n++] = e;
	}
	return n;
}

void writ_cache_list_done(struct writ_entry **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		writ_entry_unref(list[i]);
	writ_free(list);
}

size_t writ_cache_entries(const struct writ_cache *c)
{
	return writ_map_count(&c->by_id);
}
