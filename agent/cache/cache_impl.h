/* SPDX-License-Identifier: Apache-2.0 */
/* cache_impl: what the files of the cache share. Inside agent/cache only. */
#ifndef WRIT_AGENT_CACHE_IMPL_H
#define WRIT_AGENT_CACHE_IMPL_H

#include "cache/cache.h"

struct writ_cache {
	struct writ_cache_config cfg;
	char *td;
	struct writ_map by_id;
	struct writ_index index;
	struct writ_slab *slab;
	struct writ_bundle *bundle;
	struct writ_list queue;   /* entries that need an SVID; urgent ones in front */
	struct writ_timer *timer; /* the next renewal, retry or end of an SVID */
	int64_t timer_at_ms;      /* wall; 0: not running */
	uint64_t versions, listing;
	size_t prefetched; /* entries that have an SVID, or will */
	size_t n_svids;
	bool full, listed, notice_posted;
	struct writ_task notice;
};

/* cache.c */
void writ_cache_touch(struct writ_cache *c, struct writ_entry *e); /* what is given has changed */
void writ_cache_notice(struct writ_cache *c);
void writ_entry_unref(struct writ_entry *e);

/* renew.c: everything about SVIDs. */
void writ_cache_want(struct writ_cache *c, struct writ_entry *e, bool urgent);
void writ_cache_drop_svid(struct writ_cache *c, struct writ_entry *e);
void writ_cache_forget(struct writ_cache *c, struct writ_entry *e); /* it is gone */
/* To the entry that took its place: served on, and renewed at once. */
void writ_cache_move_svid(struct writ_cache *c, struct writ_entry *from, struct writ_entry *to);
void writ_cache_on_timer(void *arg);
/* The bundle's taint has changed: what a tainted authority signed is renewed now. */
void writ_cache_renew_tainted(struct writ_cache *c);

#endif
