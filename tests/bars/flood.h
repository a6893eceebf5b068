/* SPDX-License-Identifier: Apache-2.0 */
/* What the probes of flood.c send: a beginning, then the same unit for ever or some times, with the
 * number of a new stream in it where it opens one. */
#ifndef WRIT_TESTS_FLOOD_H
#define WRIT_TESTS_FLOOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct probe {
	const char *name;
	void (*begin)(void); /* NULL: nothing */
	void (*unit)(void);  /* NULL: none */
	uint32_t times;      /* the unit; 0: for ever */
	bool drips;          /* a byte now and then */
	bool hangs_up;       /* closes when all is said */
	bool bare;           /* TCP: not even a TLS handshake */
	bool hello;          /* TCP: hangs up when the server has answered the ClientHello */
};

const struct probe *probe_find(const char *name); /* NULL: none; one at a time */
void probe_list(FILE *f);
/* The bytes from `at` on; how many. 0: all is said. */
size_t probe_fill(const struct probe *p, uint64_t at, uint8_t *out, size_t max);

#endif
