/* SPDX-License-Identifier: Apache-2.0 */
#include "signer/arena.h"

#include <protobuf-c/protobuf-c.h>
#include <stdlib.h>
#include <sys/mman.h>

#define ALIGN 16
/* Memory that is kept for the next request; a rare large one gives the rest back. */
#define KEEP (1024 * 1024)

void writ_arena_init(struct writ_arena *a)
{
	a->n = 0;
	a->p = mmap(NULL, WRIT_ARENA_MAX, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (a->p == MAP_FAILED)
		abort();
}

void writ_arena_done(struct writ_arena *a)
{
	if (a->p)
		munmap(a->p, WRIT_ARENA_MAX);
	*a = (struct writ_arena){ 0 };
}

void writ_arena_reset(struct writ_arena *a)
{
	if (a->n > KEEP)
		(void)madvise(a->p + KEEP, WRIT_ARENA_MAX - KEEP, MADV_DONTNEED);
	a->n = 0;
}

void *writ_arena_alloc(struct writ_arena *a, size_t n)
{
	if (n > WRIT_ARENA_MAX - ALIGN || a->n > WRIT_ARENA_MAX - ALIGN - n)
		return NULL;
	void *at = a->p + a->n;
	a->n += (n + ALIGN - 1) / ALIGN * ALIGN;
	return at;
}

static void *allocate(void *arena, size_t n)
{
	return writ_arena_alloc(arena, n);
}

static void release(void *arena, void *p)
{
	(void)arena;
	(void)p;
}

struct ProtobufCAllocator writ_arena_allocator(struct writ_arena *a)
{
	return (struct ProtobufCAllocator){
		.alloc = allocate, .free = release, .allocator_data = a
	};
}
