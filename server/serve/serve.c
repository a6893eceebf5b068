/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/serve.h"

#include "api/health.h"
#include "api/metrics.h"
#include "api/ratelimit.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "daemon/daemon.h"
#include "monitor/control.h"
#include "rpc/channel.h"
#include "serve/listen.h"
#include "serve/lock.h"
#include "serve/publish.h"

#include <stdio.h>
#include <unistd.h>

#define STOP_LOOK_MS 5
#define LOST_MS      200
#define LOCK_WAIT_MS 8000

struct serve {
	const struct writ_server_config *cfg;
	struct writ_loop *loop;
	struct writ_daemon *daemon;
	struct writ_store *store;
	struct writ_signer_link *link;
	struct writ_control *control;
	int64_t lost_until; /* 0: the monitor is there */
	struct writ_publish *publish;
	struct writ_server_metrics metrics;
	struct writ_api api;
	struct writ_api_listener local, remote;
	struct writ_rpc_server *admin;
	int lock, tcp, admin_fd; /* -1 once they are the servers' */
	uint16_t port;
	bool ready_said, stopping, is_flushed;
	unsigned servers_left; /* that still stop */
	struct writ_timer *look;
	struct writ_err failed; /* rc WRIT_OK: an orderly life */
	int64_t calls_ms;       /* that open calls get when it stops */
};

static void end_with(struct serve *s, const struct writ_err *err)
{
	WRIT_LOG(ERROR, "server.failed", WRIT_KV("error", (const char *)err->msg));
	if (s->failed.rc == WRIT_OK)
		s->failed = *err;
	writ_daemon_begin_stop(s->daemon);
}

static struct writ_tls_ctx *current_tls(void *arg)
{
	return writ_publish_tls(((struct serve *)arg)->publish);
}

static void say_ready(struct serve *s)
{
	char text[96];
	if (s->ready_said || !s->api.remote || !writ_api_is_ready(&s->api))
		return;
	s->ready_said = true;
	snprintf(text, sizeof(text), "READY=1\nSTATUS=serving on port %u", s->port);
	writ_control_notify(s->control, text);
	WRIT_LOG(INFO, "server.ready", WRIT_KV("trust_domain", s->api.td));
}

/* The first TLS context is there: agents may come. */
static void open_remote(struct serve *s)
{
	struct writ_err err;
	if (s->api.remote || s->stopping || !current_tls(s))
		return;
	writ_rc rc = writ_server_listen(
		&s->remote, writ_steal_fd(s->tcp), current_tls, s, &s->api.remote, &err);
	if (rc != WRIT_OK) {
		end_with(s, &err);
		return;
	}
	WRIT_LOG(INFO, "api.listening", WRIT_KV("address", (const char *)s->cfg->bind_address),
		WRIT_KV("port", (int)s->port));
	say_ready(s);
}

/* --- the CA and the signer --- */

static void ca_commit(void *arg, struct writ_ca_change *c)
{
	writ_publish_commit(((struct serve *)arg)->publish, c);
}

static void ca_changed(void *arg)
{
	say_ready(arg);
}

static void ca_server_svid(void *arg, struct writ_svid *svid)
{
	struct serve *s = arg;
	writ_publish_svid(s->publish, svid);
	open_remote(s);
	say_ready(s);
}

static void signer_up(void *arg)
{
	writ_ca_signer_up(((struct serve *)arg)->api.ca);
}

static void signer_down(void *arg)
{
	WRIT_LOG(WARN, "signer.down");
	writ_ca_signer_down(((struct serve *)arg)->api.ca);
}

static void signer_stuck(void *arg)
{
	writ_control_stuck(((struct serve *)arg)->control);
}

static void on_signer(void *arg, int fd)
{
	struct serve *s = arg;
	struct writ_err err;
	if (writ_signer_link_attach(s->link, fd, &err) != WRIT_OK)
		WRIT_LOG(ERROR, "signer.attach", WRIT_KV("error", (const char *)err.msg));
}

static void monitor_lost(void *arg)
{
	struct serve *s = arg;
	WRIT_LOG(ERROR, "monitor.lost");
	/* Another server waits for our lock, and the signer is gone: calls that need it would wait
	 * in vain. */
	s->calls_ms = LOST_MS;
	s->lost_until = writ_mono_ms() + 2 * LOST_MS;
	writ_daemon_begin_stop(s->daemon);
}

