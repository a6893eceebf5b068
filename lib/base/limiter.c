/* SPDX-License-Identifier: Apache-2.0 */
#include "base/limiter.h"

#include "base/clock.h"
#include "base/rand.h"

void writ_bucket_init(struct writ_bucket *b, double rate, double burst)
{
	*b = (struct writ_bucket){
		.rate = rate, .burst = burst, .tokens = burst, .last_us = writ_mono_us()
	};
}

static void refill(struct writ_bucket *b)
{
	int64_t now = writ_mono_us();
	if (now > b->last_us) {
		b->tokens += (double)(now - b->last_us) * b->rate / 1e6;
		if (b->tokens > b->burst)
			b->tokens = b->burst;
	}
	b->last_us = now;
}

bool writ_bucket_take(struct writ_bucket *b, double n)
{
	refill(b);
	if (b->tokens < n)
		return false;
	b->tokens -= n;
	return true;
}

int64_t writ_bucket_wait_ms(struct writ_bucket *b, double n)
{
	refill(b);
	if (b->tokens >= n)
		return 0;
	double ms = b->rate > 0 ? (n - b->tokens) / b->rate * 1000.0 : 1e30;
	return ms < 1e15 ? (int64_t)ms + 1 : INT64_MAX;
}

void writ_backoff_init(struct writ_backoff *b, int64_t first_ms, int64_t max_ms)
{
	*b = (struct writ_backoff){ first_ms, max_ms, first_ms };
}

int64_t writ_backoff_next(struct writ_backoff *b)
{
	int64_t now = b->next_ms;
	b->next_ms = now > b->max_ms / 2 ? b->max_ms : now * 2;
	return writ_jitter(now, 250);
}

void writ_backoff_reset(struct writ_backoff *b)
{
	b->next_ms = b->first_ms;
}
