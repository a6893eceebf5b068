/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks that fork and exec: who asks is not who is looked at. */
#include "pose.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK (256 * 1024)

static void open_gate(const struct pose *p, int gate[2])
{
	if (pipe2(gate, O_CLOEXEC) != 0)
		pose_unready(p, "pipe");
}

/* R3: connect, fork; the parent becomes the trusted program, the child asks. */
static void r3(struct pose *p)
{
	int gate[2];
	pose_drop(p);
	int fd = pose_connect(p);
	open_gate(p, gate);
	if (fork() == 0) {
		(void)close(gate[1]);
		(void)pose_until_exec(gate[0]);
		pose_ask_on(p, fd);
		_exit(0);
	}
	pose_become_trusted(p);
}

/* The same, and the child shares the parent's memory, descriptors and all, as a thread would: the
 * old memory lives on. */
static struct pose *shared;
static int shared_fd, shared_gate[2];

static int helper_asks(void *arg)
{
	(void)arg;
	(void)close(shared_gate[1]); /* memory is shared, descriptors are not */
	(void)pose_until_exec(shared_gate[0]);
	pose_ask_on(shared, shared_fd);
	_exit(0);
}

static void r3_shared_memory(struct pose *p)
{
	pose_drop(p);
	shared = p;
	shared_fd = pose_connect(p);
	open_gate(p, shared_gate);
	uint8_t *stack =
		mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED || clone(helper_asks, stack + STACK, CLONE_VM | SIGCHLD, NULL) < 0)
		pose_unready(p, "clone");
	pose_become_trusted(p);
}

/* R4: ask, then become the trusted program within 0 to 3 ms; a child reads the answer. */
static void exec_after(struct pose *p, bool child_answers, bool answers_first)
{
	pose_drop(p);
	int fd = pose_connect(p);
	if (!ask_send(fd))
		pose_unready(p, "ask");
	if (fork() == 0) {
		pose_tell(p, ask_wait(fd, p->wanted, pose_wait_ms(), child_answers));
		_exit(0);
	}
	if (answers_first)
		ask_answer_for(fd, p->delay_us);
	else if (p->delay_us > 0)
		(void)usleep((useconds_t)p->delay_us);
	pose_become_trusted(p);
}

static void r4(struct pose *p)
{
	exec_after(p, false, false);
}

static void r4_child_answers(struct pose *p)
{
	exec_after(p, true, false);
}

/* Another thread than the main one becomes the trusted program, and has its number then; the main
 * one waits for that, or has ended. */
static void *become_in_thread(void *arg)
{
	struct pose *p = arg;
	(void)usleep((useconds_t)p->delay_us);
	pose_become_trusted(p);
}

static void r4_thread(struct pose *p)
{
	pthread_t t;
	pose_drop(p);
	int fd = pose_connect(p);
	if (!ask_send(fd))
		pose_unready(p, "ask");
	if (fork() == 0) {
		pose_tell(p, ask_wait(fd, p->wanted, pose_wait_ms(), p->n / 2 % 2));
		_exit(0);
	}
	if (pthread_create(&t, NULL, become_in_thread, p) != 0)
		pose_unready(p, "start a thread");
	if (p->n % 2)
		(void)syscall(SYS_exit, 0);
	(void)pthread_join(t, NULL);
}

/* The one that asked answers the agent's PINGs as long as it can, and goes then. */
static void r4_answers(struct pose *p)
{
	exec_after(p, false, true);
}

/* The same, the moment after the agent's PING was answered. */
static void r4_after_ping(struct pose *p)
{
	pose_drop(p);
	int fd = pose_connect(p);
	if (!ask_send(fd))
		pose_unready(p, "ask");
	int hold[2];
	open_gate(p, hold);
	if (fork() == 0) {
		(void)close(hold[1]);
		(void)pose_until_exec(hold[0]); /* two readers would take each other's bytes */
		pose_hear(p, fd);
		_exit(0);
	}
	(void)ask_answer_ping(fd, 200);
	pose_become_trusted(p);
}

