/* SPDX-License-Identifier: Apache-2.0 */
/* identity: SVIDs from the Workload API, for commands that print or write them. */
#ifndef WRIT_CLI_IDENTITY_H
#define WRIT_CLI_IDENTITY_H

#include "command.h"
#include "workload/client.h"

#include <stdio.h>

struct json_t;

/* Flags of all commands that ask the agent. */
#define WRIT_OPT_AGENT_SOCKET                                                                      \
	{                                                                                          \
		"socketPath", "socket-path", WRIT_OPT_STRING, "PATH",                              \
			"the Workload API (SPIFFE_ENDPOINT_SOCKET, else "                          \
			"/run/writ/agent/public/api.sock)"                                         \
	}

/* Waits for the first answer of the agent. A refusal is final: the process is told why, and how an
 * operator finds the reason. */
WRIT_MUST writ_rc writ_identity_fetch(struct writ_invocation *in, int64_t timeout_ms,
	struct writ_wl_update **ret, struct writ_err *err);

struct json_t *writ_identity_json(
	const struct writ_svid *s); /* spiffe_id, serial, hint, not_before, not_after */
void writ_identity_print(FILE *f, const struct writ_svid *s);

/* PEM of the chain, of the key (PKCS#8) and of the bundle of its trust domain. The key's buffer is
 * the caller's to wipe. */
WRIT_MUST writ_rc writ_identity_pem(const struct writ_wl_update *u, const struct writ_svid *s,
	struct writ_buf *chain, struct writ_buf *key, struct writ_buf *bundle,
	struct writ_err *err);

#endif
