/* SPDX-License-Identifier: Apache-2.0 */
/* AttestAgent by proof of the recorded key: docs/protocol/key-proof.txt. */
#include "api/attest.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "spiffe/id.h"

#include <string.h>

writ_rc writ_attest_take_claim(struct writ_attest *t, struct writ_str payload, struct writ_err *err)
{
	struct writ_id id;
	writ_rc rc = writ_key_claim_parse(payload, &t->claim, err);
	if (rc == WRIT_OK && writ_id_parse_leaf(t->claim.agent_id, &id, err) != WRIT_OK)
		rc = writ_wrap(err, WRIT_EINVAL, "malformed key proof");
	if (rc == WRIT_OK && !writ_str_eq(id.td, writ_api_call(t->call)->api->td))
		rc = writ_fail(err, WRIT_EINVAL,
			"malformed key proof: the agent ID is of another trust domain");
	return rc;
}

void writ_attest_challenge(struct writ_attest *t)
{
	writ_rand(t->challenge, sizeof(t->challenge));
	writ_attest_ask(t, t->challenge, sizeof(t->challenge));
}

/* Strangers learn nothing about which agents there are; the audit record has the reason. */
static void refuse(struct writ_attest *t, const char *reason)
{
	writ_api_call(t->call)->reason = reason;
	writ_attest_fail(t, WRIT_EDENIED, "key proof refused");
}

/* When the certificate of that key ends; 0: the key is none of the node's. */
static int64_t end_of_key(const struct writ_node *n, const uint8_t *sha256)
{
	if (n->meta.has_key && memcmp(n->meta.key, sha256, WRIT_KEY_HASH_LEN) == 0)
		return n->meta.not_after;
	if (n->meta.has_new_key && memcmp(n->meta.new_key, sha256, WRIT_KEY_HASH_LEN) == 0)
		return n->meta.new_not_after;
	return 0;
}

static void verified(struct writ_job *j)
{
	struct writ_attest *t = writ_container(j, struct writ_attest, verify);
	struct writ_call *c = t->call;
	if (t->verify_err.rc != WRIT_OK) {
		refuse(t, "the signature does not hold");
		return;
	}
	const struct writ_node *n =
		writ_registry_node(writ_api_call(c)->api->registry, t->claim.agent_id);
	int64_t end = n ? end_of_key(n, t->old_key.sha256) : 0;
	if (!n) {
		refuse(t, "there is no such agent");
	} else if (!end) {
		refuse(t, "the key is not the agent's");
	} else if (end + WRIT_KEY_PROOF_AGE_S < writ_wall_s()) {
		refuse(t, "the agent was away for more than 30 days");
	} else if (n->meta.banned) {
		writ_attest_deny_banned(t);
	} else if (n->meta.can_reattest) {
		/* What the machine is counts, not that it was it once. */
		refuse(t, "the agent has to attest again");
	} else {
		writ_attest_issue(t, writ_cstr(writ_api_dup(c, t->claim.agent_id)));
	}
}

static void verify(struct writ_job *j)
{
	struct writ_attest *t = writ_container(j, struct writ_attest, verify);
	t->verify_err.rc = writ_key_proof_verify(
		&t->claim, t->challenge, t->csr_der, t->answer, &t->old_key, &t->verify_err);
}

void writ_attest_answered(struct writ_attest *t, struct writ_str answer)
{
	t->answer = answer;
	t->verify = (struct writ_job){ .work = verify, .done = verified };
	writ_job_run(writ_api_call(t->call)->api->loop, &t->verify);
}
