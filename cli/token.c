/* SPDX-License-Identifier: Apache-2.0 */
/* writ token generate */
#include "convert.h"
#include "print.h"
#include "session.h"

#include "base/clock.h"
#include "base/mem.h"
#include "rpc/rpc.h"

#include "spire/api/server/agent/v1/agent.pb-c.h"

static const struct writ_option options[] = {
	{ "ttl", NULL, WRIT_OPT_STRING, "SECONDS",
		"how long the token may be used, in seconds or as 10m (600)" },
	{ "spiffeID", "spiffe-id", WRIT_OPT_STRING, "ID",
		"a further ID that the agent's node shall have, for entries to name as parent" },
	WRIT_OPT_SERVER_SOCKET,
	WRIT_OPT_TIMEOUT,
	WRIT_OPT_OUTPUT,
	WRIT_OPT_O,
};

static void print(const Spire__Api__Types__JoinToken *t)
{
	char when[32];
	printf("Token: %s\n", writ_safe(t->value));
	printf("Valid until %s, for one agent, once. Give it by file: writ-agent run "
	       "-joinTokenFile FILE\n",
		writ_format_time(t->expires_at, when, sizeof(when)));
}

/* SPIRE takes seconds; a duration is taken too. */
static writ_rc parse_ttl(const char *text, int32_t *ret, struct writ_err *err)
{
	uint64_t s;
	int64_t ms;
	if (writ_parse_u64(writ_cstr(text), 1, 30 * 86400, &s, NULL) != WRIT_OK) {
		writ_rc rc = writ_parse_duration_ms(writ_cstr(text), &ms, err);
		if (rc == WRIT_OK && (ms < 1000 || ms > 30 * 86400000LL))
			rc = writ_fail(
				err, WRIT_EINVAL, "'%s' is out of range, from 1s to 720h", text);
		if (rc != WRIT_OK)
			return writ_wrap(err, rc, "-ttl");
		s = (uint64_t)(ms / 1000);
	}
	*ret = (int32_t)s;
	return WRIT_OK;
}

static writ_rc run(struct writ_invocation *in, struct writ_err *err)
{
	Spire__Api__Server__Agent__V1__CreateJoinTokenRequest req =
		SPIRE__API__SERVER__AGENT__V1__CREATE_JOIN_TOKEN_REQUEST__INIT;
	Spire__Api__Types__SPIFFEID id = SPIRE__API__TYPES__SPIFFEID__INIT;
	const char *ttl = writ_arg(&in->args, "ttl"), *alias = writ_arg(&in->args, "spiffeID");
	writ_rc rc = parse_ttl(ttl ? ttl : "600", &req.ttl, err);
	if (rc == WRIT_OK && alias) {
		rc = writ_api_id(alias, "spiffeID", &id, err);
		req.agent_id = &id;
	}
	struct writ_session s = { 0 };
	if (rc == WRIT_OK)
		rc = writ_session_open(in, &s, err);
	ProtobufCMessage *m = NULL;
	if (rc == WRIT_OK)
		rc = writ_session_call(&s, "/spire.api.server.agent.v1.Agent/CreateJoinToken",
			&req.base, &spire__api__types__join_token__descriptor, &m, err);
	if (rc == WRIT_OK && s.json)
		writ_print_json(m);
	else if (rc == WRIT_OK)
		print((const Spire__Api__Types__JoinToken *)(void *)m);
	if (m)
		writ_pb_free(m);
	writ_session_close(&s);
	writ_api_id_done(&id);
	return rc;
}

static const struct writ_command commands[] = {
	{ .words = "token generate",
		.summary = "A one-time token with which one agent may join",
		.options = options,
		.n_options = WRIT_COUNT(options),
		.run = run },
};
const struct writ_command_group writ_commands_token = { "Joining", commands, WRIT_COUNT(commands) };
