/* SPDX-License-Identifier: Apache-2.0 */
/* Listings run over the tables in the order of creation. A token is the number of the last row that
 * was given: rows that come and go meanwhile do not move others. */
#include "registry/impl.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TOKEN_RADIX_DIGITS 16
#define FEW                16 /* a chain is walked instead of the table when it is that much shorter */

void writ_entry_list_add(struct writ_entry_list *l, struct writ_entry *e)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->v = writ_realloc(l->v, l->cap * sizeof(struct writ_entry *));
	}
	l->v[l->n++] = writ_entry_ref(e);
}

void writ_entry_list_done(struct writ_entry_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		writ_entry_unref(l->v[i]);
	writ_free(l->v);
	*l = (struct writ_entry_list){ 0 };
}

void writ_node_list_add(struct writ_node_list *l, struct writ_node *n)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->v = writ_realloc(l->v, l->cap * sizeof(struct writ_node *));
	}
	l->v[l->n++] = writ_node_ref(n);
}

void writ_node_list_done(struct writ_node_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		writ_node_unref(l->v[i]);
	writ_free(l->v);
	*l = (struct writ_node_list){ 0 };
}

static writ_rc parse_token(struct writ_str token, uint64_t *ret, struct writ_err *err)
{
	uint8_t bytes[TOKEN_RADIX_DIGITS / 2];
	size_t n = 0;
	*ret = 0;
	if (!token.n)
		return WRIT_OK;
	if (token.n != TOKEN_RADIX_DIGITS ||
		writ_unhex(token, bytes, sizeof(bytes), &n, NULL) != WRIT_OK)
		return writ_fail(err, WRIT_EINVAL,
			"page token '" WRIT_FMT "' is none that this server gave",
			(int)(token.n > 40 ? 40 : token.n), token.p);
	for (size_t i = 0; i < n; i++)
		*ret = *ret << 8 | bytes[i];
	return WRIT_OK;
}

static void print_token(uint64_t seq, char next[32])
{
	snprintf(next, 32, "%0*" PRIx64, TOKEN_RADIX_DIGITS, seq);
}

static size_t page_limit(size_t page_size)
{
	return page_size && page_size < WRIT_PAGE_MAX ? page_size : WRIT_PAGE_MAX;
}

static writ_rc check_match(
	const struct writ_match_filter *m, const char *what, struct writ_err *err)
{
	if (!m->on || (m->set.n && writ_pack_is_set(m->set)))
		return WRIT_OK;
	return writ_fail(err, WRIT_EINVAL, "malformed %s", what);
}

static writ_rc check_filter(const struct writ_entry_filter *f, struct writ_err *err)
{
	writ_rc rc = check_match(&f->selectors, "selectors filter: empty selector set", err);
	return rc ? rc
		  : check_match(&f->federates_with, "federates with filter: empty trust domain set",
			    err);
}

static bool is_or_any(struct writ_str want, const struct writ_entry *e, enum writ_entry_field f)
{
	return !want.p || writ_str_eq(want, writ_entry_get(e, f));
}

static bool set_passes(const struct writ_match_filter *m, struct writ_str set)
{
	return !m->on || writ_pack_match(set, m->set, m->match);
}

static bool passes(const struct writ_entry_filter *f, const struct writ_entry *e)
{
	return is_or_any(f->spiffe_id, e, WRIT_ENTRY_SPIFFE_ID) &&
		is_or_any(f->parent_id, e, WRIT_ENTRY_PARENT_ID) &&
		is_or_any(f->hint, e, WRIT_ENTRY_HINT) &&
		(!f->by_downstream ||
			f->downstream == ((e->meta.flags & WRIT_ENTRY_DOWNSTREAM) != 0)) &&
		set_passes(&f->selectors, writ_entry_get(e, WRIT_ENTRY_SELECTORS)) &&
		set_passes(&f->federates_with, writ_entry_get(e, WRIT_ENTRY_FEDERATES_WITH));
}

/* The slots that can pass at all, in order. */
struct source {
	uint32_t *slots; /* owned; NULL: the table itself */
	uint32_t at, end;
};

