/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/server.h"

#include "rpc/args.h"
#include "rpc/wire.h"

#include <assert.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <string.h>
#include <unistd.h>

#define UNARY_DEADLINE_MS 30000
#define STREAMS_MAX       100
#define METADATA_MAX      8192
#define LIGHT_SLACK       (64 * 1024) /* what is a little too large still gets a proper answer */
#define PING_MIN_MS       10000       /* how often a client may ping */
#define KEEPALIVE_MS      60000
#define KEEPALIVE_WAIT_MS 20000

static const struct writ_rpc_method unknown_method = { .path = "unknown" };

static grpc_server *make_grpc(const struct writ_rpc_server_config *cfg)
{
	grpc_arg args[] = {
		writ_grpc_number((char[]){ GRPC_ARG_MAX_CONCURRENT_STREAMS }, STREAMS_MAX),
		writ_grpc_number(
			(char[]){ GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH }, (int)cfg->max_request),
		writ_grpc_number((char[]){ GRPC_ARG_MAX_METADATA_SIZE }, METADATA_MAX),
		writ_grpc_number((char[]){ GRPC_ARG_HTTP2_BDP_PROBE }, 0),
		/* gRPC would unpack a small message into any amount of memory */
		writ_grpc_number((char[]){ GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION }, 0),
		writ_grpc_number((char[]){ GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET }, 1),
		writ_grpc_number((char[]){ GRPC_ARG_ENABLE_CHANNELZ }, 0),
		writ_grpc_number((char[]){ GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS },
			PING_MIN_MS),
		writ_grpc_number((char[]){ GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS }, 1),
		writ_grpc_number((char[]){ GRPC_ARG_MINIMAL_STACK }, cfg->light),
		writ_grpc_number((char[]){ GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION }, 0),
		/* only a network loses a peer without a word; last, because of the count below */
		writ_grpc_number((char[]){ GRPC_ARG_KEEPALIVE_TIME_MS }, KEEPALIVE_MS),
		writ_grpc_number((char[]){ GRPC_ARG_KEEPALIVE_TIMEOUT_MS }, KEEPALIVE_WAIT_MS),
	};
	grpc_channel_args all = { WRIT_COUNT(args) - (cfg->front.tls ? 0 : 2), args };
	return grpc_server_create(&all, NULL);
}

static void add_methods(struct writ_rpc_server *s)
{
	s->unknown = (struct slot){ &unknown_method, NULL, 0, POSTED_FIRST };
	for (size_t i = 0; i < s->cfg.n_methods; i++) {
		const struct writ_rpc_method *m = &s->cfg.methods[i];
		s->slots[i] = (struct slot){ m, NULL, 0, POSTED_FIRST };
		/* a method without a handler falls to the calls of unknown paths */
		if (m->handle)
			s->slots[i].registered = grpc_server_register_method(s->grpc, m->path, NULL,
				m->kind == WRIT_RPC_BIDI
					? GRPC_SRM_PAYLOAD_NONE
					: GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER,
				0);
	}
}

static void start_grpc(struct writ_rpc_server *s)
{
	grpc_completion_queue *sockets = writ_cq_sockets(s->cq);
	s->creds = grpc_insecure_server_credentials_create();
	s->grpc = make_grpc(&s->cfg);
	grpc_server_register_completion_queue(s->grpc, writ_cq_grpc(s->cq), NULL);
	if (sockets)
		grpc_server_register_completion_queue(s->grpc, sockets, NULL);
	add_methods(s);
	grpc_server_start(s->grpc);
	writ_server_post(s, &s->unknown);
	for (size_t i = 0; i < s->cfg.n_methods; i++)
		if (s->slots[i].registered)
			writ_server_post(s, &s->slots[i]);
}

