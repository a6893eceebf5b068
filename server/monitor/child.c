/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/child.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

/* Something that is killed from outside comes back at once; what dies by itself at its start,
 * slower and slower. */
#define SHORT_LIFE_MS   200
#define FIRST_WAIT_MS   20
#define LONGEST_WAIT_MS 2000
#define SHORT_LIVES_MAX 20

void writ_child_init(struct writ_child *c, const char *name)
{
	*c = (struct writ_child){ .name = name };
	writ_backoff_init(&c->backoff, FIRST_WAIT_MS, LONGEST_WAIT_MS);
}

/* In the child: everything here is async-signal-safe. */
static void become(const struct writ_program *p, const int *fds, size_t n)
{
	int high[WRIT_CHILD_FDS];
	sigset_t none;
	sigemptyset(&none);
	for (size_t i = 0; i < n; i++)
		high[i] = fcntl(fds[i], F_DUPFD, WRIT_CHILD_FIRST_FD + WRIT_CHILD_FDS);
	for (size_t i = 0; i < n; i++)
		if (high[i] < 0 || dup2(high[i], WRIT_CHILD_FIRST_FD + (int)i) < 0)
			_exit(126);
	if (close_range(WRIT_CHILD_FIRST_FD + (unsigned)n, ~0U, 0) != 0 ||
		sigprocmask(SIG_SETMASK, &none, NULL) != 0)
		_exit(126);
	(void)execve(p->path, p->argv, p->envp ? p->envp : environ);
	_exit(127);
}

writ_rc writ_child_start(struct writ_child *c, const struct writ_program *p, const int *fds,
	size_t n, struct writ_err *err)
{
	pid_t pid = fork();
	if (pid < 0)
		return writ_fail_errno(err, errno, "start %s", p->path);
	if (pid == 0)
		become(p, fds, n);
	c->pid = pid;
	c->started_ms = writ_mono_ms();
	c->restart_at_ms = 0;
	c->useful = false;
	return WRIT_OK;
}

bool writ_child_ended(struct writ_child *c)
{
	int64_t now = writ_mono_ms();
	bool brief = !c->useful && now - c->started_ms < SHORT_LIFE_MS;
	c->pid = 0;
	if (!brief) {
		writ_backoff_reset(&c->backoff);
		c->short_lives = 0;
	} else if (++c->short_lives > SHORT_LIVES_MAX) {
		return false;
	}
	c->restart_at_ms = now + (brief ? writ_backoff_next(&c->backoff) : 0);
	return true;
}

void writ_child_signal(const struct writ_child *c, int signum)
{
	if (c->pid > 0)
		(void)kill(c->pid, signum);
}
