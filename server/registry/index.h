/* SPDX-License-Identifier: Apache-2.0 */
/* index: hash to numbers, eight bytes a slot: the numbers name rows of a table that holds the keys,
 * so the index holds none. The caller compares keys. Not thread-safe. */
#ifndef WRIT_REGISTRY_INDEX_H
#define WRIT_REGISTRY_INDEX_H

#include "base/map.h"

#define WRIT_NONE UINT32_MAX /* no row */

struct writ_index {
	uint64_t *slots; /* hash above, number + 1 below; 0: empty; all ones: deleted */
	uint32_t cap;    /* power of two, or 0 */
	uint32_t n, used;
};

void writ_index_done(struct writ_index *ix);
void writ_index_add(struct writ_index *ix, uint32_t hash, uint32_t row);
void writ_index_remove(struct writ_index *ix, uint32_t hash, uint32_t row);
/* Rows of that hash: uint32_t at = hash; while ((row = writ_index_next(ix, hash, &at)) !=
 * WRIT_NONE) compare. No change in between. */
uint32_t writ_index_next(const struct writ_index *ix, uint32_t hash, uint32_t *at);

static inline uint32_t writ_index_hash(struct writ_str key)
{
	return (uint32_t)writ_hash(key.p, key.n);
}

#endif
