/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's own SVID: how it is got, renewed and kept. It is on disk before it is used. */
#include "link/link_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "rpc/rpc.h"

#include "spire/api/server/agent/v1/agent.pb-c.h"
#include "spire/api/server/bundle/v1/bundle.pb-c.h"

#define RENEW_PATH  "/spire.api.server.agent.v1.Agent/RenewAgent"
#define BUNDLE_PATH "/spire.api.server.bundle.v1.Bundle/GetBundle"
#define DEADLINE_MS 20000
#define RETRY_MS    1000
#define REFUSED_MS  30000 /* until a proof that was refused is tried again */

#define CODE_INVALID      3
#define CODE_DENIED       7
#define CODE_PRECONDITION 9

/* --- joining --- */

static const char *by_name(const struct writ_link *l)
{
	return l->by == LINK_BY_TOKEN  ? "join_token"
		: l->by == LINK_BY_KEY ? "key_proof"
				       : l->cfg.prover->vt->name;
}

static void say_joined(const struct writ_link *l)
{
	char until[32];
	WRIT_LOG(INFO, "agent.joined", WRIT_KV("agent_id", l->pending->spiffe_id),
		WRIT_KV("by", by_name(l)),
		WRIT_KV("valid_until",
			writ_format_time(writ_svid_not_after(l->pending), until, sizeof(until))));
}

/* A refusal that another try will not change. */
static bool is_final(const struct writ_join_outcome *o)
{
	return o->code == CODE_INVALID || o->code == CODE_DENIED || o->code == CODE_PRECONDITION;
}

static void refused(struct writ_link *l, const struct writ_join_outcome *o)
{
	struct writ_err err = o->err;
	if (o->reason == SPIRE__API__TYPES__PERMISSION_DENIED_DETAILS__REASON__AGENT_BANNED) {
		writ__link_banned(l);
		return;
	}
	if (!is_final(o)) {
		writ__link_retry(l, "agent.join_failed", &err);
		return;
	}
	if (l->by == LINK_BY_PROVER) {
		/* What is wrong with the machine's proof may be mended while we run. */
		writ__link_retry_in(l, "agent.attest_refused", &err, writ_jitter(REFUSED_MS, 250));
		return;
	}
	if (l->by == LINK_BY_KEY) {
		l->proof_refused = true;
		writ__link_retry(l, "agent.key_refused", &err);
		return;
	}
	(void)writ_wrap(&err, err.rc,
		"the server refuses the join token; make a new one on the server (writ token "
		"generate) and start with -joinTokenFile");
	writ__link_fatal(l, &err);
}

static void take_pending(struct writ_link *l, const struct writ_join_outcome *o)
{
	writ_svid_unref(l->pending);
	l->pending = writ_svid_ref(o->svid);
	l->pending_reattestable = o->reattestable;
}

/* Is its outcome the one that is waited for? */
static bool join_ended(struct writ_link *l, const struct writ_join *j)
{
	bool counts = l->join == j;
	l->joins--;
	if (counts)
		l->join = NULL;
	if (l->proof == j) {
		l->proof = NULL;
		writ__link_proved(l);
	}
	return counts;
}

static void on_joined(void *arg, struct writ_join *j, const struct writ_join_outcome *o)
{
	struct writ_link *l = arg;
	bool counts = join_ended(l, j);
	if (!counts || l->at != LINK_JOIN) {
		writ__link_settle(l);
		return;
	}
	if (o->rc != WRIT_OK) {
		refused(l, o);
		return;
	}
	take_pending(l, o);
	writ__link_bundle(l);
}

static void start_join(struct writ_link *l,
	void (*done)(void *arg, struct writ_join *j, const struct writ_join_outcome *o))
{
	const struct writ_join_config cfg = {
		.loop = l->cfg.loop,
		.channel = l->channel,
		.td = writ_cstr(l->cfg.td),
		.token = l->by == LINK_BY_TOKEN ? &l->cfg.token : NULL,
		.prover = l->by == LINK_BY_PROVER ? l->cfg.prover : NULL,
		.payload = writ_buf_str(&l->fresh.payload),
		.old = l->state.svid,
		.key = l->fresh.key,
		.csr = writ_buf_str(&l->fresh.csr),
		.deadline_ms = DEADLINE_MS,
		.done = done,
		.arg = l,
	};
	l->join = writ_join_start(&cfg);
	l->proof = cfg.prover ? l->join : l->proof;
	l->joins++;
}

