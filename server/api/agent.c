/* SPDX-License-Identifier: Apache-2.0 */
/* Agent: what operators do with agents, and what agents say of themselves. */
#include "api/convert.h"
#include "api/methods.h"
#include "base/mem.h"
#include "google/protobuf/empty.pb-c.h"
#include "google/protobuf/wrappers.pb-c.h"
#include "spire/api/server/agent/v1/agent.pb-c.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define A(name) Spire__Api__Server__Agent__V1__##name

typedef A(ListAgentsRequest__Filter) filter_msg;
static_assert(sizeof(filter_msg) == sizeof(A(CountAgentsRequest__Filter)),
	"both requests have the same filter");

/* "2006-01-02 15:04:05 -0700 -07", the form that SPIRE's command sends. */
static writ_rc parse_time(const char *text, int64_t *ret, struct writ_err *err)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%d %H:%M:%S %z", &tm);
	if (!end || (*end && *end != ' '))
		return writ_fail(err, WRIT_EINVAL,
			"failed to parse expires_before: \"%.64s\" is not a time like "
			"\"2006-01-02 15:04:05 -0700 -07\"",
			text);
	long offset = tm.tm_gmtoff;
	*ret = (int64_t)timegm(&tm) - offset;
	return WRIT_OK;
}

static writ_rc read_filter(
	struct writ_call *c, const filter_msg *m, struct writ_node_filter *f, struct writ_err *err)
{
	*f = (struct writ_node_filter){ 0 };
	if (!m)
		return WRIT_OK;
	if (*m->by_attestation_type)
		f->type = writ_cstr(m->by_attestation_type);
	f->by_banned = m->by_banned != NULL;
	f->banned = m->by_banned && m->by_banned->value;
	f->by_can_reattest = m->by_can_reattest != NULL;
	f->can_reattest = m->by_can_reattest && m->by_can_reattest->value;
	writ_rc rc = writ_from_selector_match(c, m->by_selector_match, &f->selectors, err);
	if (rc == WRIT_OK && *m->by_expires_before)
		rc = parse_time(m->by_expires_before, &f->expires_before, err);
	return rc;
}

void writ_h_agent_count(struct writ_call *c)
{
	const A(CountAgentsRequest) *q = (const void *)writ_call_request(c);
	A(CountAgentsResponse) m = SPIRE__API__SERVER__AGENT__V1__COUNT_AGENTS_RESPONSE__INIT;
	struct writ_node_filter f;
	struct writ_err err;
	size_t n = 0;
	writ_rc rc = read_filter(c, (const filter_msg *)(const void *)q->filter, &f, &err);
	if (rc == WRIT_OK)
		rc = writ_registry_count_nodes(writ_api_call(c)->api->registry, &f, &n, &err);
	m.count = writ_to_count(n);
	writ_api_end(c, rc, &m.base, &err);
}

void writ_h_agent_list(struct writ_call *c)
{
	const A(ListAgentsRequest) *q = (const void *)writ_call_request(c);
	struct writ_node_list list = { 0 };
	struct writ_node_filter f;
	struct writ_err err;
	char next[32];
	size_t size = 0;
	writ_rc rc = read_filter(c, q->filter, &f, &err);
	if (rc == WRIT_OK)
		rc = writ_from_page_size(q->page_size, &size, &err);
	if (rc == WRIT_OK)
		rc = writ_registry_list_nodes(writ_api_call(c)->api->registry, &f, size,
			writ_cstr(q->page_token), &list, next, &err);
	if (rc != WRIT_OK) {
		writ_call_fail(c, &err);
		return;
	}
	A(ListAgentsResponse) *m =
		writ_api_new(c, &spire__api__server__agent__v1__list_agents_response__descriptor);
	uint32_t bits = writ_mask_bits((const void *)q->output_mask);
	m->agents = writ_api_alloc(c, list.n * sizeof(*m->agents));
	for (size_t i = 0; i < list.n && !writ_api_call(c)->full; i++)
		m->agents[m->n_agents++] = writ_to_agent(c, list.v[i], bits);
	m->next_page_token = next;
	writ_node_list_done(&list);
	writ_api_reply(c, &m->base);
}

