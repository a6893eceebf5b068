/* SPDX-License-Identifier: Apache-2.0 */
#include "wlapi/wlapi_impl.h"

#include "base/fs.h"
#include "base/mem.h"

#include "grpc/health/v1/health.pb-c.h"
#include "workloadapi.pb-c.h"
#include "writ/run/v1/run.pb-c.h"

#define SOCKET_MODE    0777
#define FOLDER_MODE    0755
#define STREAMS_EACH   3 /* of a connection, where an operator allows many connections */
#define REQUEST_MAX    (1024 * 1024)
#define SERVICE_PREFIX "/SpiffeWorkloadAPI/"
#define HEALTH_PREFIX  "/grpc.health.v1.Health/"
#define HEADER         "workload.spiffe.io"

static void fetch_x509_svid(struct writ_call *c)
{
	writ__stream_open(c, &writ__stream_x509_svid);
}

static void fetch_x509_bundles(struct writ_call *c)
{
	writ__stream_open(c, &writ__stream_x509_bundles);
}

/* A handler, so that the check of the header comes first for these too. */
static void unimplemented(struct writ_call *c)
{
	struct writ_err err = { 0 };
	(void)writ_fail(&err, WRIT_EUNSUP, "this agent does not serve %s yet",
		writ_call_method(c)->path + sizeof(SERVICE_PREFIX) - 1);
	writ_call_fail(c, &err);
}

#define ROW(name, kind_, in_, out_, fn)                                                            \
	{                                                                                          \
		.path = SERVICE_PREFIX name, .kind = kind_, .in = &in_##__descriptor,              \
		.out = &out_##__descriptor, .handle = fn                                           \
	}
#define UNARY  WRIT_RPC_UNARY
#define STREAM WRIT_RPC_SERVER_STREAM

static const struct writ_rpc_method methods[] = {
	ROW("FetchX509SVID", STREAM, x509_svidrequest, x509_svidresponse, fetch_x509_svid),
	ROW("FetchX509Bundles", STREAM, x509_bundles_request, x509_bundles_response,
		fetch_x509_bundles),
	ROW("FetchJWTSVID", UNARY, jwtsvidrequest, jwtsvidresponse, unimplemented),
	ROW("FetchJWTBundles", STREAM, jwtbundles_request, jwtbundles_response, unimplemented),
	ROW("ValidateJWTSVID", UNARY, validate_jwtsvidrequest, validate_jwtsvidresponse,
		unimplemented),
	ROW("FetchWITSVID", STREAM, witsvidrequest, witsvidresponse, unimplemented),
	ROW("FetchWITBundles", STREAM, witbundles_request, witbundles_response, unimplemented),
	{ .path = "/writ.run.v1.Run/Launch",
		.kind = WRIT_RPC_SERVER_STREAM,
		.in = &writ__run__v1__launch_request__descriptor,
		.out = &writ__run__v1__launch_response__descriptor,
		.handle = writ__run_launch },
	{ .path = HEALTH_PREFIX "Check",
		.kind = WRIT_RPC_UNARY,
		.in = &grpc__health__v1__health_check_request__descriptor,
		.out = &grpc__health__v1__health_check_response__descriptor,
		.handle = writ__health_check },
	{ .path = HEALTH_PREFIX "Watch",
		.kind = WRIT_RPC_SERVER_STREAM,
		.in = &grpc__health__v1__health_check_request__descriptor,
		.out = &grpc__health__v1__health_check_response__descriptor,
		.handle = writ__health_watch },
};

/* A browser, or a proxy tricked into calling, cannot set it. */
static void check_header(struct writ_call *c)
{
	struct writ_wlapi *w = writ_call_program(c);
	struct writ_err err = { 0 };
	size_t n = 0;
	if (writ_str_starts(writ_cstr(writ_call_method(c)->path), WRIT_STR(HEALTH_PREFIX))) {
		writ_call_run(c);
		return;
	}
	struct writ_str v = writ_call_metadata(c, HEADER, &n);
	if (n == 1 && writ_str_eq(v, WRIT_STR("true"))) {
		writ_call_run(c);
		return;
	}
	w->stats.denied_header++;
	(void)writ_fail(&err, WRIT_EINVAL, "security header missing from request");
	writ_call_fail(c, &err);
}

