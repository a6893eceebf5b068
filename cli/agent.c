/* SPDX-License-Identifier: Apache-2.0 */
/* writ agent list | show | count | ban | evict */
#include "convert.h"
#include "pages.h"
#include "print.h"
#include "session.h"

#include "base/clock.h"
#include "base/mem.h"
#include "rpc/rpc.h"

#include "google/protobuf/empty.pb-c.h"
#include "spire/api/server/agent/v1/agent.pb-c.h"

#include <inttypes.h>
#include <string.h>

#define SERVICE "/spire.api.server.agent.v1.Agent/"

#define FILTER_OPTIONS                                                                             \
	{ "attestationType", "attestation-type", WRIT_OPT_STRING, "TYPE",                          \
		"only agents attested so, as join_token" },                                        \
		{ "banned", NULL, WRIT_OPT_STRING, "true|false",                                   \
			"only banned agents, or only the others" },                                \
	{                                                                                          \
		"canReattest", "can-reattest", WRIT_OPT_STRING, "true|false",                      \
			"only agents that can attest again, or only the others"                    \
	}

static const struct writ_option list_options[] = { FILTER_OPTIONS, WRIT_OPT_SERVER_SOCKET,
	WRIT_OPT_TIMEOUT, WRIT_OPT_OUTPUT, WRIT_OPT_O };
static const struct writ_option id_options[] = {
	{ "spiffeID", "spiffe-id", WRIT_OPT_STRING, "ID", "the agent's SPIFFE ID" },
	WRIT_OPT_SERVER_SOCKET,
	WRIT_OPT_TIMEOUT,
	WRIT_OPT_OUTPUT,
	WRIT_OPT_O,
};

struct filter {
	Spire__Api__Server__Agent__V1__ListAgentsRequest__Filter list;
	Google__Protobuf__BoolValue banned, can_reattest;
};

static writ_rc tri_state(const struct writ_args *a, const char *flag,
	Google__Protobuf__BoolValue *v, Google__Protobuf__BoolValue **slot, struct writ_err *err)
{
	const char *text = writ_arg(a, flag);
	if (!text)
		return WRIT_OK;
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return writ_fail(err, WRIT_EINVAL, "-%s takes true or false, not '%s'", flag, text);
	google__protobuf__bool_value__init(v);
	v->value = strcmp(text, "true") == 0;
	*slot = v;
	return WRIT_OK;
}

static writ_rc read_filter(const struct writ_args *a, struct filter *f, struct writ_err *err)
{
	spire__api__server__agent__v1__list_agents_request__filter__init(&f->list);
	const char *type = writ_arg(a, "attestationType");
	if (type)
		f->list.by_attestation_type = (char *)(uintptr_t)type;
	writ_rc rc = tri_state(a, "banned", &f->banned, &f->list.by_banned, err);
	if (rc == WRIT_OK)
		rc = tri_state(a, "canReattest", &f->can_reattest, &f->list.by_can_reattest, err);
	return rc;
}

static void print_agent(const Spire__Api__Types__Agent *a)
{
	char when[32];
	writ_print_pair(stdout, "SPIFFE ID", "%s", writ_api_id_text(a->id));
	writ_print_pair(stdout, "Attestation type", "%s", writ_safe(a->attestation_type));
	writ_print_pair(stdout, "Expiration time", "%s",
		writ_format_time(a->x509svid_expires_at, when, sizeof(when)));
	writ_print_pair(stdout, "Serial number", "%s", writ_safe(a->x509svid_serial_number));
	writ_print_pair(stdout, "Can re-attest", "%s", a->can_reattest ? "true" : "false");
	writ_print_pair(stdout, "Agent version", "%s", writ_safe(a->agent_version));
	if (a->banned)
		writ_print_pair(stdout, "Banned", "true");
	for (size_t i = 0; i < a->n_selectors; i++)
		writ_print_pair(stdout, "Selector", "%s:%s", writ_safe(a->selectors[i]->type),
			writ_safe(a->selectors[i]->value));
	putchar('\n');
}

typedef Spire__Api__Server__Agent__V1__ListAgentsResponse agents_page;

static ProtobufCMessage *const *items(const ProtobufCMessage *m, size_t *n)
{
	const agents_page *r = (const void *)m;
	*n = r->n_agents;
	return (ProtobufCMessage *const *)(void *)r->agents;
}

static const char *next_page(const ProtobufCMessage *m)
{
	return ((const agents_page *)(const void *)m)->next_page_token;
}

static void print_item(const ProtobufCMessage *m)
{
	print_agent((const void *)m);
}

static writ_rc list_pages(struct writ_session *s, struct filter *f, struct writ_err *err)
{
	Spire__Api__Server__Agent__V1__ListAgentsRequest req =
		SPIRE__API__SERVER__AGENT__V1__LIST_AGENTS_REQUEST__INIT;
	const struct writ_pages pages = { .method = SERVICE "ListAgents",
		.request = &req.base,
		.page_token = &req.page_token,
		.response = &spire__api__server__agent__v1__list_agents_response__descriptor,
		.name = "agents",
		.items = items,
		.next = next_page,
		.print = print_item };
	size_t total;
	req.filter = &f->list;
	req.page_size = 1000;
	writ_rc rc = writ_pages_print(s, &pages, &total, err);
	if (rc == WRIT_OK && !s->json)
		printf("%zu attested agent%s\n", total, total == 1 ? "" : "s");
	return rc;
}

static writ_rc run_list(struct writ_invocation *in, struct writ_err *err)
{
	struct filter f;
	struct writ_session s = { 0 };
	writ_rc rc = read_filter(&in->args, &f, err);
	if (rc == WRIT_OK)
		rc = writ_session_open(in, &s, err);
	if (rc == WRIT_OK)
		rc = list_pages(&s, &f, err);
	writ_session_close(&s);
	return rc;
}