/* The agent stands still from before the connection until the asker is the trusted program. */
static void r4_stopped(struct pose *p)
{
	int gate[2];
	open_gate(p, gate);
	pose_stop_agent(p, SIGSTOP);
	if (fork() == 0) {
		pose_drop(p);
		int fd = pose_connect(p);
		if (!ask_send(fd))
			pose_unready(p, "ask");
		if (fork() == 0) {
			(void)close(gate[1]);
			pose_hear(p, fd);
			_exit(0);
		}
		pose_become_trusted(p);
	}
	(void)close(gate[1]);
	(void)pose_until_exec(gate[0]);
	(void)usleep((useconds_t)p->stall_ms * 1000);
	pose_stop_agent(p, SIGCONT);
}

/* As r4_stopped, but the agent is stopped at any moment after it was asked. */
static void r4_stopped_later(struct pose *p)
{
	int gate[2];
	open_gate(p, gate);
	if (fork() == 0) {
		pose_drop(p);
		int fd = pose_connect(p);
		if (!ask_send(fd))
			pose_unready(p, "ask");
		if (fork() == 0) {
			(void)close(gate[1]);
			pose_hear(p, fd);
			_exit(0);
		}
		if (p->n % 2)
			ask_answer_for(fd, p->delay_us);
		else
			(void)usleep((useconds_t)p->delay_us);
		pose_become_trusted(p);
	}
	(void)close(gate[1]);
	(void)usleep((useconds_t)(p->delay_us / 2));
	pose_stop_agent(p, SIGSTOP);
	(void)pose_until_exec(gate[0]);
	(void)usleep((useconds_t)p->stall_ms * 1000);
	pose_stop_agent(p, SIGCONT);
}

/* What the trusted program leaves to others: see trusted.c. */
void pose_run_trusted(const struct pose *p, const char *what)
{
	char report[16];
	(void)snprintf(report, sizeof(report), "%d", p->report);
	pose_drop(p);
	(void)execl(
		p->trusted, p->trusted, what, p->socket, p->wanted, p->self, report, (char *)NULL);
	pose_unready(p, "run the trusted program");
}

static void child_asks(struct pose *p)
{
	pose_run_trusted(p, "child");
}

static void forked_child_asks(struct pose *p)
{
	pose_run_trusted(p, "fork");
}

static void grandchild_asks(struct pose *p)
{
	pose_run_trusted(p, "grand");
}

static void execed_asks(struct pose *p)
{
	pose_run_trusted(p, "exec");
}

/* The trusted program has a stream that was served, becomes another one, and goes on listening. */
static void execed_on_open_stream(struct pose *p)
{
	pose_run_trusted(p, "open-exec");
}

static void forked_child_on_open_stream(struct pose *p)
{
	pose_run_trusted(p, "open-fork");
}

/* A child that stays the trusted program and makes a connection of its own: only lineage tells. */
static void kin_asks(struct pose *p)
{
	pose_run_trusted(p, "kin");
}

/* The attacker itself, without any trick. */
static void other(struct pose *p)
{
	pose_drop(p);
	pose_ask_on(p, pose_connect(p));
}

const struct pose_attack pose_exec_attacks[] = {
	{ "other", other, 0 },
	{ "r3", r3, 0 },
	{ "r3-shared-memory", r3_shared_memory, 0 },
	{ "r4", r4, 0 },
	{ "r4-child-answers", r4_child_answers, 0 },
	{ "r4-thread", r4_thread, 0 },
	{ "r4-answers", r4_answers, 0 },
	{ "r4-after-ping", r4_after_ping, 0 },
	{ "r4-stopped", r4_stopped, 0 },
	{ "r4-stopped-later", r4_stopped_later, 0 },
	{ "child", child_asks, 0 },
	{ "forked-child", forked_child_asks, 0 },
	{ "grandchild", grandchild_asks, 0 },
	{ "execed", execed_asks, 0 },
	{ "execed-with-open-stream", execed_on_open_stream, 0 },
	{ "child-of-open-stream", forked_child_on_open_stream, 0 },
	{ "kin", kin_asks, 0 },
	{ NULL, NULL, 0 },
};
