/* SPDX-License-Identifier: Apache-2.0 */
/* source: where connections come from (a uid, an address, a process, a block of uids): how many it
 * has, what it owes. Inside lib/front only. */
#ifndef WRIT_FRONT_SOURCE_H
#define WRIT_FRONT_SOURCE_H

#include "base/list.h"
#include "base/map.h"
#include "front/budget.h"

enum writ_source_kind { WRIT_SOURCE_UID, WRIT_SOURCE_PID, WRIT_SOURCE_ADDR, WRIT_SOURCE_BLOCK };

/* A user may be given a range of subordinate uids (subuid(5)), by custom 65,536, and be each of
 * them: what is rationed by uid would be his as often. The first block is of users who are given
 * one by one. */
#define WRIT_UID_BLOCK 65536

struct writ_source_key {
	uint8_t kind;
	uint8_t id[16];
};

struct writ_source {
	struct writ_source_key key;
	uint32_t conns;
	uint32_t streams; /* open ones of all its connections */
	struct writ_debt debt;
	struct writ_list debtor;  /* in sources.debtors while it has debt and no connection */
	struct writ_list waiting; /* its connections that wait for a TLS handshake */
	struct writ_list turn;    /* in the queue of sources with such connections */
};

struct writ_sources {
	struct writ_map map;
	struct writ_list debtors;
};

/* All that one connection is counted in. */
struct writ_claim {
	struct writ_source *source;          /* its uid, or its address */
	struct writ_source *process, *block; /* NULL: not counted by that */
};

void writ_sources_init(struct writ_sources *s);
void writ_sources_done(struct writ_sources *s);
/* Counts one more connection; false, with *ret untouched, when it has max already. */
bool writ_source_enter(struct writ_sources *s, struct writ_source_key key, uint32_t max,
	int64_t now_us, struct writ_source **ret);
/* One less; forgets the source when it has none and owes nothing. */
void writ_source_leave(struct writ_sources *s, struct writ_source *src, int64_t now_us);
/* The same for all of a claim, which is empty then. */
void writ_claim_leave(struct writ_sources *s, struct writ_claim *c, int64_t now_us);
struct writ_source_key writ_source_number(enum writ_source_kind kind, uint32_t n);

#endif
