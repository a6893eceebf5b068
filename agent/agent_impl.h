/* SPDX-License-Identifier: Apache-2.0 */
/* agent_impl: what agent.c, prepare.c and metrics.c share. */
#ifndef WRIT_AGENT_AGENT_IMPL_H
#define WRIT_AGENT_AGENT_IMPL_H

#include "agent.h"
#include "admin/admin.h"
#include "link/link.h"
#include "runtime/asks.h"
#include "wlapi/wlapi.h"

struct writ_agent {
	struct writ_loop *loop;
	const struct writ_agent_config *cfg;
	struct writ_agent_hooks hooks;
	char *state_path;
	struct writ_state state;    /* until the link has it */
	struct writ_bundle *trust;  /* of the configuration */
	struct writ_prover *prover; /* NULL: it joins by token */
	struct writ_audit *audit;
	struct writ_attest_link *attest_link;
	struct writ_attest_env env;
	struct writ_asks *asks; /* NULL: no runtime is named */
	struct writ_cache *cache;
	struct writ_link *link;
	struct writ_decisions *decisions;
	struct writ_wlapi *wlapi;
	struct writ_launches *launches; /* NULL: no writ run */
	struct writ_admin *admin;
	char *server;                  /* address:port, for messages */
	int64_t started_at, synced_at; /* Unix seconds; 0: never */
	int64_t stop_ms;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* prepare.c: what is read and checked before anything is served. */
WRIT_MUST writ_rc writ__agent_load_state(
	struct writ_agent *a, struct writ_secret *token, struct writ_err *err);
WRIT_MUST writ_rc writ__agent_open_attest(
	struct writ_agent *a, struct writ_split *split, struct writ_err *err);
/* launch.c; owns keeper */
WRIT_MUST writ_rc writ__agent_open_launches(struct writ_agent *a, int keeper, struct writ_err *err);
void writ__agent_close_attest(struct writ_agent *a);

#endif
