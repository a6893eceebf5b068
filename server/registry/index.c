/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/index.h"

#include "base/mem.h"

#include <assert.h>

#define DELETED UINT64_MAX

static uint64_t slot_of(uint32_t hash, uint32_t row)
{
	return (uint64_t)hash << 32 | (row + 1);
}

static void insert(struct writ_index *ix, uint64_t slot)
{
	uint32_t i = (uint32_t)(slot >> 32);
	while (ix->slots[i & (ix->cap - 1)])
		i++;
	ix->slots[i & (ix->cap - 1)] = slot;
}

static void resize(struct writ_index *ix, uint32_t cap)
{
	struct writ_index old = *ix;
	ix->slots = writ_alloc_array(cap, sizeof(*ix->slots));
	ix->cap = cap;
	ix->used = ix->n;
	for (uint32_t i = 0; i < old.cap; i++) {
		if (old.slots[i] && old.slots[i] != DELETED)
			insert(ix, old.slots[i]);
	}
	writ_free(old.slots);
}

void writ_index_done(struct writ_index *ix)
{
	writ_free(ix->slots);
	*ix = (struct writ_index){ 0 };
}

void writ_index_add(struct writ_index *ix, uint32_t hash, uint32_t row)
{
	assert(row < WRIT_NONE - 1);
	if (ix->used + 1 > ix->cap - ix->cap / 4)
		resize(ix, ix->n + 1 > ix->cap / 2 ? (ix->cap ? ix->cap * 2 : 16) : ix->cap);
	insert(ix, slot_of(hash, row));
	ix->n++;
	ix->used++;
}

void writ_index_remove(struct writ_index *ix, uint32_t hash, uint32_t row)
{
	uint64_t slot = slot_of(hash, row);
	for (uint32_t i = hash; ix->cap && ix->slots[i & (ix->cap - 1)]; i++) {
		if (ix->slots[i & (ix->cap - 1)] == slot) {
			ix->slots[i & (ix->cap - 1)] = DELETED;
			ix->n--;
			return;
		}
	}
	assert(!"a row that is in the table is in its index");
}

uint32_t writ_index_next(const struct writ_index *ix, uint32_t hash, uint32_t *at)
{
	while (ix->cap) {
		uint64_t slot = ix->slots[(*at)++ & (ix->cap - 1)];
		if (!slot)
			break;
		if (slot != DELETED && (uint32_t)(slot >> 32) == hash)
			return (uint32_t)slot - 1;
	}
	return WRIT_NONE;
}
