/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/impl.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

void writ_vec_add(struct writ_vec *vec, void *p)
{
	if (vec->n == vec->cap) {
		vec->cap = vec->cap ? vec->cap * 2 : 2;
		vec->v = writ_realloc(vec->v, vec->cap * sizeof(*vec->v));
	}
	vec->v[vec->n++] = p;
}

void writ_vec_drop(struct writ_vec *vec, const void *p)
{
	for (uint32_t i = 0; i < vec->n; i++) {
		if (vec->v[i] == p) {
			vec->v[i] = vec->v[--vec->n];
			break;
		}
	}
	if (vec->n == 0)
		writ_vec_done(vec);
}

void writ_vec_done(struct writ_vec *vec)
{
	writ_free(vec->v);
	*vec = (struct writ_vec){ 0 };
}

uint32_t writ_ids_find(const struct writ_registry *r, struct writ_str text)
{
	uint32_t hash = writ_index_hash(text), at = hash, row;
	while ((row = writ_index_next(&r->id_index, hash, &at)) != WRIT_NONE) {
		if (writ_str_eq(text, writ_strn(r->ids[row].text, r->ids[row].len)))
			break;
	}
	return row;
}

static uint32_t new_row(struct writ_registry *r)
{
	if (r->free_id != WRIT_NONE) {
		uint32_t row = r->free_id;
		r->free_id = r->ids[row].child_first;
		return row;
	}
	if (r->n_ids == r->cap_ids) {
		r->cap_ids = r->cap_ids ? r->cap_ids + r->cap_ids / 2 : 64;
		r->ids = writ_realloc(r->ids, r->cap_ids * sizeof(*r->ids));
	}
	return r->n_ids++;
}

uint32_t writ_ids_take(struct writ_registry *r, struct writ_str text)
{
	uint32_t row = writ_ids_find(r, text);
	if (row == WRIT_NONE) {
		row = new_row(r);
		r->ids[row] = (struct writ_idrec){ .text = writ_strndup(text.p, text.n),
			.len = (uint32_t)text.n,
			.child_first = WRIT_NONE,
			.child_last = WRIT_NONE,
			.name_first = WRIT_NONE,
			.name_last = WRIT_NONE };
		writ_index_add(&r->id_index, writ_index_hash(text), row);
	}
	r->ids[row].refs++;
	return row;
}

void writ_ids_ref(struct writ_registry *r, uint32_t id)
{
	if (id != WRIT_NONE)
		r->ids[id].refs++;
}

void writ_ids_unref(struct writ_registry *r, uint32_t id)
{
	if (id == WRIT_NONE || --r->ids[id].refs)
		return;
	struct writ_idrec *rec = &r->ids[id];
	assert(!rec->n_children && rec->name_first == WRIT_NONE && !rec->views.n && !rec->own);
	writ_index_remove(&r->id_index, writ_index_hash(writ_strn(rec->text, rec->len)), id);
	writ_free(rec->text);
	*rec = (struct writ_idrec){ .child_first = r->free_id };
	r->free_id = id;
}

void writ_ids_done(struct writ_registry *r)
{
	writ_index_done(&r->id_index);
	writ_free(r->ids);
}
