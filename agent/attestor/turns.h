/* SPDX-License-Identifier: Apache-2.0 */
/* turns: whose question goes to the attestation process next. It answers one after the other, so
 * without this a user who asks a thousand times at once makes all others wait for a thousand
 * answers. Each user may have a few under way; further ones wait, and the users take turns. Pure;
 * one owner. */
#ifndef WRIT_ATTESTOR_TURNS_H
#define WRIT_ATTESTOR_TURNS_H

#include "base/list.h"
#include "base/map.h"

#include <sys/types.h>

#define WRIT_TURNS_WINDOW 16 /* questions of one user under way */
/* A question that takes longer waits for a disk, in a job: nobody waits behind it. */
#define WRIT_TURNS_SLOW_MS 20

/* A packet that waits. */
struct writ_turn {
	struct writ_list node;
	uint64_t id; /* of the question; 0: it is not answered */
	int fd;      /* owned; -1: none */
	size_t n;
	uint8_t p[];
};
struct writ_turn *writ_turn_new(uint64_t id, const void *p, size_t n, int fd); /* duplicates fd */
void writ_turn_free(struct writ_turn *t);                                      /* NULL is fine */

struct writ_turns {
	struct writ_map users;    /* its own: those with something under way or waiting */
	struct writ_list waiting; /* users whose turn it is not yet; the next in front */
};

void writ_turns_init(struct writ_turns *t);
void writ_turns_done(struct writ_turns *t); /* frees what waits */
/* May this user's packet go now? Then it counts as under way until it is answered or slow. One that
 * is not answered may go unless others of its user wait: it must not overtake them. */
bool writ_turns_go(struct writ_turns *t, uid_t uid, uint64_t id, int64_t now_ms);
void writ_turns_wait(struct writ_turns *t, uid_t uid, struct writ_turn *what); /* takes it */
/* The next that may go, and counts as under way; the caller's from now on. NULL: none, now. */
struct writ_turn *writ_turns_next(struct writ_turns *t, int64_t now_ms);
void writ_turns_answered(struct writ_turns *t, uid_t uid, uint64_t id);
bool writ_turns_any(const struct writ_turns *t); /* does anything wait? */
void writ_turns_sweep(
	struct writ_turns *t, int64_t now_ms); /* forgets users of whom nothing is left */

#endif
