/* SPDX-License-Identifier: Apache-2.0 */
#include "child.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENV_MAX 512

extern char **environ;

/* The environment of this process with the additions in front, where they win. */
static char **make_env(const char *const *add)
{
	char **env = writ_alloc_array(ENV_MAX + 1, sizeof(*env));
	size_t n = 0;
	for (; add && *add && n < ENV_MAX; add++)
		env[n++] = (char *)(uintptr_t)*add;
	size_t n_added = n;
	for (char **e = environ; *e && n < ENV_MAX; e++) {
		size_t name = strcspn(*e, "=") + 1;
		bool replaced = false;
		for (size_t i = 0; i < n_added; i++)
			replaced |= strncmp(*e, env[i], name) == 0;
		if (!replaced)
			env[n++] = *e;
	}
	return env;
}

/* Between fork and exec: only calls that are safe there. */
static void become(const struct writ_child_spec *spec, char **env, int out, int log, pid_t parent)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigaction(SIGPIPE, &dfl, NULL);
	/* Ctrl-C is for this program alone: it ends its children, in their order. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);
	if (log >= 0)
		dup2(log, STDERR_FILENO);
	if (out >= 0)
		dup2(out, STDOUT_FILENO);
	else if (log >= 0)
		dup2(log, STDOUT_FILENO);
	execvpe(spec->argv[0], (char *const *)(uintptr_t)spec->argv, env);
	_exit(127);
}

static writ_rc open_files(
	const struct writ_child_spec *spec, int pipe_fds[2], int *log, struct writ_err *err)
{
	if (spec->log) {
		*log = open(
			spec->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (*log < 0)
			return writ_fail_errno(err, errno, "open %s", spec->log);
	}
	if (spec->pipe_output && pipe2(pipe_fds, O_CLOEXEC) != 0)
		return writ_fail_errno(err, errno, "a pipe to %s", spec->argv[0]);
	return WRIT_OK;
}

writ_rc writ_child_start(
	const struct writ_child_spec *spec, struct writ_child *ret, struct writ_err *err)
{
	int fds[2] = { -1, -1 };
	WRIT_AUTO(writ_closep) int log = -1;
	writ_rc rc = open_files(spec, fds, &log, err);
	if (rc != WRIT_OK)
		return rc;
	char **env = make_env(spec->env);
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid == 0)
		become(spec, env, fds[1], log, parent);
	int e = errno;
	writ_free(env);
	writ_closep(&fds[1]);
	if (pid < 0) {
		writ_closep(&fds[0]);
		return writ_fail_errno(err, e, "start %s", spec->argv[0]);
	}
	*ret = (struct writ_child){ .pid = pid, .out = fds[0] };
	return WRIT_OK;
}

bool writ_child_poll(struct writ_child *c)
{
	if (!c->pid || c->ended)
		return true;
	c->ended = waitpid(c->pid, &c->status, WNOHANG) == c->pid;
	return c->ended;
}

int writ_child_exit_code(const struct writ_child *c)
{
	return WIFSIGNALED(c->status) ? 128 + WTERMSIG(c->status) : WEXITSTATUS(c->status);
}

/* Waits for the end without a busy loop: the pidfd becomes readable. */
static bool wait_end(struct writ_child *c, int64_t deadline_ms)
{
	WRIT_AUTO(writ_closep) int fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t until = writ_mono_ms() + deadline_ms;
	while (!writ_child_poll(c)) {
		int64_t left = until - writ_mono_ms();
		if (left <= 0)
			return false;
		(void)poll(&p, 1, fd >= 0 ? (int)left : 5);
	}
	return true;
}

void writ_child_end(struct writ_child *c, int64_t deadline_ms)
{
	if (c->pid && !writ_child_poll(c)) {
		kill(c->pid, SIGTERM);
		if (!wait_end(c, deadline_ms)) {
			kill(c->pid, SIGKILL);
			(void)wait_end(c, 5000);
		}
	}
	if (c->pid && c->out >= 0)
		close(c->out);
	*c = (struct writ_child){ .out = -1 };
}

writ_rc writ_sibling(const char *name, char **ret, struct writ_err *err)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		return writ_fail_errno(err, errno, "the path of this program");
	self[n] = '\0';
	WRIT_AUTO(writ_freep) char *dir = writ_fs_dirname(self);
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(dir, name);
	if (access(path, X_OK) != 0)
		return writ_fail_errno(
			err, errno, "%s should be beside this program, at %s", name, path);
	*ret = writ_steal(path);
	return WRIT_OK;
}
