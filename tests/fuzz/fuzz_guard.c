/* SPDX-License-Identifier: Apache-2.0 */
/* However the stream is cut into reads, the guard says the same at the same bytes and changes the
 * same lengths; and it never lets through more than it looked at. */
#include "front/guard.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void walk(uint8_t *p, size_t n, unsigned cut, int64_t log[64])
{
	struct writ_front_limits limits = WRIT_FRONT_LIMITS;
	limits.message = 300;
	struct writ_guard g;
	int64_t now = 0;
	size_t at = 0, events = 0, pass;
	writ_guard_init(&g, &limits, now);
	while (at < n && events < 60) {
		cut = cut * 1103515245 + 12345;
		size_t k = cut & 1 ? n - at : 1 + (cut >> 16) % 20 % (n - at);
		enum writ_guard_verdict v = writ_guard_up(&g, p + at, k, now, &pass);
		assert(pass <= k && (v != WRIT_GUARD_PASS || pass == k) &&
			g.n_open <= limits.streams);
		at += pass;
		if (v == WRIT_GUARD_PASS)
			continue;
		log[events++] = (int64_t)at * 4 + (int64_t)v;
		log[events++] = v == WRIT_GUARD_PAUSE ? g.resume_us : -1;
		if (v == WRIT_GUARD_KILL)
			break;
		assert(g.resume_us > now);
		now = g.resume_us;
	}
	log[62] = g.started;
	log[63] = g.n_open;
	writ_guard_done(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	int64_t a[64] = { 0 }, b[64] = { 0 };
	uint8_t *first = malloc(n + 1), *second = malloc(n + 1);
	assert(first && second);
	if (n) {
		memcpy(first, p, n);
		memcpy(second, p, n);
	}
	walk(first, n, 1, a);
	walk(second, n, n ? p[n - 1] * 2U : 0, b);
	assert(memcmp(a, b, sizeof(a)) == 0);
	assert(memcmp(first, second, n) == 0);
	free(first);
	free(second);
	return 0;
}
