/* SPDX-License-Identifier: Apache-2.0 */
/* trusted: the program that an entry names, in the attacks of pose.c. It asks for its identity; or
 * it does what a program may do that its author did not think about: it starts others while it has
 * a connection, hands the connection on, becomes another program.
 *
 * usage: trusted ask SOCKET WANTED [PAUSE-MS]   ask once, or until SIGTERM with that pause
 *        trusted late MS SOCKET WANTED         ask once after that time
 *        trusted sleep MS
 *        trusted [open-]fork|grand|exec|pass|lend|child|kin|orphan|return|anew SOCKET WANTED OTHER
 * REPORT-FD WANTED is the identity that counts as served. For the last line: OTHER is run as OTHER
 * inherited|again CONNECTION-FD WANTED REPORT-FD; child and kin are forks that stay this program,
 * the one with the connection, the other with one of its own; open-: the connection has a stream
 * that was served. */
#include "ask.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALL_MS 10000 /* longer than the agent is ever stopped */

static const char *how = "inherited";

static enum ask_got ask_anew(const char *path, const char *wanted)
{
	int fd = ask_connect(path);
	if (fd < 0)
		return ASK_REFUSED;
	enum ask_got got = ask(fd, wanted, CALL_MS);
	(void)close(fd);
	return got;
}

/* One line for each call: S, R or T, and microseconds. SIGTERM is taken between two calls alone. */
static int ask_often(const char *path, const char *wanted, int pause_ms)
{
	sigset_t term;
	const struct timespec pause = { pause_ms / 1000, (long)pause_ms % 1000 * 1000000 };
	(void)sigemptyset(&term);
	(void)sigaddset(&term, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &term, NULL);
	do {
		int64_t begin = ask_now_us();
		enum ask_got got = ask_anew(path, wanted);
		printf("%c %lld\n", got, (long long)(ask_now_us() - begin));
		(void)fflush(stdout);
	} while (pause_ms >= 0 && sigtimedwait(&term, NULL, &pause) < 0);
	return 0;
}

static void run_other(const char *other, int fd, const char *wanted, const char *report)
{
	char number[16];
	(void)snprintf(number, sizeof(number), "%d", fd);
	(void)execl(other, other, how, number, wanted, report, (char *)NULL);
	_exit(1);
}

static int wait_all(void)
{
	while (wait(NULL) > 0)
		;
	return 0;
}

/* Its child, with the connection, becomes another program; or that one's child does. */
static int do_fork(int fd, char **arg, int generations)
{
	while (generations-- > 0)
		if (fork() != 0)
			return wait_all();
	run_other(arg[1], fd, arg[0], arg[2]);
	return 1;
}

/* The connection goes to whoever listens behind the report, and this process ends. */
static int do_pass(int fd, const char *report)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 'x';
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(atoi(report), &m, MSG_NOSIGNAL) == 1 ? 0 : 1;
}

/* Its child goes on as the same program. */
static int do_stay(int fd, char **arg, const char *own)
{
	if (fork() != 0)
		return wait_all();
	char got = (char)(own ? ask_anew(own, arg[0]) : ask(fd, arg[0], CALL_MS));
	return write(atoi(arg[2]), &got, 1) == 1 ? 0 : 1;
}

/* The same, when its parent is no more. */
static int do_orphan(char **arg, const char *own)
{
	int gate[2];
	char got;
	if (pipe(gate) != 0)
		return 1;
	if (fork() != 0)
		return 0;
	(void)close(gate[1]);
	(void)!read(gate[0], &got, 1);
	got = (char)ask_anew(own, arg[0]);
	return write(atoi(arg[2]), &got, 1) == 1 ? 0 : 1;
}

static int do_with(const char *what, int fd, char **arg, const char *path)
{
	static const struct {
		const char *name;
		int generations;
	} execs[] = { { "exec", 0 }, { "fork", 1 }, { "grand", 2 } };
	if (strcmp(what, "pass") == 0)
		return do_pass(fd, arg[2]);
	if (strcmp(what, "lend") == 0)
		return do_pass(fd, arg[2]) ? 1 : pause();
	if (strcmp(what, "child") == 0)
		return do_stay(fd, arg, NULL);
	if (strcmp(what, "kin") == 0)
		return do_stay(fd, arg, path);
	if (strcmp(what, "orphan") == 0)
		return do_orphan(arg, path);
	for (size_t i = 0; i < sizeof(execs) / sizeof(execs[0]); i++)
		if (strcmp(what, execs[i].name) == 0)
			return do_fork(fd, arg, execs[i].generations);
	return 2;
}

/* Another program follows in a process that has been looked at. At fixed addresses this one should
 * get nothing itself. */
static int do_known(const char *what, int fd, char **arg, const char *path)
{
	char got = (char)ask(fd, arg[0], CALL_MS);
	if (personality(0xffffffff) & ADDR_NO_RANDOMIZE)
		return write(atoi(arg[2]), &got, 1) == 1 ? 0 : 1;
	how = what;
	return got == ASK_SERVED ? do_with("exec", fd, arg, path) : 1;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "sleep") == 0)
		return usleep((useconds_t)atoi(argv[2]) * 1000);
	if (argc >= 4 && strcmp(argv[1], "ask") == 0)
		return ask_often(argv[2], argv[3], argc > 4 ? atoi(argv[4]) : -1);
	if (argc == 5 && strcmp(argv[1], "late") == 0) {
		(void)usleep((useconds_t)atoi(argv[2]) * 1000);
		return ask_often(argv[3], argv[4], -1);
	}
	if (argc != 6)
		return 2;
	int fd = ask_connect(argv[2]);
	if (fd < 0)
		return 1;
	const char *what = argv[1];
	if (strncmp(what, "open-", 5) == 0) {
		if (ask(fd, argv[3], CALL_MS) != ASK_SERVED)
			return 1;
		what += 5;
		how = "again";
	}
	if (strcmp(what, "return") == 0 || strcmp(what, "anew") == 0)
		return do_known(what, fd, argv + 3, argv[2]);
	return do_with(what, fd, argv + 3, argv[2]);
}
