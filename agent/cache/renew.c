/* SPDX-License-Identifier: Apache-2.0 */
/* Which SVIDs are needed, when they are renewed, and when they end. Times here are wall times: they
 * come from certificates. */
#include "cache/cache_impl.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "spiffe/svid.h"

#include <string.h>

#define TIMER_MIN_MS   50
#define TIMER_MAX_MS   (60 * 1000) /* the wall clock may be set: look again now and then */
#define RETRY_FIRST_MS 500
#define RETRY_MAX_MS   5000

static void alarm_at(struct writ_cache *c, int64_t at_ms)
{
	if (c->timer_at_ms && c->timer_at_ms <= at_ms)
		return;
	int64_t wait = at_ms - writ_wall_ms();
	if (wait < TIMER_MIN_MS)
		wait = TIMER_MIN_MS;
	c->timer_at_ms = at_ms;
	writ_timer_start(c->timer, wait > TIMER_MAX_MS ? TIMER_MAX_MS : wait);
}

bool writ_entry_is_ready(const struct writ_entry *e, int64_t now_s)
{
	return e->key && now_s < e->not_after;
}

/* Is it kept ready, or else asked for by somebody? */
static bool is_wanted(const struct writ_cache *c, const struct writ_entry *e)
{
	return e->watchers || e->key || (!e->on_demand && c->prefetched < c->cfg.prefetch_max);
}

bool writ_cache_keeps(const struct writ_cache *c, const struct writ_entry *e)
{
	return e->counted || is_wanted(c, e);
}

/* Keeps the number of entries that have an SVID, or will. */
static void recount(struct writ_cache *c, struct writ_entry *e)
{
	bool is = !e->gone && (e->key || e->fetch != WRIT_FETCH_IDLE);
	if (is && !e->counted)
		c->prefetched++;
	if (!is && e->counted)
		c->prefetched--;
	e->counted = is;
}

void writ_cache_want(struct writ_cache *c, struct writ_entry *e, bool urgent)
{
	if (e->gone || e->fetch == WRIT_FETCH_FLYING || !is_wanted(c, e))
		return;
	if (e->fetch == WRIT_FETCH_QUEUED) {
		if (!urgent || e->urgent)
			return;
		writ_list_remove(&e->queue);
	}
	e->fetch = WRIT_FETCH_QUEUED;
	e->urgent = urgent;
	recount(c, e);
	if (urgent) /* in front of all others */
		writ_list_add_before(&e->queue, c->queue.next);
	else
		writ_list_push(&c->queue, &e->queue);
	c->cfg.hungry(c->cfg.arg);
}

size_t writ_cache_next(struct writ_cache *c, struct writ_entry **out, size_t max)
{
	int64_t now = writ_wall_ms();
	size_t n = 0;
	WRIT_LIST_EACH (it, &c->queue) {
		struct writ_entry *e = writ_container(it, struct writ_entry, queue);
		if (n == max)
			break;
		if (e->retry_at_ms > now) {
			alarm_at(c, e->retry_at_ms);
			continue;
		}
		writ_list_remove(&e->queue);
		e->fetch = WRIT_FETCH_FLYING;
		e->refs++;
		out[n++] = e;
	}
	return n;
}

void writ_cache_drop_svid(struct writ_cache *c, struct writ_entry *e)
{
	if (!e->key)
		return;
	writ_slab_put(c->slab, writ_steal(e->key));
	writ_free(writ_steal(e->chain));
	e->key_len = e->chain_len = 0;
	c->n_svids--;
	recount(c, e);
}

void writ_cache_forget(struct writ_cache *c, struct writ_entry *e)
{
	if (e->fetch == WRIT_FETCH_QUEUED) {
		writ_list_remove(&e->queue);
		e->fetch = WRIT_FETCH_IDLE;
	}
	writ_cache_drop_svid(c, e);
	recount(c, e);
}

void writ_cache_move_svid(struct writ_cache *c, struct writ_entry *from, struct writ_entry *to)
{
	if (!from->key)
		return;
	to->key = writ_steal(from->key);
	to->key_len = from->key_len;
	to->chain = writ_steal(from->chain);
	to->chain_len = from->chain_len;
	to->not_before = from->not_before;
	to->not_after = from->not_after;
	to->renew_at_ms = writ_wall_ms();
	alarm_at(c, to->not_after * 1000);
	recount(c, from);
	recount(c, to);
}

static void landed(struct writ_cache *c, struct writ_entry *e)
{
	e->fetch = WRIT_FETCH_IDLE;
	e->urgent = false;
	recount(c, e);
}

/* Does its SVID rest on a tainted authority? The chain is read anew: taint is rare. */
static bool is_tainted(const struct writ_cache *c, const struct writ_entry *e)
{
	struct writ_cert *chain[WRIT_CHAIN_MAX];
	size_t n;
	if (!e->key || !c->bundle || !writ_bundle_has_taint(c->bundle) ||
		writ_certs_parse(e->chain, e->chain_len, chain, WRIT_CHAIN_MAX, &n, NULL) !=
			WRIT_OK)
		return false;
	bool is = writ_bundle_taints(c->bundle, chain, n);
	writ_certs_unref(chain, n);
	return is;
}