static void on_refused(void *arg, const char *addr, const struct writ_err *why)
{
	(void)arg;
	WRIT_LOG_LIMITED(
		INFO, "workload.refused", WRIT_KV("from", addr), WRIT_KV("error", why->msg));
}

static writ_rc open_socket(const char *path, int *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *dir = writ_fs_dirname(path);
	writ_rc rc = writ_fs_ensure_dir(dir, FOLDER_MODE, err);
	if (rc == WRIT_OK)
		rc = writ_listen_unix(path, SOCKET_MODE, ret, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "socket_path");
}

static void on_closed(void *arg, struct writ_peer *peer, const char *why)
{
	(void)arg;
	(void)why;
	writ_caller_closed(peer);
}

writ_rc writ_wlapi_start(
	const struct writ_wlapi_config *cfg, struct writ_wlapi **ret, struct writ_err *err)
{
	int fd = -1;
	writ_rc rc = open_socket(cfg->socket_path, &fd, err);
	if (rc != WRIT_OK)
		return rc;
	struct writ_wlapi *w = writ_alloc(sizeof(*w));
	w->cfg = *cfg;
	w->sweep.run = writ__stream_sweep;
	writ_list_init(&w->streams);
	w->attest_seconds = (struct writ_metric){ .name = "writ_agent_attest_duration_seconds",
		.help = "Time from a call to the caller's selectors.",
		.kind = WRIT_HISTOGRAM,
		.scale = 1e-6 };
	w->stats.attest_seconds = &w->attest_seconds;
	w->patience = writ_timer_new(cfg->loop, writ__stream_patience, w);
	struct writ_rpc_server_config server = {
		.loop = cfg->loop,
		.front = { .name = "workload",
			.limits = WRIT_FRONT_LIMITS,
			.refused = on_refused,
			.closed = on_closed,
			.arg = w },
		.methods = methods,
		.n_methods = WRIT_COUNT(methods),
		.max_request = REQUEST_MAX,
		.light = true,
		.program = w,
		.before = check_header,
	};
	server.front.limits.per_uid = cfg->per_uid;
	if (server.front.limits.source_streams < STREAMS_EACH * cfg->per_uid)
		server.front.limits.source_streams = STREAMS_EACH * cfg->per_uid;
	server.front.limits.per_process = cfg->per_process;
	rc = writ_rpc_server_start(&server, fd, &w->server, err);
	if (rc != WRIT_OK) {
		writ_timer_free(w->patience);
		writ_free(w);
		return rc;
	}
	*ret = w;
	return WRIT_OK;
}

void writ_wlapi_changed(struct writ_wlapi *w)
{
	w->round++;
	if (w->sweep_posted || w->stopping || writ_list_empty(&w->streams))
		return;
	w->sweep_posted = true;
	writ_loop_post(w->cfg.loop, &w->sweep);
}

struct writ_wlapi_stats writ_wlapi_stats(const struct writ_wlapi *w)
{
	struct writ_wlapi_stats s = w->stats;
	struct writ_front *f = writ_rpc_server_front(w->server);
	s.connections = writ_front_count(f);
	s.front = writ_front_stats(f);
	s.streams = w->n_streams;
	return s;
}

static void on_stopped(void *arg)
{
	struct writ_wlapi *w = arg;
	void (*stopped)(void *) = w->stopped;
	void *stopped_arg = w->stopped_arg;
	writ_timer_free(w->patience);
	writ_free(w);
	if (stopped)
		stopped(stopped_arg);
}

void writ_wlapi_stop(struct writ_wlapi *w, int64_t deadline_ms, void (*done)(void *arg), void *arg)
{
	w->stopped = done;
	w->stopped_arg = arg;
	w->stopping = true;
	writ_timer_stop(w->patience);
	writ_rpc_server_stop(w->server, deadline_ms, on_stopped, w);
}