static enum writ_key_type key_type(int configured)
{
	static const enum writ_key_type types[] = {
		[WRIT_SERVER_EC_P256] = WRIT_KEY_P256,
		[WRIT_SERVER_EC_P384] = WRIT_KEY_P384,
		[WRIT_SERVER_RSA_2048] = WRIT_KEY_RSA2048,
		[WRIT_SERVER_RSA_4096] = WRIT_KEY_RSA4096,
	};
	return types[configured];
}

static void start_ca(struct serve *s)
{
	static const struct writ_signer_link_events events = { signer_up, signer_down,
		signer_stuck };
	static const struct writ_ca_hooks hooks = { ca_commit, ca_changed, ca_server_svid };
	const struct writ_server_config *cfg = s->cfg;
	const struct writ_server_subject *subject = &cfg->ca_subject;
	char *known[16];
	struct writ_ca_config c = {
		.trust_domain = cfg->trust_domain,
		.ca_ttl_s = cfg->ca_ttl_ms / 1000,
		.key_type = key_type(cfg->ca_key_type),
		.subject = { .country = subject->country.n ? subject->country.items[0] : NULL,
			.organization =
				subject->organization.n ? subject->organization.items[0] : NULL,
			.common_name = subject->common_name },
		.server_svid_ttl_s = (cfg->agent_ttl_ms > cfg->default_x509_svid_ttl_ms
						     ? cfg->agent_ttl_ms
						     : cfg->default_x509_svid_ttl_ms) /
			1000,
		.known = (const char *const *)known,
	};
	const struct writ_ca_slot *slot;
	while (c.n_known < WRIT_COUNT(known) &&
		(slot = writ_registry_ca(s->api.registry, c.n_known)) != NULL)
		known[c.n_known++] = writ_strndup(slot->authority_id.p, slot->authority_id.n);
	s->link = writ_signer_link_new(s->loop, &events, s);
	s->api.ca = writ_ca_new(s->loop, &c, writ_signer_link_port(s->link), &hooks, s);
	for (size_t i = 0; i < c.n_known; i++)
		writ_free(known[i]);
}

/* --- the end --- */

static void free_all(struct serve *s)
{
	writ_ca_free(writ_steal(s->api.ca));
	writ_signer_link_free(writ_steal(s->link));
	writ_control_close(writ_steal(s->control));
	writ_publish_free(writ_steal(s->publish));
	writ_health_free(writ_steal(s->api.health));
	writ_ratelimit_free(writ_steal(s->api.ratelimit));
	writ_node_attestors_close(&s->api.nodes);
	writ_closep(&s->tcp);
	writ_closep(&s->admin_fd);
	s->tcp = s->admin_fd = -1;
	/* Joins the store's thread: what was submitted is on disk then. */
	writ_store_close(writ_steal(s->store));
}

/* Servers first, then what their calls had begun, then the store, whose last answers need one more
 * turn of the loop. */
static void look_for_end(void *arg)
{
	struct serve *s = arg;
	bool busy = s->servers_left || (s->publish && writ_publish_busy(s->publish)) ||
		writ_registry_busy(s->api.registry);
	/* What was acknowledged is on disk; what waits for the signer would wait in vain. */
	if (busy && s->lost_until && writ_mono_ms() >= s->lost_until)
		_exit(1);
	if (!busy && s->is_flushed) {
		writ_registry_close(writ_steal(s->api.registry));
		writ_audit_close(writ_steal(s->api.audit));
		writ_timer_free(writ_steal(s->look));
		unlink(s->cfg->socket_path);
		writ_closep(&s->lock);
		writ_daemon_done(s->daemon);
		return;
	}
	if (!busy && !s->is_flushed) {
		free_all(s);
		s->is_flushed = true;
	}
	writ_timer_start(s->look, s->is_flushed ? 1 : STOP_LOOK_MS);
}

static void server_stopped(void *arg)
{
	((struct serve *)arg)->servers_left--;
}

static void on_stop(void *arg)
{
	struct serve *s = arg;
	s->stopping = true;
	if (s->control)
		writ_control_notify(s->control, "STOPPING=1");
	if (s->admin) {
		s->servers_left++;
		writ_rpc_server_stop(s->admin, s->calls_ms, server_stopped, s);
	}
	if (s->api.remote) {
		s->servers_left++;
		writ_rpc_server_stop(writ_steal(s->api.remote), s->calls_ms, server_stopped, s);
	}
	writ_timer_start(s->look, 1);
}

static void on_reopen(void *arg)
{
	const struct serve *s = arg;
	struct writ_err err;
	if (writ_audit_reopen(s->api.audit, &err) != WRIT_OK)
		WRIT_LOG(ERROR, "audit.reopen", WRIT_KV("error", (const char *)err.msg));
}

