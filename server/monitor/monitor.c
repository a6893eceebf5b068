/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/monitor.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "monitor/control.h"
#include "monitor/monitor_impl.h"
#include "monitor/notify.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPEAT_MS    500
#define STUCK_AGE_MS 5000 /* a younger one is not called stuck */
#define FAILED       1

static void give_up(struct writ_monitor *m, int status, const struct writ_err *err)
{
	m->err = *err;
	m->status = status;
}

static writ_rc self_path(char **ret, struct writ_err *err)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
	if (n <= 0 || (size_t)n == sizeof(path))
		return writ_fail_errno(err, n < 0 ? errno : ENAMETOOLONG, "find our own program");
	*ret = writ_strndup(path, (size_t)n);
	return WRIT_OK;
}

writ_rc writ_monitor_find(const char *name, char **ret, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *self = NULL;
	writ_rc rc = self_path(&self, err);
	if (rc)
		return rc;
	WRIT_AUTO(writ_freep) char *dir = writ_fs_dirname(self);
	static const char *const places[] = { ".", "../libexec/writ", "../libexec" };
	for (size_t i = 0; i < WRIT_COUNT(places); i++) {
		char *path = writ_asprintf("%s/%s/%s", dir, places[i], name);
		if (access(path, X_OK) == 0) {
			*ret = path;
			return WRIT_OK;
		}
		writ_free(path);
	}
	return writ_fail(err, WRIT_ENOENT,
		"%s is not beside %s, nor in ../libexec/writ or ../libexec; is the installation "
		"whole?",
		name, self);
}

static writ_rc start_serving(struct writ_monitor *m, struct writ_err *err)
{
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return writ_fail_errno(err, errno, "socket to the serving process");
	const struct writ_program p = { m->config->serve_path ? m->config->serve_path
							      : m->self_path,
		m->config->serve_argv, NULL };
	writ_closep(&m->control);
	m->control = fds[0];
	writ_rc rc = writ_child_start(&m->serving, &p, &fds[1], 1, err);
	close(fds[1]);
	if (!rc)
		writ_monitor_join(m);
	return rc;
}

static void hear(struct writ_monitor *m, struct writ_str text)
{
	bool ready = false;
	writ_notify_pass(m->config->notify_socket, text, &ready);
	m->serving.useful = m->serving.useful || ready;
	m->was_ready = m->was_ready || ready;
}

static void control_ready(struct writ_monitor *m)
{
	char buf[WRIT_CONTROL_MAX];
	enum writ_control_type type;
	struct writ_str text;
	int fd;
	struct writ_err err;
	writ_rc rc = writ_control_recv(m->control, buf, &type, &text, &fd, &err);
	if (rc == WRIT_EBUSY)
		return;
	if (rc) {
		writ_closep(&m->control);
		m->control = -1; /* it ends or has ended: SIGCHLD follows */
		return;
	}
	writ_closep(&fd);
	if (type == WRIT_CONTROL_NOTIFY)
		hear(m, text);
	else if (type == WRIT_CONTROL_STUCK &&
		writ_mono_ms() - m->signer.started_ms > STUCK_AGE_MS) {
		WRIT_LOG(ERROR, "signer.stuck", WRIT_KV("pid", (int)m->signer.pid));
		writ_child_signal(&m->signer, SIGKILL);
	}
}

static void log_end(const struct writ_child *c, pid_t pid, int status)
{
	if (WIFSIGNALED(status))
		WRIT_LOG(WARN, "child.died", WRIT_KV("name", c->name), WRIT_KV("pid", (int)pid),
			WRIT_KV("signal", WTERMSIG(status)));
	else
		WRIT_LOG(INFO, "child.ended", WRIT_KV("name", c->name), WRIT_KV("pid", (int)pid),
			WRIT_KV("status", WEXITSTATUS(status)));
}

static void too_often(struct writ_monitor *m, const struct writ_child *c)
{
	struct writ_err err;
	(void)writ_fail(&err, WRIT_EINTERNAL,
		"%s died %u times in a row right after its start; its last words are in the log",
		c->name, c->short_lives);
	give_up(m, FAILED, &err);
}