/* Key, request and payload are there, or not. */
static bool is_prepared(struct writ_link *l)
{
	if (l->fresh.err.rc == WRIT_OK && l->by == LINK_BY_PROVER)
		l->fresh.err.rc = writ__link_prove_payload(l, &l->fresh.err);
	if (l->fresh.err.rc != WRIT_OK)
		writ__link_proved(l);
	return l->fresh.err.rc == WRIT_OK;
}

static void have_key(struct writ_link *l)
{
	if (l->at != LINK_JOIN || !l->channel)
		writ__link_proved(l);
	else if (!is_prepared(l))
		writ__link_retry(l, "agent.join_failed", &l->fresh.err);
	else
		start_join(l, on_joined);
}

void writ__link_join(struct writ_link *l)
{
	struct writ_err err = { 0 };
	l->at = LINK_JOIN;
	if (l->by == LINK_BY_PROVER && writ__link_prove(l, &err) != WRIT_OK)
		writ__link_retry(l, "agent.attest_failed", &err);
	else
		writ__link_fresh(l, have_key);
}

/* --- the bundle, on the connection that has no SVID yet --- */

static void on_bundle(void *arg, struct writ_rpc *r, const ProtobufCMessage *m)
{
	struct writ_link *l = arg;
	struct writ_err err = { 0 };
	struct writ_bundle *b;
	if (r != l->rpc)
		return;
	if (writ_bundle_from_message((const void *)m, writ_cstr(l->cfg.td), &b, &err) != WRIT_OK) {
		WRIT_LOG(ERROR, "bundle.refused", WRIT_KV("error", err.msg));
		return;
	}
	/* What was sent has to vouch for what was issued, or it is not this server's bundle. */
	struct writ_bundles *set = writ_bundles_with(NULL, b);
	struct writ_id id;
	if (writ_svid_verify(l->pending->chain, l->pending->n_chain, set, WRIT_PURPOSE_TLS_CLIENT,
		    writ_wall_s(), &id, &err) != WRIT_OK) {
		WRIT_LOG(ERROR, "bundle.refused", WRIT_KV("error", err.msg));
		writ_bundle_unref(b);
	} else {
		writ_bundle_unref(l->state.bundle);
		l->state.bundle = b;
		l->bundle_came = true;
	}
	writ_bundles_unref(set);
}

static void on_bundle_end(void *arg, struct writ_rpc *r, const struct writ_rpc_status *s)
{
	struct writ_link *l = arg;
	struct writ_err err = { 0 };
	if (r != l->rpc)
		return;
	l->rpc = NULL;
	if (s->rc != WRIT_OK)
		(void)writ_rpc_status_err(s, "GetBundle", &err);
	else if (!l->bundle_came)
		(void)writ_fail(&err, WRIT_EPROTO, "the server's bundle does not hold");
	/* A token may be used up: the SVID is kept, with the bundle we had. */
	if (err.rc != WRIT_OK)
		WRIT_LOG(WARN, "bundle.missing", WRIT_KV("error", err.msg));
	say_joined(l);
	writ__link_save(l);
}

void writ__link_bundle(struct writ_link *l)
{
	Spire__Api__Server__Bundle__V1__GetBundleRequest req =
		SPIRE__API__SERVER__BUNDLE__V1__GET_BUNDLE_REQUEST__INIT;
	const struct writ_rpc_request call = {
		.path = BUNDLE_PATH,
		.message = &req.base,
		.out = &spire__api__types__bundle__descriptor,
		.deadline_ms = DEADLINE_MS,
		.message_in = on_bundle,
		.ended = on_bundle_end,
		.arg = l,
	};
	l->at = LINK_BUNDLE;
	l->bundle_came = false;
	l->rpc = writ_rpc_start(l->channel, &call);
}

