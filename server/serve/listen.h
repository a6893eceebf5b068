/* SPDX-License-Identifier: Apache-2.0 */
/* listen: the server's two ways in, with the same methods: TCP with TLS for agents, a Unix socket
 * for operators on this machine. Loop thread. */
#ifndef WRIT_SERVE_LISTEN_H
#define WRIT_SERVE_LISTEN_H

#include "api/api.h"

/* Binds both, before anything else is started: what is in use is one clear error then. Blocks on
 * names. port gets the real one. */
WRIT_MUST writ_rc writ_server_bind(const struct writ_server_config *cfg, int *tcp, uint16_t *port,
	int *admin, struct writ_err *err);

/* Serves on fd (owned). tls(arg): for TCP, the context in force; NULL: the admin socket. l:
 * borrowed for the server's life. */
WRIT_MUST writ_rc writ_server_listen(struct writ_api_listener *l, int fd,
	struct writ_tls_ctx *(*tls)(void *arg), void *arg, struct writ_rpc_server **ret,
	struct writ_err *err);

#endif
