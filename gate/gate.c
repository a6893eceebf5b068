/* SPDX-License-Identifier: Apache-2.0 */
#include "gate.h"

#include "target.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "front/front.h"
#include "tls/tls.h"
#include "workload/client.h"

#include <arpa/inet.h>
#include <string.h>

#define DRAIN_TICK_MS 20

enum counter { ACCEPTED, REFUSED, TARGET_FAILED, ROTATIONS, COUNTERS };

struct writ_gate {
	struct writ_loop *loop;
	const struct writ_gate_config *cfg;
	struct writ_gate_hooks hooks;
	struct writ_wl *wl;
	struct writ_front *front;
	/* The identity in force; all NULL: none now, everybody is refused. */
	struct writ_tls_ctx *tls;
	struct writ_bundles *bundles;
	char *svid_id;
	int64_t svid_expires;     /* Unix seconds */
	struct writ_list pending; /* connections whose target is not connected yet */
	struct writ_timer *drain;
	int64_t drain_until;
	bool wl_stopped;
	void (*stopped)(void *arg);
	void *stopped_arg;
	struct writ_metric counters[COUNTERS], connections, expiry;
};

/* A caller that passed, waiting for the tool to accept. */
struct pending {
	struct writ_list node;
	struct writ_gate *gate;
	struct writ_conn *conn;
	struct writ_peer *peer;
	struct writ_target *target;
};

static writ_rc authorize(void *arg, const struct writ_id *id, struct writ_err *err)
{
	const struct writ_gate *g = arg;
	if (writ_allow_match(&g->cfg->allow, id->uri, NULL))
		return WRIT_OK;
	return writ_fail(
		err, WRIT_EDENIED, WRIT_FMT " is not on the gate's allow list", WRIT_ARG(id->uri));
}

static struct writ_tls_ctx *current_tls(void *arg)
{
	const struct writ_gate *g = arg;
	return g->svid_expires > writ_wall_s() ? g->tls : NULL;
}

static void pending_free(struct pending *p)
{
	writ_list_remove(&p->node);
	writ_target_cancel(p->target);
	writ_peer_unref(p->peer);
	writ_free(p);
}

static void on_target(void *arg, int fd, const struct writ_err *err)
{
	struct pending *p = arg;
	struct writ_gate *g = p->gate;
	p->target = NULL;
	if (fd >= 0) {
		WRIT_LOG(DEBUG, "gate.open", WRIT_KV("caller", p->peer->spiffe_id),
			WRIT_KV("address", p->peer->addr));
		writ_front_backend(p->conn, fd);
	} else {
		writ_metric_add(&g->counters[TARGET_FAILED], 1);
		WRIT_LOG_LIMITED(ERROR, "gate.target_failed", WRIT_KV("error", err->msg),
			WRIT_KV("caller", p->peer->spiffe_id));
		writ_front_refuse(p->conn, "the target is not reachable");
	}
	pending_free(p);
}

static void on_open(void *arg, struct writ_conn *c, struct writ_peer *peer)
{
	struct writ_gate *g = arg;
	struct pending *p = writ_alloc(sizeof(*p));
	writ_metric_add(&g->counters[ACCEPTED], 1);
	p->gate = g;
	p->conn = c;
	p->peer = writ_peer_ref(peer);
	writ_list_push(&g->pending, &p->node);
	p->target = writ_target_connect(
		g->loop, &g->cfg->target, g->cfg->connect_timeout_ms, on_target, p);
}

static void on_closed(void *arg, struct writ_peer *peer, const char *why)
{
	struct writ_gate *g = arg;
	/* The caller may go while the tool is still being connected. */
	WRIT_LIST_EACH (it, &g->pending) {
		struct pending *p = writ_container(it, struct pending, node);
		if (p->peer == peer)
			pending_free(p);
	}
	WRIT_LOG(DEBUG, "gate.closed", WRIT_KV("caller", peer->spiffe_id),
		WRIT_KV("address", peer->addr), WRIT_KV("why", why));
}

static void on_refused(void *arg, const char *addr, const struct writ_err *why)
{
	struct writ_gate *g = arg;
	writ_metric_add(&g->counters[REFUSED], 1);
	WRIT_LOG_LIMITED(
		WARN, "gate.refused", WRIT_KV("address", addr), WRIT_KV("reason", why->msg));
}

