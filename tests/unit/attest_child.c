/* SPDX-License-Identifier: Apache-2.0 */
#include "attest_child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

struct child child_start(child_fn run, void *arg)
{
	int go[2];
	int ready[2];
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(go[1]);
		close(ready[0]);
		run(go[0], ready[1], arg);
		_exit(1);
	}
	close(go[0]);
	close(ready[1]);
	struct child c = { .pid = pid, .go = go[1], .ready = ready[0] };
	char byte;
	assert_int_equal(read(c.ready, &byte, 1), 1);
	return c;
}

void child_go(const struct child *c)
{
	assert_int_equal(write(c->go, "g", 1), 1);
}

void child_await_end_of_file(const struct child *c)
{
	char byte;
	assert_int_equal(read(c->ready, &byte, 1), 0);
}

void child_end(struct child *c)
{
	if (c->pid <= 0)
		return;
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	close(c->go);
	close(c->ready);
	c->pid = 0;
}

void child_ready(int ready)
{
	if (write(ready, "r", 1) != 1)
		_exit(2);
}

void child_wait(int go)
{
	char byte;
	if (read(go, &byte, 1) != 1)
		_exit(3);
}

void child_idle(int go, int ready, void *arg)
{
	(void)arg;
	child_ready(ready);
	child_wait(go);
	_exit(0);
}

void child_exec(int go, int ready, void *arg)
{
	child_ready(ready);
	child_wait(go);
	execl(arg, "idle", "1000", (char *)NULL);
	_exit(4);
}
