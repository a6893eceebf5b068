/* SPDX-License-Identifier: Apache-2.0 */
/* Agent: AttestAgent and RenewAgent. The order of what is checked and what is changed is contract:
 * spire.md C1.4, docs/protocol/key-proof.txt. */
#include "api/attest.h"

#include "api/convert.h"
#include "api/methods.h"
#include "base/clock.h"
#include "base/mem.h"
#include "spire/api/server/agent/v1/agent.pb-c.h"
#include "spire/api/types/status.pb-c.h"

#include <string.h>

#define A(name)      Spire__Api__Server__Agent__V1__##name
#define REASON(name) SPIRE__API__TYPES__PERMISSION_DENIED_DETAILS__REASON__##name

void writ_attest_fail(struct writ_attest *t, writ_rc rc, const char *text)
{
	struct writ_call *c = t->call;
	writ_timer_free(writ_steal(t->patience));
	writ_call_on_end(c, NULL);
	writ_node_exchange_done(&t->node);
	writ_api_fail(c, rc, "%s", text);
}

/* The agent is gone: nothing runs for it now. */
static void gone(struct writ_call *c)
{
	struct writ_attest *t = writ_api_call(c)->state;
	writ_timer_free(writ_steal(t->patience));
	writ_node_exchange_done(&t->node);
}

static void out_of_patience(void *arg)
{
	writ_attest_fail(arg, WRIT_ETIMEOUT, "no answer to the challenge");
}

void writ_attest_ask(struct writ_attest *t, const void *challenge, size_t n)
{
	A(AttestAgentResponse) m = SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_RESPONSE__INIT;
	struct writ_err err;
	m.step_case = SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_RESPONSE__STEP_CHALLENGE;
	m.challenge = (ProtobufCBinaryData){ n, (uint8_t *)(uintptr_t)challenge };
	if (writ_call_send(t->call, &m.base, &err) != WRIT_OK) {
		writ_attest_fail(t, err.rc, err.msg);
		return;
	}
	t->patience = writ_timer_new(writ_api_call(t->call)->api->loop, out_of_patience, t);
	writ_timer_start(t->patience, WRIT_ATTEST_ANSWER_MS);
	writ_call_on_end(t->call, gone);
}

void writ_attest_deny_banned(struct writ_attest *t)
{
	writ_api_call(t->call)->reason = "the agent is banned";
	writ_node_exchange_done(&t->node);
	writ_api_deny(t->call, "failed to attest: agent is banned", REASON(AGENT_BANNED));
}

static void send_result(struct writ_attest *t)
{
	A(AttestAgentResponse) m = SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_RESPONSE__INIT;
	A(AttestAgentResponse__Result)
	r = SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_RESPONSE__RESULT__INIT;
	struct writ_err err;
	r.svid = t->svid.svid;
	r.reattestable = t->node.can_reattest;
	m.step_case = SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_RESPONSE__STEP_RESULT;
	m.result = &r;
	writ_api_note(t->call, "serial", t->svid.serial);
	writ_node_exchange_done(&t->node);
	if (writ_call_send(t->call, &m.base, &err) != WRIT_OK)
		writ_attest_fail(t, err.rc, err.msg);
	else
		writ_call_finish(t->call);
}

static void recorded(void *arg, const struct writ_outcome *out)
{
	struct writ_attest *t = arg;
	if (out->rc == WRIT_EDENIED && t->node.by)
		writ_attest_deny_banned(t);
	else if (out->rc == WRIT_EEXIST)
		writ_attest_fail(t, WRIT_EDENIED, "failed to attest: " WRIT_ATTEST_USED);
	else if (out->rc == WRIT_EDENIED)
		writ_attest_fail(t, WRIT_EDENIED, "failed to attest: agent is banned");
	else if (out->rc != WRIT_OK)
		writ_attest_fail(t, out->rc, out->msg);
	else
		send_result(t);
}

static void signed_or_not(struct writ_agent_svid *s, writ_rc rc, const struct writ_err *err)
{
	struct writ_attest *t = writ_container(s, struct writ_attest, svid);
	if (rc != WRIT_OK) {
		writ_attest_fail(t, rc, err->msg);
		return;
	}
	/* An agent that proved its key keeps it until the new certificate was seen in use: the
	 * answer may get lost. */
	const struct writ_node_edit edit = { .act = t->by_key ? WRIT_NODE_RENEW : WRIT_NODE_ATTEST,
		.id = s->agent_id,
		.type = writ_cstr(t->type),
		.serial = s->serial,
		.not_after = s->not_after,
		.key = t->csr.key.sha256,
		.selectors = t->selectors,
		.can_reattest = t->node.can_reattest,
		.first_only = t->node.first_only };
	writ_registry_edit_node(writ_api_call(t->call)->api->registry, &edit, recorded, t);
}

