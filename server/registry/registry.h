/* SPDX-License-Identifier: Apache-2.0 */
/* registry: entries, agents, join tokens and bundles in memory, as the store has them. Everything
 * that is read is read here; every change goes to the store first (registry/request.h) and shows
 * here once it is on disk. All functions are for the loop thread. */
#ifndef WRIT_REGISTRY_REGISTRY_H
#define WRIT_REGISTRY_REGISTRY_H

#include "store/store.h"

#define WRIT_PAGE_MAX 5000 /* rows in one answer; also what page size 0 gives */

struct writ_registry;

/* Loads everything from a store that was opened and not started, and starts it. td: our own trust
 * domain. The store stays the caller's, to be closed before the registry. */
WRIT_MUST writ_rc writ_registry_open(struct writ_loop *loop, struct writ_store *store,
	struct writ_str td, struct writ_registry **ret, struct writ_err *err);
/* Requests that have not completed yet: run the loop until there are none, then close. */
size_t writ_registry_busy(const struct writ_registry *r);
void writ_registry_close(
	struct writ_registry *r); /* asserts that nothing is busy, no watch is left */
uint64_t writ_registry_revision(const struct writ_registry *r); /* newest change in memory */
/* A random number made at opening: revisions of another one cannot be compared. Never 0. */
uint64_t writ_registry_epoch(const struct writ_registry *r);

/* References; done gives them back. */
struct writ_entry_list {
	struct writ_entry **v;
	size_t n, cap;
};
struct writ_node_list {
	struct writ_node **v;
	size_t n, cap;
};
void writ_entry_list_add(struct writ_entry_list *l, struct writ_entry *e); /* takes one more */
void writ_entry_list_done(struct writ_entry_list *l);
void writ_node_list_add(struct writ_node_list *l, struct writ_node *n);
void writ_node_list_done(struct writ_node_list *l);

struct writ_match_filter {
	bool on;
	enum writ_match match;
	struct writ_str set; /* of "type:value", or of trust domains; empty: WRIT_EINVAL */
};

struct writ_entry_filter {
	struct writ_str spiffe_id, parent_id; /* p == NULL: any */
	struct writ_str hint;                 /* p == NULL: any */
	struct writ_match_filter selectors, federates_with;
	bool by_downstream, downstream;
};

/* The counts are exact; a page has at most page_size rows (0: WRIT_PAGE_MAX) in the order of their
 * creation. page is the token of the page before (empty: the first), next gets the following one
 * (empty: this was the last). WRIT_EINVAL: a token that is none, an empty set in a filter. A row
 * that exists all through a listing is in it exactly once, whatever changes meanwhile. */
WRIT_MUST writ_rc writ_registry_list_entries(struct writ_registry *r,
	const struct writ_entry_filter *f, size_t page_size, struct writ_str page,
	struct writ_entry_list *ret, char next[32], struct writ_err *err);
WRIT_MUST writ_rc writ_registry_count_entries(struct writ_registry *r,
	const struct writ_entry_filter *f, size_t *ret, struct writ_err *err);
struct writ_entry *writ_registry_entry(
	const struct writ_registry *r, struct writ_str id); /* borrowed; NULL */

struct writ_node_filter {
	struct writ_str type; /* p == NULL: any */
	struct writ_match_filter selectors;
	bool by_banned, banned, by_can_reattest, can_reattest;
	int64_t expires_before; /* 0: any */
};
WRIT_MUST writ_rc writ_registry_list_nodes(struct writ_registry *r,
	const struct writ_node_filter *f, size_t page_size, struct writ_str page,
	struct writ_node_list *ret, char next[32], struct writ_err *err);
WRIT_MUST writ_rc writ_registry_count_nodes(struct writ_registry *r,
	const struct writ_node_filter *f, size_t *ret, struct writ_err *err);
struct writ_node *writ_registry_node(
	const struct writ_registry *r, struct writ_str id); /* borrowed; NULL */
/* By its serial, or its new one; borrowed; NULL. */
struct writ_node *writ_registry_node_by_serial(
	const struct writ_registry *r, struct writ_str serial);

/* Borrowed, until the loop runs on; NULL when absent. */
const struct writ_trust *writ_registry_trust(const struct writ_registry *r, struct writ_str td);
size_t writ_registry_count_trusts(const struct writ_registry *r);
const struct writ_token *writ_registry_token(
	const struct writ_registry *r, const uint8_t hash[WRIT_KEY_HASH_LEN]);
const struct writ_str *writ_registry_value(const struct writ_registry *r, struct writ_str name);
/* The CA journal in the order of writing: i = 0, 1, ...; NULL at the end. */
const struct writ_ca_slot *writ_registry_ca(const struct writ_registry *r, size_t i);

#endif
