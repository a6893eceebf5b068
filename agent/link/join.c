/* SPDX-License-Identifier: Apache-2.0 */
#include "link/join.h"

#include "base/mem.h"
#include "crypto/digest.h"

#include "spire/api/server/agent/v1/agent.pb-c.h"

#include <string.h>

#define PATH      "/spire.api.server.agent.v1.Agent/AttestAgent"
#define CLAIM_MAX (1 + 2 + WRIT_ID_MAX + 2 + WRIT_SPKI_MAX)

typedef Spire__Api__Server__Agent__V1__AttestAgentRequest request;
typedef Spire__Api__Server__Agent__V1__AttestAgentResponse response;

struct writ_join {
	struct writ_join_config cfg;
	char *td, *csr;
	struct writ_svid *old;
	struct writ_rpc *rpc;
	struct writ_join_outcome outcome; /* svid: a reference here */
	bool answered, challenged, answering, ended;
	struct writ_job job; /* the prover's answer */
	struct writ_buf challenge, answer;
	struct writ_err job_err;
};

static const uint8_t proof_label[18] = "writ-key-proof-v1";

writ_rc writ_proof_claim(
	struct writ_str agent_id, struct writ_str spki, struct writ_buf *out, struct writ_err *err)
{
	if (!agent_id.n || agent_id.n > WRIT_ID_MAX || !spki.n || spki.n > WRIT_SPKI_MAX)
		return writ_fail(err, WRIT_ELIMIT, "key proof: an ID or key of that size");
	writ_buf_add_byte(out, 1);
	writ_buf_add_byte(out, (uint8_t)(agent_id.n >> 8));
	writ_buf_add_byte(out, (uint8_t)agent_id.n);
	writ_buf_add_str(out, agent_id);
	writ_buf_add_byte(out, (uint8_t)(spki.n >> 8));
	writ_buf_add_byte(out, (uint8_t)spki.n);
	writ_buf_add_str(out, spki);
	return writ_buf_check(out, "key proof", err);
}

void writ_proof_message(const uint8_t challenge[WRIT_PROOF_CHALLENGE], struct writ_str csr,
	uint8_t out[WRIT_PROOF_LEN])
{
	memcpy(out, proof_label, sizeof(proof_label));
	memcpy(out + sizeof(proof_label), challenge, WRIT_PROOF_CHALLENGE);
	writ_sha256(csr.p, csr.n, out + sizeof(proof_label) + WRIT_PROOF_CHALLENGE);
}

static void fail(struct writ_join *j, const struct writ_err *err)
{
	if (!j->answered) {
		j->answered = true;
		j->outcome.rc = err->rc;
		j->outcome.err = *err;
	}
	if (!j->ended)
		writ_rpc_cancel(j->rpc);
}

static void take_result(struct writ_join *j, const response *m)
{
	struct writ_err err = { 0 };
	writ_rc rc = m->result ? writ_svid_from_message(m->result->svid, writ_cstr(j->td),
					 j->cfg.key, &j->outcome.svid, &err)
			       : writ_fail(&err, WRIT_EPROTO, "an empty result");
	if (rc != WRIT_OK) {
		fail(j, &err);
		return;
	}
	j->answered = true;
	j->outcome.reattestable = m->result->reattestable;
	writ_rpc_close_send(j->rpc);
}

static writ_rc send_answer(struct writ_join *j, const uint8_t *p, size_t n, struct writ_err *err)
{
	request req = SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_REQUEST__INIT;
	req.step_case =
		SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_REQUEST__STEP_CHALLENGE_RESPONSE;
	req.challenge_response = (ProtobufCBinaryData){ n, (uint8_t *)(uintptr_t)p };
	return writ_rpc_send(j->rpc, &req.base, err);
}

