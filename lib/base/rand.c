/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void writ_rand(void *p, size_t n)
{
	uint8_t *at = p;
	while (n) {
		ssize_t k = getrandom(at, n, 0);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			abort();
		at += k;
		n -= (size_t)k;
	}
}

uint64_t writ_rand_u64(void)
{
	uint64_t v;
	writ_rand(&v, sizeof(v));
	return v;
}

uint64_t writ_rand_below(uint64_t n)
{
	uint64_t floor = -n % n; /* values under it would make small results likelier */
	for (;;) {
		uint64_t v = writ_rand_u64();
		if (v >= floor)
			return v % n;
	}
}

void writ_rand_uuid(char out[37])
{
	uint8_t b[16];
	writ_rand(b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12],
		b[13], b[14], b[15]);
}

int64_t writ_jitter(int64_t base, unsigned spread_milli)
{
	int64_t spread =
		base / 1000 * (int64_t)spread_milli + base % 1000 * (int64_t)spread_milli / 1000;
	if (spread <= 0)
		return base;
	return base - spread + (int64_t)writ_rand_below((uint64_t)(2 * spread + 1));
}