/* False: the call was ended. */
static bool read_agent_id(
	struct writ_call *c, const Spire__Api__Types__SPIFFEID *id, struct writ_str *ret)
{
	struct writ_err err;
	writ_rc rc = writ_from_id(c, id, ret, &err);
	struct writ_str path = writ_cstr(id ? id->path : "");
	if (rc == WRIT_OK && !writ_str_starts(path, WRIT_STR("/spire/agent/")))
		rc = writ_fail(&err, WRIT_EINVAL,
			"\"" WRIT_FMT "\" is not an agent in trust domain \"" WRIT_FMT
			"\": path is not in the agent namespace",
			WRIT_ARG(*ret), WRIT_ARG(writ_api_call(c)->api->td));
	if (rc == WRIT_OK) {
		writ_api_note(c, "agent", *ret);
		return true;
	}
	writ_api_fail(c, rc, "invalid agent ID: %s", err.msg);
	return false;
}

void writ_h_agent_get(struct writ_call *c)
{
	const A(GetAgentRequest) *q = (const void *)writ_call_request(c);
	struct writ_str id;
	if (!read_agent_id(c, q->id, &id))
		return;
	const struct writ_node *n = writ_registry_node(writ_api_call(c)->api->registry, id);
	if (n)
		writ_api_reply(c,
			&writ_to_agent(c, n, writ_mask_bits((const void *)q->output_mask))->base);
	else
		writ_api_fail(c, WRIT_ENOENT, "agent not found");
}

static void edited(struct writ_call *c, const struct writ_outcome *out, const char *why)
{
	Google__Protobuf__Empty m = GOOGLE__PROTOBUF__EMPTY__INIT;
	struct writ_api *api = writ_api_call(c)->api;
	if (out->rc != WRIT_OK) {
		writ_api_fail(c, out->rc, "%s", out->msg);
		return;
	}
	struct writ_str id = writ_node_get(out->node, WRIT_NODE_ID);
	size_t cut = writ_api_cut(api, id, why);
	WRIT_LOG(WARN, "agent.cut", WRIT_KV("agent", id), WRIT_KV("why", why),
		WRIT_KV("connections", cut));
	writ_api_reply(c, &m.base);
}

static void removed(void *arg, const struct writ_outcome *out)
{
	edited(arg, out, "the agent was deleted");
}

static void banned(void *arg, const struct writ_outcome *out)
{
	edited(arg, out, "the agent was banned");
}

void writ_h_agent_delete(struct writ_call *c)
{
	const A(DeleteAgentRequest) *q = (const void *)writ_call_request(c);
	struct writ_node_edit edit = { .act = WRIT_NODE_REMOVE };
	if (read_agent_id(c, q->id, &edit.id))
		writ_registry_edit_node(writ_api_call(c)->api->registry, &edit, removed, c);
}

void writ_h_agent_ban(struct writ_call *c)
{
	const A(BanAgentRequest) *q = (const void *)writ_call_request(c);
	struct writ_node_edit edit = { .act = WRIT_NODE_BAN };
	if (read_agent_id(c, q->id, &edit.id))
		writ_registry_edit_node(writ_api_call(c)->api->registry, &edit, banned, c);
}

static void reported(void *arg, const struct writ_outcome *out)
{
	A(PostStatusResponse) m = SPIRE__API__SERVER__AGENT__V1__POST_STATUS_RESPONSE__INIT;
	struct writ_call *c = arg;
	if (out->rc == WRIT_OK)
		writ_api_reply(c, &m.base);
	else
		writ_api_fail(c, out->rc, "%s", out->msg);
}

void writ_h_agent_post_status(struct writ_call *c)
{
	const A(PostStatusRequest) *q = (const void *)writ_call_request(c);
	const struct writ_api_call *a = writ_api_call(c);
	struct writ_node_edit edit = { .act = WRIT_NODE_REPORT,
		.id = writ_cstr(a->spiffe_id),
		.version = writ_cstr(q->agent_version) };
	if (edit.version.n > WRIT_AGENT_VERSION_MAX)
		writ_api_fail(c, WRIT_EINVAL,
			"agent version is too long: %zu characters, at most %d", edit.version.n,
			WRIT_AGENT_VERSION_MAX);
	else
		writ_registry_edit_node(a->api->registry, &edit, reported, c);
}
