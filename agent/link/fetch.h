/* SPDX-License-Identifier: Apache-2.0 */
/* fetch: gets SVIDs for the cache: keys and requests in jobs, BatchNewX509SVID in batches of at
 * most 128, two at a time. Loop thread. */
#ifndef WRIT_AGENT_FETCH_H
#define WRIT_AGENT_FETCH_H

#include "cache/cache.h"
#include "rpc/channel.h"

#define WRIT_FETCH_BATCH   128
#define WRIT_FETCH_FLIGHTS 2

struct writ_fetch;

struct writ_fetch_config {
	struct writ_loop *loop;
	struct writ_cache *cache;
	struct writ_str td;
	enum writ_key_type key_type;
	/* A call failed: the owner judges whether the connection or the agent is at fault. */
	void (*failed)(void *arg, const struct writ_rpc_status *s);
	void (*idle)(void *arg); /* after the last flight has landed; for the end */
	void *arg;
};

struct writ_fetch_stats {
	uint64_t fetched, refused;
};

struct writ_fetch *writ_fetch_new(const struct writ_fetch_config *cfg);
void writ_fetch_free(struct writ_fetch *f); /* only when it is idle */
/* Takes what the cache wants, if there is a channel. From anywhere: works from a task. */
void writ_fetch_kick(struct writ_fetch *f);
void writ_fetch_set_channel(struct writ_fetch *f, struct writ_channel *c); /* NULL: none */
bool writ_fetch_is_idle(const struct writ_fetch *f);
struct writ_fetch_stats writ_fetch_stats(const struct writ_fetch *f);

#endif
