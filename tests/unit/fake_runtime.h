/* SPDX-License-Identifier: Apache-2.0 */
/* fake_runtime: a fake of a runtime's HTTP API, on a Unix socket or a port of loopback, that
 * answers what it is told to, or misbehaves. Not Docker, not podman, not a kubelet. */
#ifndef WRIT_TEST_FAKE_RUNTIME_H
#define WRIT_TEST_FAKE_RUNTIME_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum fake_mood {
	FAKE_ANSWERS,
	FAKE_ANSWERS_CHUNKED,
	FAKE_HANGS,     /* takes the request and says nothing */
	FAKE_STALLS,    /* says half of it */
	FAKE_TRUNCATES, /* says half of it and closes */
	FAKE_CLOSES,
	FAKE_GARBAGE,
	FAKE_ENDLESS, /* a gigabyte, if anybody read it */
	FAKE_MISSING, /* 404 */
	FAKE_BROKEN,  /* 500 */
};

struct fake_runtime {
	int fd;
	uint16_t port;
	char path[128]; /* "": on a port */
	const char *_Atomic body;
	_Atomic int mood;
	atomic_int requests, talks;
	atomic_bool stop;
	pthread_mutex_t lock;
	char target[256]; /* of the last request; under lock */
	pthread_t thread;
};

void fake_runtime_start(struct fake_runtime *f, const char *path); /* NULL: on a port */
void fake_runtime_stop(struct fake_runtime *f);
void fake_runtime_target(struct fake_runtime *f, char out[256]); /* of the last request */

#endif
