/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/listen.h"

#include "api/methods.h"
#include "base/mem.h"
#include "front/admin.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#define REQUEST_MAX  (4u * 1024 * 1024)
#define STRANGER_MAX (64u * 1024) /* an attestation is the longest that a stranger has to say */
#define STREAMS_MAX  384 /* of one address: an agent has one or two, and some share an address */

static void on_refused(void *arg, const char *addr, const struct writ_err *why)
{
	(void)arg;
	WRIT_LOG_LIMITED(WARN, "api.refused", WRIT_KV("address", addr),
		WRIT_KV("reason", (const char *)why->msg));
}

static void on_closed(void *arg, struct writ_peer *peer, const char *why)
{
	(void)arg;
	WRIT_LOG(DEBUG, "api.closed", WRIT_KV("address", (const char *)peer->addr),
		WRIT_KV("caller", peer->spiffe_id ? peer->spiffe_id : ""), WRIT_KV("why", why));
}

writ_rc writ_server_listen(struct writ_api_listener *l, int fd,
	struct writ_tls_ctx *(*tls)(void *arg), void *arg, struct writ_rpc_server **ret,
	struct writ_err *err)
{
	struct writ_rpc_server_config cfg = {
		.loop = l->api->loop,
		.front = { .name = tls ? "api" : "admin",
			.limits = WRIT_FRONT_LIMITS,
			.tls = tls,
			.closed = on_closed,
			.refused = on_refused,
			.arg = arg },
		.methods = writ_api_methods,
		.n_methods = writ_api_n_methods,
		.max_request = REQUEST_MAX,
		.program = l,
		.before = writ_api_before,
		.after = writ_api_after,
	};
	cfg.front.limits.stranger_data = STRANGER_MAX;
	if (tls)
		cfg.front.limits.source_streams = STREAMS_MAX;
	return writ_rpc_server_start(&cfg, fd, ret, err);
}

/* The first numeric address of a name. */
static writ_rc resolve(const char *name, char out[INET6_ADDRSTRLEN], struct writ_err *err)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct addrinfo *list = NULL;
	int rc = getaddrinfo(name, NULL, &hints, &list);
	if (rc != 0)
		return writ_fail(err, WRIT_EINVAL, "bind_address %s: %s", name, gai_strerror(rc));
	rc = getnameinfo(
		list->ai_addr, list->ai_addrlen, out, INET6_ADDRSTRLEN, NULL, 0, NI_NUMERICHOST);
	freeaddrinfo(list);
	if (rc != 0)
		return writ_fail(err, WRIT_EINVAL, "bind_address %s: %s", name, gai_strerror(rc));
	return WRIT_OK;
}

static writ_rc bind_admin(const char *path, int *ret, struct writ_err *err)
{
	struct writ_admin_socket s;
	writ_rc rc = writ_listen_admin(path, &s, err);
	if (rc != WRIT_OK)
		return rc;
	if (s.not_given)
		WRIT_LOG(WARN, "admin.group", WRIT_KV("socket", path),
			WRIT_KV("error",
				"cannot be given to group " WRIT_ADMIN_GROUP
				": only this user can administer"));
	*ret = s.fd;
	return WRIT_OK;
}

writ_rc writ_server_bind(const struct writ_server_config *cfg, int *tcp, uint16_t *port, int *admin,
	struct writ_err *err)
{
	WRIT_AUTO(writ_closep) int fd = -1;
	char host[INET6_ADDRSTRLEN];
	writ_rc rc = resolve(cfg->bind_address, host, err);
	if (rc == WRIT_OK)
		rc = writ_listen_tcp(host, cfg->bind_port, &fd, port, err);
	if (rc == WRIT_OK)
		rc = bind_admin(cfg->socket_path, admin, err);
	if (rc == WRIT_OK)
		*tcp = writ_steal_fd(fd);
	return rc;
}
