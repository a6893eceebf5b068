/* SPDX-License-Identifier: Apache-2.0 */
#include "link/link_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "link/trust.h"

#include "spire/api/server/agent/v1/agent.pb-c.h"

#define DIAL_MS      10000
#define CALL_MS      10000
#define RETRY_FIRST  200
#define RETRY_MAX    5000 /* bar: everybody is served again 30 s after the server's return */
#define KEEPALIVE_MS 20000
#define STATUS_PATH  "/spire.api.server.agent.v1.Agent/PostStatus"
#define CODE_DENIED  7

bool writ__link_has_svid(const struct writ_link *l)
{
	return l->state.svid && !l->svid_refused &&
		writ_svid_not_after(l->state.svid) > writ_wall_s();
}

static void channel_closed(void *arg)
{
	struct writ_link *l = arg;
	l->closings--;
	writ__link_settle(l);
}

void writ__link_drop(struct writ_link *l)
{
	struct writ_channel *c = writ_steal(l->channel);
	l->rpc = NULL;
	l->stats.connected = false;
	writ_timer_stop(l->renew);
	writ_fetch_set_channel(l->fetch, NULL);
	writ_sync_down(l->sync);
	if (c) {
		l->closings++;
		writ_channel_close(c, channel_closed, l);
	}
	writ_dial_free(writ_steal(l->dial));
}

void writ__link_reconnect(struct writ_link *l)
{
	writ__link_drop(l);
	l->at = LINK_WAIT;
	writ_timer_start(l->timer, 1);
}

void writ__link_retry(struct writ_link *l, const char *what, const struct writ_err *err)
{
	writ__link_retry_in(l, what, err, l->at == LINK_END ? 0 : writ_backoff_next(&l->backoff));
}

void writ__link_retry_in(
	struct writ_link *l, const char *what, const struct writ_err *err, int64_t wait)
{
	writ__link_drop(l);
	if (l->at == LINK_END)
		return;
	l->at = LINK_WAIT;
	WRIT_LOG_LIMITED(WARN, what, WRIT_KV("server", l->cfg.host),
		WRIT_KV("port", (int)l->cfg.port), WRIT_KV("error", err->msg),
		WRIT_KV("retry_ms", wait));
	if (!writ__link_has_svid(l))
		l->cfg.without(l->cfg.arg, err);
	writ_timer_start(l->timer, wait);
}

void writ__link_fatal(struct writ_link *l, const struct writ_err *err)
{
	struct writ_err copy = *err;
	writ__link_drop(l);
	l->at = LINK_WAIT; /* and no timer: nothing is tried any more */
	writ_timer_stop(l->timer);
	if (!l->fatal) {
		l->fatal = true;
		l->cfg.fatal(l->cfg.arg, &copy);
	}
}

void writ__link_banned(struct writ_link *l)
{
	struct writ_err err = { 0 };
	l->banned = true;
	writ_svid_unref(writ_steal(l->pending));
	if (writ_state_delete(l->cfg.state_path, &err) != WRIT_OK)
		WRIT_LOG(ERROR, "state.delete_failed", WRIT_KV("error", err.msg));
	(void)writ_fail(&err, WRIT_EDENIED,
		"this agent is banned: its identity was removed; ask who runs the server");
	if (l->at == LINK_END)
		writ__link_settle(l);
	else
		writ__link_fatal(l, &err);
}

bool writ__link_judge(struct writ_link *l, const struct writ_rpc_status *s)
{
	struct writ_err err = { 0 };
	if (s->code != CODE_DENIED)
		return false;
	switch (writ_denied_reason(s)) {
	case SPIRE__API__TYPES__PERMISSION_DENIED_DETAILS__REASON__AGENT_BANNED:
		writ__link_banned(l);
		return true;
	case SPIRE__API__TYPES__PERMISSION_DENIED_DETAILS__REASON__AGENT_EXPIRED:
	case SPIRE__API__TYPES__PERMISSION_DENIED_DETAILS__REASON__AGENT_NOT_ATTESTED:
	case SPIRE__API__TYPES__PERMISSION_DENIED_DETAILS__REASON__AGENT_NOT_ACTIVE:
	case SPIRE__API__TYPES__PERMISSION_DENIED_DETAILS__REASON__AGENT_MUST_REATTEST:
		l->svid_refused = true;
		(void)writ_rpc_status_err(s, NULL, &err);
		writ__link_retry(l, "agent.svid_refused", &err);
		return true;
	default: return false;
	}
}

/* --- connected --- */

static void status_in(void *arg, struct writ_rpc *r, const ProtobufCMessage *m)
{
	(void)arg, (void)r, (void)m;
}

static void status_ended(void *arg, struct writ_rpc *r, const struct writ_rpc_status *s)
{
	struct writ_link *l = arg;
	(void)r;
	/* SPIRE's older servers do not know the method. */
	if (s->rc != WRIT_OK && l->at == LINK_UP)
		(void)writ__link_judge(l, s);
}