static void signer_ended(struct writ_monitor *m, int status)
{
	struct writ_err err;
	bool again = writ_child_ended(&m->signer);
	writ_monitor_signer_lost(m);
	if (m->stopping)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) >= 126) {
		(void)writ_fail(&err, WRIT_EIO, "cannot run %s", m->signer_path);
		give_up(m, FAILED, &err);
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == WRIT_SIGNER_EXIT_SETUP) {
		(void)writ_fail(
			&err, WRIT_EINVAL, "the signer cannot work; its last words are in the log");
		give_up(m, FAILED, &err);
	} else if (!again) {
		too_often(m, &m->signer);
	}
}

static void serving_ended(struct writ_monitor *m, int status)
{
	struct writ_err err = { 0 };
	bool again = writ_child_ended(&m->serving);
	writ_closep(&m->control);
	m->control = -1;
	bool abnormal = WIFSIGNALED(status) || (WEXITSTATUS(status) != 0 && m->was_ready);
	if (!m->stopping && abnormal) {
		if (!again)
			too_often(m, &m->serving);
		return;
	}
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
	if (code)
		(void)writ_fail(
			&err, WRIT_EINTERNAL, "the serving process ended with status %d", code);
	give_up(m, code, &err);
}

static void reap(struct writ_monitor *m)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == m->signer.pid) {
			log_end(&m->signer, pid, status);
			signer_ended(m, status);
		} else if (pid == m->serving.pid) {
			log_end(&m->serving, pid, status);
			serving_ended(m, status);
		}
	}
}

static void stop(struct writ_monitor *m, int signum)
{
	if (m->stopping) {
		/* Asked again: at once. What comes together with the first is one wish: timeout(1)
		 * signals its child and then the group. */
		if (writ_mono_ms() - (m->kill_at_ms - m->config->stop_ms) >= REPEAT_MS)
			writ_child_signal(&m->serving, SIGKILL);
		return;
	}
	m->stopping = true;
	m->kill_at_ms = writ_mono_ms() + m->config->stop_ms;
	writ_child_signal(&m->serving, signum);
	if (!m->serving.pid)
		m->status = 0;
}

static void signal_ready(struct writ_monitor *m)
{
	struct signalfd_siginfo s;
	struct writ_err err;
	while (read(m->signals, &s, sizeof(s)) == sizeof(s)) {
		int signum = (int)s.ssi_signo;
		if (signum == SIGCHLD)
			reap(m);
		else if (signum == SIGTERM || signum == SIGINT)
			stop(m, SIGTERM);
		else
			writ_child_signal(&m->serving, signum);
		if ((signum == SIGHUP || signum == SIGUSR2) && writ_log_reopen(&err) != WRIT_OK)
			WRIT_LOG(ERROR, "log.reopen", WRIT_KV("error", (const char *)err.msg));
		if (signum == SIGHUP || signum == SIGUSR2)
			writ_monitor_look_at_record(m);
	}
}

static void restart(struct writ_monitor *m, struct writ_child *c,
	writ_rc (*start)(struct writ_monitor *m, struct writ_err *err))
{
	struct writ_err err;
	if (m->stopping || c->pid || !c->restart_at_ms || c->restart_at_ms > writ_mono_ms())
		return;
	c->restart_at_ms = 0;
	writ_rc rc = start(m, &err);
	if (rc) {
		WRIT_LOG(ERROR, "child.start", WRIT_KV("name", c->name),
			WRIT_KV("error", (const char *)err.msg));
		/* One that runs but could not be set up is replaced when its end is reported. */
		if (c->pid)
			writ_child_signal(c, SIGKILL);
		else if (!writ_child_ended(c))
			too_often(m, c);
		return;
	}
	WRIT_LOG(INFO, "child.start", WRIT_KV("name", c->name), WRIT_KV("pid", (int)c->pid));
}