static writ_rc listen_now(struct writ_gate *g, struct writ_err *err)
{
	char host[INET6_ADDRSTRLEN];
	const struct sockaddr_storage *a = &g->cfg->listen.addr;
	const void *ip = a->ss_family == AF_INET
		? (const void *)&((const struct sockaddr_in *)(const void *)a)->sin_addr
		: (const void *)&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
	int fd;
	uint16_t port;
	inet_ntop(a->ss_family, ip, host, sizeof(host));
	writ_rc rc = writ_listen_tcp(host, g->cfg->listen.port, &fd, &port, err);
	if (rc != WRIT_OK)
		return rc;
	struct writ_front_config cfg = {
		.loop = g->loop,
		.name = "gate",
		.limits = WRIT_FRONT_LIMITS,
		.tls = current_tls,
		.open = on_open,
		.closed = on_closed,
		.refused = on_refused,
		.arg = g,
	};
	cfg.limits.total = (uint32_t)g->cfg->max_connections;
	cfg.limits.per_uid = cfg.limits.total;
	cfg.limits.handshakes_per_s = (uint32_t)g->cfg->max_handshakes;
	/* The target's own deadline comes first and says more. */
	cfg.limits.backend_ms = g->cfg->connect_timeout_ms + 1000;
	rc = writ_front_start(&cfg, fd, &g->front, err);
	if (rc != WRIT_OK) {
		writ_closep(&fd);
		return rc;
	}
	WRIT_LOG(INFO, "gate.listening", WRIT_KV("address", host), WRIT_KV("port", (int)port),
		WRIT_KV("target", (const char *)g->cfg->target.text));
	if (g->hooks.listening)
		g->hooks.listening(g->hooks.arg, port);
	return WRIT_OK;
}

static void drop_identity(struct writ_gate *g)
{
	writ_tls_ctx_unref(writ_steal(g->tls));
	writ_bundles_unref(writ_steal(g->bundles));
	writ_free(writ_steal(g->svid_id));
	g->svid_expires = 0;
	writ_metric_set(&g->expiry, 0);
}

static writ_rc take_identity(struct writ_gate *g, struct writ_wl_update *u, struct writ_err *err)
{
	struct writ_svid *svid;
	struct writ_tls_ctx *tls;
	writ_rc rc = writ_wl_follow(u, g->cfg->svid, NULL, g->svid_id, &svid, err);
	if (rc != WRIT_OK)
		return rc;
	const struct writ_tls_config cfg = {
		.server = true,
		.peer = WRIT_TLS_PEER_REQUIRED,
		.svid = svid,
		.bundles = u->bundles,
		.authorize = authorize,
		.arg = g,
	};
	rc = writ_tls_ctx_new(&cfg, &tls, err);
	if (rc != WRIT_OK)
		return rc;
	drop_identity(g);
	g->tls = tls;
	g->bundles = writ_bundles_ref(u->bundles);
	g->svid_id = writ_strdup(svid->spiffe_id);
	g->svid_expires = writ_svid_not_after(svid);
	writ_metric_set(&g->expiry, g->svid_expires);
	writ_metric_add(&g->counters[ROTATIONS], 1);
	WRIT_LOG(INFO, "gate.svid", WRIT_KV("spiffe_id", (const char *)svid->spiffe_id),
		WRIT_KV("expires", g->svid_expires));
	return WRIT_OK;
}

static bool any_peer(void *arg, const struct writ_peer *p)
{
	(void)arg;
	(void)p;
	return true;
}

/* Without an identity nobody is served in its name, whoever is connected already included. */
static void lose_identity(struct writ_gate *g, const struct writ_err *err)
{
	bool had = g->tls != NULL;
	drop_identity(g);
	if (!had)
		return;
	size_t cut = g->front
		? writ_front_cut(g->front, any_peer, NULL, "the gate's identity is gone")
		: 0;
	WRIT_LOG(ERROR, "gate.identity_lost", WRIT_KV("reason", err->msg),
		WRIT_KV("connections_cut", cut));
}

static bool has_ca(const struct writ_bundle *b, const struct writ_cert *ca)
{
	for (size_t i = 0; b && i < b->n; i++) {
		if (writ_str_eq(writ_cert_der(b->cas[i]), writ_cert_der(ca)))
			return true;
	}
	return false;
}

/* Was an authority taken back before its time? One that ran out and went is everyday rotation, and
 * connections of its days go on. */
static bool withdrawn(
	const struct writ_bundles *before, const struct writ_bundles *now, int64_t now_s)
{
	for (size_t at = 0; before;) {
		const struct writ_bundle *b = writ_map_next(&before->by_td, &at, NULL);
		if (!b)
			break;
		const struct writ_bundle *same = writ_bundles_get(now, writ_cstr(b->td));
		for (size_t i = 0; i < b->n; i++) {
			if (writ_cert_not_after(b->cas[i]) > now_s && !has_ca(same, b->cas[i]))
				return true;
		}
	}
	return false;
}

static void cut_withdrawn(struct writ_gate *g, const struct writ_bundles *before)
{
	if (!withdrawn(before, g->bundles, writ_wall_s()))
		return;
	size_t cut = writ_front_reverify(g->front, g->bundles);
	if (cut)
		WRIT_LOG(WARN, "gate.cut", WRIT_KV("connections", cut),
			WRIT_KV("reason", "their authority is gone"));
}