/* Not later than in so many ms. */
static void hasten(struct writ_cache *c, struct writ_entry *e, int64_t wait_ms)
{
	int64_t at = writ_wall_ms() + wait_ms;
	if (at < e->renew_at_ms)
		e->renew_at_ms = at;
	alarm_at(c, e->renew_at_ms);
}

void writ_cache_renew_tainted(struct writ_cache *c)
{
	struct writ_entry *e;
	size_t i = 0;
	while ((e = writ_map_next(&c->by_id, &i, NULL)) != NULL) {
		if (is_tainted(c, e))
			hasten(c, e, (int64_t)writ_rand_below(WRIT_TAINT_SPREAD_MS));
	}
}

void writ_cache_fetched(struct writ_cache *c, struct writ_entry *e, const struct writ_fetched *f)
{
	uint8_t *slot = e->key;
	if (e->gone) {
		landed(c, e);
		writ_entry_unref(e);
		return;
	}
	if (f->key_len > writ_slab_slot_size(c->slab) || f->not_after <= writ_wall_s() ||
		(!slot && writ_slab_take(c->slab, &slot, NULL) != WRIT_OK)) {
		writ_cache_failed(c, e, true);
		return;
	}
	if (!e->key)
		c->n_svids++;
	landed(c, e);
	memset(slot, 0, writ_slab_slot_size(c->slab));
	memcpy(slot, f->key, f->key_len);
	e->key = slot;
	e->key_len = f->key_len;
	writ_free(e->chain);
	e->chain = writ_memdup(f->chain, f->chain_len);
	e->chain_len = f->chain_len;
	e->not_before = f->not_before;
	e->not_after = f->not_after;
	e->failures = 0;
	e->retry_at_ms = 0;
	recount(c, e);
	e->renew_at_ms =
		writ_svid_renew_at_ms(f->not_before, f->not_after, (unsigned)writ_rand_below(1000));
	alarm_at(c, e->renew_at_ms);
	/* It was on its way, or the server goes on with that authority: not at once again. */
	if (is_tainted(c, e))
		hasten(c, e, writ_jitter(WRIT_TAINT_AGAIN_MS, 250));
	writ_cache_touch(c, e);
	writ_entry_unref(e);
}

void writ_cache_failed(struct writ_cache *c, struct writ_entry *e, bool later)
{
	bool gone = e->gone;
	if (!gone && later) {
		unsigned shift = e->failures < 4 ? e->failures : 4;
		int64_t wait = RETRY_FIRST_MS << shift;
		e->failures++;
		e->retry_at_ms = writ_wall_ms() +
			writ_jitter(wait > RETRY_MAX_MS ? RETRY_MAX_MS : wait, 250);
	}
	landed(c, e);
	writ_cache_want(c, e, e->watchers && !e->key);
	writ_entry_unref(e);
}

void writ_cache_watch(struct writ_cache *c, struct writ_entry *e)
{
	e->refs++;
	e->watchers++;
	if (!writ_entry_is_ready(e, writ_wall_s()))
		writ_cache_want(c, e, true);
}

void writ_cache_unwatch(struct writ_cache *c, struct writ_entry *e)
{
	(void)c;
	e->watchers--;
	writ_entry_unref(e);
}

/* One that nobody watches and that is over the number we keep ready is not renewed. */
static bool is_surplus(const struct writ_cache *c, const struct writ_entry *e)
{
	return !e->watchers && (e->on_demand || c->prefetched > c->cfg.prefetch_max);
}

/* Returns when this one wants to be looked at again; 0: never. */
static int64_t look_at(struct writ_cache *c, struct writ_entry *e, int64_t now_ms)
{
	if (!e->key)
		return e->fetch == WRIT_FETCH_QUEUED ? e->retry_at_ms : 0;
	if (!writ_entry_is_ready(e, now_ms / 1000)) {
		bool queued = e->fetch != WRIT_FETCH_IDLE;
		writ_cache_drop_svid(c, e);
		writ_cache_touch(c, e);
		if (!queued)
			writ_cache_want(c, e, e->watchers > 0);
		return 0;
	}
	if (now_ms < e->renew_at_ms)
		return e->renew_at_ms;
	if (e->fetch == WRIT_FETCH_IDLE && is_surplus(c, e)) {
		writ_cache_drop_svid(c, e);
		return 0;
	}
	writ_cache_want(c, e, false);
	return e->not_after * 1000;
}

void writ_cache_on_timer(void *arg)
{
	struct writ_cache *c = arg;
	int64_t now = writ_wall_ms(), next = 0;
	struct writ_entry *e;
	size_t i = 0;
	c->timer_at_ms = 0;
	while ((e = writ_map_next(&c->by_id, &i, NULL)) != NULL) {
		int64_t at = look_at(c, e, now);
		if (at && (!next || at < next))
			next = at;
	}
	if (next)
		alarm_at(c, next);
	if (!writ_list_empty(&c->queue))
		c->cfg.hungry(c->cfg.arg);
}

size_t writ_cache_svids(const struct writ_cache *c)
{
	return c->n_svids;
}
