/* SPDX-License-Identifier: Apache-2.0 */
/* link: the agent's side of the server. Joins, keeps its own SVID fresh and on disk before it is
 * used, keeps the connection, and comes back after outages. Loop thread. */
#ifndef WRIT_AGENT_LINK_H
#define WRIT_AGENT_LINK_H

#include "cache/cache.h"
#include "node/prover.h"
#include "state/state.h"

struct writ_link;

struct writ_link_config {
	struct writ_loop *loop;
	const char *td, *host; /* borrowed while the link lives */
	uint16_t port;
	const char *state_path;     /* borrowed */
	bool keep_key;              /* false: only the bundle goes to disk (KeyManager "memory") */
	struct writ_bundle *trust;  /* for the first contact; reference taken; NULL: none */
	bool insecure;              /* first contact without a check of the chain */
	struct writ_secret token;   /* moved; empty: none */
	struct writ_prover *prover; /* borrowed while the link lives; NULL: none */
	struct writ_cache *cache;   /* borrowed */
	enum writ_key_type workload_key_type;
	/* The agent cannot go on; err says what to do. At most once. */
	void (*fatal)(void *arg, const struct writ_err *err);
	/* There is an identity that holds: kept, or got; again with each connection. */
	void (*identity)(void *arg);
	void (*without)(
		void *arg, const struct writ_err *why); /* there is none, and a try failed */
	void (*synced)(void *arg); /* entries and bundle are as the server's; again after changes */
	void *arg;
};

struct writ_link_stats {
	bool connected;
	uint64_t connects, renewals, svids_fetched, svids_refused;
	int64_t sync_lag_us;
	int64_t svid_not_after; /* Unix seconds; 0: none */
	/* Of the CA in the bundle that lives longest, and is not tainted; 0: none. */
	int64_t ca_not_before, ca_not_after;
	size_t cas;
	bool clock_known; /* the server said its time */
	int64_t server_ahead_ms;
};

/* Moves from state. Everything else is asynchronous. */
struct writ_link *writ_link_start(const struct writ_link_config *cfg, struct writ_state *state);
void writ_link_hungry(struct writ_link *l); /* for the cache */
struct writ_link_stats writ_link_stats(const struct writ_link *l);
const char *writ_link_agent_id(const struct writ_link *l); /* "" before it joined */
void writ_link_stop(struct writ_link *l, void (*done)(void *arg), void *arg); /* frees it */

#endif