static void adopt(struct writ_rpc_server *s, int fd)
{
	/* never fails; a connection that is bad already ends as any other. The front has stirred
	 * the hub for the first bytes, which are in there. */
	writ_cq_enter(s->cq);
	grpc_server_add_channel_from_fd(s->grpc, fd, s->creds);
	writ_cq_leave(s->cq);
}

/* --- the front's callbacks: ours, then the program's --- */

static struct writ_tls_ctx *front_tls(void *arg)
{
	struct writ_rpc_server *s = arg;
	return s->cfg.front.tls(s->cfg.front.arg);
}

static void front_ready(void *arg, int fd, struct writ_peer *peer)
{
	struct writ_rpc_server *s = arg;
	(void)peer;
	s->conns++;
	if (s->state < SERVER_CUTS)
		adopt(s, fd);
	else
		close(fd);
}

static void front_closed(void *arg, struct writ_peer *peer, const char *why)
{
	struct writ_rpc_server *s = arg;
	if (s->cfg.front.closed)
		s->cfg.front.closed(s->cfg.front.arg, peer, why);
	s->conns--;
	writ_server_check(s);
}

static void front_refused(void *arg, const char *addr, const struct writ_err *why)
{
	struct writ_rpc_server *s = arg;
	if (s->cfg.front.refused)
		s->cfg.front.refused(s->cfg.front.arg, addr, why);
}

static writ_rc start_front(struct writ_rpc_server *s, int listen_fd, struct writ_err *err)
{
	struct writ_front_config f = s->cfg.front;
	f.loop = s->cfg.loop;
	f.http2 = true;
	f.limits.message = (uint32_t)s->cfg.max_request;
	if (s->cfg.light)
		f.limits.stream_data = s->cfg.max_request + LIGHT_SLACK;
	f.tls = f.tls ? front_tls : NULL;
	f.ready = front_ready;
	f.open = NULL;
	f.closed = front_closed;
	f.refused = front_refused;
	f.arg = s;
	return writ_front_start(&f, listen_fd, &s->front, err);
}

writ_rc writ_rpc_server_start(const struct writ_rpc_server_config *cfg, int listen_fd,
	struct writ_rpc_server **ret, struct writ_err *err)
{
	struct writ_rpc_server *s = writ_alloc(sizeof(*s) + cfg->n_methods * sizeof(s->slots[0]));
	assert(cfg->max_request > 0 && cfg->max_request <= WRIT_MESSAGE_MAX);
	s->cfg = *cfg;
	if (s->cfg.unary_deadline_ms <= 0)
		s->cfg.unary_deadline_ms = UNARY_DEADLINE_MS;
	writ_list_init(&s->calls);
	writ_list_init(&s->waiting);
	writ_rc rc = writ_cq_get(cfg->loop, listen_fd >= 0, &s->cq, err);
	if (rc == WRIT_OK && listen_fd >= 0)
		rc = start_front(s, listen_fd, err);
	if (rc != WRIT_OK) {
		if (s->cq)
			writ_cq_put(s->cq);
		writ_free(s);
		return rc;
	}
	s->timer = writ_timer_new(cfg->loop, writ_server_on_deadline, s);
	start_grpc(s);
	*ret = s;
	return WRIT_OK;
}

struct writ_front *writ_rpc_server_front(struct writ_rpc_server *s)
{
	return s->front;
}

void writ_rpc_server_add_fd(struct writ_rpc_server *s, int fd, struct writ_peer *peer)
{
	size_t n = (size_t)fd + 1;
	assert(!s->front); /* nobody relays for this one */
	if (n > s->n_fd_peers) {
		s->fd_peers = writ_realloc(s->fd_peers, n * sizeof(*s->fd_peers));
		memset(s->fd_peers + s->n_fd_peers, 0, (n - s->n_fd_peers) * sizeof(*s->fd_peers));
		s->n_fd_peers = n;
	}
	if (s->fd_peers[fd])
		writ_peer_unref(s->fd_peers[fd]);
	s->fd_peers[fd] = writ_peer_ref(peer);
	adopt(s, fd);
}