void writ_attest_issue(struct writ_attest *t, struct writ_str agent_id)
{
	struct writ_call *c = t->call;
	if (!t->node.by)
		writ_api_note(c, "agent", agent_id);
	t->svid.call = c;
	t->svid.agent_id = agent_id;
	t->svid.done = signed_or_not;
	writ_agent_svid_sign(&t->svid, &t->csr.key);
}

static void token_taken(void *arg, const struct writ_outcome *out)
{
	struct writ_attest *t = arg;
	struct writ_call *c = t->call;
	if (out->rc == WRIT_ENOENT) {
		writ_attest_fail(t, WRIT_EINVAL,
			"failed to attest: join token does not exist or has already been used");
		return;
	}
	if (out->rc == WRIT_EEXPIRED) {
		writ_attest_fail(t, WRIT_EINVAL, "join token expired");
		return;
	}
	if (out->rc != WRIT_OK) {
		writ_attest_fail(t, out->rc, out->msg);
		return;
	}
	struct writ_str id = out->token->agent_id;
	id.p = writ_api_dup(c, id);
	const struct writ_node *n = writ_registry_node(writ_api_call(c)->api->registry, id);
	if (n && n->meta.banned)
		writ_attest_fail(t, WRIT_EDENIED, "failed to attest: agent is banned");
	else
		writ_attest_issue(t, id);
}

static void csr_checked(struct writ_csr_work *w)
{
	struct writ_attest *t = writ_container(w, struct writ_attest, csr);
	struct writ_registry *r = writ_api_call(t->call)->api->registry;
	if (w->rc != WRIT_OK)
		writ_attest_fail(t, WRIT_EINVAL, w->err.msg);
	else if (t->by_key)
		writ_attest_challenge(t);
	else if (t->node.by)
		writ_attest_node_issue(t);
	else
		writ_registry_take_token(r, t->token, token_taken, t);
}

static struct writ_str keep(struct writ_call *c, ProtobufCBinaryData d)
{
	struct writ_str s = writ_strn(d.data, d.len);
	s.p = writ_api_dup(c, s);
	return s;
}

static writ_rc check_params(const A(AttestAgentRequest) * q, struct writ_err *err)
{
	if (q->step_case != SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_REQUEST__STEP_PARAMS ||
		!q->params)
		return writ_fail(err, WRIT_EINVAL, "malformed param: missing params");
	const A(AttestAgentRequest__Params) *p = q->params;
	const char *missing = !p->data  ? "attestation data"
		: !p->params            ? "X509-SVID parameters"
		: !*p->data->type       ? "attestation data type"
		: !p->data->payload.len ? "attestation data payload"
		: !p->params->csr.len   ? "CSR"
					: NULL;
	return missing ? writ_fail(err, WRIT_EINVAL, "malformed param: missing %s", missing)
		       : WRIT_OK;
}

/* What the payload says, by its type. */
static writ_rc take_payload(
	struct writ_attest *t, const Spire__Api__Types__AttestationData *d, struct writ_err *err)
{
	if (strcmp(d->type, "join_token") == 0) {
		t->type = "join_token";
		writ_token_hash(writ_strn(d->payload.data, d->payload.len), t->token);
		writ_wipe(d->payload.data, d->payload.len);
		return WRIT_OK;
	}
	const struct writ_node_attestor *by =
		writ_node_attestors_find(&writ_api_call(t->call)->api->nodes, writ_cstr(d->type));
	if (by)
		return writ_attest_take_payload(t, by, keep(t->call, d->payload), err);
	t->type = WRIT_KEY_PROOF_TYPE;
	t->by_key = strcmp(d->type, WRIT_KEY_PROOF_TYPE) == 0;
	if (t->by_key)
		return writ_attest_take_claim(t, keep(t->call, d->payload), err);
	return writ_fail(err, WRIT_EPRECOND,
		"error getting node attestor: could not find node attestor type \"%.64s\"",
		d->type);
}

void writ_attest_check_csr(struct writ_attest *t)
{
	t->csr.der = t->csr_der.p;
	t->csr.n = t->csr_der.n;
	t->csr.done = csr_checked;
	writ_csr_check(writ_api_call(t->call)->api->loop, &t->csr);
}

