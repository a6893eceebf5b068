/* SPDX-License-Identifier: Apache-2.0 */
/* agent: the modules of writ-agent, wired. Loop thread. */
#ifndef WRIT_AGENT_AGENT_H
#define WRIT_AGENT_AGENT_H

#include "base/log.h"
#include "base/secret.h"
#include "config/config.h"
#include "loop/loop.h"
#include "split.h"

struct writ_agent;

/* Before the process has threads or gives up rights: what starts and ends the cgroups of launches.
 * Its descriptor is for the hooks; -1: nobody may use writ run, or it cannot be had (logged). */
int writ_agent_start_keeper(const struct writ_agent_config *cfg);

struct writ_agent_hooks {
	void (*fatal)(void *arg, const struct writ_err *err); /* it cannot go on: stop it */
	/* It has an identity that holds, kept or just got, and serves. May come again. */
	void (*identity)(void *arg);
	void (*without)(void *arg, const struct writ_err *why); /* it has none yet, and tries on */
	void *arg;
	int keeper; /* owned by the agent from now on */
};

/* Blocks on files. cfg and split are borrowed while it lives (split->fd becomes its own); token is
 * moved from (empty: none). */
WRIT_MUST writ_rc writ_agent_start(struct writ_loop *loop, const struct writ_agent_config *cfg,
	struct writ_split *split, struct writ_secret *token, const struct writ_agent_hooks *hooks,
	struct writ_agent **ret, struct writ_err *err);
bool writ_agent_is_ready(const struct writ_agent *a); /* callers get identities */
void writ_agent_print_metrics(struct writ_agent *a, struct writ_buf *out);
void writ_agent_reopen(struct writ_agent *a); /* the audit log */
void writ_agent_stop(
	struct writ_agent *a, int64_t deadline_ms, void (*done)(void *arg), void *arg); /* frees */

#endif
