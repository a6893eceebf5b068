/* SPDX-License-Identifier: Apache-2.0 */
/* rand: bytes from the kernel, by getrandom(2). Aborts when the kernel has none: never a weak byte.
 */
#ifndef WRIT_BASE_RAND_H
#define WRIT_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

void writ_rand(void *p, size_t n);
uint64_t writ_rand_u64(void);
uint64_t writ_rand_below(uint64_t n); /* 0 <= x < n, without bias; n > 0 */
/* A random UUID (RFC 9562, version 4) in its 36-character text form and a NUL. */
void writ_rand_uuid(char out[37]);
/* base scaled by a factor drawn from [1 - spread, 1 + spread]; spread in thousandths. */
int64_t writ_jitter(int64_t base, unsigned spread_milli);

#endif
