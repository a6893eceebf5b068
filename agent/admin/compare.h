/* SPDX-License-Identifier: Apache-2.0 */
/* compare: an entry held against what a process has: which selectors are missing, what the process
 * has in their place, and why it may have nothing. Pure. */
#ifndef WRIT_AGENT_COMPARE_H
#define WRIT_AGENT_COMPARE_H

#include "attest/attestor.h"

/* What a process has. Borrowed; selectors sealed, notes a line each. */
struct writ_have {
	const struct writ_selectors *selectors;
	struct writ_str notes;
	const struct writ_attestor_vt *const *attestors; /* of this agent; ends with NULL */
	unsigned asked; /* enum writ_attest_flag: what was looked for */
};

/* One selector of an entry; slices of the entry, of have, and of why. */
struct writ_part {
	struct writ_str selector;
	bool has;
	size_t others; /* how many of this kind the process has */
	struct writ_str
		instead; /* that one, when it is one that could stand in its place; else empty */
	char why[256];   /* a sentence, when the process has none; "" */
};

struct writ_score {
	size_t missing, has;
	size_t telling; /* of has: those that many processes have by chance are not */
	bool is_alias;  /* it asks for a node: no process can have that */
};

struct writ_score writ_score_of(
	const struct writ_selectors *entry, const struct writ_selectors *have);
/* Below 0: a is the nearer one. Fewer missing, then more there, then more that tells; aliases of
 * nodes last. */
int writ_score_cmp(struct writ_score a, struct writ_score b);
/* The i-th selector of a sealed set. */
void writ_compare(const struct writ_selectors *entry, size_t i, const struct writ_have *have,
	struct writ_part *ret);
/* The attestor that gives selectors like this one; NULL: none of the list. */
const struct writ_attestor_vt *writ_giver_of(
	const struct writ_attestor_vt *const *attestors, struct writ_str selector);
/* How many bytes at the front of a selector say what it is about: of "unix:uid:7" those of
 * "unix:uid:", of "docker:label:a:b" those of "docker:label:a:", of "docker:env:A=b" those of
 * "docker:env:A=", of "caps:none" those of "caps:". */
size_t writ_kind_of(const struct writ_attestor_vt *const *attestors, struct writ_str selector);

#endif
