/* SPDX-License-Identifier: Apache-2.0 */
#include "agent_impl.h"

#include "attest/startup.h"

#include "base/clock.h"
#include "base/mem.h"

#define SLOT_EC  256 /* PKCS#8 of a P-256 key: 138 bytes */
#define SLOT_RSA 1536

#define ADMIN_STOP_MS 500

static void on_changed(void *arg)
{
	struct writ_agent *a = arg;
	if (a->wlapi)
		writ_wlapi_changed(a->wlapi);
}

static void on_hungry(void *arg)
{
	struct writ_agent *a = arg;
	if (a->link)
		writ_link_hungry(a->link);
}

static void on_fatal(void *arg, const struct writ_err *err)
{
	struct writ_agent *a = arg;
	a->hooks.fatal(a->hooks.arg, err);
}

static void on_identity(void *arg)
{
	struct writ_agent *a = arg;
	a->hooks.identity(a->hooks.arg);
}

static void on_without(void *arg, const struct writ_err *why)
{
	struct writ_agent *a = arg;
	a->hooks.without(a->hooks.arg, why);
}

static void on_synced(void *arg)
{
	struct writ_agent *a = arg;
	a->synced_at = writ_wall_s();
	WRIT_LOG(DEBUG, "sync.done", WRIT_KV("entries", writ_cache_entries(a->cache)),
		WRIT_KV("svids", writ_cache_svids(a->cache)));
}

static void free_agent(struct writ_agent *a)
{
	if (a->cache)
		writ_cache_free(a->cache);
	writ_decisions_free(a->decisions);
	writ_launches_free(a->launches);
	writ__agent_close_attest(a);
	writ_prover_close(a->prover);
	writ_state_done(&a->state);
	writ_bundle_unref(a->trust);
	writ_audit_close(a->audit);
	writ_free(a->state_path);
	writ_free(a->server);
	writ_free(a);
}

static void open_cache(struct writ_agent *a)
{
	bool rsa = a->cfg->workload_x509_svid_key_type == WRIT_AGENT_RSA_2048;
	const struct writ_cache_config cfg = {
		.loop = a->loop,
		.td = writ_cstr(a->cfg->trust_domain),
		.key_slot = rsa ? SLOT_RSA : SLOT_EC,
		.changed = on_changed,
		.hungry = on_hungry,
		.arg = a,
	};
	a->cache = writ_cache_new(&cfg);
	/* With the bundle of the last run callers wait for the entries only. */
	if (a->state.bundle)
		writ_cache_set_bundle(a->cache, a->state.bundle);
}

static bool is_ready(void *arg)
{
	return writ_agent_is_ready(arg);
}

static writ_rc open_wlapi(struct writ_agent *a, struct writ_err *err)
{
	const struct writ_wlapi_config cfg = {
		.loop = a->loop,
		.cache = a->cache,
		.env = &a->env,
		.decisions = a->decisions,
		.socket_path = a->cfg->socket_path,
		.per_uid = (uint32_t)a->cfg->max_connections_per_uid,
		.per_process = (uint32_t)a->cfg->max_connections_per_process,
		.trust_domain = a->cfg->trust_domain,
		.run = &a->cfg->run,
		.launches = a->launches,
		.is_ready = is_ready,
		.arg = a,
	};
	return writ_wlapi_start(&cfg, &a->wlapi, err);
}

static void on_status(void *arg, struct writ_admin_status *ret)
{
	const struct writ_agent *a = arg;
	struct writ_link_stats l = { 0 };
	if (a->link)
		l = writ_link_stats(a->link);
	*ret = (struct writ_admin_status){
		.trust_domain = a->cfg->trust_domain,
		.agent_id = a->link ? writ_link_agent_id(a->link) : "",
		.server = a->server,
		.socket_path = a->cfg->socket_path,
		.ready = writ_agent_is_ready(a),
		.connected = l.connected,
		.server_clock_known = l.clock_known,
		.server_ahead_ms = l.server_ahead_ms,
		.started_at = a->started_at,
		.svid_expires_at = l.svid_not_after,
		.synced_at = a->synced_at,
		.ca_starts_at = l.ca_not_before,
		.ca_expires_at = l.ca_not_after,
		.cas = l.cas,
	};
}

static writ_rc open_admin(struct writ_agent *a, struct writ_err *err)
{
	const struct writ_admin_config cfg = {
		.loop = a->loop,
		.socket_path = a->cfg->admin_socket_path,
		.cache = a->cache,
		.env = &a->env,
		.decisions = a->decisions,
		.launches = a->launches,
		.audit = a->audit,
		.status = on_status,
		.arg = a,
	};
	a->server = writ_asprintf("%s:%u", a->cfg->server_address, a->cfg->server_port);
	a->started_at = writ_wall_s();
	writ_rc rc = writ_admin_start(&cfg, &a->admin, err);
	if (rc == WRIT_OK || a->cfg->admin_socket_chosen)
		return rc;
	/* Workloads do not depend on it, and nobody asked for it there. */
	WRIT_LOG(WARN, "admin.off", WRIT_KV("error", err->msg),
		WRIT_KV("consequence", "writ explain cannot ask this agent"),
		WRIT_KV("do", "set admin_socket_path to a place where the agent may write"));
	return WRIT_OK;
}

static void set_flag(void *arg)
{
	*(bool *)arg = true;
}