static writ_rc prove_key(
	struct writ_join *j, const ProtobufCBinaryData *challenge, struct writ_err *err)
{
	uint8_t text[WRIT_PROOF_LEN], sig[WRIT_SIG_MAX];
	size_t n = 0;
	if (challenge->len != WRIT_PROOF_CHALLENGE)
		return writ_fail(err, WRIT_EPROTO, "the server's challenge has %zu bytes, not %d",
			challenge->len, WRIT_PROOF_CHALLENGE);
	writ_proof_message(challenge->data, j->cfg.csr, text);
	writ_rc rc = writ_key_sign(j->old->key, text, sizeof(text), sig, &n, err);
	return rc == WRIT_OK ? send_answer(j, sig, n, err) : rc;
}

static void finish(struct writ_join *j)
{
	j->cfg.done(j->cfg.arg, j, &j->outcome);
	writ_svid_unref(j->outcome.svid);
	writ_svid_unref(j->old);
	writ_key_unref(j->cfg.key);
	writ_buf_done(&j->challenge);
	writ_buf_wipe(&j->answer);
	writ_free(j->td);
	writ_free(j->csr);
	writ_free(j);
}

static void answer_work(struct writ_job *job)
{
	struct writ_join *j = writ_container(job, struct writ_join, job);
	j->job_err.rc = WRIT_OK;
	j->job_err.rc = j->cfg.prover->vt->answer(
		j->cfg.prover, writ_buf_str(&j->challenge), &j->answer, &j->job_err);
}

static void answer_done(struct writ_job *job)
{
	struct writ_join *j = writ_container(job, struct writ_join, job);
	struct writ_err err = j->job_err;
	j->answering = false;
	if (j->ended) {
		finish(j);
		return;
	}
	if (err.rc == WRIT_OK)
		err.rc = writ_buf_check(&j->answer, "the answer to the challenge", &err);
	if (err.rc == WRIT_OK)
		err.rc = send_answer(j, j->answer.p, j->answer.n, &err);
	if (err.rc != WRIT_OK)
		fail(j, &err);
}

/* The prover may have to compute, or to ask a device. */
static writ_rc prove_node(
	struct writ_join *j, const ProtobufCBinaryData *challenge, struct writ_err *err)
{
	const struct writ_prover_vt *vt = j->cfg.prover->vt;
	writ_buf_add(&j->challenge, challenge->data, challenge->len);
	writ_rc rc = writ_buf_check(&j->challenge, "the server's challenge", err);
	if (rc == WRIT_OK && !vt->answer)
		rc = writ_fail(
			err, WRIT_EPROTO, "the server sent a challenge, and %s has none", vt->name);
	if (rc != WRIT_OK)
		return rc;
	j->answering = true;
	if (vt->on_loop) {
		answer_work(&j->job);
		answer_done(&j->job);
	} else {
		j->job = (struct writ_job){ .work = answer_work, .done = answer_done };
		writ_job_run(j->cfg.loop, &j->job);
	}
	return WRIT_OK;
}

static writ_rc prove(
	struct writ_join *j, const ProtobufCBinaryData *challenge, struct writ_err *err)
{
	if (j->challenged || (!j->old && !j->cfg.prover))
		return writ_fail(err, WRIT_EPROTO,
			"the server sent a challenge that does not belong to this attestation");
	j->challenged = true;
	return j->cfg.prover ? prove_node(j, challenge, err) : prove_key(j, challenge, err);
}

static void on_message(void *arg, struct writ_rpc *r, const ProtobufCMessage *message)
{
	struct writ_join *j = arg;
	const response *m = (const void *)message;
	struct writ_err err = { 0 };
	(void)r;
	if (j->answered)
		return;
	if (m->step_case == SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_RESPONSE__STEP_RESULT) {
		take_result(j, m);
		return;
	}
	if (prove(j, &m->challenge, &err) != WRIT_OK)
		fail(j, &err);
}

