/* SPDX-License-Identifier: Apache-2.0 */
/* wlapi: the SPIFFE Workload API on the public socket, and gRPC's health service beside it. Every
 * open stream is told of each change at once. Loop thread. SPIFFE_Workload_API.md,
 * SPIFFE_Workload_Endpoint.md. */
#ifndef WRIT_AGENT_WLAPI_H
#define WRIT_AGENT_WLAPI_H

#include "base/log.h"
#include "base/metrics.h"
#include "cache/cache.h"
#include "run/launches.h"
#include "run/rules.h"
#include "wlapi/caller.h"
#include "wlapi/decisions.h"

struct writ_wlapi;

struct writ_wlapi_config {
	struct writ_loop *loop;
	struct writ_cache *cache; /* borrowed, as all here */
	struct writ_attest_env *env;
	struct writ_decisions *decisions;
	const char *socket_path;
	uint32_t per_uid, per_process; /* connections */
	const char *trust_domain;
	const struct writ_agent_run *run; /* who may start what */
	struct writ_launches *launches;   /* NULL: nobody may, or it is not possible here */
	bool (*is_ready)(void *arg);      /* for health; NULL: as soon as the cache is synced */
	void *arg;
};

struct writ_wlapi_stats {
	struct writ_metric *attest_seconds;
	int64_t denied_no_match, denied_attest, denied_header;
	size_t connections, streams;
	struct writ_front_stats front;
};

WRIT_MUST writ_rc writ_wlapi_start(
	const struct writ_wlapi_config *cfg, struct writ_wlapi **ret, struct writ_err *err);
void writ_wlapi_changed(struct writ_wlapi *w); /* for the cache */
struct writ_wlapi_stats writ_wlapi_stats(const struct writ_wlapi *w);
/* Streams end with Unavailable; frees it, then done(). */
void writ_wlapi_stop(struct writ_wlapi *w, int64_t deadline_ms, void (*done)(void *arg), void *arg);

#endif
