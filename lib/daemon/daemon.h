/* SPDX-License-Identifier: Apache-2.0 */
/* daemon: what the main loop of every long-running program does beside its work: log, signals,
 * systemd's notifications, health and metrics over HTTP, an end within a deadline. Loop thread. */
#ifndef WRIT_DAEMON_DAEMON_H
#define WRIT_DAEMON_DAEMON_H

#include "conf/common.h"
#include "loop/loop.h"

struct writ_daemon;

struct writ_daemon_config {
	struct writ_loop *loop;
	const char *name;                      /* "writ-gate" */
	const struct writ_conf_health *health; /* borrowed for start only */
	const struct writ_conf_telemetry *telemetry;
	const char *notify_socket; /* NOTIFY_SOCKET; NULL: not under systemd */
	bool (*ready)(void *arg);
	void (*metrics)(void *arg, struct writ_buf *out);
	/* SIGTERM or SIGINT, once: begin to end; then call writ_daemon_done. A second signal, or
	 * the deadline, ends the process at once. */
	void (*stop)(void *arg);
	void (*reopen)(
		void *arg); /* SIGHUP, SIGUSR2, after the log was opened again; may be NULL */
	int64_t stop_deadline_ms;
	void *arg;
};

/* The log must be open. */
WRIT_MUST writ_rc writ_daemon_start(
	const struct writ_daemon_config *cfg, struct writ_daemon **ret, struct writ_err *err);
void writ_daemon_ready(struct writ_daemon *d,
	const char *status); /* READY=1 and a status line; again for a new status */
/* Not ready yet: says why, and asks systemd to wait on, until ready, for patience_ms since the
 * first call; after that the unit's own TimeoutStartSec= counts. Again for a new status. */
void writ_daemon_waits(struct writ_daemon *d, const char *status, int64_t patience_ms);
void writ_daemon_begin_stop(struct writ_daemon *d); /* as if SIGTERM had come */
void writ_daemon_done(
	struct writ_daemon *d); /* closes everything of the daemon and stops the loop */

/* Opens the log as the configuration says. */
WRIT_MUST writ_rc writ_daemon_open_log(
	const struct writ_conf_log *log, const char *name, struct writ_err *err);
/* RLIMIT_NOFILE up to its hard limit. */
void writ_daemon_raise_limits(void);
/* Prints a configuration's mistakes and warnings on stderr. */
void writ_daemon_print_diags(const struct writ_conf_diags *d);

#endif
