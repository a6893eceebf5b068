/* SPDX-License-Identifier: Apache-2.0 */
#include "held.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_STARTED 127

/* Between fork and exec: only calls that are safe there. */
static _Noreturn void wait_and_become(
	char *const *argv, const sigset_t *mask, int go, int report, pid_t parent)
{
	char byte;
	ssize_t n;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(NOT_STARTED);
	do
		n = read(go, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(NOT_STARTED);
	/* From here on its cgroup ends it; a parent that hands over (nohup, a debugger) need not.
	 */
	prctl(PR_SET_PDEATHSIG, 0);
	struct sigaction dfl = { .sa_handler = SIG_DFL };
	sigaction(SIGPIPE, &dfl, NULL); /* this program alone ignores it */
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(argv[0], argv);
	int e = errno;
	n = write(report, &e, sizeof(e));
	_exit(NOT_STARTED);
}

writ_rc writ_held_start(
	char *const *argv, const sigset_t *mask, struct writ_held *ret, struct writ_err *err)
{
	int go[2], report[2];
	if (pipe2(go, O_CLOEXEC) != 0)
		return writ_fail_errno(err, errno, "a pipe to %s", argv[0]);
	if (pipe2(report, O_CLOEXEC) != 0) {
		writ_closep(&go[0]);
		writ_closep(&go[1]);
		return writ_fail_errno(err, errno, "a pipe to %s", argv[0]);
	}
	pid_t parent = getpid();
	struct writ_held h = { .pid = fork(), .pidfd = -1, .go = go[1], .report = report[0] };
	if (h.pid == 0) {
		writ_closep(&go[1]);
		wait_and_become(argv, mask, go[0], report[1], parent);
	}
	int e = errno;
	writ_closep(&go[0]);
	writ_closep(&report[1]);
	if (h.pid > 0) {
		h.pidfd = (int)syscall(SYS_pidfd_open, h.pid, 0);
		e = errno;
	}
	if (h.pidfd < 0) {
		h.pid = h.pid > 0 ? h.pid : 0;
		writ_held_end(&h);
		return writ_fail_errno(err, e, "start %s", argv[0]);
	}
	*ret = h;
	return WRIT_OK;
}

writ_rc writ_held_go(struct writ_held *h, const char *name, struct writ_err *err)
{
	int e = 0;
	ssize_t n = write(h->go, "", 1);
	if (n != 1)
		return writ_fail_errno(err, errno, "start %s", name);
	do
		n = read(h->report, &e, sizeof(e)); /* the end of the file: exec has closed it */
	while (n < 0 && errno == EINTR);
	return n == 0 ? WRIT_OK : writ_fail_errno(err, n < 0 ? errno : e, "%s", name);
}

void writ_held_signal(const struct writ_held *h, int signum)
{
	if (h->pid)
		(void)syscall(SYS_pidfd_send_signal, h->pidfd, signum, NULL, 0);
}

bool writ_held_ended(struct writ_held *h)
{
	if (h->pid && waitpid(h->pid, &h->status, WNOHANG) == h->pid)
		h->pid = 0;
	return !h->pid;
}

int writ_held_exit_code(const struct writ_held *h)
{
	return WIFSIGNALED(h->status) ? 128 + WTERMSIG(h->status) : WEXITSTATUS(h->status);
}

void writ_held_end(struct writ_held *h)
{
	if (h->pid) {
		(void)kill(h->pid, SIGKILL); /* ours, and not reaped: the number is its own */
		while (waitpid(h->pid, &h->status, 0) < 0 && errno == EINTR)
			;
		h->pid = 0;
	}
	writ_closep(&h->pidfd);
	writ_closep(&h->go);
	writ_closep(&h->report);
	h->pidfd = h->go = h->report = -1;
}
