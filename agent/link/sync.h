/* SPDX-License-Identifier: Apache-2.0 */
/* sync: keeps the cache's entries and bundle like the server's. A stream says where things stand,
 * the difference is fetched (proto/writ/push); a server without that service (SPIRE) is asked every
 * five seconds. Loop thread. */
#ifndef WRIT_AGENT_SYNC_H
#define WRIT_AGENT_SYNC_H

#include "cache/cache.h"
#include "rpc/channel.h"

struct writ_sync;

struct writ_sync_config {
	struct writ_loop *loop;
	struct writ_cache *cache;
	struct writ_str td;
	void (*bundle)(void *arg, struct writ_bundle *b); /* a new one; take a reference */
	/* A call failed or the stream ended: the owner judges. */
	void (*failed)(void *arg, const struct writ_rpc_status *s);
	void (*synced)(void *arg); /* the cache is as the server said */
	void *arg;
};

struct writ_sync *writ_sync_new(const struct writ_sync_config *cfg);
void writ_sync_free(struct writ_sync *s); /* after down, and the channel's close was done */
void writ_sync_up(struct writ_sync *s, struct writ_channel *c);
void writ_sync_down(
	struct writ_sync *s); /* the channel is no longer used; its calls may still end */
/* By how much the server's clock is ahead of this machine's now, by what it said last; too little
 * by the time that its word took. False: it never said. */
bool writ_sync_clock(const struct writ_sync *s, int64_t *ret_ahead_ms);
int64_t writ_sync_lag_us(const struct writ_sync *s); /* of the last change: notice to applied */

#endif
