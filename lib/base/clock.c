/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic int64_t fixed_wall_ms = -1, fixed_mono_us = -1;

static int64_t read_us(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t writ_wall_ms(void)
{
	int64_t fixed = atomic_load_explicit(&fixed_wall_ms, memory_order_relaxed);
	return fixed >= 0 ? fixed : read_us(CLOCK_REALTIME) / 1000;
}

int64_t writ_wall_s(void)
{
	return writ_wall_ms() / 1000;
}

int64_t writ_mono_us(void)
{
	int64_t fixed = atomic_load_explicit(&fixed_mono_us, memory_order_relaxed);
	return fixed >= 0 ? fixed : read_us(CLOCK_MONOTONIC);
}

int64_t writ_mono_ms(void)
{
	return writ_mono_us() / 1000;
}

int64_t writ_thread_cpu_us(void)
{
	return read_us(CLOCK_THREAD_CPUTIME_ID);
}

void writ_clock_set_wall_ms(int64_t ms)
{
	atomic_store(&fixed_wall_ms, ms);
}

void writ_clock_set_mono_us(int64_t us)
{
	atomic_store(&fixed_mono_us, us);
}
