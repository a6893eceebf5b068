/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include "base/clock.h"
#include "base/mem.h"
#include "rpc/rpc.h"
#include "workload/endpoint.h"

#include <stdlib.h>
#include <string.h>

writ_rc writ_output_is_json(const struct writ_args *a, bool *json, struct writ_err *err)
{
	const char *form = writ_arg(a, "output");
	if (!form)
		form = writ_arg(a, "o");
	if (!form || strcmp(form, "table") == 0 || strcmp(form, "pretty") == 0) {
		*json = false;
		return WRIT_OK;
	}
	if (strcmp(form, "json") != 0)
		return writ_fail(err, WRIT_EINVAL, "-output takes table or json, not '%s'", form);
	*json = true;
	return WRIT_OK;
}

static writ_rc read_timeout(const struct writ_args *a, int64_t *ms, struct writ_err *err)
{
	const char *text = writ_arg(a, "timeout");
	*ms = 10000;
	if (!text)
		return WRIT_OK;
	writ_rc rc = writ_parse_duration_ms(writ_cstr(text), ms, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "-timeout");
}

writ_rc writ_session_open_path(
	struct writ_invocation *in, const char *path, struct writ_session *s, struct writ_err *err)
{
	*s = (struct writ_session){ 0 };
	writ_rc rc = writ_output_is_json(&in->args, &s->json, err);
	if (rc == WRIT_OK)
		rc = read_timeout(&in->args, &s->timeout_ms, err);
	if (rc == WRIT_OK)
		rc = writ_loop_new(&s->loop, err);
	if (rc != WRIT_OK)
		return rc;
	writ_rpc_init();
	rc = writ_channel_unix(s->loop, path, &s->channel, err);
	if (rc != WRIT_OK)
		writ_session_close(s);
	return rc;
}

writ_rc writ_session_open(struct writ_invocation *in, struct writ_session *s, struct writ_err *err)
{
	const char *path = writ_arg(&in->args, "socketPath");
	const char *from = "by -socketPath";
	if (!path) {
		path = getenv("WRIT_SERVER_SOCKET");
		from = "by WRIT_SERVER_SOCKET";
	}
	if (!path) {
		path = getenv("SPIRE_SERVER_PRIVATE_SOCKET");
		from = "by SPIRE_SERVER_PRIVATE_SOCKET";
	}
	if (!path) {
		path = WRIT_SERVER_SOCKET_DEFAULT;
		from = "by default";
	}
	writ_rc rc = writ_session_open_path(in, path, s, err);
	if (rc == WRIT_ENOENT || rc == WRIT_EUNAVAIL)
		in->next = "is writ-server running? systemctl status writ-server; or name its "
			   "socket with -socketPath";
	if (rc == WRIT_EDENIED)
		in->next = "run it as root or as a member of the group that owns the socket "
			   "(writ-admin)";
	/* What is wrong on the command line is not the socket's. */
	return rc == WRIT_OK || rc == WRIT_EINVAL ? rc
						  : writ_wrap(err, rc, "admin socket (%s)", from);
}

const char *writ_agent_admin_path(const struct writ_args *a, const char **from)
{
	const char *path = writ_arg(a, "adminSocketPath");
	*from = "-adminSocketPath";
	if (!path) {
		path = getenv("WRIT_AGENT_ADMIN_SOCKET");
		*from = "WRIT_AGENT_ADMIN_SOCKET";
	}
	if (!path) {
		path = WRIT_AGENT_ADMIN_DEFAULT;
		*from = "default";
	}
	return path;
}

writ_rc writ_session_open_agent(
	struct writ_invocation *in, struct writ_session *s, struct writ_err *err)
{
	const char *from;
	const char *path = writ_agent_admin_path(&in->args, &from);
	writ_rc rc = writ_session_open_path(in, path, s, err);
	if (rc == WRIT_ENOENT || rc == WRIT_EUNAVAIL)
		in->next = "is writ-agent running? systemctl status writ-agent; or name its admin "
			   "socket with -adminSocketPath";
	if (rc == WRIT_EDENIED)
		in->next = "run it as root or as a member of the group that owns the socket "
			   "(writ-admin)";
	return rc == WRIT_OK || rc == WRIT_EINVAL
		? rc
		: writ_wrap(err, rc, "agent's admin socket (%s)", from);
}

writ_rc writ_session_call(struct writ_session *s, const char *method, const ProtobufCMessage *in,
	const ProtobufCMessageDescriptor *out, ProtobufCMessage **ret, struct writ_err *err)
{
	return writ_rpc_call(s->channel, method, in, out, s->timeout_ms, ret, NULL, err);
}

static void set_flag(void *arg)
{
	*(bool *)arg = true;
}

void writ_session_close(struct writ_session *s)
{
	if (s->channel) {
		bool closed = false;
		writ_channel_close(s->channel, set_flag, &closed);
		(void)writ_loop_run_until(s->loop, &closed, writ_mono_ms() + 1000);
	}
	if (s->loop) {
		writ_rpc_shutdown();
		writ_loop_free(s->loop);
	}
	*s = (struct writ_session){ 0 };
}

writ_rc writ_workload_socket(
	const struct writ_args *a, char **path, const char **from, struct writ_err *err)
{
	const char *text = writ_arg(a, "socketPath");
	*from = "-socketPath";
	if (!text) {
		text = getenv("SPIFFE_ENDPOINT_SOCKET");
		*from = "SPIFFE_ENDPOINT_SOCKET";
	}
	if (!text) {
		text = WRIT_AGENT_SOCKET_DEFAULT;
		*from = "default";
	}
	/* The variable is the standard's and takes the standard's form. */
	writ_rc rc = strcmp(*from, "SPIFFE_ENDPOINT_SOCKET") == 0
		? writ_endpoint_parse(text, path, err)
		: writ_endpoint_or_path(text, path, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "%s", *from);
}