/* --- on disk: from here on it counts --- */

void writ__link_saved(struct writ_link *l, const struct writ_err *err)
{
	if (l->at == LINK_END) {
		writ__link_settle(l);
		return;
	}
	if (err->rc != WRIT_OK) {
		/* Unsaved it must not be used: after a restart the server would know a key that is
		 * gone. It is kept, and written at the next try. */
		if (l->pending)
			writ__link_retry(l, "state.save_failed", err);
		else
			WRIT_LOG(ERROR, "state.save_failed", WRIT_KV("error", err->msg));
		return;
	}
	if (!l->pending)
		return;
	writ_svid_unref(l->state.svid);
	l->state.svid = writ_steal(l->pending);
	l->state.reattestable = l->pending_reattestable;
	l->svid_refused = l->proof_refused = false;
	l->stats.svid_not_after = writ_svid_not_after(l->state.svid);
	writ_secret_done(&l->cfg.token);
	writ__link_reconnect(l);
}

/* Does the agent's SVID rest on an authority that the server no longer stands by? */
static bool is_tainted(const struct writ_link *l)
{
	return l->state.svid && l->state.bundle &&
		writ_bundle_taints(l->state.bundle, l->state.svid->chain, l->state.svid->n_chain);
}

static void say_tainted(const struct writ_bundle *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->tainted[i])
			WRIT_LOG(WARN, "bundle.tainted",
				WRIT_KV("authority", writ_cert_ski_hex(b->cas[i])),
				WRIT_KV("do", "what it has signed is renewed now"));
}

void writ__link_new_bundle(struct writ_link *l, struct writ_bundle *b)
{
	writ_bundle_ref(b);
	writ_bundle_unref(l->state.bundle);
	l->state.bundle = b;
	WRIT_LOG(INFO, "bundle.changed", WRIT_KV("sequence", b->sequence), WRIT_KV("cas", b->n));
	say_tainted(b);
	if (l->at == LINK_UP && is_tainted(l))
		writ__link_plan_renewal(l);
	writ__link_save(l);
}

/* --- renewing --- */

void writ__link_plan_renewal(struct writ_link *l)
{
	int64_t at = writ_svid_renew_at_ms(writ_svid_not_before(l->state.svid),
		writ_svid_not_after(l->state.svid), (unsigned)writ_rand_below(1000));
	int64_t wait = at - writ_wall_ms();
	l->hurried = l->hurried && is_tainted(l);
	if (is_tainted(l)) {
		int64_t soon = l->hurried ? writ_jitter(WRIT_TAINT_AGAIN_MS, 250)
					  : (int64_t)writ_rand_below(WRIT_TAINT_SPREAD_MS);
		wait = wait < soon ? wait : soon;
	}
	/* Not too far ahead: the wall clock may be set. */
	writ_timer_start(l->renew, wait < 1 ? 1 : wait > 60000 ? 60000 : wait);
}

static void try_later(struct writ_link *l, const char *why, int64_t wait_ms)
{
	WRIT_LOG_LIMITED(WARN, "agent.renew_failed", WRIT_KV("error", why));
	writ_timer_start(l->renew, writ_jitter(wait_ms, 250));
}

static void on_renewed(void *arg, struct writ_rpc *r, const ProtobufCMessage *message)
{
	struct writ_link *l = arg;
	const Spire__Api__Server__Agent__V1__RenewAgentResponse *m = (const void *)message;
	if (r != l->rpc)
		return;
	struct writ_svid *s;
	if (writ_svid_from_message(
		    m->svid, writ_cstr(l->cfg.td), l->fresh.key, &s, &l->fresh.err) != WRIT_OK)
		return;
	char until[32];
	writ_svid_unref(l->pending);
	l->pending = s;
	l->pending_reattestable = l->state.reattestable;
	l->stats.renewals++;
	WRIT_LOG(INFO, "agent.renewed", WRIT_KV("agent_id", s->spiffe_id),
		WRIT_KV("valid_until",
			writ_format_time(writ_svid_not_after(s), until, sizeof(until))));
	writ__link_save(l);
}

