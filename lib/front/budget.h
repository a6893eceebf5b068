/* SPDX-License-Identifier: Apache-2.0 */
/* budget: what a connection may spend, and what its owner still owes when it is gone. Pure: the
 * time is a parameter, in microseconds of the monotonic clock. */
#ifndef WRIT_FRONT_BUDGET_H
#define WRIT_FRONT_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/* A pause is never shorter: below it waking up costs more than what is saved. */
#define WRIT_BUDGET_PAUSE_US 10000

struct writ_budget {
	uint32_t burst, rate; /* tokens; tokens a second */
	double tokens;
	int64_t last_us;
};

void writ_budget_init(
	struct writ_budget *b, uint32_t burst, uint32_t rate, int64_t now_us); /* full */
/* True when n tokens are there; nothing is taken. An n over the burst counts as the burst. */
bool writ_budget_has(struct writ_budget *b, uint32_t n, int64_t now_us);
/* Takes n, below zero if need be, never below minus the burst. */
void writ_budget_take(struct writ_budget *b, uint32_t n, int64_t now_us);
void writ_budget_repay(struct writ_budget *b, uint32_t n); /* never over the burst */
/* When n tokens will be there, at least one pause ahead. */
int64_t writ_budget_ready_us(struct writ_budget *b, uint32_t n, int64_t now_us);
bool writ_budget_recovered(struct writ_budget *b, int64_t now_us); /* at least half full */
/* How long the bucket needs to pay back what was spent, an eighth of the burst being free: what
 * every well-behaved connection spends must not add up to a delay for the next one. */
int64_t writ_budget_owed_us(struct writ_budget *b, int64_t now_us);

/* The debt of a uid or an address: a point in time until which its new connections wait. */
struct writ_debt {
	int64_t until_us;
};
/* Adds what one connection spent, once; the sum never reaches further than max_us from now. */
void writ_debt_add(struct writ_debt *d, int64_t owed_us, int64_t max_us, int64_t now_us);
int64_t writ_debt_left_us(const struct writ_debt *d, int64_t now_us);

#endif
