/* SPDX-License-Identifier: Apache-2.0 */
/* map: byte keys to pointers, open addressing, SipHash under a seed of the process. The map borrows
 * keys: they live in the values, and must not change while they are in it. Not thread-safe. */
#ifndef WRIT_BASE_MAP_H
#define WRIT_BASE_MAP_H

#include "base/str.h"

struct writ_map_slot {
	struct writ_str key; /* p == NULL: empty; p == tombstone: deleted */
	void *value;
	uint64_t hash;
};

struct writ_map {
	struct writ_map_slot *slots;
	size_t cap;  /* power of two, or 0 */
	size_t n;    /* live */
	size_t used; /* live and deleted */
};

void writ_map_init(struct writ_map *m); /* an all-zero struct is the same */
void writ_map_done(struct writ_map *m); /* frees the table, not the values */
void *writ_map_get(const struct writ_map *m, struct writ_str key); /* NULL when absent */
/* Puts value (not NULL) under key and returns the value it replaced, or NULL. */
void *writ_map_put(struct writ_map *m, struct writ_str key, void *value);
void *writ_map_remove(struct writ_map *m, struct writ_str key); /* the value removed, or NULL */
size_t writ_map_count(const struct writ_map *m);
/* Iteration: size_t i = 0; while ((v = writ_map_next(m, &i, NULL))) ... No change in between, but
 * removing the value just returned is fine. */
void *writ_map_next(const struct writ_map *m, size_t *i, struct writ_str *key);

uint64_t writ_hash(const void *p, size_t n); /* keyed, differs from process to process */

#endif
