/* SPDX-License-Identifier: Apache-2.0 */
/* writ.run.v1 on the public socket: a user asks for a launch, and holds it by holding the call. */
#include "wlapi/wlapi_impl.h"

#include "base/mem.h"
#include "run/launches.h"
#include "run/rules.h"

#include "writ/run/v1/run.pb-c.h"

struct launching {
	struct writ_wlapi *w;
	struct writ_call *call;
	struct writ_launch *launch; /* NULL: over */
	char *as;
	char *spiffe_id; /* of the entry */
};

static void free_launching(struct launching *g)
{
	writ_free(g->as);
	writ_free(g->spiffe_id);
	writ_free(g);
}

/* --- may it? --- */

static writ_rc check_entry(struct launching *g, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *selector = writ_asprintf("run:as:%s", g->as);
	const struct writ_cache *cache = g->w->cfg.cache;
	if (!writ_cache_is_synced(cache))
		return writ_fail(
			err, WRIT_EUNAVAIL, "the agent has not reached its server yet: try again");
	const struct writ_entry *e = writ_cache_asking(cache, writ_cstr(selector));
	if (!e)
		return writ_fail(err, WRIT_EPRECOND,
			"no entry of this machine asks for the selector %s; an operator makes one: "
			"writ entry create -parentID ... -spiffeID spiffe://%s%s -selector %s",
			selector, g->w->cfg.trust_domain ? g->w->cfg.trust_domain : "...", g->as,
			selector);
	g->spiffe_id = writ_strdup(e->spiffe_id);
	return WRIT_OK;
}

static writ_rc check_place(struct launching *g, struct writ_peer *p, struct writ_err *err)
{
	struct writ_caller *caller;
	struct writ_wlapi *w = g->w;
	writ_rc rc = writ_caller_of(w->cfg.env, writ_rpc_server_front(w->server), p, &caller, err);
	return rc == WRIT_OK ? writ_launches_may_claim(w->cfg.launches, p->pid,
				       writ_caller_pidfd(caller), writ_cstr(g->as), err)
			     : rc;
}

static writ_rc check(struct launching *g, struct writ_peer *p,
	const Writ__Run__V1__LaunchRequest *req, struct writ_err *err)
{
	const struct writ_run_user user = {
		.uid = p->uid, .gid = p->gid, .groups = p->groups, .n_groups = p->n_groups
	};
	if (p->kind != WRIT_PEER_UNIX || p->closed)
		return writ_fail(err, WRIT_EUNAUTH, "no process is known behind this connection");
	writ_rc rc = writ_run_path_check(writ_cstr(g->as), err);
	if (rc == WRIT_OK)
		rc = writ_run_allowed(g->w->cfg.run, &user, writ_cstr(g->as), req->children, err);
	if (rc == WRIT_OK && !g->w->cfg.launches)
		rc = writ_fail(err, WRIT_EPRECOND,
			"this agent cannot make cgroups for commands: its log says why (run.off)");
	if (rc == WRIT_OK)
		rc = check_place(g, p, err);
	return rc == WRIT_OK ? check_entry(g, err) : rc;
}

static void log_refusal(
	const struct launching *g, const struct writ_peer *p, const struct writ_err *err)
{
	WRIT_LOG_LIMITED(WARN, "run.denied", WRIT_KV("as", g->as), WRIT_KV("pid", (int)p->pid),
		WRIT_KV("uid", (unsigned)p->uid), WRIT_KV("reason", err->msg));
}

/* --- the call --- */

static void on_started(void *arg, struct writ_launch *l)
{
	struct launching *g = arg;
	struct writ_err err = { 0 };
	Writ__Run__V1__LaunchResponse m = WRIT__RUN__V1__LAUNCH_RESPONSE__INIT;
	m.id = (char *)(uintptr_t)writ_launch_id(l);
	m.spiffe_id = g->spiffe_id;
	if (writ_call_send(g->call, &m.base, &err) != WRIT_OK)
		writ_call_fail(g->call, &err);
}

static void on_ended(void *arg, const struct writ_err *why)
{
	struct launching *g = arg;
	g->launch = NULL;
	if (!why) {
		writ_call_finish(g->call);
		return;
	}
	log_refusal(g, writ_call_peer(g->call), why);
	writ_call_fail(g->call, why);
}

/* Whoever holds the call is gone: so is the launch. */
static void on_call_end(struct writ_call *c)
{
	struct launching *g = writ_call_user(c);
	if (g->launch)
		writ_launch_drop(g->launch);
	free_launching(g);
}

void writ__run_launch(struct writ_call *c)
{
	const Writ__Run__V1__LaunchRequest *req = (const void *)writ_call_request(c);
	struct writ_peer *p = writ_call_peer(c);
	struct launching *g = writ_alloc(sizeof(*g));
	struct writ_err err = { 0 };
	g->w = writ_call_program(c);
	g->call = c;
	g->as = writ_strdup(req->as);
	writ_call_set_user(c, g);
	writ_call_on_end(c, on_call_end);
	writ_rc rc = check(g, p, req, &err);
	if (rc == WRIT_OK) {
		const struct writ_launch_spec spec = { .as = g->as,
			.parent = p->pid,
			.pid = req->pid,
			.uid = p->uid,
			.gid = p->gid,
			.children = req->children,
			.started = on_started,
			.ended = on_ended,
			.arg = g };
		rc = writ_launch_start(g->w->cfg.launches, &spec, &g->launch, &err);
	}
	if (rc == WRIT_OK)
		return;
	log_refusal(g, p, &err);
	writ_call_fail(c, &err);
}

/* --- what a launch adds to what is known of a caller --- */

size_t writ__match(struct stream *s, struct writ_entry **found)
{
	const struct writ_peer *p = writ_call_peer(s->call);
	const struct writ_selectors *own = &s->facts->answer.selectors;
	struct writ_launches *ls = s->w->cfg.launches;
	s->run_child = false;
	if (!writ_launches_count(ls))
		return writ_cache_match(s->w->cfg.cache, own, found, WRIT_MATCHES_MAX);
	WRIT_AUTO(writ_selectors_done) struct writ_selectors all;
	s->run_child = writ_launches_merge(ls, p->pid, writ_caller_pidfd(s->caller), own, &all) ==
		WRIT_RUN_CHILD;
	return writ_cache_match(s->w->cfg.cache, &all, found, WRIT_MATCHES_MAX);
}
