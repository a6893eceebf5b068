/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include "base/mem.h"
#include "base/rand.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

static const char tombstone[] = "";
static uint64_t seed[2];
static pthread_once_t seeded = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
	writ_rand(seed, sizeof(seed));
}

#define ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define ROUND                                                                                      \
	do {                                                                                       \
		v0 += v1, v1 = ROTL(v1, 13) ^ v0, v0 = ROTL(v0, 32);                               \
		v2 += v3, v3 = ROTL(v3, 16) ^ v2;                                                  \
		v0 += v3, v3 = ROTL(v3, 21) ^ v0;                                                  \
		v2 += v1, v1 = ROTL(v1, 17) ^ v2, v2 = ROTL(v2, 32);                               \
	} while (0)

/* SipHash-1-3 (Aumasson and Bernstein): peers choose keys, so collisions must not be theirs to
 * choose. */
uint64_t writ_hash(const void *p, size_t n)
{
	pthread_once(&seeded, make_seed);
	const uint8_t *in = p;
	uint64_t v0 = seed[0] ^ 0x736f6d6570736575u, v1 = seed[1] ^ 0x646f72616e646f6du;
	uint64_t v2 = seed[0] ^ 0x6c7967656e657261u, v3 = seed[1] ^ 0x7465646279746573u;
	uint64_t last = (uint64_t)n << 56;
	for (; n >= 8; in += 8, n -= 8) {
		uint64_t m;
		memcpy(&m, in, 8);
		v3 ^= m;
		ROUND;
		v0 ^= m;
	}
	for (size_t i = 0; i < n; i++)
		last |= (uint64_t)in[i] << (8 * i);
	v3 ^= last;
	ROUND;
	v0 ^= last;
	v2 ^= 0xff;
	ROUND;
	ROUND;
	ROUND;
	return v0 ^ v1 ^ v2 ^ v3;
}

void writ_map_init(struct writ_map *m)
{
	*m = (struct writ_map){ 0 };
}

void writ_map_done(struct writ_map *m)
{
	writ_free(m->slots);
	writ_map_init(m);
}

/* The slot of key, or the one where it would go. The table is never full. */
static struct writ_map_slot *find(const struct writ_map *m, struct writ_str key, uint64_t hash)
{
	struct writ_map_slot *free_slot = NULL;
	for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct writ_map_slot *s = &m->slots[i];
		if (!s->key.p)
			return free_slot ? free_slot : s;
		if (s->key.p == tombstone && !s->value) {
			if (!free_slot)
				free_slot = s;
		} else if (s->hash == hash && writ_str_eq(s->key, key)) {
			return s;
		}
	}
}

static void resize(struct writ_map *m, size_t cap)
{
	struct writ_map old = *m;
	m->slots = writ_alloc_array(cap, sizeof(*m->slots));
	m->cap = cap;
	m->used = m->n;
	for (size_t i = 0; i < old.cap; i++) {
		if (old.slots[i].value)
			*find(m, old.slots[i].key, old.slots[i].hash) = old.slots[i];
	}
	writ_free(old.slots);
}

void *writ_map_get(const struct writ_map *m, struct writ_str key)
{
	return m->n ? find(m, key, writ_hash(key.p, key.n))->value : NULL;
}

void *writ_map_put(struct writ_map *m, struct writ_str key, void *value)
{
	assert(value && key.p);
	if (m->used + 1 > m->cap - m->cap / 4)
		resize(m, m->n + 1 > m->cap / 2 ? (m->cap ? m->cap * 2 : 8) : m->cap);
	uint64_t hash = writ_hash(key.p, key.n);
	struct writ_map_slot *s = find(m, key, hash);
	void *before = s->value;
	if (!before) {
		m->n++;
		if (!s->key.p)
			m->used++;
	}
	*s = (struct writ_map_slot){ key, value, hash };
	return before;
}

void *writ_map_remove(struct writ_map *m, struct writ_str key)
{
	if (!m->n)
		return NULL;
	struct writ_map_slot *s = find(m, key, writ_hash(key.p, key.n));
	void *before = s->value;
	if (before) {
		*s = (struct writ_map_slot){ { tombstone, 0 }, NULL, 0 };
		m->n--;
	}
	return before;
}

size_t writ_map_count(const struct writ_map *m)
{
	return m->n;
}

void *writ_map_next(const struct writ_map *m, size_t *i, struct writ_str *key)
{
	while (*i < m->cap) {
		const struct writ_map_slot *s = &m->slots[(*i)++];
		if (!s->value)
			continue;
		if (key)
			*key = s->key;
		return s->value;
	}
	return NULL;
}
