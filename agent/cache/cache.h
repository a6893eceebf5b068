/* SPDX-License-Identifier: Apache-2.0 */
/* cache: the entries this agent may serve, their SVIDs, and the trust bundle. It says which SVIDs
 * have to be fetched and hands out what is ready; it talks to nobody. Loop thread. */
#ifndef WRIT_AGENT_CACHE_H
#define WRIT_AGENT_CACHE_H

#include "base/list.h"
#include "cache/index.h"
#include "cache/slab.h"
#include "loop/loop.h"
#include "spiffe/bundle.h"

#define WRIT_CACHE_ENTRIES_MAX  100000
#define WRIT_CACHE_PREFETCH_MAX 1000  /* kept ready without being asked for; more only on demand */
#define WRIT_TAINT_SPREAD_MS    10000 /* so that a server does not get all at once */
#define WRIT_TAINT_AGAIN_MS     30000 /* when the new SVID is signed by such an authority as well */
#define WRIT_MATCHES_MAX        256   /* identities of one caller; further ones are left out */

struct writ_cache;

enum writ_entry_fetch { WRIT_FETCH_IDLE, WRIT_FETCH_QUEUED, WRIT_FETCH_FLYING };

/* Read by all, written by cache.c only. Shared by reference: one that is gone stays readable. */
struct writ_entry {
	int refs;
	bool gone;
	char *id, *spiffe_id, *hint; /* owned */
	int64_t revision, created_at;
	bool on_demand; /* the entry says: not before somebody asks */
	struct writ_selectors selectors;
	struct writ_filed filed;
	uint64_t version; /* grows with every change of what a workload is given */
	uint64_t seen;    /* number of the last full listing that had it */

	/* The SVID; key NULL: none. */
	uint8_t *key; /* a slot */
	size_t key_len;
	uint8_t *chain; /* owned: DER back to back */
	size_t chain_len;
	int64_t not_before, not_after, renew_at_ms;

	unsigned watchers; /* streams that serve it */
	enum writ_entry_fetch fetch;
	struct writ_list queue;
	bool urgent;         /* somebody waits */
	bool counted;        /* among those that have an SVID, or will */
	unsigned failures;   /* in a row */
	int64_t retry_at_ms; /* wall */
};

struct writ_cache_config {
	struct writ_loop *loop;
	struct writ_str td;
	size_t key_slot;     /* bytes that the largest PKCS#8 of the key type needs */
	size_t prefetch_max; /* 0: WRIT_CACHE_PREFETCH_MAX */
	/* What some workload is given has changed. From a task of its own, so that many changes are
	 * one call. */
	void (*changed)(void *arg);
	void (*hungry)(void *arg); /* writ_cache_next has something; from inside other calls */
	void *arg;
};

struct writ_cache *writ_cache_new(const struct writ_cache_config *cfg);
void writ_cache_free(struct writ_cache *c); /* references to entries stay good, without keys */

/* --- what the server says --- */
struct writ_entry_spec {
	struct writ_str id, spiffe_id, hint;
	int64_t revision, created_at;
	bool on_demand;
	struct writ_selectors *selectors; /* moved from when WRIT_OK; need not be sealed */
};

/* A listing, of everything (full) or of what changed: begin, put and remove, commit. Entries put
 * count at once; what a full listing did not have goes at commit. abort: nothing goes. */
void writ_cache_begin(struct writ_cache *c, bool full);
/* WRIT_EINVAL: not an entry we can serve (another trust domain, no selectors). WRIT_ELIMIT. */
WRIT_MUST writ_rc writ_cache_put(
	struct writ_cache *c, const struct writ_entry_spec *spec, struct writ_err *err);
void writ_cache_remove(struct writ_cache *c, struct writ_str id);
void writ_cache_commit(struct writ_cache *c);
void writ_cache_abort(struct writ_cache *c);
/* Takes a reference. Same authorities as before: workloads are given nothing anew. SVIDs that rest
 * on an authority which is tainted from now on are renewed within WRIT_TAINT_SPREAD_MS. */
void writ_cache_set_bundle(struct writ_cache *c, struct writ_bundle *b);

/* --- fetching --- */
/* Up to max entries that need an SVID, as references; they count as flying until put or failed. */
size_t writ_cache_next(struct writ_cache *c, struct writ_entry **out, size_t max);
struct writ_fetched {
	const uint8_t *key, *chain; /* copied; the caller wipes */
	size_t key_len, chain_len;
	int64_t not_before, not_after;
};
/* Ends flying, and drops the reference. */
void writ_cache_fetched(struct writ_cache *c, struct writ_entry *e, const struct writ_fetched *f);
/* The same without an SVID. later: with back-off; else as soon as it is asked for. */
void writ_cache_failed(struct writ_cache *c, struct writ_entry *e, bool later);

/* --- serving --- */
bool writ_cache_is_synced(const struct writ_cache *c); /* a listing and a bundle have come */
struct writ_bundle *writ_cache_bundle(const struct writ_cache *c); /* borrowed; NULL */
/* enum writ_attest_flag: the costly selectors that some entry asks for. */
unsigned writ_cache_wants(const struct writ_cache *c);
/* The entries whose selectors this caller has, oldest first, of those with the same hint only the
 * oldest. out holds max; the result is borrowed until the next change. */
size_t writ_cache_match(const struct writ_cache *c, const struct writ_selectors *caller,
	struct writ_entry **out, size_t max);
/* The entry that asks for this selector, among others perhaps, and has been here longest; NULL:
 * none.
 */
const struct writ_entry *writ_cache_asking(const struct writ_cache *c, struct writ_str selector);
/* A stream serves this entry, or no longer does: takes or drops a reference. */
void writ_cache_watch(struct writ_cache *c, struct writ_entry *e);
void writ_cache_unwatch(struct writ_cache *c, struct writ_entry *e);
/* Has it an SVID that holds now? */
bool writ_entry_is_ready(const struct writ_entry *e, int64_t now_s);
/* Has it one, or will it have one without being asked for? Otherwise it gets one when it is. */
bool writ_cache_keeps(const struct writ_cache *c, const struct writ_entry *e);

/* All entries as they are now, as references: they outlive any change. *ret is owned; both go with
 * writ_cache_list_done. */
size_t writ_cache_list(const struct writ_cache *c, struct writ_entry ***ret);
void writ_cache_list_done(struct writ_entry **list, size_t n);

size_t writ_cache_entries(const struct writ_cache *c);
size_t writ_cache_svids(const struct writ_cache *c);

#endif
