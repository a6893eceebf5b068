/* SPDX-License-Identifier: Apache-2.0 */
/* index: which entries does a caller match. Each entry is filed under the rarest of its selectors,
 * so that a caller's own selectors lead to few candidates, however many entries there are; and each
 * selector knows who asks for it. Loop thread. */
#ifndef WRIT_AGENT_INDEX_H
#define WRIT_AGENT_INDEX_H

#include "attest/wants.h"
#include "base/list.h"
#include "base/map.h"

struct writ_index {
	struct writ_map buckets; /* by the selector's text */
	struct writ_wants wants; /* what the filed ones ask for */
};

struct writ_bucket_of;
struct writ_asks;

/* What is filed; embedded in an entry. */
struct writ_filed {
	const struct writ_selectors
		*selectors; /* borrowed, sealed, not empty, unchanged while filed */
	struct writ_bucket_of *bucket;
	size_t at;              /* place in the bucket */
	struct writ_asks *asks; /* owned while filed: one for each selector */
};

void writ_index_init(struct writ_index *x);
void writ_index_done(struct writ_index *x); /* nothing is filed any more */
void writ_index_add(struct writ_index *x, struct writ_filed *f);
void writ_index_remove(struct writ_index *x, struct writ_filed *f);
/* Calls found() for each filed thing whose selectors the caller (sealed) has all of. */
void writ_index_match(const struct writ_index *x, const struct writ_selectors *caller,
	void (*found)(void *arg, struct writ_filed *f), void *arg);
/* What asks for this selector, among others perhaps, and was filed first; NULL: nothing. */
struct writ_filed *writ_index_asking(const struct writ_index *x, struct writ_str selector);

#endif
