/* SPDX-License-Identifier: Apache-2.0 */
/* attestor_kit: the attestation process as a thread of the test, with nothing given up. For tests;
 * add attestor_kit.c. */
#ifndef WRIT_TEST_ATTESTOR_KIT_H
#define WRIT_TEST_ATTESTOR_KIT_H

#include "attestor/serve.h"
#include "wlapi/caller.h"

#include <pthread.h>

struct attestor_kit {
	struct writ_attestor_config cfg;
	struct writ_attest_env *env;
	struct writ_attest_link *link;
	pthread_t thread;
	int fd;
	bool down;
};

/* The env is ready for writ_wlapi_start; close it after the wlapi has stopped. */
void attestor_kit_open(struct attestor_kit *k, struct writ_loop *loop, struct writ_attest_env *env,
	const struct writ_attestor_vt *const *attestors);
void attestor_kit_close(struct attestor_kit *k);

#endif