static void on_renew_end(void *arg, struct writ_rpc *r, const struct writ_rpc_status *s)
{
	struct writ_link *l = arg;
	struct writ_err err = l->fresh.err;
	if (r != l->rpc)
		return;
	l->rpc = NULL;
	if (l->pending)
		return;
	if (s->rc != WRIT_OK)
		(void)writ_rpc_status_err(s, "RenewAgent", &err);
	if (!writ__link_judge(l, s))
		try_later(l, err.msg, RETRY_MS);
}

static void renew_with_key(struct writ_link *l)
{
	if (l->at != LINK_UP)
		return;
	if (l->fresh.err.rc != WRIT_OK) {
		try_later(l, l->fresh.err.msg, RETRY_MS);
		return;
	}
	Spire__Api__Server__Agent__V1__AgentX509SVIDParams params =
		SPIRE__API__SERVER__AGENT__V1__AGENT_X509_SVIDPARAMS__INIT;
	Spire__Api__Server__Agent__V1__RenewAgentRequest req =
		SPIRE__API__SERVER__AGENT__V1__RENEW_AGENT_REQUEST__INIT;
	params.csr = (ProtobufCBinaryData){ l->fresh.csr.n, l->fresh.csr.p };
	req.params = &params;
	const struct writ_rpc_request call = {
		.path = RENEW_PATH,
		.message = &req.base,
		.out = &spire__api__server__agent__v1__renew_agent_response__descriptor,
		.deadline_ms = DEADLINE_MS,
		.message_in = on_renewed,
		.ended = on_renew_end,
		.arg = l,
	};
	l->rpc = writ_rpc_start(l->channel, &call);
}

/* --- renewing by attesting again, on the connection that is there --- */

static void on_reattested(void *arg, struct writ_join *j, const struct writ_join_outcome *o)
{
	struct writ_link *l = arg;
	bool counts = join_ended(l, j);
	/* The server knows the new SVID alone from now on, so it is kept when the connection broke
	 * off meanwhile, unless another attestation is under way. */
	bool wanted = l->at == LINK_UP || (l->at == LINK_WAIT && !l->fatal && o->rc == WRIT_OK);
	if (!counts || !wanted) {
		writ__link_settle(l);
		return;
	}
	if (o->reason == SPIRE__API__TYPES__PERMISSION_DENIED_DETAILS__REASON__AGENT_BANNED) {
		writ__link_banned(l);
	} else if (o->rc != WRIT_OK) {
		try_later(l, o->err.msg, is_final(o) ? REFUSED_MS : RETRY_MS);
	} else {
		take_pending(l, o);
		l->stats.renewals++;
		say_joined(l);
		writ__link_save(l);
	}
}

static void reattest_with_key(struct writ_link *l)
{
	if (l->at != LINK_UP || !l->channel)
		writ__link_proved(l);
	else if (!is_prepared(l))
		try_later(l, l->fresh.err.msg, RETRY_MS);
	else
		start_join(l, on_reattested);
}

static void reattest(struct writ_link *l)
{
	struct writ_err err = { 0 };
	l->by = LINK_BY_PROVER;
	if (writ__link_prove(l, &err) != WRIT_OK)
		try_later(l, err.msg, RETRY_MS);
	else
		writ__link_fresh(l, reattest_with_key);
}

void writ__link_on_renew(void *arg)
{
	struct writ_link *l = arg;
	if (l->at != LINK_UP || l->rpc || l->join || l->pending)
		return;
	int64_t not_before = writ_svid_not_before(l->state.svid);
	int64_t life = writ_svid_not_after(l->state.svid) - not_before;
	l->hurried = is_tainted(l);
	if (!l->hurried && writ_wall_s() < not_before + life * 3 / 10) { /* a long wait was cut */
		writ__link_plan_renewal(l);
		return;
	}
	if (l->cfg.prover && l->state.reattestable)
		reattest(l);
	else
		writ__link_fresh(l, renew_with_key);
}
