/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent's two processes spend on telling who calls: a caller that is new (pinned, looked
 * at, all selectors of user, program and cgroup, then the check before keys leave) and one that is
 * known (the check alone). CPU time of both, the talk between them included; what of it is the talk
 * alone says a question about nobody. One at a time, each question finds both processes asleep, and
 * what it takes to wake them is the machine's: under a hypervisor most of it all.
 * bench_attestor [-n CALLS] [-r ROUNDS] [-p PARALLEL] */
#include "attest/cgroup_fs.h"
#include "attestor/link.h"
#include "attestor/spawn.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PARALLEL_MAX 64
#define NOBODY       UINT64_MAX /* a handle that no look gave */

enum kind { TALK, KNOWN, NEW, KINDS };
static const char *const names[KINDS] = { "talk", "known", "new" };

struct bench;

struct one {
	struct bench *b;
	struct writ_attest_ask ask;
	uint64_t handle;
	bool looks; /* the answer under way is that of a look */
};

struct bench {
	struct writ_loop *loop;
	struct writ_attest_link *link;
	struct writ_pin_facts who;
	enum kind kind;
	int left, under_way;
	bool over;
	struct one ones[PARALLEL_MAX];
};

static void fail(const char *what)
{
	fprintf(stderr, "bench_attestor: %s\n", what);
	exit(1);
}

static void next(struct one *o)
{
	struct bench *b = o->b;
	if (b->left == 0) {
		b->over = --b->under_way == 0;
		return;
	}
	b->left--;
	o->looks = b->kind == NEW;
	if (o->looks)
		o->handle = writ_attest_link_look(b->link, &o->ask, &b->who, false, 0);
	else
		writ_attest_link_check(b->link, &o->ask, b->who.uid,
			b->kind == TALK ? NOBODY : o->handle, WRIT_TALK_PLACE);
}

static void on_done(struct writ_attest_ask *q, writ_rc rc, const struct writ_err *err,
	const struct writ_talk_reply *reply)
{
	struct one *o = writ_container(q, struct one, ask);
	(void)reply;
	if ((rc != WRIT_OK) != (o->b->kind == TALK))
		fail(err->msg);
	if (o->looks) {
		o->looks = false;
		writ_attest_link_check(
			o->b->link, &o->ask, o->b->who.uid, o->handle, WRIT_TALK_PLACE);
		return;
	}
	if (o->b->kind == NEW)
		writ_attest_link_let_go(o->b->link, o->b->who.uid, o->handle);
	next(o);
}

static void on_down(void *arg)
{
	(void)arg;
	fail("the attestation process is gone");
}

static double cpu_us(clockid_t clock)
{
	struct timespec t;
	if (clock_gettime(clock, &t) != 0)
		fail("a CPU clock cannot be read");
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void run(struct bench *b, enum kind kind, int calls, int parallel)
{
	b->kind = kind;
	b->left = calls;
	b->under_way = parallel;
	b->over = false;
	for (int i = 0; i < parallel; i++)
		next(&b->ones[i]);
	if (!writ_loop_run_until(b->loop, &b->over, writ_mono_ms() + 60000))
		fail("no answer");
}

static void look_once(struct bench *b, int parallel)
{
	for (int i = 0; i < parallel; i++) {
		struct one *o = &b->ones[i];
		o->b = b;
		o->ask.done = on_done;
		writ_list_init(&o->ask.node);
	}
	run(b, NEW, parallel, parallel);
	/* and keep one look each for the known rounds */
	b->kind = KNOWN;
	b->left = 0;
	b->under_way = parallel;
	b->over = false;
	for (int i = 0; i < parallel; i++) {
		struct one *o = &b->ones[i];
		o->looks = true;
		o->handle = writ_attest_link_look(b->link, &o->ask, &b->who, false, 0);
	}
	if (!writ_loop_run_until(b->loop, &b->over, writ_mono_ms() + 60000))
		fail("no answer");
}

static void measure(
	struct bench *b, pid_t attestor, enum kind kind, int calls, int rounds, int parallel)
{
	clockid_t theirs;
	double best = 0, best_theirs = 0;
	if (clock_getcpuclockid(attestor, &theirs) != 0)
		fail("no CPU clock of the attestation process");
	for (int r = 0; r < rounds; r++) {
		double mine = cpu_us(CLOCK_PROCESS_CPUTIME_ID), other = cpu_us(theirs);
		run(b, kind, calls, parallel);
		mine = (cpu_us(CLOCK_PROCESS_CPUTIME_ID) - mine) / calls;
		other = (cpu_us(theirs) - other) / calls;
		if (r == 0 || mine + other < best) {
			best = mine + other;
			best_theirs = other;
		}
	}
	printf("%-8s %2d at a time  both %6.1f us  attestation process %6.1f us\n", names[kind],
		parallel, best, best_theirs);
}

int main(int argc, char **argv)
{
	int calls = 5000, rounds = 5, parallel = 8, c;
	while ((c = getopt(argc, argv, "n:r:p:")) != -1) {
		uint64_t v = 0;
		if (c == '?' ||
			writ_parse_u64(writ_cstr(optarg), 1, INT32_MAX, &v, NULL) != WRIT_OK)
			return 2;
		*(c == 'n' ? &calls : c == 'r' ? &rounds : &parallel) = (int)v;
	}
	if (parallel > PARALLEL_MAX)
		parallel = PARALLEL_MAX;
	static struct bench b;
	struct writ_err err = { 0 };
	struct writ_cgroup_fs fs;
	bool has_cgroup = writ_cgroup_fs_open("/sys/fs/cgroup", &fs, NULL) == WRIT_OK;
	struct writ_attestor_config cfg = { .ctx = { .hashes = writ_exe_hashes_new(),
						    .discover_workload_path = true,
						    .trust = has_cgroup ? &fs.base : NULL },
		.rules = { .allow_overflow_uid = true },
		.attestors = writ_attestors };
	writ_ns_self_read(&cfg.self);
	pid_t child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	int fd = -1;
	pid_t pid = 0;
	if (writ_attestor_spawn(&cfg, &fd, &pid, &err) != WRIT_OK ||
		writ_loop_new(&b.loop, &err) != WRIT_OK ||
		writ_attest_link_new(b.loop, fd, on_down, NULL, &b.link, &err) != WRIT_OK)
		fail(err.msg);
	b.who = (struct writ_pin_facts){ .pid = child,
		.uid = geteuid(),
		.gid = getegid(),
		.pidfd = (int)syscall(SYS_pidfd_open, child, 0) };
	look_once(&b, parallel);
	const int sizes[] = { 1, parallel };
	for (enum kind kind = 0; kind < KINDS; kind++)
		for (size_t i = 0; i < WRIT_COUNT(sizes); i++)
			measure(&b, pid, kind, calls, rounds, sizes[i]);
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	writ_attest_link_free(b.link);
	(void)waitpid(pid, NULL, 0);
	return 0;
}
