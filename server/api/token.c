/* SPDX-License-Identifier: Apache-2.0 */
#include "api/token.h"

#include "api/convert.h"
#include "api/methods.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "crypto/digest.h"
#include "spire/api/server/agent/v1/agent.pb-c.h"

#include <string.h>

#define TTL_MAX_S  (30 * 86400)
#define TOKEN_MAX  255
#define AGENT_PATH "/spire/agent/join_token/"

#define A(name) Spire__Api__Server__Agent__V1__##name

/* What is remembered until the token is stored. The value is wiped with the request's memory. */
struct making {
	int64_t expires_at;
	char *value;
};

void writ_token_hash(struct writ_str value, uint8_t hash[WRIT_KEY_HASH_LEN])
{
	writ_sha256(value.p, value.n, hash);
}

/* The ID says nothing about the token that the hash does not. */
static struct writ_str agent_id(struct writ_call *c, const uint8_t hash[WRIT_KEY_HASH_LEN])
{
	char hex[2 * WRIT_KEY_HASH_LEN + 1];
	writ_hex(hash, WRIT_KEY_HASH_LEN, hex);
	return writ_cstr(writ_api_printf(
		c, "spiffe://" WRIT_FMT AGENT_PATH "%s", WRIT_ARG(writ_api_call(c)->api->td), hex));
}

static void created(void *arg, const struct writ_outcome *out)
{
	struct writ_call *c = arg;
	const struct making *k = writ_api_call(c)->state;
	Spire__Api__Types__JoinToken m = SPIRE__API__TYPES__JOIN_TOKEN__INIT;
	if (out->rc == WRIT_OK) {
		m.value = k->value;
		m.expires_at = k->expires_at;
		writ_api_reply(c, &m.base);
	} else if (out->rc == WRIT_EEXIST) {
		writ_api_fail(
			c, WRIT_EEXIST, "failed to create token: there is one with this value");
	} else {
		writ_api_fail(c, out->rc, "failed to create token: %s", out->msg);
	}
	writ_wipe(k->value, strlen(k->value));
}

/* The entry that gives the agent a second name. */
static writ_rc make_entry(struct writ_call *c, const Spire__Api__Types__SPIFFEID *alias,
	struct writ_str parent, struct writ_entry_request *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf pack = WRIT_BUF(WRIT_ROW_BYTES_MAX);
	const struct writ_selector s = { WRIT_STR("spiffe_id"), parent };
	struct writ_str *text = ret->spec.text;
	writ_rc rc = writ_from_id(c, alias, &text[WRIT_ENTRY_SPIFFE_ID], err);
	if (rc == WRIT_OK)
		rc = writ_selectors_pack(&s, 1, &pack, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "invalid agent ID");
	text[WRIT_ENTRY_PARENT_ID] = parent;
	text[WRIT_ENTRY_SELECTORS] =
		(struct writ_str){ writ_api_dup(c, writ_buf_str(&pack)), pack.n };
	return WRIT_OK;
}

static writ_rc check(const A(CreateJoinTokenRequest) * q, struct writ_err *err)
{
	if (q->ttl < 1)
		return writ_fail(err, WRIT_EINVAL, "ttl is required, you must provide one");
	if (q->ttl > TTL_MAX_S)
		return writ_fail(err, WRIT_EINVAL, "ttl is %d seconds, at most %d are allowed",
			q->ttl, TTL_MAX_S);
	if (strlen(q->token) > TOKEN_MAX)
		return writ_fail(err, WRIT_EINVAL, "the token is longer than %d bytes", TOKEN_MAX);
	return WRIT_OK;
}

void writ_h_agent_create_token(struct writ_call *c)
{
	const A(CreateJoinTokenRequest) *q = (const void *)writ_call_request(c);
	struct writ_api_call *a = writ_api_call(c);
	struct writ_entry_request entry = { 0 };
	struct writ_token token = { 0 };
	struct writ_err err;
	char uuid[37];
	writ_rc rc = check(q, &err);
	if (rc != WRIT_OK) {
		writ_call_fail(c, &err);
		return;
	}
	struct making *k = writ_api_alloc(c, sizeof(*k));
	a->state = k;
	writ_rand_uuid(uuid);
	k->value = writ_api_dup(c, writ_cstr(*q->token ? q->token : uuid));
	writ_wipe(uuid, sizeof(uuid));
	writ_wipe(q->token, strlen(q->token));
	k->expires_at = token.expires_at = writ_wall_s() + q->ttl;
	writ_token_hash(writ_cstr(k->value), token.hash);
	token.agent_id = agent_id(c, token.hash);
	if (q->agent_id)
		rc = make_entry(c, q->agent_id, token.agent_id, &entry, &err);
	if (rc != WRIT_OK) {
		writ_wipe(k->value, strlen(k->value));
		writ_call_fail(c, &err);
		return;
	}
	token.spiffe_id = entry.spec.text[WRIT_ENTRY_SPIFFE_ID];
	writ_api_note(c, "agent", token.agent_id);
	writ_registry_create_token(
		a->api->registry, &token, q->agent_id ? &entry : NULL, created, c);
}
