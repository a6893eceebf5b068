/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/admin_impl.h"

#include "base/mem.h"
#include "front/admin.h"

#include "writ/agent/v1/admin.pb-c.h"

#include <unistd.h>

#define SERVICE     "/writ.agent.v1.Admin/"
#define REQUEST_MAX (512 * 1024) /* as many selectors as a caller can have */
#define ANSWER_MS   120000       /* a look at all processes of a large machine */

#define ROW(name, kind_, in_, out_, fn)                                                            \
	{                                                                                          \
		.path = SERVICE name, .kind = kind_, .in = &writ__agent__v1__##in_##__descriptor,  \
		.out = &writ__agent__v1__##out_##__descriptor, .handle = fn                        \
	}

static const struct writ_rpc_method methods[] = {
	ROW("GetStatus", WRIT_RPC_UNARY, get_status_request, get_status_response,
		writ__admin_get_status),
	ROW("Explain", WRIT_RPC_UNARY, explain_request, explain_response, writ__admin_explain),
	ROW("ListDecisions", WRIT_RPC_UNARY, list_decisions_request, list_decisions_response,
		writ__admin_list_decisions),
	ROW("Preview", WRIT_RPC_UNARY, preview_request, preview_response, writ__admin_preview),
};

bool writ__admin_is_operator(const struct writ_admin *a, const struct writ_peer *p)
{
	if (p->kind != WRIT_PEER_UNIX)
		return false;
	if (p->uid == 0 || p->uid == geteuid())
		return true;
	bool in_group = a->has_group && p->gid == a->group;
	for (size_t i = 0; i < p->n_groups && a->has_group; i++)
		in_group = in_group || p->groups[i] == a->group;
	return in_group;
}

/* The socket's mode says the same; but a mode is changed by mistake sooner than this is. */
static void before(struct writ_call *c)
{
	struct writ_err err = { 0 };
	if (writ__admin_is_operator(writ_call_program(c), writ_call_peer(c))) {
		writ_call_run(c);
		return;
	}
	(void)writ_fail(&err, WRIT_EDENIED,
		"only root, the agent's own user and group " WRIT_ADMIN_GROUP
		" may ask the agent this");
	writ_call_fail(c, &err);
}

static void after(struct writ_call *c, int status, const char *message, int64_t took_us)
{
	const struct writ_admin *a = writ_call_program(c);
	const struct writ_peer *p = writ_call_peer(c);
	const struct writ_kv kv[] = {
		WRIT_KV("method", writ_call_method(c)->path),
		WRIT_KV("caller_uid", p->uid),
		WRIT_KV("caller_pid", (int)p->pid),
		WRIT_KV("result", writ_grpc_status_name(status)),
		WRIT_KV(*message ? "message" : NULL, message),
		WRIT_KV("took_us", took_us),
	};
	struct writ_err err;
	WRIT_LOG(DEBUG, "admin.call", kv[0], kv[1], kv[2], kv[3], kv[4], kv[5]);
	if (a->cfg.audit &&
		writ_audit_write(a->cfg.audit, "admin.call", kv, WRIT_COUNT(kv), &err) != WRIT_OK)
		WRIT_LOG_LIMITED(ERROR, "audit.failed", WRIT_KV("error", err.msg));
}

static void on_refused(void *arg, const char *addr, const struct writ_err *why)
{
	(void)arg;
	WRIT_LOG_LIMITED(INFO, "admin.refused", WRIT_KV("from", addr), WRIT_KV("error", why->msg));
}

writ_rc writ_admin_start(
	const struct writ_admin_config *cfg, struct writ_admin **ret, struct writ_err *err)
{
	struct writ_admin_socket s;
	writ_rc rc = writ_listen_admin(cfg->socket_path, &s, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "admin_socket_path");
	if (s.not_given)
		WRIT_LOG(WARN, "admin.group", WRIT_KV("socket", cfg->socket_path),
			WRIT_KV("error",
				"cannot be given to group " WRIT_ADMIN_GROUP
				": only root and this user can ask"));
	struct writ_admin *a = writ_alloc(sizeof(*a));
	a->cfg = *cfg;
	a->has_group = s.has_group;
	a->group = s.group;
	const struct writ_rpc_server_config server = {
		.loop = cfg->loop,
		.front = { .name = "admin",
			.limits = WRIT_FRONT_LIMITS,
			.refused = on_refused,
			.arg = a },
		.methods = methods,
		.n_methods = WRIT_COUNT(methods),
		.max_request = REQUEST_MAX,
		.unary_deadline_ms = ANSWER_MS,
		.program = a,
		.before = before,
		.after = after,
	};
	rc = writ_rpc_server_start(&server, s.fd, &a->server, err);
	if (rc != WRIT_OK) {
		writ_free(a);
		return rc;
	}
	*ret = a;
	return WRIT_OK;
}

static void on_stopped(void *arg)
{
	struct writ_admin *a = arg;
	void (*stopped)(void *) = a->stopped;
	void *stopped_arg = a->stopped_arg;
	writ_free(a);
	stopped(stopped_arg);
}

void writ_admin_stop(struct writ_admin *a, int64_t deadline_ms, void (*done)(void *arg), void *arg)
{
	a->stopped = done;
	a->stopped_arg = arg;
	writ_rpc_server_stop(a->server, deadline_ms, on_stopped, a);
}
