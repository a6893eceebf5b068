/* SPDX-License-Identifier: Apache-2.0 */
/* AttestAgent by a node attestor (node/attestor.h): its steps run on the pool, and what it found
 * out becomes the agent's ID and selectors. */
#include "api/attest.h"

#include "api/convert.h"
#include "base/clock.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define ID_MAX 2048

writ_rc writ_attest_take_payload(struct writ_attest *t, const struct writ_node_attestor *by,
	struct writ_str payload, struct writ_err *err)
{
	const struct writ_api *api = writ_api_call(t->call)->api;
	const struct writ_peer *peer = writ_call_peer(t->call);
	if (payload.n > by->vt->payload_max)
		return writ_fail(err, WRIT_EINVAL,
			"%s: an attestation payload of %zu bytes, at most %zu are taken",
			by->vt->name, payload.n, by->vt->payload_max);
	writ_node_exchange_init(&t->node, by);
	t->type = by->vt->name;
	t->input = payload;
	t->node.loop = api->loop;
	t->node.td = api->td;
	t->node.own = api->bundle ? writ_anchors_ref(api->bundle->anchors) : NULL;
	t->node.arg = t;
	/* "127.0.0.1:4711", "[::1]:4711" */
	const char *colon = peer->kind == WRIT_PEER_TCP ? strrchr(peer->addr, ':') : NULL;
	bool bracket = *peer->addr == '[';
	if (colon)
		snprintf(t->node.address, sizeof(t->node.address), "%.*s",
			(int)(colon - peer->addr) - 2 * bracket, peer->addr + bracket);
	return WRIT_OK;
}

/* Strangers are told what is wrong with what they sent, and nothing of our troubles. */
static void refuse(struct writ_attest *t, const struct writ_err *err)
{
	static const writ_rc outside[WRIT_RC_COUNT] = {
		[WRIT_EINVAL] = WRIT_EINVAL,
		[WRIT_ELIMIT] = WRIT_EINVAL,
		[WRIT_EPROTO] = WRIT_EINVAL,
		[WRIT_EDENIED] = WRIT_EDENIED,
		[WRIT_EEXPIRED] = WRIT_EDENIED,
		[WRIT_ECRYPTO] = WRIT_EDENIED,
		[WRIT_EUNAUTH] = WRIT_EDENIED,
		[WRIT_EEXIST] = WRIT_EDENIED,
		[WRIT_EBUSY] = WRIT_EBUSY,
		[WRIT_EUNAVAIL] = WRIT_EUNAVAIL,
		[WRIT_ETIMEOUT] = WRIT_EUNAVAIL,
	};
	writ_rc rc = outside[err->rc] == WRIT_OK ? WRIT_EINTERNAL : outside[err->rc];
	writ_api_call(t->call)->reason = writ_api_dup(t->call, writ_cstr(err->msg));
	writ_attest_fail(
		t, rc, writ_api_printf(t->call, "failed to attest: %s: %s", t->type, err->msg));
}

/* --- the steps --- */

static void known(struct writ_attest *t)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf id = WRIT_BUF(ID_MAX);
	WRIT_AUTO(writ_buf_done) struct writ_buf selectors = WRIT_BUF(WRIT_ROW_BYTES_MAX);
	struct writ_call *c = t->call;
	struct writ_err err;
	writ_rc rc = writ_node_exchange_id(&t->node, &id, &err);
	if (rc == WRIT_OK)
		rc = writ_node_exchange_selectors(&t->node, &selectors, &err);
	if (rc != WRIT_OK) {
		refuse(t, &err);
		return;
	}
	t->agent_id = (struct writ_str){ writ_api_dup(c, writ_buf_str(&id)), id.n };
	t->selectors = (struct writ_str){ writ_api_dup(c, writ_buf_str(&selectors)), selectors.n };
	const struct writ_node *n =
		writ_registry_node(writ_api_call(c)->api->registry, t->agent_id);
	writ_api_note(c, "agent", t->agent_id);
	if (n && n->meta.banned) {
		writ_attest_deny_banned(t);
	} else if (n && t->node.first_only) {
		(void)writ_fail(&err, WRIT_EEXIST, WRIT_ATTEST_USED);
		refuse(t, &err);
	} else {
		writ_attest_check_csr(t);
	}
}

static void asked(struct writ_node_exchange *x, writ_rc rc, const struct writ_err *err)
{
	struct writ_attest *t = x->arg;
	writ_api_call(t->call)->api->node_asks--;
	if (rc != WRIT_OK)
		refuse(t, err);
	else
		known(t);
}

static void start_asking(struct writ_attest *t)
{
	struct writ_api *api = writ_api_call(t->call)->api;
	struct writ_err err;
	if (api->node_asks >= WRIT_NODE_ASKS_MAX) {
		(void)writ_fail(&err, WRIT_EBUSY, "too many attestations at once: try again");
		refuse(t, &err);
		return;
	}
	api->node_asks++;
	t->node.asked = asked;
	t->node.ask = false;
	t->node.by->vt->ask(&t->node);
}

static void step_work(struct writ_job *j)
{
	struct writ_attest *t = writ_container(j, struct writ_attest, step);
	const struct writ_node_attestor_vt *vt = t->node.by->vt;
	t->step_err.rc = WRIT_OK;
	t->step_err.rc = t->answering ? vt->respond(&t->node, t->input, &t->step_err)
				      : vt->begin(&t->node, t->input, &t->step_err);
}

static void step_done(struct writ_job *j)
{
	struct writ_attest *t = writ_container(j, struct writ_attest, step);
	struct writ_node_exchange *x = &t->node;
	struct writ_err err;
	if (t->step_err.rc != WRIT_OK) {
		refuse(t, &t->step_err);
	} else if (!t->answering && x->challenge.n) {
		if (writ_buf_check(&x->challenge, "challenge", &err) != WRIT_OK)
			refuse(t, &err);
		else
			writ_attest_ask(t, x->challenge.p, x->challenge.n);
	} else if (x->ask) {
		start_asking(t);
	} else {
		known(t);
	}
}

static void step(struct writ_attest *t)
{
	t->node.now = writ_wall_s();
	t->step = (struct writ_job){ .work = step_work, .done = step_done };
	writ_job_run(writ_api_call(t->call)->api->loop, &t->step);
}

void writ_attest_node_begin(struct writ_attest *t)
{
	step(t);
}

void writ_attest_node_answered(struct writ_attest *t, struct writ_str answer)
{
	struct writ_err err;
	if (answer.n > t->node.by->vt->answer_max) {
		(void)writ_fail(&err, WRIT_EINVAL,
			"a challenge response of %zu bytes, at most %zu are taken", answer.n,
			t->node.by->vt->answer_max);
		refuse(t, &err);
		return;
	}
	t->answering = true;
	t->input = answer;
	step(t);
}

void writ_attest_node_issue(struct writ_attest *t)
{
	writ_attest_issue(t, t->agent_id);
}