static void on_update(void *arg, struct writ_wl_update *u)
{
	struct writ_gate *g = arg;
	struct writ_err err = { 0 };
	WRIT_AUTO(writ_bundles_unrefp)
	struct writ_bundles *before = g->bundles ? writ_bundles_ref(g->bundles) : NULL;
	writ_rc rc = take_identity(g, u, &err);
	if (rc != WRIT_OK) {
		WRIT_LOG(ERROR, "gate.no_identity", WRIT_KV("error", err.msg));
		lose_identity(g, &err);
		/* Ambiguity does not go away by waiting. */
		if (rc == WRIT_EPRECOND && !g->front && g->hooks.fatal)
			g->hooks.fatal(g->hooks.arg, &err);
		return;
	}
	if (g->front) {
		cut_withdrawn(g, before);
		return;
	}
	rc = listen_now(g, &err);
	if (rc != WRIT_OK && g->hooks.fatal)
		g->hooks.fatal(g->hooks.arg, &err);
}

static void on_wl_failed(void *arg, const struct writ_err *err, bool denied, bool final)
{
	struct writ_gate *g = arg;
	WRIT_LOG_LIMITED(WARN, "gate.workload_api", WRIT_KV("error", err->msg),
		WRIT_KV("tried_again", !final));
	if (denied)
		lose_identity(g, err);
	if (final && g->hooks.fatal)
		g->hooks.fatal(g->hooks.arg, err);
}

static void init_metrics(struct writ_gate *g)
{
	static const struct writ_metric counters[COUNTERS] = {
		[ACCEPTED] = { .name = "writ_gate_connections_total",
			.labels = "decision=\"allowed\"",
			.help = "Connections by what was decided." },
		[REFUSED] = { .name = "writ_gate_connections_total",
			.labels = "decision=\"refused\"" },
		[TARGET_FAILED] = { .name = "writ_gate_target_failures_total",
			.help = "Allowed connections that the target did not take." },
		[ROTATIONS] = { .name = "writ_gate_svid_rotations_total",
			.help = "SVIDs taken into use." },
	};
	memcpy(g->counters, counters, sizeof(counters));
	g->connections = (struct writ_metric){
		.name = "writ_gate_connections", .kind = WRIT_GAUGE, .help = "Connections now."
	};
	g->expiry = (struct writ_metric){ .name = "writ_gate_svid_expiry_timestamp_seconds",
		.kind = WRIT_GAUGE,
		.help = "When the gate's SVID runs out." };
}

static void drain_tick(void *arg);

writ_rc writ_gate_start(struct writ_loop *loop, const struct writ_gate_config *cfg,
	const struct writ_gate_hooks *hooks, struct writ_gate **ret, struct writ_err *err)
{
	if (!cfg->endpoint)
		return writ_fail(err, WRIT_EINVAL, "no address of the Workload API");
	struct writ_gate *g = writ_alloc(sizeof(*g));
	g->loop = loop;
	g->cfg = cfg;
	g->hooks = *hooks;
	writ_list_init(&g->pending);
	init_metrics(g);
	g->drain = writ_timer_new(loop, drain_tick, g);
	const struct writ_wl_config wl = {
		.loop = loop,
		.socket_path = cfg->endpoint,
		.update = on_update,
		.failed = on_wl_failed,
		.arg = g,
	};
	g->wl = writ_wl_start(&wl);
	*ret = g;
	return WRIT_OK;
}

bool writ_gate_ready(const struct writ_gate *g)
{
	return g->front && g->tls && g->svid_expires > writ_wall_s();
}

void writ_gate_metrics(struct writ_gate *g, struct writ_buf *out)
{
	struct writ_metric *all[COUNTERS + 2];
	for (size_t i = 0; i < COUNTERS; i++)
		all[i] = &g->counters[i];
	all[COUNTERS] = &g->connections;
	all[COUNTERS + 1] = &g->expiry;
	writ_metric_set(&g->connections, g->front ? (int64_t)writ_front_count(g->front) : 0);
	writ_metrics_print(all, WRIT_COUNT(all), out);
}

static void finish_stop(struct writ_gate *g)
{
	void (*done)(void *) = g->stopped;
	void *arg = g->stopped_arg;
	if (g->front)
		writ_front_free(g->front);
	while (!writ_list_empty(&g->pending))
		pending_free(writ_container(g->pending.next, struct pending, node));
	writ_timer_free(g->drain);
	drop_identity(g);
	writ_free(g);
	done(arg);
}

static void drain_tick(void *arg)
{
	struct writ_gate *g = arg;
	bool empty = !g->front || writ_front_count(g->front) == 0;
	if (g->wl_stopped && (empty || writ_mono_ms() >= g->drain_until))
		finish_stop(g);
	else
		writ_timer_start(g->drain, DRAIN_TICK_MS);
}

static void on_wl_stopped(void *arg)
{
	struct writ_gate *g = arg;
	g->wl_stopped = true;
}

void writ_gate_stop(struct writ_gate *g, int64_t deadline_ms, void (*done)(void *arg), void *arg)
{
	g->stopped = done;
	g->stopped_arg = arg;
	g->drain_until = writ_mono_ms() + deadline_ms;
	if (g->front)
		writ_front_stop_accepting(g->front);
	writ_wl_stop(g->wl, on_wl_stopped, g);
	writ_timer_start(g->drain, 1);
}
