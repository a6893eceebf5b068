/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/notify.h"
#include "front/front.h"
#include "front/httpd.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define SIGNALS      4
#define EXIT_HARD    1
#define REPEAT_MS    500
#define EXTEND_MS    10000
#define HTTP_OK_BODY "{}\n"

struct writ_daemon {
	struct writ_daemon_config cfg;
	struct writ_signal *signals[SIGNALS];
	struct writ_httpd *health, *prometheus;
	struct writ_timer *deadline;
	struct writ_timer *extend; /* the time to start; NULL: not asked for, or over */
	int64_t patience_until_ms;
	char *live_path, *ready_path, *notify_socket;
	bool stopping;
	int64_t stopping_since_ms;
};

static void hard_end(void *arg)
{
	const struct writ_daemon *d = arg;
	WRIT_LOG(ERROR, "daemon.killed", WRIT_KV("reason", "the end took longer than its deadline"),
		WRIT_KV("deadline_ms", d->cfg.stop_deadline_ms));
	_exit(EXIT_HARD);
}

void writ_daemon_begin_stop(struct writ_daemon *d)
{
	if (d->stopping)
		return;
	d->stopping = true;
	writ_timer_free(writ_steal(d->extend));
	d->stopping_since_ms = writ_mono_ms();
	writ_notify(d->notify_socket, "STOPPING=1\n");
	WRIT_LOG(INFO, "daemon.stopping");
	writ_timer_start(d->deadline, d->cfg.stop_deadline_ms + 1000);
	d->cfg.stop(d->cfg.arg);
}

static void on_end(void *arg, int signum)
{
	struct writ_daemon *d = arg;
	(void)signum;
	/* systemd, a terminal and timeout(1) signal a whole group, and so does a parent of ours:
	 * what comes at once is one wish. */
	if (d->stopping && writ_mono_ms() - d->stopping_since_ms >= REPEAT_MS)
		_exit(EXIT_HARD);
	writ_daemon_begin_stop(d);
}

static void on_reopen(void *arg, int signum)
{
	struct writ_daemon *d = arg;
	struct writ_err err;
	(void)signum;
	if (writ_log_reopen(&err) != WRIT_OK)
		WRIT_LOG(ERROR, "log.reopen", WRIT_KV("error", err.msg));
	else
		WRIT_LOG(INFO, "log.reopened");
	if (d->cfg.reopen)
		d->cfg.reopen(d->cfg.arg);
}

static void answer_health(
	void *arg, const struct writ_httpd_request *req, struct writ_httpd_answer *a)
{
	const struct writ_daemon *d = arg;
	bool live = writ_str_eq(req->path, writ_cstr(d->live_path));
	if (!live && !writ_str_eq(req->path, writ_cstr(d->ready_path)))
		return;
	a->type = "application/json";
	/* Live is that this answer comes at all. */
	a->status = live || d->cfg.ready(d->cfg.arg) ? 200 : 503;
	writ_buf_add_cstr(&a->body, a->status == 200 ? HTTP_OK_BODY : "{\"ready\":false}\n");
}

static void answer_metrics(
	void *arg, const struct writ_httpd_request *req, struct writ_httpd_answer *a)
{
	const struct writ_daemon *d = arg;
	if (!writ_str_eq(req->path, WRIT_STR("/metrics")) && !writ_str_eq(req->path, WRIT_STR("/")))
		return;
	a->status = 200;
	a->type = "text/plain; version=0.0.4; charset=utf-8";
	writ_buf_addf(&a->body,
		"# HELP writ_build_info Version of the program.\n# TYPE writ_build_info gauge\n"
		"writ_build_info{program=\"%s\",version=\"" WRIT_VERSION "\"} 1\n",
		d->cfg.name);
	d->cfg.metrics(d->cfg.arg, &a->body);
}

static writ_rc open_http(struct writ_daemon *d, const char *host, uint16_t port,
	void (*handle)(void *, const struct writ_httpd_request *, struct writ_httpd_answer *),
	const char *what, struct writ_httpd **ret, struct writ_err *err)
{
	int fd;
	uint16_t bound;
	const char *address = !host || strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
	writ_rc rc = writ_listen_tcp(address, port, &fd, &bound, err);
	if (rc == WRIT_OK)
		rc = writ_httpd_start(d->cfg.loop, fd, handle, d, ret, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "%s", what);
	WRIT_LOG(INFO, "http.listening", WRIT_KV("for", what), WRIT_KV("address", address),
		WRIT_KV("port", (int)bound));
	return WRIT_OK;
}

