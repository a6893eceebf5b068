/* SPDX-License-Identifier: Apache-2.0 */
/* pose: attempts to get the identity of a trusted program by posing as it, many times, and what
 * came of them as a line of JSON; see bar41.py and docs/attacks.md.
 *
 * usage: pose ATTACK SOCKET TRUSTED WANTED UID TRIES [JOBS [STALL-MS [HELPER [AGENT-PID...]]]]
 *        pose inherited FD WANTED REPORT-FD      asks on a connection that it was given
 *        pose again FD WANTED REPORT-FD          the same, where a stream is open already
 *        pose return|anew FD WANTED REPORT-FD    see pose_again.c
 *        pose listen FD WANTED REPORT-FD         see pose_setuid.c
 *        pose ask SOCKET WANTED                  asks as itself */
#include "pose.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX  128
#define RUN_MS    20000 /* of one run, beside the stall */
#define PID_TRIES 500
#define SPREAD_US 3000 /* between asking and exec: 0 to this */

struct run {
	pid_t stage; /* 0: free */
	int pipe;
	int left; /* results that it still owes */
	int64_t end_us;
};

static struct {
	struct run runs[JOBS_MAX];
	unsigned long count[128]; /* by enum ask_got */
} all;

int pose_wait_ms(void)
{
	const char *text = getenv("POSE_WAIT_MS");
	return text ? atoi(text) : 6000;
}

void pose_tell(const struct pose *p, enum ask_got got)
{
	char c = (char)got;
	(void)!write(p->report, &c, 1);
}

_Noreturn void pose_unready(const struct pose *p, const char *what)
{
	(void)fprintf(stderr, "pose: %s: %s\n", what, strerror(errno));
	pose_tell(p, ASK_UNREADY);
	_exit(1);
}

void pose_drop(const struct pose *p)
{
	if (geteuid() == 0 &&
		(setgroups(0, NULL) != 0 || setresgid(p->uid, p->uid, p->uid) != 0 ||
			setresuid(p->uid, p->uid, p->uid) != 0))
		pose_unready(p, "become the attacker");
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* its /proc/self is its own */
}

int pose_connect(const struct pose *p)
{
	int fd = ask_connect(p->socket);
	if (fd < 0)
		pose_unready(p, "connect");
	return fd;
}

void pose_ask_on(const struct pose *p, int fd)
{
	pose_tell(p, ask(fd, p->wanted, pose_wait_ms()));
}

void pose_hear(const struct pose *p, int fd)
{
	pose_tell(p, ask_wait(fd, p->wanted, pose_wait_ms(), false));
}

_Noreturn void pose_become_trusted_fd(const struct pose *p, int close_fd)
{
	if (close_fd >= 0)
		(void)fcntl(close_fd, F_SETFD, FD_CLOEXEC);
	(void)execl(p->trusted, p->trusted, "sleep", "10000", (char *)NULL);
	_exit(1);
}

_Noreturn void pose_become_trusted(const struct pose *p)
{
	pose_become_trusted_fd(p, -1);
}

bool pose_until_exec(int gate)
{
	char c;
	return read(gate, &c, 1) == 0;
}

void pose_stop_agent(const struct pose *p, int sig)
{
	for (size_t i = 0; i < p->n_agent; i++)
		(void)kill(p->agent[i], sig);
}

pid_t pose_spawn_as(
	const struct pose *p, pid_t pid, void (*fn)(const struct pose *p, int arg), int arg)
{
	for (int i = 0; i < PID_TRIES; i++) {
		char text[16];
		int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
		int n = snprintf(text, sizeof(text), "%d", (int)pid - 1);
		bool set = fd >= 0 && write(fd, text, (size_t)n) == n;
		(void)close(fd);
		if (!set)
			return -1;
		pid_t got = fork();
		if (got == 0 && getpid() != pid)
			_exit(0);
		if (got == 0) {
			pose_drop(p);
			if (fn)
				fn(p, arg);
			else
				pose_become_trusted(p);
			_exit(0);
		}
		if (got == pid)
			return pid;
		(void)waitpid(got, NULL, 0);
	}
	return -1;
}

/* --- the runs --- */

