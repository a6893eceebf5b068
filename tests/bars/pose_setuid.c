/* SPDX-License-Identifier: Apache-2.0 */
/* A5: a set-user-ID program in the place of the one that connected; R5: it gives up its rights
 * again, in the same process, before the agent has looked at everything. */
#include "pose.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HELD_US                                                                                    \
	20000 /* a child of the attacker's user holds it there, while it has its owner's rights */

/* --- su, newgrp, sudo: they wait for a password as root --- */

/* From before a fork: sudo closes what it was not given, and a password that ends is a wrong one.
 */
static void keep_waiting_for_password(const struct pose *p)
{
	int in[2];
	if (pipe(in) != 0 || dup2(in[0], STDIN_FILENO) < 0)
		pose_unready(p, "pipe");
}

static void run_helper(const struct pose *p)
{
	const char *name = strrchr(p->helper, '/');
	bool sudo = name && strcmp(name, "/sudo") == 0;
	int null = open("/dev/null", O_RDWR);
	(void)dup2(null, STDOUT_FILENO);
	(void)dup2(null, STDERR_FILENO);
	if (sudo) /* not from the terminal */
		(void)execl(p->helper, p->helper, "-S", "true", (char *)NULL);
	else
		(void)execl(p->helper, p->helper, "root", (char *)NULL);
	_exit(1);
}

/* The child asks, when the parent is the helper. */
static void child_asks(struct pose *p)
{
	int gate[2];
	pose_drop(p);
	int fd = pose_connect(p);
	keep_waiting_for_password(p);
	if (pipe2(gate, O_CLOEXEC) != 0)
		pose_unready(p, "pipe");
	if (fork() == 0) {
		(void)close(gate[1]);
		(void)pose_until_exec(gate[0]);
		pose_ask_on(p, fd);
		_exit(0);
	}
	run_helper(p);
}

/* It has asked already; a child stops the helper while it is root, and reads. */
static void after_asking(struct pose *p)
{
	pose_drop(p);
	int fd = pose_connect(p);
	pid_t parent = getpid();
	keep_waiting_for_password(p);
	if (!ask_send(fd))
		pose_unready(p, "ask");
	if (fork() == 0) {
		(void)usleep((useconds_t)p->delay_us);
		if (p->n % 2)
			(void)kill(parent, SIGSTOP);
		pose_hear(p, fd);
		_exit(0);
	}
	run_helper(p);
}

/* --- R5: stepdown.c --- */

/* The process becomes the helper, and then "pose listen" or, without listens, the trusted program.
 */
static _Noreturn void step_down(const struct pose *p, int fd, int gate, bool listens)
{
	char us[16], gate_text[16], report[16], conn[16];
	(void)snprintf(us, sizeof(us), "%d", (int)p->delay_us);
	(void)snprintf(gate_text, sizeof(gate_text), "%d", gate);
	(void)snprintf(report, sizeof(report), "%d", p->report);
	(void)snprintf(conn, sizeof(conn), "%d", fd);
	if (listens)
		(void)execl(p->helper, p->helper, us, gate_text, report, p->self, "listen", conn,
			p->wanted, report, (char *)NULL);
	else
		(void)execl(p->helper, p->helper, us, gate_text, report, p->trusted, "sleep",
			"10000", (char *)NULL);
	pose_unready(p, "run the set-user-ID program");
}

int pose_listen(int fd, const char *wanted, int report)
{
	const struct pose p = { .wanted = wanted, .report = report };
	pose_tell(&p, ask_wait(fd, wanted, pose_wait_ms(), true));
	return 0;
}

/* A child reads; in each second try it holds the helper while that has its owner's rights. */
static void drops(struct pose *p)
{
	pose_drop(p);
	int fd = pose_connect(p);
	pid_t parent = getpid();
	if (!ask_send(fd))
		pose_unready(p, "ask");
	if (fork() == 0) {
		(void)usleep((useconds_t)(p->delay_us / 2));
		if (p->n % 2) {
			(void)kill(parent, SIGSTOP);
			(void)usleep(HELD_US);
			(void)kill(parent, SIGCONT);
		}
		pose_hear(p, fd);
		_exit(0);
	}
	step_down(p, fd, -1, false);
}

/* Each PING is acknowledged by whatever the process is then: by itself before it becomes the
 * helper, or by what the helper runs in the end. */
static void drops_and_answers(struct pose *p)
{
	pose_drop(p);
	int fd = pose_connect(p);
	if (!ask_send(fd))
		pose_unready(p, "ask");
	if (p->n % 2)
		(void)ask_answer_ping(fd, 200);
	step_down(p, fd, -1, true);
}

/* Tells by gate that it runs what it wanted to run. */
static _Noreturn void drop_behind(struct pose *p, int gate)
{
	bool listens = p->n % 2;
	pose_drop(p);
	int fd = pose_connect(p);
	if (!ask_send(fd))
		pose_unready(p, "ask");
	if (!listens && fork() == 0) {
		(void)close(gate);
		pose_hear(p, fd);
		_exit(0);
	}
	step_down(p, fd, gate, listens);
}

/* The agent, or one of its processes alone, stands still at any moment meanwhile, until it is over.
 */
static void drops_while_stopped(struct pose *p)
{
	int gate[2];
	if (pipe(gate) != 0)
		pose_unready(p, "pipe");
	size_t which = p->n / 2 % (p->n_agent + 1);
	if (fork() == 0) {
		(void)close(gate[0]);
		drop_behind(p, gate[1]);
	}
	(void)close(gate[1]);
	(void)usleep((useconds_t)(p->delay_us / 2));
	if (which < p->n_agent)
		(void)kill(p->agent[which], SIGSTOP);
	else
		pose_stop_agent(p, SIGSTOP);
	(void)pose_until_exec(gate[0]);
	(void)usleep((useconds_t)p->stall_ms * 1000);
	pose_stop_agent(p, SIGCONT);
}

const struct pose_attack pose_setuid_attacks[] = {
	{ "setuid-child-asks", child_asks, 0 },
	{ "setuid-after-asking", after_asking, 0 },
	{ "setuid-drops", drops, 0 },
	{ "setuid-drops-and-answers", drops_and_answers, 0 },
	{ "setuid-drops-stopped", drops_while_stopped, 0 },
	{ NULL, NULL, 0 },
};
