/* SPDX-License-Identifier: Apache-2.0 */
#include "spiffe/http_challenge.h"

#include "base/mem.h"
#include "spiffe/json.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

bool writ_http_claim_is_agent(struct writ_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
		if (!letter && (!i || (c != '-' && (c < '0' || c > '9'))))
			return false;
	}
	return s.n > 0 && s.n <= WRIT_HTTP_CHALLENGE_AGENT_MAX;
}

static writ_rc read_claim(const struct json_t *doc, struct writ_http_claim *c, struct writ_err *err)
{
	struct writ_str host = writ_json_text(doc, "hostname");
	struct writ_str agent = writ_json_text(doc, "agentname");
	const json_t *port = json_object_get(doc, "port");
	if (!host.n)
		return writ_fail(err, WRIT_EINVAL, "hostname must be set");
	if (host.n > WRIT_HTTP_CHALLENGE_HOST_MAX || memchr(host.p, 0, host.n))
		return writ_fail(err, WRIT_EINVAL, "hostname is not valid");
	if (!writ_http_claim_is_agent(agent))
		return writ_fail(err, WRIT_EINVAL, "agent name is not valid");
	if (!json_is_integer(port) || json_integer_value(port) < 1 ||
		json_integer_value(port) > UINT16_MAX)
		return writ_fail(err, WRIT_EINVAL, "port is invalid");
	memcpy(c->host, host.p, host.n);
	memcpy(c->agent, agent.p, agent.n);
	c->port = (uint16_t)json_integer_value(port);
	return WRIT_OK;
}

writ_rc writ_http_claim_parse(
	struct writ_str payload, struct writ_http_claim *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_json_freep) struct json_t *doc = NULL;
	struct writ_http_claim c = { .port = 0 };
	writ_rc rc = writ_json_parse(payload, &doc, err);
	if (rc == WRIT_OK)
		rc = read_claim(doc, &c, err);
	if (rc == WRIT_OK)
		*ret = c;
	return rc;
}

void writ_http_claim_print(const struct writ_http_claim *c, struct writ_buf *out)
{
	writ_buf_add_cstr(out, "{\"hostname\":\"");
	writ_buf_add_json(out, writ_cstr(c->host));
	writ_buf_add_cstr(out, "\",\"agentname\":\"");
	writ_buf_add_json(out, writ_cstr(c->agent));
	writ_buf_addf(out, "\",\"port\":%u}", c->port);
}

void writ_http_claim_path(const char *agent, char out[WRIT_HTTP_CHALLENGE_PATH_MAX])
{
	(void)snprintf(out, WRIT_HTTP_CHALLENGE_PATH_MAX,
		"/.well-known/spiffe/nodeattestor/http_challenge/%.32s/challenge", agent);
}

writ_rc writ_http_nonce_parse(struct writ_str challenge,
	char ret[WRIT_HTTP_CHALLENGE_NONCE_MAX + 1], struct writ_err *err)
{
	WRIT_AUTO(writ_json_freep) struct json_t *doc = NULL;
	writ_rc rc = writ_json_parse(challenge, &doc, err);
	if (rc != WRIT_OK)
		return rc;
	struct writ_str nonce = writ_json_text(doc, "nonce");
	bool ok = nonce.n > 0 && nonce.n <= WRIT_HTTP_CHALLENGE_NONCE_MAX;
	for (size_t i = 0; ok && i < nonce.n; i++)
		ok = nonce.p[i] > 0x20 && nonce.p[i] < 0x7f;
	if (!ok)
		return writ_fail(err, WRIT_EINVAL, "no nonce of 1 to %d characters in it",
			WRIT_HTTP_CHALLENGE_NONCE_MAX);
	memcpy(ret, nonce.p, nonce.n);
	ret[nonce.n] = 0;
	return WRIT_OK;
}

void writ_http_nonce_print(const char *nonce, struct writ_buf *out)
{
	writ_buf_add_cstr(out, "{\"nonce\":\"");
	writ_buf_add_json(out, writ_cstr(nonce));
	writ_buf_add_cstr(out, "\"}");
}
