/* SPDX-License-Identifier: Apache-2.0 */
#include "front/budget.h"

#define FREE_PART 8

void writ_budget_init(struct writ_budget *b, uint32_t burst, uint32_t rate, int64_t now_us)
{
	*b = (struct writ_budget){
		.burst = burst, .rate = rate, .tokens = burst, .last_us = now_us
	};
}

static void refill(struct writ_budget *b, int64_t now_us)
{
	if (now_us <= b->last_us)
		return;
	b->tokens += (double)(now_us - b->last_us) * b->rate / 1e6;
	if (b->tokens > b->burst)
		b->tokens = b->burst;
	b->last_us = now_us;
}

static uint32_t clamp(const struct writ_budget *b, uint32_t n)
{
	return n < b->burst ? n : b->burst;
}

bool writ_budget_has(struct writ_budget *b, uint32_t n, int64_t now_us)
{
	refill(b, now_us);
	return b->tokens >= clamp(b, n);
}

void writ_budget_take(struct writ_budget *b, uint32_t n, int64_t now_us)
{
	refill(b, now_us);
	b->tokens -= clamp(b, n);
	if (b->tokens < -(double)b->burst)
		b->tokens = -(double)b->burst;
}

void writ_budget_repay(struct writ_budget *b, uint32_t n)
{
	b->tokens += n;
	if (b->tokens > b->burst)
		b->tokens = b->burst;
}

static int64_t time_for(const struct writ_budget *b, double tokens)
{
	if (tokens <= 0)
		return 0;
	double us = b->rate ? tokens / b->rate * 1e6 : 1e15;
	return us < 1e15 ? (int64_t)us + 1 : (int64_t)1e15;
}

int64_t writ_budget_ready_us(struct writ_budget *b, uint32_t n, int64_t now_us)
{
	refill(b, now_us);
	int64_t wait = time_for(b, clamp(b, n) - b->tokens);
	return now_us + (wait > WRIT_BUDGET_PAUSE_US ? wait : WRIT_BUDGET_PAUSE_US);
}

bool writ_budget_recovered(struct writ_budget *b, int64_t now_us)
{
	refill(b, now_us);
	return b->tokens >= b->burst / 2.0;
}

int64_t writ_budget_owed_us(struct writ_budget *b, int64_t now_us)
{
	refill(b, now_us);
	return time_for(b, b->burst - b->tokens - (double)(b->burst / FREE_PART));
}

void writ_debt_add(struct writ_debt *d, int64_t owed_us, int64_t max_us, int64_t now_us)
{
	if (owed_us <= 0)
		return;
	int64_t from = d->until_us > now_us ? d->until_us : now_us;
	d->until_us = from + owed_us;
	if (d->until_us > now_us + max_us)
		d->until_us = now_us + max_us;
}

int64_t writ_debt_left_us(const struct writ_debt *d, int64_t now_us)
{
	return d->until_us > now_us ? d->until_us - now_us : 0;
}