static void check_deadlines(struct writ_monitor *m)
{
	int64_t now = writ_mono_ms();
	if (m->stopping && now >= m->kill_at_ms)
		writ_child_signal(&m->serving, SIGKILL);
	if (m->signer_due_ms && now >= m->signer_due_ms)
		writ_child_signal(&m->signer, SIGKILL);
	restart(m, &m->signer, writ_monitor_start_signer);
	restart(m, &m->serving, start_serving);
}

static int wait_ms(const struct writ_monitor *m)
{
	int64_t at = INT64_MAX, now = writ_mono_ms();
	const int64_t all[] = { m->stopping ? m->kill_at_ms : 0, m->signer.restart_at_ms,
		m->serving.restart_at_ms, m->signer_due_ms };
	for (size_t i = 0; i < WRIT_COUNT(all); i++)
		if (all[i] && all[i] < at)
			at = all[i];
	if (at == INT64_MAX)
		return -1;
	return at <= now ? 1 : (int)(at - now);
}

static void turn(struct writ_monitor *m)
{
	struct pollfd p[] = { { .fd = m->signals, .events = POLLIN },
		{ .fd = m->vault.fd, .events = POLLIN }, { .fd = m->control, .events = POLLIN } };
	if (poll(p, WRIT_COUNT(p), wait_ms(m)) < 0 && errno != EINTR) {
		struct writ_err err;
		(void)writ_fail_errno(&err, errno, "wait for events");
		give_up(m, FAILED, &err);
		return;
	}
	if (p[1].revents)
		writ_monitor_signer_said(m);
	if (p[2].revents)
		control_ready(m);
	if (p[0].revents)
		signal_ready(m);
	check_deadlines(m);
}

static writ_rc take_signals(struct writ_monitor *m, struct writ_err *err)
{
	static const int all[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < WRIT_COUNT(all); i++)
		sigaddset(&set, all[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return writ_fail_errno(err, errno, "signals");
	m->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return m->signals < 0 ? writ_fail_errno(err, errno, "signals") : WRIT_OK;
}

/* The serving process is started when the signer works: a wrong key file is one clear error then.
 */
static writ_rc start(struct writ_monitor *m, struct writ_err *err)
{
	const struct writ_monitor_config *c = m->config;
	writ_rc rc = take_signals(m, err);
	if (!rc)
		rc = self_path(&m->self_path, err);
	if (!rc && c->signer_path)
		m->signer_path = writ_strdup(c->signer_path);
	else if (!rc)
		rc = writ_monitor_find("writ-signer", &m->signer_path, err);
	if (!rc && strcmp(c->key_manager, "disk") == 0)
		rc = c->keys_dir ? writ_keystore_open_at(&m->keys, c->keys_dir, err)
				 : writ_keystore_open(&m->keys, c->data_dir, err);
	if (!rc)
		rc = writ_monitor_start_signer(m, err);
	while (!rc && m->status < 0 && !m->signer_ready)
		turn(m);
	if (!rc && m->status < 0)
		rc = start_serving(m, err);
	return rc;
}

static void end_child(const struct writ_child *c)
{
	if (!c->pid)
		return;
	writ_child_signal(c, SIGKILL);
	while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int writ_monitor_run(const struct writ_monitor_config *c, struct writ_err *err)
{
	struct writ_monitor m = { .config = c,
		.signals = -1,
		.server_end = -1,
		.control = -1,
		.status = -1,
		.record = { .dir = c->data_dir, .rules = c->record } };
	writ_child_init(&m.signer, "writ-signer");
	writ_child_init(&m.serving, "writ-server");
	writ_vault_link_init(&m.vault, -1);
	if (start(&m, err) != WRIT_OK && m.status < 0)
		give_up(&m, FAILED, err);
	while (m.status < 0)
		turn(&m);
	/* Nobody asks the signer any more, and what it has answered is on disk: it can end at any
	 * point. */
	end_child(&m.serving);
	end_child(&m.signer);
	writ_monitor_signer_lost(&m);
	writ_closep(&m.control);
	writ_closep(&m.signals);
	writ_keystore_done(&m.keys);
	writ_free(m.self_path);
	writ_free(m.signer_path);
	if (m.status)
		*err = m.err;
	return m.status;
}
