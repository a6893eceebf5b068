/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on the number of a process: the one that connected is gone, and another has its pid. */
#include "pose.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define R2_EACH 10 /* attempts in one stall of the agent */

/* A process of the attacker connects, asks if it is told to, and ends; who called keeps the
 * connection, as a helper to whom it was passed would. Returns it, and its pid in *pid. */
static int connect_and_end(struct pose *p, bool asks, pid_t *pid)
{
	int ends[2], fd = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		pose_unready(p, "socketpair");
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	*pid = fork();
	if (*pid == 0) {
		pose_drop(p);
		int conn = ask_connect(p->socket);
		if (conn < 0 || (asks && !ask_send(conn)))
			_exit(1);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		*c = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(c), &conn, sizeof(conn));
		_exit(sendmsg(ends[1], &m, 0) == 1 ? 0 : 1);
	}
	(void)close(ends[1]);
	if (*pid < 0 || recvmsg(ends[0], &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
		pose_unready(p, "have a connection made");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	(void)close(ends[0]);
	return fd;
}

/* The helper: another process of the attacker, with the connection. */
static void let_helper(struct pose *p, int fd, bool asked)
{
	if (fork() != 0) {
		(void)close(fd);
		return;
	}
	pose_drop(p);
	if (asked)
		pose_hear(p, fd);
	else
		pose_ask_on(p, fd);
	_exit(0);
}

/* R1: the trusted program gets the pid of the one that connected, and a helper asks. */
static void reuse_by_trusted(struct pose *p, bool queued)
{
	pid_t pid;
	int fd = connect_and_end(p, queued, &pid);
	(void)waitpid(pid, NULL, 0);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (pose_spawn_as(p, pid, NULL, 0) < 0)
		pose_unready(p, "have the pid again");
	(void)usleep(5000); /* it is the trusted program by then */
	let_helper(p, fd, queued);
}

static void r1(struct pose *p)
{
	reuse_by_trusted(p, false);
}

static void r1_queued(struct pose *p)
{
	reuse_by_trusted(p, true);
}

/* R2: the same before the agent has accepted the connection. */
static void r2(struct pose *p)
{
	int fds[R2_EACH];
	pid_t pid;
	pose_stop_agent(p, SIGSTOP);
	for (int i = 0; i < R2_EACH; i++) {
		fds[i] = connect_and_end(p, i % 2, &pid);
		(void)waitpid(pid, NULL, 0);
		(void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
		if (pose_spawn_as(p, pid, NULL, 0) >= 0)
			continue;
		pose_tell(p, ASK_UNREADY);
		(void)close(fds[i]);
		fds[i] = -1;
	}
	(void)usleep((useconds_t)p->stall_ms * 1000);
	for (int i = 0; i < R2_EACH; i++)
		if (fds[i] >= 0)
			let_helper(p, fds[i], i % 2);
	pose_stop_agent(p, SIGCONT);
}

/* The trusted program connects, hands the connection on and ends, and the attacker gets its pid:
 * what he writes then carries the right number. */
static void ask_as(const struct pose *p, int fd)
{
	pose_ask_on(p, fd);
}

static void ask_again_as(const struct pose *p, int fd)
{
	pose_tell(p, ask_again(fd, p->wanted, pose_wait_ms()));
}

static void inherit(struct pose *p, const char *what, void (*fn)(const struct pose *p, int fd))
{
	int ends[2], fd = -1;
	char control[CMSG_SPACE(sizeof(int))], number[16], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
		pose_unready(p, "socketpair");
	(void)snprintf(number, sizeof(number), "%d", ends[1]);
	pid_t pid = fork();
	if (pid == 0) {
		pose_drop(p);
		(void)execl(p->trusted, p->trusted, what, p->socket, p->wanted, p->self, number,
			(char *)NULL);
		_exit(1);
	}
	(void)close(ends[1]);
	if (pid < 0 || recvmsg(ends[0], &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
		pose_unready(p, "be handed the connection");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	if (!fn) { /* as itself: the trusted program may live on */
		let_helper(p, fd, false);
		return;
	}
	(void)waitpid(pid, NULL, 0);
	if (pose_spawn_as(p, pid, fn, fd) < 0)
		pose_unready(p, "have the pid again");
}

static void passed(struct pose *p)
{
	inherit(p, "pass", NULL);
}

/* The same, and the trusted program lives on. */
static void lent(struct pose *p)
{
	inherit(p, p->n % 2 ? "open-lend" : "lend", NULL);
}

static void reused(struct pose *p)
{
	inherit(p, "pass", ask_as);
}

static void reused_open(struct pose *p)
{
	inherit(p, "open-pass", ask_again_as);
}

/* The one that connected has ended and nobody has reaped it; its question is under way. */
static void zombie(struct pose *p)
{
	pid_t pid;
	bool queued = p->n % 2;
	int fd = connect_and_end(p, queued, &pid);
	siginfo_t info;
	(void)waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	let_helper(p, fd, queued);
}

/* The same while the agent stands still: it accepts a connection of the dead. */
static void zombie_stopped(struct pose *p)
{
	pose_stop_agent(p, SIGSTOP);
	zombie(p);
	(void)usleep((useconds_t)p->stall_ms * 1000);
	pose_stop_agent(p, SIGCONT);
}

const struct pose_attack pose_pid_attacks[] = {
	{ "r1", r1, 0 },
	{ "r1-queued", r1_queued, 0 },
	{ "r2", r2, R2_EACH },
	{ "passed", passed, 0 },
	{ "lent", lent, 0 },
	{ "reused", reused, 0 },
	{ "reused-open", reused_open, 0 },
	{ "zombie", zombie, 0 },
	{ "zombie-stopped", zombie_stopped, 0 },
	{ NULL, NULL, 0 },
};
