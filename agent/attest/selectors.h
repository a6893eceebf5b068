/* SPDX-License-Identifier: Apache-2.0 */
/* selectors: facts about a caller, and what an entry asks for: "type:value" strings, sorted, each
 * once. The type ends at the first ':'. Build with add, then seal; the queries want a sealed set.
 */
#ifndef WRIT_ATTEST_SELECTORS_H
#define WRIT_ATTEST_SELECTORS_H

#include "base/buf.h"

/* Two for each supplementary group that pin keeps, one for each capability and ancestor, and some
 * forty single facts, rounded up. */
#define WRIT_SELECTORS_MAX      640
#define WRIT_SELECTOR_TYPE_MAX  64
#define WRIT_SELECTOR_VALUE_MAX 4352
#define WRIT_SELECTORS_BYTES    (256 * 1024)

struct writ_selector {
	struct writ_str text;        /* "unix:uid:1000" */
	struct writ_str type, value; /* "unix", "uid:1000" */
};

struct writ_selectors {
	struct writ_buf bytes;           /* the texts, one after another */
	struct writ_selector_slot *slot; /* owned; in the order of the texts once sealed */
	size_t n, cap;
	bool sealed;
};

struct writ_selector_slot {
	uint32_t at;
	uint16_t len, type_len;
};

void writ_selectors_init(struct writ_selectors *s);
void writ_selectors_done(struct writ_selectors *s); /* idempotent */
/* WRIT_EINVAL: an empty type or value, a ':' in the type, a control character, not UTF-8, too long.
 * WRIT_ELIMIT: more than WRIT_SELECTORS_MAX. */
WRIT_MUST writ_rc writ_selectors_add(struct writ_selectors *s, struct writ_str type,
	struct writ_str value, struct writ_err *err);
/* The same from the canonical form; WRIT_EINVAL when there is no ':'. */
WRIT_MUST writ_rc writ_selectors_add_text(
	struct writ_selectors *s, struct writ_str text, struct writ_err *err);
void writ_selectors_seal(struct writ_selectors *s); /* sorts, drops what is there twice */
struct writ_selector writ_selectors_at(const struct writ_selectors *s, size_t i); /* borrowed */
/* Has the caller all that the entry asks for? An entry that asks for nothing matches nobody. */
bool writ_selectors_match(const struct writ_selectors *entry, const struct writ_selectors *caller);
bool writ_selectors_eq(const struct writ_selectors *a, const struct writ_selectors *b);
/* Equal sets have equal hashes, in this process; confirm with eq. */
uint64_t writ_selectors_hash(const struct writ_selectors *s);
/* Appends "unix:gid:5, unix:uid:5": for logs and messages. */
void writ_selectors_print(const struct writ_selectors *s, struct writ_buf *out);

#endif