void writ_h_agent_attest(struct writ_call *c)
{
	const A(AttestAgentRequest) *q = (const void *)writ_call_request(c);
	struct writ_err err;
	writ_rc rc = check_params(q, &err);
	struct writ_attest *t = writ_api_alloc(c, sizeof(*t));
	writ_api_call(c)->state = t;
	t->call = c;
	if (rc == WRIT_OK) {
		writ_api_note(c, "attestor",
			writ_cstr(writ_api_dup(c, writ_cstr(q->params->data->type))));
		rc = take_payload(t, q->params->data, &err);
	}
	if (rc != WRIT_OK) {
		writ_call_fail(c, &err);
		return;
	}
	t->csr_der = keep(c, q->params->params->csr);
	/* A node attestor's request is looked at when it is known whose it is. */
	if (t->node.by)
		writ_attest_node_begin(t);
	else
		writ_attest_check_csr(t);
}

void writ_h_agent_attest_more(struct writ_call *c)
{
	const A(AttestAgentRequest) *q = (const void *)writ_call_request(c);
	struct writ_attest *t = writ_api_call(c)->state;
	/* A message that nobody waits for is dropped: what runs for the first one goes on. */
	if (!t->patience)
		return;
	if (q->step_case !=
		SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_REQUEST__STEP_CHALLENGE_RESPONSE) {
		writ_attest_fail(t, WRIT_EINVAL, "malformed param: missing challenge response");
		return;
	}
	writ_timer_free(writ_steal(t->patience));
	writ_call_on_end(c, NULL);
	if (t->node.by)
		writ_attest_node_answered(t, keep(c, q->challenge_response));
	else
		writ_attest_answered(t, keep(c, q->challenge_response));
}

void writ_h_agent_attest_end(struct writ_call *c)
{
	struct writ_attest *t = writ_api_call(c)->state;
	if (t->patience)
		writ_attest_fail(
			t, WRIT_EINVAL, "the stream ended without an answer to the challenge");
}

/* --- RenewAgent --- */

struct renewal {
	struct writ_call *call;
	struct writ_csr_work csr;
	struct writ_agent_svid svid;
};

static void renewed(void *arg, const struct writ_outcome *out)
{
	struct renewal *w = arg;
	A(RenewAgentResponse) m = SPIRE__API__SERVER__AGENT__V1__RENEW_AGENT_RESPONSE__INIT;
	m.svid = w->svid.svid;
	if (out->rc == WRIT_OK)
		writ_api_reply(w->call, &m.base);
	else
		writ_api_fail(w->call, out->rc, "%s", out->msg);
}

static void renewal_signed(struct writ_agent_svid *s, writ_rc rc, const struct writ_err *err)
{
	struct renewal *w = writ_container(s, struct renewal, svid);
	if (rc != WRIT_OK) {
		writ_call_fail(w->call, err);
		return;
	}
	const struct writ_node_edit edit = { .act = WRIT_NODE_RENEW,
		.id = s->agent_id,
		.serial = s->serial,
		.not_after = s->not_after,
		.key = w->csr.key.sha256 };
	writ_registry_edit_node(writ_api_call(w->call)->api->registry, &edit, renewed, w);
}

static void renewal_checked(struct writ_csr_work *csr)
{
	struct renewal *w = writ_container(csr, struct renewal, csr);
	if (csr->rc != WRIT_OK) {
		writ_call_fail(w->call, &csr->err);
		return;
	}
	w->svid.call = w->call;
	w->svid.agent_id = writ_cstr(writ_api_call(w->call)->spiffe_id);
	w->svid.done = renewal_signed;
	writ_agent_svid_sign(&w->svid, &csr->key);
}

void writ_h_agent_renew(struct writ_call *c)
{
	const A(RenewAgentRequest) *q = (const void *)writ_call_request(c);
	const struct writ_api_call *a = writ_api_call(c);
	const struct writ_node *n = writ_registry_node(a->api->registry, writ_cstr(a->spiffe_id));
	if (n && n->meta.can_reattest) {
		writ_api_deny(
			c, "agent must reattest instead of renew", REASON(AGENT_MUST_REATTEST));
		return;
	}
	if (!q->params || !q->params->csr.len) {
		writ_api_fail(c, WRIT_EINVAL, q->params ? "missing CSR" : "params cannot be nil");
		return;
	}
	struct renewal *w = writ_api_alloc(c, sizeof(*w));
	w->call = c;
	w->csr.der = q->params->csr.data;
	w->csr.n = q->params->csr.len;
	w->csr.done = renewal_checked;
	writ_csr_check(a->api->loop, &w->csr);
}
