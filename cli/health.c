/* SPDX-License-Identifier: Apache-2.0 */
/* writ healthcheck | validate */
#include "health.h"
#include "session.h"

#include "base/fs.h"
#include "base/mem.h"
#include "rpc/rpc.h"

#include "grpc/health/v1/health.pb-c.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct writ_option health_options[] = {
	{ "agent", NULL, WRIT_OPT_FLAG, NULL,
		"ask the agent (SPIFFE_ENDPOINT_SOCKET) instead of the server" },
	WRIT_OPT_SERVER_SOCKET,
	WRIT_OPT_TIMEOUT,
	WRIT_OPT_OUTPUT,
	WRIT_OPT_O,
	{ "verbose", NULL, WRIT_OPT_FLAG, NULL, "say which socket answered" },
	{ "shallow", NULL, WRIT_OPT_FLAG, NULL, "taken for SPIRE's sake; every check is the same" },
};
static const struct writ_option validate_options[] = {
	{ "config", NULL, WRIT_OPT_STRING, "FILE",
		"the configuration; server or agent is told by its blocks" },
	{ "expandEnv", "expand-env", WRIT_OPT_FLAG, NULL, "replace $VAR and ${VAR} first" },
};

static writ_rc open_health(struct writ_invocation *in, struct writ_session *s, struct writ_err *err)
{
	if (!writ_arg_flag(&in->args, "agent"))
		return writ_session_open(in, s, err);
	WRIT_AUTO(writ_freep) char *path = NULL;
	const char *from;
	writ_rc rc = writ_workload_socket(&in->args, &path, &from, err);
	if (rc == WRIT_OK)
		rc = writ_session_open_path(in, path, s, err);
	if (rc != WRIT_OK)
		in->next = "is writ-agent running? systemctl status writ-agent";
	return rc;
}

static writ_rc run_health(struct writ_invocation *in, struct writ_err *err)
{
	Grpc__Health__V1__HealthCheckRequest req = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
	struct writ_session s = { 0 };
	ProtobufCMessage *m = NULL;
	const char *who = writ_arg_flag(&in->args, "agent") ? "Agent" : "Server";
	writ_rc rc = open_health(in, &s, err);
	if (rc == WRIT_OK)
		rc = writ_session_call(&s, "/grpc.health.v1.Health/Check", &req.base,
			&grpc__health__v1__health_check_response__descriptor, &m, err);
	if (rc == WRIT_OK &&
		((const Grpc__Health__V1__HealthCheckResponse *)(const void *)m)->status !=
			GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING)
		rc = writ_fail(err, WRIT_EUNAVAIL,
			"%s answers, but is not serving; its log says why", who);
	if (rc == WRIT_OK)
		printf("%s is healthy.\n", who);
	if (m)
		writ_pb_free(m);
	writ_session_close(&s);
	return rc;
}

writ_rc writ_config_owner(const char *path, const char **name, struct writ_err *err)
{
	static const struct {
		const char *block, *program;
	} owners[] = { { "agent", "writ-agent" }, { "server", "writ-server" },
		{ "gate", "writ-gate" } };
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(1u << 20);
	writ_rc rc = writ_fs_read(path, &text, err);
	if (rc != WRIT_OK)
		return rc;
	*name = "writ-server";
	struct writ_str rest = writ_buf_str(&text), line;
	while (rest.n) {
		(void)writ_str_cut(&rest, '\n', &line);
		line = writ_str_trim(line);
		if (line.n && line.p[0] == '"')
			line = writ_strn(line.p + 1, line.n - 1);
		for (size_t i = 0; i < WRIT_COUNT(owners); i++) {
			if (!writ_str_starts(line, writ_cstr(owners[i].block)))
				continue;
			*name = owners[i].program;
			return WRIT_OK;
		}
	}
	return WRIT_OK;
}

/* The daemons know their own schemas: this program only finds out whose file it is. */
static writ_rc run_validate(struct writ_invocation *in, struct writ_err *err)
{
	const char *path = writ_arg(&in->args, "config"), *name;
	if (!path)
		return writ_fail(err, WRIT_EINVAL, "which file? -config /etc/writ/server.conf");
	writ_rc rc = writ_config_owner(path, &name, err);
	if (rc != WRIT_OK)
		return rc;
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		return writ_fail_errno(err, errno, "own path");
	self[n] = '\0';
	WRIT_AUTO(writ_freep) char *dir = writ_fs_dirname(self);
	WRIT_AUTO(writ_freep) char *program = writ_fs_join(dir, name);
	const char *const argv[] = { name, "validate", "-config", path,
		writ_arg_flag(&in->args, "expandEnv") ? "-expandEnv" : NULL, NULL };
	execv(program, (char *const *)(uintptr_t)argv);
	return writ_fail_errno(err, errno, "start %s", program);
}

static const struct writ_command commands[] = {
	{ .words = "healthcheck",
		.summary = "Is the server, or the agent, serving?",
		.options = health_options,
		.n_options = WRIT_COUNT(health_options),
		.run = run_health },
	{ .words = "validate",
		.summary = "Check a configuration file of a daemon",
		.options = validate_options,
		.n_options = WRIT_COUNT(validate_options),
		.run = run_validate },
};
const struct writ_command_group writ_commands_health = { "Health", commands, WRIT_COUNT(commands) };
