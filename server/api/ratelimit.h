/* SPDX-License-Identifier: Apache-2.0 */
/* ratelimit: how much one address (of IPv6: one /64) may ask for. What is too fast waits its turn,
 * in a queue with an end; nothing is refused that waiting would mend. Loop thread. */
#ifndef WRIT_API_RATELIMIT_H
#define WRIT_API_RATELIMIT_H

#include "rpc/rpc.h"

#define WRIT_RATE_WAITING_MAX 256  /* calls of one address and class that wait */
#define WRIT_RATE_TOTAL_MAX   4096 /* calls that wait at all */

/* writ_rpc_method.rate. */
enum writ_rate {
	WRIT_RATE_NONE,
	WRIT_RATE_ATTEST,
	WRIT_RATE_SIGN,       /* one certificate */
	WRIT_RATE_SIGN_BATCH, /* as many as are asked for, out of the same bucket */
	WRIT_RATE_JWT,
	WRIT_RATE_WIT,
	WRIT_RATE_PUBLISH_JWT,
	WRIT_RATE_PUBLISH_WIT,
	WRIT_RATE_STATUS,
	WRIT_RATES
};

#define WRIT_RATE_SOURCE_MAX 64
/* Whom an address "1.2.3.4:5" or "[2001:db8::1]:5" stands for: itself, or the /64 that an IPv6 host
 * has. */
void writ_ratelimit_source(const char *addr, char out[WRIT_RATE_SOURCE_MAX]);

struct writ_ratelimit;
/* attestation, signing: the switches of the configuration. */
struct writ_ratelimit *writ_ratelimit_new(struct writ_loop *loop, bool attestation, bool signing);
void writ_ratelimit_free(struct writ_ratelimit *r); /* no call waits any more; NULL is fine */
/* Ends in writ_call_run or writ_call_fail, now or later. */
void writ_ratelimit_pass(struct writ_ratelimit *r, struct writ_call *c);

#endif