static void on_ended(void *arg, struct writ_rpc *r, const struct writ_rpc_status *s)
{
	struct writ_join *j = arg;
	(void)r;
	j->ended = true;
	if (!j->answered) {
		j->answered = true;
		j->outcome.code = s->code;
		j->outcome.reason = writ_denied_reason(s);
		j->outcome.rc = s->rc != WRIT_OK
			? writ_rpc_status_err(s, NULL, &j->outcome.err)
			: writ_fail(&j->outcome.err, WRIT_EPROTO,
				  "the server ended the attestation without an answer");
	}
	if (!j->answering)
		finish(j);
}

static writ_rc fill_claim(const struct writ_join *j, struct writ_buf *claim, struct writ_err *err)
{
	struct writ_pubkey pub;
	writ_rc rc = writ_pubkey_of_key(j->old->key, &pub, err);
	if (rc == WRIT_OK)
		rc = writ_proof_claim(writ_cstr(j->old->spiffe_id),
			writ_strn(pub.spki, pub.spki_len), claim, err);
	return rc;
}

/* What AttestAgent is told about who we are; claim is room for it. */
static writ_rc describe(struct writ_join *j, const struct writ_join_config *cfg,
	struct writ_buf *claim, Spire__Api__Types__AttestationData *data, struct writ_err *err)
{
	static char by_token[] = "join_token", by_key[] = "writ_key";
	writ_rc rc = WRIT_OK;
	if (cfg->token) {
		data->type = by_token;
		data->payload = (ProtobufCBinaryData){ cfg->token->n, cfg->token->p };
	} else if (cfg->prover) {
		data->type = (char *)(uintptr_t)cfg->prover->vt->name;
		data->payload = (ProtobufCBinaryData){ cfg->payload.n,
			(uint8_t *)(uintptr_t)cfg->payload.p };
	} else {
		union {
			const struct writ_svid *in;
			struct writ_svid *out;
		} old = { .in = cfg->old };
		j->old = writ_svid_ref(old.out);
		rc = fill_claim(j, claim, err);
		data->type = by_key;
		data->payload = (ProtobufCBinaryData){ claim->n, claim->p };
	}
	return rc;
}

struct writ_join *writ_join_start(const struct writ_join_config *cfg)
{
	struct writ_join *j = writ_alloc(sizeof(*j));
	struct writ_err err = { 0 };
	struct writ_buf claim = WRIT_BUF(CLAIM_MAX);
	j->cfg = *cfg;
	j->td = writ_strndup(cfg->td.p, cfg->td.n);
	j->csr = writ_memdup(cfg->csr.p, cfg->csr.n);
	j->cfg.csr.p = j->csr;
	j->cfg.key = writ_key_ref(cfg->key);
	j->challenge = j->answer = WRIT_BUF(WRIT_PROOF_ANSWER_MAX);

	Spire__Api__Types__AttestationData data = SPIRE__API__TYPES__ATTESTATION_DATA__INIT;
	Spire__Api__Server__Agent__V1__AgentX509SVIDParams params =
		SPIRE__API__SERVER__AGENT__V1__AGENT_X509_SVIDPARAMS__INIT;
	Spire__Api__Server__Agent__V1__AttestAgentRequest__Params step =
		SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_REQUEST__PARAMS__INIT;
	request req = SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_REQUEST__INIT;
	writ_rc rc = describe(j, cfg, &claim, &data, &err);
	params.csr = (ProtobufCBinaryData){ cfg->csr.n, (uint8_t *)j->csr };
	step.data = &data;
	step.params = &params;
	req.step_case = SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_REQUEST__STEP_PARAMS;
	req.params = &step;
	const struct writ_rpc_request call = {
		.path = PATH,
		.message = &req.base,
		.out = &spire__api__server__agent__v1__attest_agent_response__descriptor,
		.deadline_ms = cfg->deadline_ms,
		.bidi = true,
		.message_in = on_message,
		.ended = on_ended,
		.arg = j,
	};
	j->rpc = writ_rpc_start(cfg->channel, &call);
	writ_buf_done(&claim);
	if (rc != WRIT_OK)
		fail(j, &err);
	return j;
}
