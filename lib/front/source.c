/* SPDX-License-Identifier: Apache-2.0 */
#include "front/source.h"

#include <string.h>

#define SWEEP_MAX 4 /* debtors looked at for each new connection: more than come in */

static struct writ_str key_of(const struct writ_source *src)
{
	return writ_strn(&src->key, sizeof(src->key));
}

struct writ_source_key writ_source_number(enum writ_source_kind kind, uint32_t n)
{
	struct writ_source_key key = { .kind = (uint8_t)kind };
	memcpy(key.id, &n, sizeof(n));
	return key;
}

void writ_sources_init(struct writ_sources *s)
{
	writ_map_init(&s->map);
	writ_list_init(&s->debtors);
}

void writ_sources_done(struct writ_sources *s)
{
	size_t i = 0;
	struct writ_source *src;
	while ((src = writ_map_next(&s->map, &i, NULL)))
		writ_free(src);
	writ_map_done(&s->map);
}

static void forget(struct writ_sources *s, struct writ_source *src)
{
	(void)writ_map_remove(&s->map, key_of(src));
	writ_list_remove(&src->debtor);
	writ_list_remove(&src->turn);
	writ_free(src);
}

static void sweep(struct writ_sources *s, int64_t now_us)
{
	for (int i = 0; i < SWEEP_MAX && !writ_list_empty(&s->debtors); i++) {
		struct writ_source *src =
			writ_container(s->debtors.next, struct writ_source, debtor);
		if (writ_debt_left_us(&src->debt, now_us))
			return;
		forget(s, src);
	}
}

bool writ_source_enter(struct writ_sources *s, struct writ_source_key key, uint32_t max,
	int64_t now_us, struct writ_source **ret)
{
	sweep(s, now_us);
	struct writ_source *src = writ_map_get(&s->map, writ_strn(&key, sizeof(key)));
	if (src && src->conns >= max)
		return false;
	if (!src) {
		src = writ_alloc(sizeof(*src));
		src->key = key;
		writ_list_init(&src->debtor);
		writ_list_init(&src->waiting);
		writ_list_init(&src->turn);
		(void)writ_map_put(&s->map, key_of(src), src);
	}
	writ_list_remove(&src->debtor);
	src->conns++;
	*ret = src;
	return true;
}

void writ_source_leave(struct writ_sources *s, struct writ_source *src, int64_t now_us)
{
	if (--src->conns)
		return;
	if (writ_debt_left_us(&src->debt, now_us))
		writ_list_push(&s->debtors, &src->debtor);
	else
		forget(s, src);
}

void writ_claim_leave(struct writ_sources *s, struct writ_claim *c, int64_t now_us)
{
	struct writ_source *all[] = { c->source, c->process, c->block };
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i])
			writ_source_leave(s, all[i], now_us);
	*c = (struct writ_claim){ .source = NULL };
}
