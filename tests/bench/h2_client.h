/* SPDX-License-Identifier: Apache-2.0 */
/* h2_client: the least HTTP/2 client that can make one gRPC call on a Unix socket and read its
 * messages. It costs next to nothing, so that what is measured is the server. */
#ifndef WRIT_BENCH_H2_CLIENT_H
#define WRIT_BENCH_H2_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct h2 {
	int fd;
	uint8_t in[65536 + 64];
	size_t n;
	uint64_t messages;   /* whole gRPC messages seen */
	size_t message_left; /* bytes of the current one that are still to come */
	uint8_t prefix[5];
	size_t n_prefix;
	size_t last_size; /* bytes of the newest message */
	bool ended;       /* the stream or the connection */
};

/* Connects, sends preface, SETTINGS and a call with one empty message, in one write. -1: errno.
 * header may be NULL ("workload.spiffe.io"). */
int h2_open(struct h2 *h, const char *socket_path, const char *method, const char *header);
/* Reads once (waits up to timeout_ms) and digests; answers SETTINGS and PING. false: nothing came,
 * or it has ended. */
bool h2_read(struct h2 *h, int timeout_ms);
bool h2_wait(struct h2 *h, uint64_t messages, int timeout_ms); /* until that many have come */
void h2_close(struct h2 *h);

#endif
