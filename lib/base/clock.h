/* SPDX-License-Identifier: Apache-2.0 */
/* clock: wall time for certificates, monotonic time for waiting. Never mixed. Tests set both. */
#ifndef WRIT_BASE_CLOCK_H
#define WRIT_BASE_CLOCK_H

#include <stdint.h>

int64_t writ_wall_s(void); /* seconds since the Unix epoch */
int64_t writ_wall_ms(void);
int64_t writ_mono_ms(void);
int64_t writ_mono_us(void);
int64_t writ_thread_cpu_us(void);

/* For tests: from now on the clock stands at these values (-1: back to the real clock). */
void writ_clock_set_wall_ms(int64_t ms);
void writ_clock_set_mono_us(int64_t us);

#endif
