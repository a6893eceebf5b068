/* SPDX-License-Identifier: Apache-2.0 */
/* session: one command's connection to a daemon, and where its socket is. */
#ifndef WRIT_CLI_SESSION_H
#define WRIT_CLI_SESSION_H

#include "command.h"
#include "rpc/channel.h"

#define WRIT_SERVER_SOCKET_DEFAULT "/run/writ/server/private/api.sock"
#define WRIT_AGENT_SOCKET_DEFAULT  "/run/writ/agent/public/api.sock"
#define WRIT_AGENT_ADMIN_DEFAULT   "/run/writ/agent/private/admin.sock"

/* Flags that every command of a kind has. */
#define WRIT_OPT_SERVER_SOCKET                                                                     \
	{                                                                                          \
		"socketPath", "socket-path", WRIT_OPT_STRING, "PATH",                              \
			"admin socket of the server (WRIT_SERVER_SOCKET, "                         \
			"else " WRIT_SERVER_SOCKET_DEFAULT ")"                                     \
	}
#define WRIT_OPT_AGENT_ADMIN                                                                       \
	{                                                                                          \
		"adminSocketPath", "admin-socket-path", WRIT_OPT_STRING, "PATH",                   \
			"admin socket of the agent (WRIT_AGENT_ADMIN_SOCKET, "                     \
			"else " WRIT_AGENT_ADMIN_DEFAULT ")"                                       \
	}
#define WRIT_OPT_TIMEOUT                                                                           \
	{                                                                                          \
		"timeout", NULL, WRIT_OPT_STRING, "DURATION",                                      \
			"how long to wait for an answer (10s)"                                     \
	}
#define WRIT_OPT_OUTPUT                                                                            \
	{                                                                                          \
		"output", NULL, WRIT_OPT_STRING, "table|json", "form of the answer (table)"        \
	}
#define WRIT_OPT_O                                                                                 \
	{                                                                                          \
		"o", NULL, WRIT_OPT_STRING, "table|json", "the same as -output"                    \
	}

struct writ_session {
	struct writ_loop *loop;
	struct writ_channel *channel;
	int64_t timeout_ms;
	bool json;
};

/* Reads -timeout and -output, connects to the server's admin socket. On failure in->next says what
 * to do. */
WRIT_MUST writ_rc writ_session_open(
	struct writ_invocation *in, struct writ_session *s, struct writ_err *err);
/* The same to the agent's admin socket: -adminSocketPath, else WRIT_AGENT_ADMIN_SOCKET, else the
 * default. */
WRIT_MUST writ_rc writ_session_open_agent(
	struct writ_invocation *in, struct writ_session *s, struct writ_err *err);
/* Where that is, and which of the three said so. Borrowed. */
const char *writ_agent_admin_path(const struct writ_args *a, const char **from);
/* The same to a Unix socket at path. */
WRIT_MUST writ_rc writ_session_open_path(
	struct writ_invocation *in, const char *path, struct writ_session *s, struct writ_err *err);
/* *ret is freed with writ_pb_free. */
WRIT_MUST writ_rc writ_session_call(struct writ_session *s, const char *method,
	const ProtobufCMessage *in, const ProtobufCMessageDescriptor *out, ProtobufCMessage **ret,
	struct writ_err *err);
void writ_session_close(struct writ_session *s);

/* -output / -o: true for json. */
WRIT_MUST writ_rc writ_output_is_json(const struct writ_args *a, bool *json, struct writ_err *err);
/* The Workload API's socket path: -socketPath, else SPIFFE_ENDPOINT_SOCKET (a unix: URI), else the
 * default. *from says which. Owned. */
WRIT_MUST writ_rc writ_workload_socket(
	const struct writ_args *a, char **path, const char **from, struct writ_err *err);

#endif
