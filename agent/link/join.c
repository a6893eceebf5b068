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
	bool answered, challenged;
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

static writ_rc prove(
	struct writ_join *j, const ProtobufCBinaryData *challenge, struct writ_err *err)
{
	uint8_t text[WRIT_PROOF_LEN], sig[WRIT_SIG_MAX];
	size_t n = 0;
	if (!j->old || j->challenged || challenge->len != WRIT_PROOF_CHALLENGE)
		return writ_fail(err, WRIT_EPROTO,
			"the server sent a challenge that does not belong to this attestation");
	j->challenged = true;
	writ_proof_message(challenge->data, j->cfg.csr, text);
	writ_rc rc = writ_key_sign(j->old->key, text, sizeof(text), sig, &n, err);
	if (rc != WRIT_OK)
		return rc;
	request req = SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_REQUEST__INIT;
	req.step_case =
		SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_REQUEST__STEP_CHALLENGE_RESPONSE;
	req.challenge_response = (ProtobufCBinaryData){ n, sig };
	return writ_rpc_send(j->rpc, &req.base, err);
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
	if (!j->answered) {
		j->outcome.code = s->code;
		j->outcome.reason = writ_denied_reason(s);
		j->outcome.rc = s->rc != WRIT_OK
			? writ_rpc_status_err(s, NULL, &j->outcome.err)
			: writ_fail(&j->outcome.err, WRIT_EPROTO,
				  "the server ended the attestation without an answer");
	}
	j->cfg.done(j->cfg.arg, &j->outcome);
	writ_svid_unref(j->outcome.svid);
	writ_svid_unref(j->old);
	writ_key_unref(j->cfg.key);
	writ_free(j->td);
	writ_free(j->csr);
	writ_free(j);
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

	Spire__Api__Types__AttestationData data = SPIRE__API__TYPES__ATTESTATION_DATA__INIT;
	Spire__Api__Server__Agent__V1__AgentX509SVIDParams params =
		SPIRE__API__SERVER__AGENT__V1__AGENT_X509_SVIDPARAMS__INIT;
	Spire__Api__Server__Agent__V1__AttestAgentRequest__Params step =
		SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_REQUEST__PARAMS__INIT;
	request req = SPIRE__API__SERVER__AGENT__V1__ATTEST_AGENT_REQUEST__INIT;
	static char by_token[] = "join_token", by_key[] = "writ_key";
	writ_rc rc = WRIT_OK;
	if (cfg->token) {
		data.type = by_token;
		data.payload = (ProtobufCBinaryData){ cfg->token->n, cfg->token->p };
	} else {
		union {
			const struct writ_svid *in;
			struct writ_svid *out;
		} old = { .in = cfg->old };
		j->old = writ_svid_ref(old.out);
		rc = fill_claim(j, &claim, &err);
		data.type = by_key;
		data.payload = (ProtobufCBinaryData){ claim.n, claim.p };
	}
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

void writ_join_cancel(struct writ_join *j)
{
	writ_rpc_cancel(j->rpc);
}
