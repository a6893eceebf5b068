/* SPDX-License-Identifier: Apache-2.0 */
/* limiter: token buckets and back-off, on the monotonic clock. */
#ifndef WRIT_BASE_LIMITER_H
#define WRIT_BASE_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

struct writ_bucket {
	double rate; /* tokens a second */
	double burst;
	double tokens;
	int64_t last_us;
};

void writ_bucket_init(struct writ_bucket *b, double rate, double burst); /* starts full */
bool writ_bucket_take(struct writ_bucket *b, double n); /* false: not now, nothing taken */
int64_t writ_bucket_wait_ms(
	struct writ_bucket *b, double n); /* until n are there; 0: now, INT64_MAX: never */

struct writ_backoff {
	int64_t first_ms, max_ms, next_ms;
};

void writ_backoff_init(struct writ_backoff *b, int64_t first_ms, int64_t max_ms);
int64_t writ_backoff_next(struct writ_backoff *b); /* doubles each time, +-25 % jitter */
void writ_backoff_reset(struct writ_backoff *b);

#endif
