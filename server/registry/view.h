/* SPDX-License-Identifier: Apache-2.0 */
/* view: what one agent may have. The set is the closure over parents: what hangs under the agent's
 * own ID and under every alias it matches (entries under spiffe://td/spire/server whose selectors
 * it has), and under what hangs there. Kept is only which IDs are reached; entries are looked up
 * under them, so that a change wakes the agents concerned and costs nothing else. An agent that is
 * not in the registry, or is banned, may have nothing. Loop thread. */
#ifndef WRIT_REGISTRY_VIEW_H
#define WRIT_REGISTRY_VIEW_H

#include "registry/registry.h"

/* All entries that agent may have, in no particular order. */
void writ_registry_authorized(
	struct writ_registry *r, struct writ_str agent, struct writ_entry_list *ret);
/* That entry if agent may have it: borrowed; NULL. */
struct writ_entry *writ_registry_authorized_entry(
	struct writ_registry *r, struct writ_str agent, struct writ_str entry_id);

struct writ_changes {
	uint64_t revision; /* what the agent has after applying this */
	bool full;         /* entries is the whole set: drop what is not in it */
	struct writ_entry_list entries;
	char **removed; /* owned; entry IDs, some of which the agent may never have had */
	size_t n_removed;
};
/* The difference to revision `since` (0: nothing), of this epoch. Full when too much lies between.
 */
void writ_registry_changes(
	struct writ_registry *r, struct writ_str agent, uint64_t since, struct writ_changes *ret);
void writ_changes_done(struct writ_changes *c);
/* Revision of the newest change to what agent may have. */
uint64_t writ_registry_agent_revision(struct writ_registry *r, struct writ_str agent);

/* Calls changed() from the loop after changes that concern agent; several may share one call. It
 * may unwatch. */
struct writ_watch;
struct writ_watch *writ_registry_watch(
	struct writ_registry *r, struct writ_str agent, void (*changed)(void *arg), void *arg);
/* The same for any bundle. */
struct writ_watch *writ_registry_watch_trust(
	struct writ_registry *r, void (*changed)(void *arg), void *arg);
void writ_registry_unwatch(struct writ_watch *w); /* no call after this; NULL is fine */

#endif
