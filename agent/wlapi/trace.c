/* SPDX-License-Identifier: Apache-2.0 */
#include "wlapi/trace.h"

#include "base/clock.h"
#include "base/rand.h"

#include <stdint.h>

#define TIME_DIGITS 10

void writ_trace_new(char out[WRIT_TRACE_LEN + 1])
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	uint64_t ms = (uint64_t)writ_wall_ms();
	uint8_t random[WRIT_TRACE_LEN - TIME_DIGITS];
	writ_rand(random, sizeof(random));
	for (int i = TIME_DIGITS - 1; i >= 0; i--, ms >>= 5)
		out[i] = digits[ms & 31];
	for (int i = TIME_DIGITS; i < WRIT_TRACE_LEN; i++)
		out[i] = digits[random[i - TIME_DIGITS] & 31];
	out[WRIT_TRACE_LEN] = 0;
}