static bool is_ready(void *arg)
{
	return writ_api_is_ready(&((struct serve *)arg)->api);
}

static void print_metrics(void *arg, struct writ_buf *out)
{
	writ_server_metrics_print(&((struct serve *)arg)->api, out);
}

/* --- the start --- */

static writ_rc open_state(struct serve *s, struct writ_err *err)
{
	struct writ_api *api = &s->api;
	writ_rc rc = writ_serve_lock(s->cfg->data_dir, LOCK_WAIT_MS, &s->lock, err);
	if (rc == WRIT_OK)
		rc = writ_audit_open(s->cfg->audit_log_file, &api->audit, err);
	WRIT_AUTO(writ_freep)
	char *where = writ_asprintf("file:%s", s->cfg->sql.connection_string);
	if (rc == WRIT_OK)
		rc = writ_store_open(&writ_store_sqlite, where, &s->store, err);
	if (rc == WRIT_OK)
		rc = writ_registry_open(s->loop, s->store, api->td, &api->registry, err);
	return rc;
}

static void start_parts(struct serve *s)
{
	struct writ_api *api = &s->api;
	writ_server_metrics_init(&s->metrics);
	api->metrics = &s->metrics;
	api->started_s = writ_wall_s();
	api->ratelimit = writ_ratelimit_new(
		s->loop, s->cfg->ratelimit.attestation, s->cfg->ratelimit.signing);
	api->health = writ_health_new(api);
	s->publish = writ_publish_new(api);
	s->look = writ_timer_new(s->loop, look_for_end, s);
	start_ca(s);
}

static writ_rc start(struct serve *s, int control_fd, struct writ_err *err)
{
	static const struct writ_control_events events = { on_signer, monitor_lost };
	const struct writ_daemon_config daemon = { .loop = s->loop,
		.name = "writ-server",
		.health = &s->cfg->health,
		.telemetry = &s->cfg->telemetry,
		.ready = is_ready,
		.metrics = print_metrics,
		.stop = on_stop,
		.reopen = on_reopen,
		.stop_deadline_ms = WRIT_SERVE_STOP_MS,
		.arg = s };
	writ_rc rc = open_state(s, err);
	if (rc == WRIT_OK)
		rc = writ_node_attestors_open(s->cfg, &s->api.nodes, err);
	if (rc == WRIT_OK)
		rc = writ_server_bind(s->cfg, &s->tcp, &s->port, &s->admin_fd, err);
	if (rc != WRIT_OK)
		return rc;
	start_parts(s);
	rc = writ_daemon_start(&daemon, &s->daemon, err);
	if (rc == WRIT_OK)
		rc = writ_control_open(s->loop, control_fd, &events, s, &s->control, err);
	if (rc == WRIT_OK)
		rc = writ_server_listen(
			&s->local, writ_steal_fd(s->admin_fd), NULL, s, &s->admin, err);
	if (rc == WRIT_OK)
		WRIT_LOG(INFO, "admin.listening",
			WRIT_KV("socket", (const char *)s->cfg->socket_path));
	return rc;
}

/* A start that failed halfway: no call has come in, nothing is under way. */
static void undo(struct serve *s)
{
	bool never = false;
	free_all(s);
	(void)writ_loop_run_until(s->loop, &never, writ_mono_ms() + 1);
	if (s->api.registry)
		writ_registry_close(s->api.registry);
	writ_audit_close(s->api.audit);
	writ_timer_free(s->look);
	writ_closep(&s->lock);
	if (s->daemon)
		writ_daemon_done(s->daemon);
}

writ_rc writ_serve(const struct writ_server_config *cfg, int control_fd, struct writ_err *err)
{
	struct serve *s = writ_alloc(sizeof(*s));
	s->calls_ms = WRIT_SERVE_STOP_MS / 2;
	s->cfg = cfg;
	s->lock = s->tcp = s->admin_fd = -1;
	s->api.config = cfg;
	s->api.td = writ_cstr(cfg->trust_domain);
	s->local = (struct writ_api_listener){ &s->api, true };
	s->remote = (struct writ_api_listener){ &s->api, false };
	writ_rc rc = writ_loop_new(&s->loop, err);
	if (rc != WRIT_OK)
		return rc;
	s->api.loop = s->loop;
	writ_daemon_raise_limits();
	writ_rpc_init_program();
	rc = start(s, control_fd, err);
	if (rc == WRIT_OK) {
		writ_loop_run(s->loop);
		rc = s->failed.rc;
		*err = s->failed;
	} else {
		undo(s);
	}
	writ_rpc_shutdown();
	writ_loop_free(s->loop);
	writ_free(s);
	return rc;
}
