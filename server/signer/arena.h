/* SPDX-License-Identifier: Apache-2.0 */
/* arena: the memory of one request. What does not fit is refused, so a small frame cannot grow into
 * a large structure; nothing is freed alone, all of it at the next reset. */
#ifndef WRIT_SIGNER_ARENA_H
#define WRIT_SIGNER_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define WRIT_ARENA_MAX (8u * 1024 * 1024)

struct ProtobufCAllocator;

struct writ_arena {
	uint8_t *p; /* owned; only pages that were touched take memory */
	size_t n;
};

void writ_arena_init(struct writ_arena *a);
void writ_arena_done(struct writ_arena *a);
void writ_arena_reset(struct writ_arena *a);
void *writ_arena_alloc(
	struct writ_arena *a, size_t n); /* not zeroed; NULL: the request is too large */
/* For protobuf-c. */
struct ProtobufCAllocator writ_arena_allocator(struct writ_arena *a);

#endif