static writ_rc run_count(struct writ_invocation *in, struct writ_err *err)
{
	struct filter f;
	struct writ_session s = { 0 };
	Spire__Api__Server__Agent__V1__CountAgentsRequest req =
		SPIRE__API__SERVER__AGENT__V1__COUNT_AGENTS_REQUEST__INIT;
	Spire__Api__Server__Agent__V1__CountAgentsRequest__Filter count =
		SPIRE__API__SERVER__AGENT__V1__COUNT_AGENTS_REQUEST__FILTER__INIT;
	writ_rc rc = read_filter(&in->args, &f, err);
	if (rc != WRIT_OK)
		return rc;
	count.by_attestation_type = f.list.by_attestation_type;
	count.by_banned = f.list.by_banned;
	count.by_can_reattest = f.list.by_can_reattest;
	req.filter = &count;
	ProtobufCMessage *m = NULL;
	rc = writ_session_open(in, &s, err);
	if (rc == WRIT_OK)
		rc = writ_session_call(&s, SERVICE "CountAgents", &req.base,
			&spire__api__server__agent__v1__count_agents_response__descriptor, &m, err);
	if (rc == WRIT_OK && s.json)
		writ_print_json(m);
	else if (rc == WRIT_OK)
		printf("%d attested agents\n",
			((const Spire__Api__Server__Agent__V1__CountAgentsResponse *)(const void *)
					m)
				->count);
	if (m)
		writ_pb_free(m);
	writ_session_close(&s);
	return rc;
}

/* Get, delete and ban share the form of their request: field 1 is the ID. */
static writ_rc call_by_id(struct writ_invocation *in, const char *method, ProtobufCMessage *req,
	Spire__Api__Types__SPIFFEID **slot, const ProtobufCMessageDescriptor *out, const char *done,
	struct writ_err *err)
{
	const char *text = writ_arg(&in->args, "spiffeID");
	if (!text)
		return writ_fail(err, WRIT_EINVAL,
			"which agent? -spiffeID spiffe://TRUST-DOMAIN/spire/agent/... (`writ agent "
			"list`)");
	Spire__Api__Types__SPIFFEID id;
	writ_rc rc = writ_api_id(text, "spiffeID", &id, err);
	if (rc != WRIT_OK)
		return rc;
	*slot = &id;
	struct writ_session s = { 0 };
	ProtobufCMessage *m = NULL;
	rc = writ_session_open(in, &s, err);
	if (rc == WRIT_OK)
		rc = writ_session_call(&s, method, req, out, &m, err);
	if (rc == WRIT_OK && s.json)
		writ_print_json(m);
	else if (rc == WRIT_OK && done)
		printf("%s: %s\n", done, writ_api_id_text(&id));
	else if (rc == WRIT_OK)
		print_agent((const Spire__Api__Types__Agent *)(const void *)m);
	if (rc == WRIT_ENOENT)
		in->next = "`writ agent list` shows the agents there are";
	if (m)
		writ_pb_free(m);
	writ_session_close(&s);
	writ_api_id_done(&id);
	return rc;
}

static writ_rc run_show(struct writ_invocation *in, struct writ_err *err)
{
	Spire__Api__Server__Agent__V1__GetAgentRequest req =
		SPIRE__API__SERVER__AGENT__V1__GET_AGENT_REQUEST__INIT;
	return call_by_id(in, SERVICE "GetAgent", &req.base, &req.id,
		&spire__api__types__agent__descriptor, NULL, err);
}

static writ_rc run_ban(struct writ_invocation *in, struct writ_err *err)
{
	Spire__Api__Server__Agent__V1__BanAgentRequest req =
		SPIRE__API__SERVER__AGENT__V1__BAN_AGENT_REQUEST__INIT;
	return call_by_id(in, SERVICE "BanAgent", &req.base, &req.id,
		&google__protobuf__empty__descriptor,
		"Banned, it can neither call nor attest again", err);
}

static writ_rc run_evict(struct writ_invocation *in, struct writ_err *err)
{
	Spire__Api__Server__Agent__V1__DeleteAgentRequest req =
		SPIRE__API__SERVER__AGENT__V1__DELETE_AGENT_REQUEST__INIT;
	return call_by_id(in, SERVICE "DeleteAgent", &req.base, &req.id,
		&google__protobuf__empty__descriptor, "Evicted, it must attest again", err);
}

static const struct writ_command commands[] = {
	{ .words = "agent list",
		.summary = "The agents that have attested",
		.options = list_options,
		.n_options = WRIT_COUNT(list_options),
		.run = run_list },
	{ .words = "agent show",
		.summary = "One agent",
		.options = id_options,
		.n_options = WRIT_COUNT(id_options),
		.run = run_show },
	{ .words = "agent count",
		.summary = "How many agents have attested",
		.options = list_options,
		.n_options = WRIT_COUNT(list_options),
		.run = run_count },
	{ .words = "agent ban",
		.summary = "Shut an agent out for good",
		.options = id_options,
		.n_options = WRIT_COUNT(id_options),
		.run = run_ban,
		.detail = "Its connections are cut, its SVID is refused, and it may not attest "
			  "again until it is evicted." },
	{ .words = "agent evict",
		.summary = "Forget an agent: it must attest again",
		.options = id_options,
		.n_options = WRIT_COUNT(id_options),
		.run = run_evict },
};
const struct writ_command_group writ_commands_agent = { "Agents", commands, WRIT_COUNT(commands) };