/* A start that failed: nobody has been served yet. */
static void close_admin(struct writ_agent *a)
{
	bool stopped = !a->admin;
	if (a->admin)
		writ_admin_stop(writ_steal(a->admin), 0, set_flag, &stopped);
	while (!stopped)
		(void)writ_loop_run_until(a->loop, &stopped, writ_mono_ms() + 1000);
}

static void open_link(struct writ_agent *a, struct writ_secret *token)
{
	const struct writ_link_config cfg = {
		.loop = a->loop,
		.td = a->cfg->trust_domain,
		.host = a->cfg->server_address,
		.port = a->cfg->server_port,
		.state_path = a->state_path,
		.keep_key = a->cfg->key_disk.is_on,
		.trust = a->trust,
		.insecure = a->cfg->insecure_bootstrap,
		.token = *token,
		.prover = a->prover,
		.cache = a->cache,
		.workload_key_type = a->cfg->workload_x509_svid_key_type == WRIT_AGENT_RSA_2048
			? WRIT_KEY_RSA2048
			: WRIT_KEY_P256,
		.fatal = on_fatal,
		.identity = on_identity,
		.without = on_without,
		.synced = on_synced,
		.arg = a,
	};
	*token = (struct writ_secret){ .p = NULL };
	a->link = writ_link_start(&cfg, &a->state);
}

static void warn_of_few_pids(void)
{
	uint64_t n = writ_startup_few_pids(NULL, writ_startup_has_peer_pidfd());
	if (n)
		WRIT_LOG(WARN, "pids.few", WRIT_KV("pid_max", n),
			WRIT_KV("consequence",
				"this kernel pins a caller by its number, and numbers of processes "
				"come round soon"),
			WRIT_KV("fix", "sysctl -w kernel.pid_max=4194304, or Linux 6.5"));
}

writ_rc writ_agent_start(struct writ_loop *loop, const struct writ_agent_config *cfg,
	struct writ_split *split, struct writ_secret *token, const struct writ_agent_hooks *hooks,
	struct writ_agent **ret, struct writ_err *err)
{
	struct writ_agent *a = writ_alloc(sizeof(*a));
	a->loop = loop;
	a->cfg = cfg;
	a->hooks = *hooks;
	writ_rc rc = writ__agent_open_attest(a, split, err);
	if (rc == WRIT_OK)
		rc = writ__agent_load_state(a, token, err);
	if (rc == WRIT_OK)
		rc = writ_prover_open(cfg, &a->prover, err);
	if (rc == WRIT_OK && cfg->audit_log_file)
		rc = writ_audit_open(cfg->audit_log_file, &a->audit, err);
	if (rc == WRIT_OK)
		rc = writ__agent_open_launches(a, hooks->keeper, err);
	if (rc == WRIT_OK) {
		open_cache(a);
		a->decisions = writ_decisions_new(a->loop, a->audit);
		rc = open_admin(a, err);
	}
	if (rc == WRIT_OK)
		rc = open_wlapi(a, err);
	if (rc != WRIT_OK) {
		close_admin(a);
		free_agent(a);
		return rc;
	}
	open_link(a, token);
	warn_of_few_pids();
	WRIT_LOG(INFO, "agent.started", WRIT_KV("trust_domain", cfg->trust_domain),
		WRIT_KV("socket", cfg->socket_path), WRIT_KV("server", cfg->server_address),
		WRIT_KV("port", (int)cfg->server_port),
		WRIT_KV("agent_id", writ_link_agent_id(a->link)));
	*ret = a;
	return WRIT_OK;
}

bool writ_agent_is_ready(const struct writ_agent *a)
{
	/* An agent whose own SVID has expired can renew nothing for anybody. */
	return a->link && writ_cache_is_synced(a->cache) &&
		writ_link_stats(a->link).svid_not_after > writ_wall_s();
}

void writ_agent_reopen(struct writ_agent *a)
{
	struct writ_err err;
	if (a->audit && writ_audit_reopen(a->audit, &err) != WRIT_OK)
		WRIT_LOG(ERROR, "audit.reopen", WRIT_KV("error", err.msg));
}

static void on_quiet(void *arg)
{
	struct writ_agent *a = arg;
	void (*stopped)(void *) = a->stopped;
	void *stopped_arg = a->stopped_arg;
	free_agent(a);
	stopped(stopped_arg);
}

static void on_link_stopped(void *arg)
{
	struct writ_agent *a = arg;
	a->link = NULL;
	if (a->asks)
		writ_asks_stop(a->asks);
	a->env.quiet_arg = a;
	a->env.quiet = on_quiet;
	if (!a->env.jobs)
		on_quiet(a);
}

static void on_admin_stopped(void *arg)
{
	struct writ_agent *a = arg;
	a->admin = NULL;
	writ_link_stop(a->link, on_link_stopped, a);
}

static void on_wlapi_stopped(void *arg)
{
	struct writ_agent *a = arg;
	a->wlapi = NULL;
	if (a->admin)
		writ_admin_stop(a->admin, ADMIN_STOP_MS, on_admin_stopped, a);
	else
		on_admin_stopped(a);
}

/* Workloads first: they still get their identities while the server's side goes. */
void writ_agent_stop(struct writ_agent *a, int64_t deadline_ms, void (*done)(void *arg), void *arg)
{
	a->stopped = done;
	a->stopped_arg = arg;
	if (a->launches)
		writ_launches_stop(a->launches);
	writ_wlapi_stop(a->wlapi, deadline_ms, on_wlapi_stopped, a);
}
