/* SPDX-License-Identifier: Apache-2.0 */
/* wlapi_kit: a Workload API with its own loop, cache and attestation process, and what an agent
 * would put into it. For tests; add wlapi_kit.c, attestor_kit.c and forge.c. */
#ifndef WRIT_TEST_WLAPI_KIT_H
#define WRIT_TEST_WLAPI_KIT_H

#include "attestor_kit.h"
#include "wlapi/wlapi_impl.h"

#define WLAPI_KIT_MS 15000 /* for anything that has to come */

struct wlapi_kit {
	struct writ_loop *loop;
	struct writ_cache *cache;
	struct writ_decisions *decisions;
	struct writ_wlapi *w; /* NULL: it was stopped */
	struct writ_attest_env env;
	struct attestor_kit attestor;
	char *path; /* of the socket, in dir/pub */
};

void wlapi_kit_open(struct wlapi_kit *k, const char *dir);
void wlapi_kit_stop(struct wlapi_kit *k); /* the API alone */
void wlapi_kit_close(struct wlapi_kit *k);
void wlapi_kit_await(struct wlapi_kit *k, const bool *flag);
/* An entry for this process's user, and selector unless it is NULL. */
void wlapi_kit_put(struct wlapi_kit *k, const char *id, int64_t revision, const char *hint,
	const char *selector);
void wlapi_kit_feed(struct wlapi_kit *k, const char *chain); /* all SVIDs that are wanted */
void wlapi_kit_set_bundle(struct wlapi_kit *k);

#endif