static void begin_run(struct run *r, const struct pose_attack *a, struct pose *p)
{
	int ends[2];
	if (pipe(ends) != 0)
		exit(1);
	(void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	p->report = ends[1];
	p->delay_us = (int64_t)(random() % (SPREAD_US + 1));
	r->stage = fork();
	if (r->stage == 0) {
		(void)setpgid(0, 0);
		a->run(p);
		(void)close(p->report); /* when nobody else has it, nobody will tell */
		for (;;)
			(void)pause();
	}
	(void)setpgid(r->stage, r->stage);
	(void)close(ends[1]);
	r->pipe = ends[0];
	r->left = p->n_results;
	r->end_us = ask_now_us() + (int64_t)(RUN_MS + p->stall_ms) * 1000;
	p->n++;
}

static void end_run(const struct pose *p, struct run *r, enum ask_got rest)
{
	all.count[rest] += (unsigned long)r->left;
	(void)kill(-r->stage, SIGKILL);
	(void)kill(r->stage, SIGKILL);
	(void)waitpid(r->stage, NULL, 0);
	/* It may have been about to let the agent go on, process by process. */
	pose_stop_agent(p, SIGCONT);
	(void)close(r->pipe);
	r->stage = 0;
	while (waitpid(-1, NULL, WNOHANG) > 0) /* what the stage left behind is ours */
		;
}

static void look_at(const struct pose *p, struct run *r, short events)
{
	char got[16];
	ssize_t n = events ? read(r->pipe, got, sizeof(got)) : 0;
	for (ssize_t i = 0; i < n && r->left > 0; i++, r->left--)
		all.count[got[i] & 127]++;
	if (r->left == 0 || (events && n <= 0))
		end_run(p, r, ASK_UNREADY);
	else if (ask_now_us() > r->end_us)
		end_run(p, r, ASK_SILENT);
}

static void wait_for_runs(const struct pose *p)
{
	struct pollfd fds[JOBS_MAX];
	struct run *of[JOBS_MAX];
	nfds_t n = 0;
	for (int i = 0; i < JOBS_MAX; i++) {
		if (all.runs[i].stage) {
			of[n] = &all.runs[i];
			fds[n++] = (struct pollfd){ .fd = all.runs[i].pipe, .events = POLLIN };
		}
	}
	(void)poll(fds, n, 100);
	for (nfds_t i = 0; i < n; i++)
		look_at(p, of[i], fds[i].revents);
}

static int attack(const struct pose_attack *a, struct pose *p, long tries, long jobs)
{
	p->n_results = a->n_results ? a->n_results : 1;
	long left = (tries + p->n_results - 1) / p->n_results, again = left, busy = 0;
	unsigned long unready = 0;
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	while (left > 0 || busy > 0 || (unready < all.count[ASK_UNREADY] && again > 0)) {
		/* Another process of the machine may have had the pid that was wanted. */
		for (; unready < all.count[ASK_UNREADY] && again > 0; unready++, again--)
			left++;
		busy = 0;
		for (long i = 0; i < jobs; i++) {
			if (!all.runs[i].stage && left > 0) {
				begin_run(&all.runs[i], a, p);
				left--;
			}
			busy += all.runs[i].stage != 0;
		}
		if (busy)
			wait_for_runs(p);
	}
	const unsigned long *c = all.count;
	printf("{\"tries\": %lu, \"served\": %lu, \"refused\": %lu, \"silent\": %lu, \"unready\": "
	       "%lu}\n",
		c[ASK_SERVED] + c[ASK_REFUSED] + c[ASK_SILENT] + c[ASK_UNREADY], c[ASK_SERVED],
		c[ASK_REFUSED], c[ASK_SILENT], c[ASK_UNREADY]);
	return 0;
}

static const struct pose_attack *find(const char *name)
{
	static const struct pose_attack *const lists[] = { pose_exec_attacks, pose_pid_attacks,
		pose_user_attacks, pose_message_attacks, pose_again_attacks, pose_setuid_attacks };
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		for (const struct pose_attack *a = lists[i]; a->name; a++)
			if (strcmp(a->name, name) == 0)
				return a;
	return NULL;
}

static int ask_once(int fd, bool again, const char *wanted, int report)
{
	enum ask_got how = ASK_REFUSED;
	if (fd >= 0)
		how = again ? ask_again(fd, wanted, pose_wait_ms())
			    : ask(fd, wanted, pose_wait_ms());
	char got = (char)how;
	(void)!write(report, &got, 1);
	return 0;
}

static int run_attack(int argc, char **argv)
{
	static struct pose p;
	static char self[4096];
	const struct pose_attack *a = find(argv[1]);
	long jobs = argc > 7 ? atol(argv[7]) : 1;
	if (!a || jobs < 1 || jobs > JOBS_MAX ||
		readlink("/proc/self/exe", self, sizeof(self) - 1) < 0) {
		(void)fprintf(stderr, "pose: no such attack, or not these arguments\n");
		return 2;
	}
	p.socket = argv[2];
	p.trusted = argv[3];
	p.wanted = argv[4];
	p.self = self;
	p.uid = (uid_t)atol(argv[5]);
	p.stall_ms = argc > 8 ? atoi(argv[8]) : 0;
	p.helper = argc > 9 ? argv[9] : "";
	for (int i = 10; i < argc && p.n_agent < POSE_AGENTS; i++)
		p.agent[p.n_agent++] = (pid_t)atol(argv[i]);
	srandom((unsigned)ask_now_us());
	return attack(a, &p, atol(argv[6]), jobs);
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "inherited") == 0)
		return ask_once(atoi(argv[2]), false, argv[3], atoi(argv[4]));
	if (argc == 5 && strcmp(argv[1], "again") == 0)
		return ask_once(atoi(argv[2]), true, argv[3], atoi(argv[4]));
	if (argc == 5 && strcmp(argv[1], "return") == 0)
		return pose_return(atoi(argv[2]), argv[3], atoi(argv[4]));
	if (argc == 5 && strcmp(argv[1], "anew") == 0)
		return pose_anew(argv[3], atoi(argv[4]));
	if (argc == 5 && strcmp(argv[1], "listen") == 0)
		return pose_listen(atoi(argv[2]), argv[3], atoi(argv[4]));
	if (argc == 4 && strcmp(argv[1], "ask") == 0)
		return ask_once(ask_connect(argv[2]), false, argv[3], STDOUT_FILENO);
	return argc >= 7 ? run_attack(argc, argv) : 2;
}