static void free_source(struct source *s)
{
	writ_free(s->slots);
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* Slots of a chain from `first` on that are at or after `from`; false: too many to be worth it. */
static bool gather(const struct writ_registry *r, uint32_t first, size_t next_offset, uint32_t from,
	struct source *s)
{
	uint32_t max = r->n_slots / FEW + 1, n = 0, seen = 0;
	uint32_t *found = writ_alloc_array(max, sizeof(*found));
	while (first != WRIT_NONE && seen++ < max) {
		if (first >= from)
			found[n++] = first;
		first = *(const uint32_t *)(const void *)((const char *)&r->slots[first] +
			next_offset);
	}
	if (first != WRIT_NONE) {
		writ_free(found);
		return false;
	}
	qsort(found, n, sizeof(*found), by_number);
	*s = (struct source){ found, 0, n };
	return true;
}

static struct source sources(
	const struct writ_registry *r, const struct writ_entry_filter *f, uint32_t from)
{
	struct source s = { NULL, from, r->n_slots };
	const struct {
		struct writ_str id;
		size_t first, next;
	} chains[] = {
		{ f->parent_id, offsetof(struct writ_idrec, child_first),
			offsetof(struct writ_slot, child_next) },
		{ f->spiffe_id, offsetof(struct writ_idrec, name_first),
			offsetof(struct writ_slot, name_next) },
	};
	for (size_t i = 0; i < WRIT_COUNT(chains); i++) {
		if (!chains[i].id.p)
			continue;
		uint32_t id = writ_ids_find(r, chains[i].id);
		if (id == WRIT_NONE)
			return (struct source){ NULL, 0, 0 };
		const char *rec = (const char *)&r->ids[id];
		uint32_t first = *(const uint32_t *)(const void *)(rec + chains[i].first);
		if (gather(r, first, chains[i].next, from, &s))
			return s;
	}
	return s;
}

/* The next entry that passes; NULL at the end. */
static struct writ_entry *next_entry(
	const struct writ_registry *r, const struct writ_entry_filter *f, struct source *s)
{
	while (s->at < s->end) {
		uint32_t slot = s->slots ? s->slots[s->at] : s->at;
		s->at++;
		if (r->slots[slot].e && passes(f, r->slots[slot].e))
			return r->slots[slot].e;
	}
	return NULL;
}

writ_rc writ_registry_list_entries(struct writ_registry *r, const struct writ_entry_filter *f,
	size_t page_size, struct writ_str page, struct writ_entry_list *ret, char next[32],
	struct writ_err *err)
{
	uint64_t after;
	writ_rc rc = check_filter(f, err);
	if (rc == WRIT_OK)
		rc = parse_token(page, &after, err);
	if (rc)
		return rc;
	WRIT_AUTO(free_source) struct source s = sources(r, f, writ_entries_after(r, after));
	size_t limit = page_limit(page_size);
	struct writ_entry *e;
	next[0] = '\0';
	while ((e = next_entry(r, f, &s))) {
		if (ret->n == limit) {
			print_token(ret->v[limit - 1]->meta.seq, next);
			break;
		}
		writ_entry_list_add(ret, e);
	}
	return WRIT_OK;
}

writ_rc writ_registry_count_entries(struct writ_registry *r, const struct writ_entry_filter *f,
	size_t *ret, struct writ_err *err)
{
	writ_rc rc = check_filter(f, err);
	if (rc)
		return rc;
	WRIT_AUTO(free_source) struct source s = sources(r, f, 0);
	size_t n = 0;
	while (next_entry(r, f, &s))
		n++;
	*ret = n;
	return WRIT_OK;
}

static bool node_passes(const struct writ_node_filter *f, const struct writ_node *n)
{
	return (!f->type.p || writ_str_eq(f->type, writ_node_get(n, WRIT_NODE_TYPE))) &&
		(!f->by_banned || f->banned == n->meta.banned) &&
		(!f->by_can_reattest || f->can_reattest == n->meta.can_reattest) &&
		(!f->expires_before || n->meta.not_after < f->expires_before) &&
		set_passes(&f->selectors, writ_node_get(n, WRIT_NODE_SELECTORS));
}

static struct writ_node *next_node(
	const struct writ_registry *r, const struct writ_node_filter *f, uint32_t *at)
{
	while (*at < r->n_nslots) {
		struct writ_node *n = r->nslots[(*at)++].n;
		if (n && node_passes(f, n))
			return n;
	}
	return NULL;
}

writ_rc writ_registry_list_nodes(struct writ_registry *r, const struct writ_node_filter *f,
	size_t page_size, struct writ_str page, struct writ_node_list *ret, char next[32],
	struct writ_err *err)
{
	uint64_t after;
	writ_rc rc = check_match(&f->selectors, "selectors filter: empty selector set", err);
	if (rc == WRIT_OK)
		rc = parse_token(page, &after, err);
	if (rc)
		return rc;
	uint32_t at = writ_nodes_after(r, after);
	size_t limit = page_limit(page_size);
	struct writ_node *n;
	next[0] = '\0';
	while ((n = next_node(r, f, &at))) {
		if (ret->n == limit) {
			print_token(ret->v[limit - 1]->meta.seq, next);
			break;
		}
		writ_node_list_add(ret, n);
	}
	return WRIT_OK;
}

writ_rc writ_registry_count_nodes(struct writ_registry *r, const struct writ_node_filter *f,
	size_t *ret, struct writ_err *err)
{
	writ_rc rc = check_match(&f->selectors, "selectors filter: empty selector set", err);
	uint32_t at = 0;
	size_t n = 0;
	if (rc)
		return rc;
	while (next_node(r, f, &at))
		n++;
	*ret = n;
	return WRIT_OK;
}
