/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/slab.h"

#include "base/mem.h"
#include "base/secret.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK (64 * 1024)

/* A free slot holds the address of the next one. */
struct slot {
	struct slot *next;
};

struct writ_slab {
	size_t slot_size, used;
	struct slot *vacant;
	void **chunks; /* owned */
	size_t n_chunks;
};

struct writ_slab *writ_slab_new(size_t slot_size)
{
	assert(slot_size >= 16 && slot_size % 16 == 0 && slot_size <= 4096);
	struct writ_slab *s = writ_alloc(sizeof(*s));
	s->slot_size = slot_size;
	return s;
}

void writ_slab_free(struct writ_slab *s)
{
	if (!s)
		return;
	assert(!s->used);
	for (size_t i = 0; i < s->n_chunks; i++) {
		writ_wipe(s->chunks[i], CHUNK);
		(void)munmap(s->chunks[i], CHUNK);
	}
	writ_free(s->chunks);
	writ_free(s);
}

size_t writ_slab_slot_size(const struct writ_slab *s)
{
	return s->slot_size;
}

size_t writ_slab_used(const struct writ_slab *s)
{
	return s->used;
}

static writ_rc grow(struct writ_slab *s, struct writ_err *err)
{
	uint8_t *at = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return writ_fail_errno(err, errno, "memory for workloads' keys");
	if (mlock(at, CHUNK) != 0) {
		int why = errno;
		(void)munmap(at, CHUNK);
		return writ_fail(err, WRIT_ELIMIT,
			"lock memory for workloads' keys: %s: raise RLIMIT_MEMLOCK "
			"(LimitMEMLOCK= of the unit)",
			strerror(why));
	}
	(void)madvise(at, CHUNK, MADV_DONTDUMP);
	(void)madvise(at, CHUNK, MADV_WIPEONFORK);
	s->chunks = writ_realloc(s->chunks, (s->n_chunks + 1) * sizeof(*s->chunks));
	s->chunks[s->n_chunks++] = at;
	for (size_t i = 0; i + s->slot_size <= CHUNK; i += s->slot_size) {
		struct slot *slot = (struct slot *)(void *)(at + i);
		slot->next = s->vacant;
		s->vacant = slot;
	}
	return WRIT_OK;
}

writ_rc writ_slab_take(struct writ_slab *s, uint8_t **ret, struct writ_err *err)
{
	writ_rc rc = s->vacant ? WRIT_OK : grow(s, err);
	if (rc != WRIT_OK)
		return rc;
	struct slot *slot = s->vacant;
	s->vacant = slot->next;
	slot->next = NULL;
	s->used++;
	*ret = (uint8_t *)slot;
	return WRIT_OK;
}

void writ_slab_put(struct writ_slab *s, uint8_t *slot)
{
	if (!slot)
		return;
	writ_wipe(slot, s->slot_size);
	struct slot *back = (struct slot *)(void *)slot;
	back->next = s->vacant;
	s->vacant = back;
	s->used--;
}
