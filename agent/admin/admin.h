/* SPDX-License-Identifier: Apache-2.0 */
/* admin: the agent's socket for operators (proto/writ/agent/v1/admin.proto). It serves root, the
 * agent's own user and the group writ-admin, and nobody else: what it tells is more than a workload
 * may know. Loop thread. */
#ifndef WRIT_AGENT_ADMIN_H
#define WRIT_AGENT_ADMIN_H

#include "base/log.h"
#include "wlapi/wlapi.h"

struct writ_admin;

/* What the agent knows of itself. Texts are borrowed until the next turn of the loop. */
struct writ_admin_status {
	const char *trust_domain, *agent_id, *server, *socket_path;
	bool ready, connected;
	bool server_clock_known;
	int64_t server_ahead_ms;                        /* of this machine's clock */
	int64_t started_at, svid_expires_at, synced_at; /* Unix seconds; 0: never, none */
	int64_t ca_starts_at, ca_expires_at;            /* of the CA that lives longest */
	size_t cas;                                     /* in the bundle */
};

struct writ_admin_config {
	struct writ_loop *loop;
	const char *socket_path;
	struct writ_cache *cache; /* borrowed, as all here */
	struct writ_attest_env *env;
	struct writ_decisions *decisions;
	struct writ_launches *launches; /* NULL: no writ run */
	struct writ_audit *audit;       /* NULL: calls go to the log only */
	void (*status)(void *arg, struct writ_admin_status *ret);
	void *arg;
};

/* Blocks on the name service. */
WRIT_MUST writ_rc writ_admin_start(
	const struct writ_admin_config *cfg, struct writ_admin **ret, struct writ_err *err);
/* Frees it, then done(). */
void writ_admin_stop(struct writ_admin *a, int64_t deadline_ms, void (*done)(void *arg), void *arg);

#endif