static void post_status(struct writ_link *l)
{
	static char version[] = "writ-agent " WRIT_VERSION;
	Spire__Api__Server__Agent__V1__PostStatusRequest req =
		SPIRE__API__SERVER__AGENT__V1__POST_STATUS_REQUEST__INIT;
	req.agent_version = version;
	if (l->state.bundle)
		req.current_bundle_serial = l->state.bundle->sequence;
	const struct writ_rpc_request call = {
		.path = STATUS_PATH,
		.message = &req.base,
		.out = &spire__api__server__agent__v1__post_status_response__descriptor,
		.deadline_ms = CALL_MS,
		.message_in = status_in,
		.ended = status_ended,
		.arg = l,
	};
	(void)writ_rpc_start(l->channel, &call);
}

static void is_up(struct writ_link *l)
{
	l->at = LINK_UP;
	l->stats.connected = true;
	l->stats.connects++;
	WRIT_LOG(INFO, "server.connected", WRIT_KV("server", l->cfg.host),
		WRIT_KV("port", (int)l->cfg.port), WRIT_KV("agent_id", l->state.svid->spiffe_id));
	writ_sync_up(l->sync, l->channel);
	writ_fetch_set_channel(l->fetch, l->channel);
	post_status(l);
	writ__link_plan_renewal(l);
}

static void on_dialed(
	void *arg, writ_rc rc, const struct writ_err *err, int fd, struct writ_peer *peer)
{
	struct writ_link *l = arg;
	const struct writ_channel_options options = { .keepalive_ms = KEEPALIVE_MS,
		.relayed = true };
	struct writ_err mine = { 0 };
	(void)peer;
	if (rc != WRIT_OK) {
		writ__link_retry(l, "server.unreachable", err);
		return;
	}
	if (writ_channel_new_with(l->cfg.loop, fd, &options, &l->channel, &mine) != WRIT_OK) {
		writ__link_retry(l, "server.unreachable", &mine);
		return;
	}
	if (writ__link_has_svid(l))
		is_up(l);
	else
		writ__link_join(l);
}

static void on_closed(void *arg, const char *why)
{
	struct writ_link *l = arg;
	struct writ_err err = { 0 };
	(void)writ_fail(&err, WRIT_EUNAVAIL, "%s", why);
	/* One that had worked is tried again soon. */
	if (l->at == LINK_UP)
		writ_backoff_reset(&l->backoff);
	writ__link_retry(l, "server.lost", &err);
}

/* --- connecting --- */

/* How to join: by the recorded key before a token, so that the agent stays who it is. An agent that
 * can attest again does. */
static bool choose(struct writ_link *l, struct writ_err *err)
{
	bool by_key =
		l->state.svid && !l->proof_refused && !(l->cfg.prover && l->state.reattestable);
	l->by = by_key ? LINK_BY_KEY : l->cfg.prover ? LINK_BY_PROVER : LINK_BY_TOKEN;
	if (by_key || l->cfg.prover || l->cfg.token.n > 0)
		return true;
	if (l->state.svid)
		(void)writ_fail(err, WRIT_EUNAUTH,
			"the server no longer takes this agent's identity (%s): make a join token "
			"on "
			"the server (writ token generate) and start with -joinTokenFile",
			l->state.svid->spiffe_id);
	else
		(void)writ_fail(err, WRIT_EUNAUTH,
			"there is neither an identity in '%s' nor a join token: make one on the "
			"server "
			"(writ token generate) and start with -joinTokenFile",
			l->cfg.state_path);
	return false;
}

static writ_rc trust_now(
	const struct writ_link *l, bool ours, struct writ_tls_ctx **ret, struct writ_err *err)
{
	WRIT_AUTO(writ_bundle_unrefp) struct writ_bundle *chosen = NULL;
	int64_t now = writ_wall_s();
	/* With a token it is a first contact again. */
	writ_rc rc = writ_trust_choose(
		l->state.bundle, l->cfg.trust, !ours && l->by == LINK_BY_TOKEN, now, &chosen, err);
	const struct writ_trust_config trust = {
		.td = l->cfg.td,
		.bundle = chosen,
		.insecure = l->cfg.insecure,
		.svid = ours ? l->state.svid : NULL,
		.now = now,
	};
	return rc == WRIT_OK ? writ_trust_server(&trust, ret, err) : rc;
}

static void try_now(void *arg)
{
	struct writ_link *l = arg;
	struct writ_tls_ctx *tls = NULL;
	struct writ_err err = { 0 };
	if (l->at != LINK_WAIT || l->fatal)
		return;
	if (l->pending) { /* got, and not written yet */
		writ__link_save(l);
		return;
	}
	bool ours = writ__link_has_svid(l);
	if (!ours && !choose(l, &err)) {
		writ__link_fatal(l, &err);
		return;
	}
	if (trust_now(l, ours, &tls, &err) != WRIT_OK) {
		writ__link_fatal(l, &err);
		return;
	}
	if (ours)
		l->cfg.identity(l->cfg.arg);
	const struct writ_dial_config dial = {
		.loop = l->cfg.loop,
		.host = l->cfg.host,
		.port = l->cfg.port,
		.tls = tls,
		.deadline_ms = DIAL_MS,
		.done = on_dialed,
		.closed = on_closed,
		.arg = l,
	};
	l->at = LINK_DIAL;
	l->dial = writ_dial_start(&dial);
	writ_tls_ctx_unref(tls);
}

