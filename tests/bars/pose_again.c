/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on what the agent knows from before: the process was the trusted program when it was
 * looked at, is another one that acknowledges the PING, and is the trusted program again when that
 * is checked. What it cannot have again is where the kernel put its memory; when that was told not
 * to choose, the trusted program itself must get nothing that is meant for this program. */
#include "pose.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <unistd.h>

enum { TO_STAGE = 100, FROM_STAGE = 101 }; /* descriptors that pass through every exec */

/* The argv and the environment are the same each time the trusted program is run. */
_Noreturn static void run_trusted_again(const char *wanted, const char *report)
{
	const char *path = getenv("POSE_TRUSTED"), *self = getenv("POSE_SELF");
	if (path && self)
		(void)execl(path, path, "return", getenv("POSE_SOCKET"), wanted, self, report,
			(char *)NULL);
	_exit(1);
}

int pose_return(int fd, const char *wanted, int report)
{
	uint8_t payload[8];
	char number[16], go = 'x';
	int gate[2];
	(void)snprintf(number, sizeof(number), "%d", report);
	if (pipe2(gate, O_CLOEXEC) != 0)
		return 1;
	if (fork() == 0) {
		struct pose p = { .wanted = wanted, .report = report };
		(void)close(gate[1]);
		(void)close(TO_STAGE);
		(void)pose_until_exec(gate[0]);
		pose_hear(&p, fd);
		_exit(0);
	}
	(void)fcntl(TO_STAGE, F_SETFD, FD_CLOEXEC); /* its end tells the stage of the exec */
	if (!ask_send_again(fd) || !ask_await_ping(fd, 1000, payload))
		_exit(1);
	if (write(TO_STAGE, &go, 1) == 1)
		(void)!read(FROM_STAGE, &go, 1);
	ask_acknowledge(fd, payload);
	run_trusted_again(wanted, number);
}

/* The other program connects anew: what is known of the process is of the trusted one. */
int pose_anew(const char *wanted, int report)
{
	const char *path = getenv("POSE_SOCKET");
	struct pose p = { .wanted = wanted, .report = report };
	int fd = path ? ask_connect(path) : -1;
	if (fd >= 0)
		pose_ask_on(&p, fd);
	return 0;
}

static void start(struct pose *p, const char *what, bool fixed)
{
	if (setenv("POSE_TRUSTED", p->trusted, 1) != 0 || setenv("POSE_SELF", p->self, 1) != 0 ||
		setenv("POSE_SOCKET", p->socket, 1) != 0 ||
		(fixed && personality(ADDR_NO_RANDOMIZE) < 0))
		pose_unready(p, "prepare");
	pose_run_trusted(p, what);
}

static void anew(struct pose *p)
{
	start(p, "anew", false);
}

static void return_fast(struct pose *p)
{
	start(p, "return", false);
}

static void return_fast_fixed(struct pose *p)
{
	start(p, "return", true);
}

/* The agent stands still between the acknowledgement and the check. */
static void return_stopped(struct pose *p)
{
	int to[2], from[2];
	char c;
	if (pipe(to) != 0 || pipe(from) != 0)
		pose_unready(p, "pipe");
	if (fork() == 0) {
		(void)dup2(to[1], TO_STAGE);
		(void)dup2(from[0], FROM_STAGE);
		int all[] = { to[0], to[1], from[0], from[1] };
		for (int i = 0; i < 4; i++)
			(void)close(all[i]);
		start(p, "return", false);
	}
	(void)close(to[1]);
	if (read(to[0], &c, 1) != 1)
		pose_unready(p, "be asked by a PING");
	pose_stop_agent(p, SIGSTOP);
	(void)!write(from[1], "g", 1);
	(void)pose_until_exec(to[0]);
	(void)usleep((useconds_t)p->stall_ms * 1000);
	pose_stop_agent(p, SIGCONT);
}

const struct pose_attack pose_again_attacks[] = {
	{ "anew", anew, 0 },
	{ "return", return_fast, 0 },
	{ "return-fixed", return_fast_fixed, 0 },
	{ "return-stopped", return_stopped, 0 },
	{ NULL, NULL, 0 },
};