static writ_rc open_listeners(struct writ_daemon *d, struct writ_err *err)
{
	const struct writ_conf_health *h = d->cfg.health;
	const struct writ_conf_prometheus *p =
		d->cfg.telemetry ? &d->cfg.telemetry->prometheus : NULL;
	writ_rc rc = WRIT_OK;
	if (h && h->listener_enabled)
		rc = open_http(d, h->bind_address, h->bind_port, answer_health, "health_checks",
			&d->health, err);
	if (rc == WRIT_OK && p && p->is_on)
		rc = open_http(d, p->host, p->port, answer_metrics, "telemetry.Prometheus",
			&d->prometheus, err);
	return rc;
}

static writ_rc open_signals(struct writ_daemon *d, struct writ_err *err)
{
	static const struct {
		int signum;
		void (*fire)(void *arg, int signum);
	} table[SIGNALS] = { { SIGTERM, on_end }, { SIGINT, on_end }, { SIGHUP, on_reopen },
		{ SIGUSR2, on_reopen } };
	for (size_t i = 0; i < SIGNALS; i++) {
		writ_rc rc = writ_signal_new(
			d->cfg.loop, table[i].signum, table[i].fire, d, &d->signals[i], err);
		if (rc != WRIT_OK)
			return rc;
	}
	return WRIT_OK;
}

static void close_all(struct writ_daemon *d)
{
	for (size_t i = 0; i < SIGNALS; i++) {
		if (d->signals[i])
			writ_signal_free(d->signals[i]);
	}
	writ_httpd_stop(d->health);
	writ_httpd_stop(d->prometheus);
	writ_timer_free(d->deadline);
	writ_timer_free(d->extend);
	writ_free(d->live_path);
	writ_free(d->ready_path);
	writ_free(d->notify_socket);
	writ_free(d);
}

writ_rc writ_daemon_start(
	const struct writ_daemon_config *cfg, struct writ_daemon **ret, struct writ_err *err)
{
	struct writ_daemon *d = writ_alloc(sizeof(*d));
	d->cfg = *cfg;
	d->live_path = writ_strdup(cfg->health ? cfg->health->live_path : "/live");
	d->ready_path = writ_strdup(cfg->health ? cfg->health->ready_path : "/ready");
	d->notify_socket = writ_strdup(cfg->notify_socket);
	d->deadline = writ_timer_new(cfg->loop, hard_end, d);
	writ_rc rc = open_signals(d, err);
	if (rc == WRIT_OK)
		rc = open_listeners(d, err);
	if (rc != WRIT_OK) {
		close_all(d);
		return rc;
	}
	*ret = d;
	return WRIT_OK;
}

/* Each line is a variable: what a peer wrote into an error must not become one. */
static void notify_status(struct writ_daemon *d, const char *variables, const char *status)
{
	WRIT_AUTO(writ_freep) char *line = writ_strdup(status);
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	WRIT_AUTO(writ_freep) char *text = writ_asprintf("%sSTATUS=%s\n", variables, line);
	writ_notify(d->notify_socket, text);
}

void writ_daemon_ready(struct writ_daemon *d, const char *status)
{
	writ_timer_free(writ_steal(d->extend));
	notify_status(d, "READY=1\n", status);
}

static void extend(void *arg)
{
	struct writ_daemon *d = arg;
	char text[64];
	int64_t left = d->patience_until_ms - writ_mono_ms();
	if (left <= 0)
		return;
	(void)snprintf(text, sizeof(text), "EXTEND_TIMEOUT_USEC=%" PRId64 "\n",
		1000 * (left < 2 * EXTEND_MS ? left : 2 * EXTEND_MS));
	writ_notify(d->notify_socket, text);
	writ_timer_start(d->extend, EXTEND_MS);
}

void writ_daemon_waits(struct writ_daemon *d, const char *status, int64_t patience_ms)
{
	if (d->stopping)
		return;
	notify_status(d, "", status);
	if (d->extend)
		return;
	d->patience_until_ms = writ_mono_ms() + patience_ms;
	d->extend = writ_timer_new(d->cfg.loop, extend, d);
	extend(d);
}

void writ_daemon_done(struct writ_daemon *d)
{
	struct writ_loop *loop = d->cfg.loop;
	close_all(d);
	writ_loop_stop(loop);
}

writ_rc writ_daemon_open_log(
	const struct writ_conf_log *log, const char *name, struct writ_err *err)
{
	return writ_log_open((enum writ_log_level)log->level, (enum writ_log_format)log->format,
		log->file, name, err);
}

void writ_daemon_raise_limits(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
}

void writ_daemon_print_diags(const struct writ_conf_diags *d)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(1u << 20);
	writ_conf_diags_print(d, &text);
	if (text.n)
		fwrite(text.p, 1, text.n, stderr);
}
