/* SPDX-License-Identifier: Apache-2.0 */
/* pack: a list of strings in one string, as netstrings back to back: "12:unix:uid:1000,". Readable
 * in the database, and the same bytes serve in memory. A pack that stands for a set is sorted
 * bytewise and has no duplicates, so that equal sets are equal bytes. Pure; any thread. */
#ifndef WRIT_STORE_PACK_H
#define WRIT_STORE_PACK_H

#include "base/buf.h"

/* How a candidate set has to stand to a given one; the numbers are SPIRE's. SUBSET asks for a
 * candidate that is not empty. */
enum writ_match { WRIT_MATCH_EXACT, WRIT_MATCH_SUBSET, WRIT_MATCH_SUPERSET, WRIT_MATCH_ANY };

void writ_pack_add(struct writ_buf *out, struct writ_str item);
/* Appends the items as a set. Reorders the caller's array. */
void writ_pack_set(struct writ_buf *out, struct writ_str *items, size_t n);
/* The next item, borrowed; *pack moves behind it. False at the end, and where it is no pack. */
bool writ_pack_next(struct writ_str *pack, struct writ_str *item);
/* Is it a pack from the first byte to the last? *n (may be NULL) gets the number of items. */
bool writ_pack_valid(struct writ_str pack, size_t *n);
bool writ_pack_has(struct writ_str pack, struct writ_str item);
/* The functions below are for sets. */
bool writ_pack_is_set(struct writ_str pack);
bool writ_pack_within(struct writ_str a, struct writ_str b); /* every item of a is in b */
bool writ_pack_match(struct writ_str candidate, struct writ_str given, enum writ_match match);

#endif
