/* SPDX-License-Identifier: Apache-2.0 */
#include "api/authorize.h"

#include "api/ratelimit.h"
#include "base/clock.h"
#include "spire/api/types/status.pb-c.h"

#include <string.h>

#define REASON(name) SPIRE__API__TYPES__PERMISSION_DENIED_DETAILS__REASON__##name

static const struct {
	unsigned who, flag;
	const char *why;
} entry_rights[] = {
	{ WRIT_WHO_ADMIN, WRIT_ENTRY_ADMIN, "an entry makes it an admin" },
	{ WRIT_WHO_DOWNSTREAM, WRIT_ENTRY_DOWNSTREAM, "an entry makes it a downstream server" },
};

static struct writ_verdict refuse(int reason, const char *why)
{
	return (struct writ_verdict){ .reason = reason, .why = why };
}

static struct writ_verdict allow(unsigned as, const char *why)
{
	return (struct writ_verdict){ .as = as, .reason = WRIT_REASON_NONE, .why = why };
}

static bool is_admin_id(const struct writ_api *api, const char *id)
{
	for (size_t i = 0; i < api->config->admin_ids.n; i++)
		if (strcmp(api->config->admin_ids.items[i], id) == 0)
			return true;
	return false;
}

/* The flags of all entries that are in force for this SPIFFE ID. */
static unsigned entry_flags(const struct writ_api *api, const char *id, int64_t now)
{
	const struct writ_entry_filter f = { .spiffe_id = writ_cstr(id) };
	struct writ_entry_list list = { 0 };
	unsigned flags = 0;
	char next[32];
	if (writ_registry_list_entries(api->registry, &f, 0, WRIT_STR(""), &list, next, NULL) !=
		WRIT_OK)
		return 0;
	for (size_t i = 0; i < list.n; i++) {
		const struct writ_entry_meta *m = &list.v[i]->meta;
		if (m->expires_at == 0 || m->expires_at > now)
			flags |= m->flags;
	}
	writ_entry_list_done(&list);
	return flags;
}

static struct writ_verdict judge_agent(
	const struct writ_api *api, const struct writ_peer *p, int64_t now)
{
	if (writ_cert_not_after(p->cert) < now)
		return refuse(REASON(AGENT_EXPIRED), "the agent's certificate is over");
	const struct writ_node *n = writ_registry_node(api->registry, writ_cstr(p->spiffe_id));
	if (!n)
		return refuse(REASON(AGENT_NOT_ATTESTED), "there is no such agent");
	if (n->meta.banned)
		return refuse(REASON(AGENT_BANNED), "the agent is banned");
	struct writ_str serial = writ_cstr(writ_cert_serial_dec(p->cert));
	struct writ_verdict v = allow(WRIT_WHO_AGENT, "an agent");
	if (writ_str_eq(serial, writ_node_get(n, WRIT_NODE_SERIAL)))
		return v;
	v.promote = writ_str_eq(serial, writ_node_get(n, WRIT_NODE_NEW_SERIAL));
	return v.promote ? v
			 : refuse(REASON(AGENT_NOT_ACTIVE),
				   "the certificate is none of those in use by this agent");
}

struct writ_verdict writ_authorize(const struct writ_api *api, unsigned who, bool local,
	const struct writ_peer *p, int64_t now)
{
	if (who & WRIT_WHO_ANY)
		return allow(WRIT_WHO_ANY, "open to anyone");
	if (local)
		return who & WRIT_WHO_LOCAL ? allow(WRIT_WHO_LOCAL, "the admin socket")
					    : refuse(WRIT_REASON_NONE, "not for the admin socket");
	if (!p->cert || !p->spiffe_id || !*p->spiffe_id)
		return refuse(WRIT_REASON_NONE, "no certificate was presented");
	bool over = writ_cert_not_after(p->cert) < now;
	if (!over && (who & WRIT_WHO_ADMIN) && is_admin_id(api, p->spiffe_id))
		return allow(WRIT_WHO_ADMIN, "its ID is in admin_ids");
	unsigned flags = !over && (who & (WRIT_WHO_ADMIN | WRIT_WHO_DOWNSTREAM))
		? entry_flags(api, p->spiffe_id, now)
		: 0;
	for (size_t i = 0; i < WRIT_COUNT(entry_rights); i++)
		if ((who & entry_rights[i].who) && (flags & entry_rights[i].flag))
			return allow(entry_rights[i].who, entry_rights[i].why);
	if (who & WRIT_WHO_AGENT)
		return judge_agent(api, p, now);
	return refuse(WRIT_REASON_NONE,
		over ? "its certificate is over" : "its SPIFFE ID has no such right");
}

static void refused(struct writ_call *c, const struct writ_verdict *v)
{
	char text[192] = "authorization denied for method ";
	strncat(text, writ_call_method(c)->path, sizeof(text) - strlen(text) - 1);
	writ_api_call(c)->reason = v->why;
	if (v->reason == WRIT_REASON_NONE)
		writ_api_fail(c, WRIT_EDENIED, "%s", text);
	else
		writ_api_deny(c, text, v->reason);
}

static void let_in(struct writ_call *c, const struct writ_verdict *v)
{
	struct writ_api_call *a = writ_api_call(c);
	a->as = v->as;
	if (a->local)
		writ_call_run(c);
	else
		writ_ratelimit_pass(a->api->ratelimit, c);
}

static void promoted(void *arg, const struct writ_outcome *out)
{
	struct writ_call *c = arg;
	const struct writ_api_call *a = writ_api_call(c);
	if (out->rc != WRIT_OK && out->rc != WRIT_ENOENT && out->rc != WRIT_EDENIED) {
		writ_api_fail(
			c, WRIT_EUNAVAIL, "the agent's new certificate cannot be recorded now");
		return;
	}
	/* Meanwhile it may have been banned, or the same may have been done by another call. */
	struct writ_verdict v = writ_authorize(
		a->api, writ_call_method(c)->who, false, writ_call_peer(c), writ_wall_s());
	if (!v.as)
		refused(c, &v);
	else if (v.promote)
		writ_api_fail(c, WRIT_EUNAVAIL, "the agent's certificates are changing: try again");
	else
		let_in(c, &v);
}

void writ_api_before(struct writ_call *c)
{
	const struct writ_api_listener *l = writ_call_program(c);
	const struct writ_peer *p = writ_call_peer(c);
	/* The first of a call's memory: always there. */
	struct writ_api_call *a = writ_call_alloc(c, sizeof(*a));
	writ_call_set_user(c, a);
	a->api = l->api;
	a->local = l->local;
	a->spiffe_id = p->spiffe_id ? p->spiffe_id : "";
	a->serial = p->cert ? writ_cert_serial_dec(p->cert) : "";
	struct writ_verdict v =
		writ_authorize(a->api, writ_call_method(c)->who, a->local, p, writ_wall_s());
	if (!v.as) {
		refused(c, &v);
	} else if (v.promote) {
		const struct writ_node_edit edit = { .act = WRIT_NODE_PROMOTE,
			.id = writ_cstr(p->spiffe_id),
			.serial = writ_cstr(a->serial) };
		writ_registry_edit_node(a->api->registry, &edit, promoted, c);
	} else {
		let_in(c, &v);
	}
}