/* --- what sync and fetch report --- */

static void on_bundle(void *arg, struct writ_bundle *b)
{
	writ__link_new_bundle(arg, b);
}

static void on_call_failed(void *arg, const struct writ_rpc_status *s)
{
	struct writ_link *l = arg;
	struct writ_err err = { 0 };
	if (l->at != LINK_UP || writ__link_judge(l, s))
		return;
	(void)writ_rpc_status_err(s, NULL, &err);
	WRIT_LOG_LIMITED(WARN, "server.call_failed", WRIT_KV("error", err.msg));
}

static void on_synced(void *arg)
{
	struct writ_link *l = arg;
	writ_backoff_reset(&l->backoff);
	l->cfg.synced(l->cfg.arg);
}

static void on_fetch_idle(void *arg)
{
	writ__link_settle(arg);
}

struct writ_link *writ_link_start(const struct writ_link_config *cfg, struct writ_state *state)
{
	struct writ_link *l = writ_alloc(sizeof(*l));
	const struct writ_sync_config sync = { .loop = cfg->loop,
		.cache = cfg->cache,
		.td = writ_cstr(cfg->td),
		.bundle = on_bundle,
		.failed = on_call_failed,
		.synced = on_synced,
		.arg = l };
	const struct writ_fetch_config fetch = { .loop = cfg->loop,
		.cache = cfg->cache,
		.td = writ_cstr(cfg->td),
		.key_type = cfg->workload_key_type,
		.failed = on_call_failed,
		.idle = on_fetch_idle,
		.arg = l };
	l->cfg = *cfg;
	l->state = *state;
	*state = (struct writ_state){ .svid = NULL };
	if (cfg->trust)
		writ_bundle_ref(cfg->trust);
	if (l->state.svid)
		l->stats.svid_not_after = writ_svid_not_after(l->state.svid);
	l->sync = writ_sync_new(&sync);
	l->fetch = writ_fetch_new(&fetch);
	l->timer = writ_timer_new(cfg->loop, try_now, l);
	l->renew = writ_timer_new(cfg->loop, writ__link_on_renew, l);
	writ_backoff_init(&l->backoff, RETRY_FIRST, RETRY_MAX);
	writ_timer_start(l->timer, 1);
	return l;
}

void writ_link_hungry(struct writ_link *l)
{
	writ_fetch_kick(l->fetch);
}

static void look_at_bundle(const struct writ_bundle *b, struct writ_link_stats *s)
{
	s->cas = b ? b->n : 0;
	for (size_t i = 0; i < s->cas; i++) {
		int64_t end = writ_cert_not_after(b->cas[i]);
		if (b->tainted[i] || end <= s->ca_not_after)
			continue;
		s->ca_not_after = end;
		s->ca_not_before = writ_cert_not_before(b->cas[i]);
	}
}

struct writ_link_stats writ_link_stats(const struct writ_link *l)
{
	struct writ_link_stats s = l->stats;
	struct writ_fetch_stats f = writ_fetch_stats(l->fetch);
	s.svids_fetched = f.fetched;
	s.svids_refused = f.refused;
	s.sync_lag_us = writ_sync_lag_us(l->sync);
	s.clock_known = writ_sync_clock(l->sync, &s.server_ahead_ms);
	look_at_bundle(l->state.bundle, &s);
	return s;
}

const char *writ_link_agent_id(const struct writ_link *l)
{
	return l->state.svid ? l->state.svid->spiffe_id : "";
}

void writ__link_settle(struct writ_link *l)
{
	if (l->at != LINK_END || l->closings || l->fresh.running || l->save.running || l->joins ||
		!writ_fetch_is_idle(l->fetch))
		return;
	if (!writ_timer_active(l->settle)) /* never from inside a callback of what is freed here */
		writ_timer_start(l->settle, 1);
}

static void free_link(void *arg)
{
	struct writ_link *l = arg;
	void (*stopped)(void *) = l->stopped;
	void *stopped_arg = l->stopped_arg;
	writ_sync_free(l->sync);
	writ_fetch_free(l->fetch);
	writ_timer_free(l->timer);
	writ_timer_free(l->renew);
	writ_timer_free(l->settle);
	writ_state_done(&l->state);
	writ_svid_unref(l->pending);
	writ_bundle_unref(l->cfg.trust);
	writ_secret_done(&l->cfg.token);
	writ_key_unref(l->fresh.key);
	writ_buf_done(&l->fresh.csr);
	writ__link_proved(l);
	writ_free(l);
	if (stopped)
		stopped(stopped_arg);
}

void writ_link_stop(struct writ_link *l, void (*done)(void *arg), void *arg)
{
	l->stopped = done;
	l->stopped_arg = arg;
	l->settle = writ_timer_new(l->cfg.loop, free_link, l);
	l->at = LINK_END;
	writ_timer_stop(l->timer);
	writ__link_drop(l);
	writ__link_settle(l);
}
