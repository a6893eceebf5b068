/* SPDX-License-Identifier: Apache-2.0 */
/* Parents and main processes, from real families in a real cgroup. Who may not make cgroups skips
 * what needs one. The test adopts orphans, as a system's first process would. */
#include "attest/attestor.h"
#include "attest/cgroup_fs.h"
#include "attest/kin.h"

#include "attest_child.h"
#include "base/clock.h"
#include "base/mem.h"
#include "lineage_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define FAMILY 3 /* the one in front, its child, and that one's */

/* --- a unit: a cgroup that looks like a service of systemd --- */

struct unit {
	struct writ_cgroup_fs fs;
	char slice[256], path[320];
};

static bool make_unit(struct unit *u)
{
	static unsigned number; /* not one that a test that was killed left behind */
	struct writ_err err;
	number = number ? number + 1 : (unsigned)writ_mono_us();
	if (writ_cgroup_fs_open("/sys/fs/cgroup", &u->fs, &err) != WRIT_OK)
		return false;
	snprintf(u->slice, sizeof(u->slice), "/sys/fs/cgroup/%swrit%d.slice",
		u->fs.pure_v2 ? "" : "unified/", (int)getpid());
	snprintf(u->path, sizeof(u->path), "%s/agent%u.service", u->slice, number);
	if ((mkdir(u->slice, 0755) == 0 || errno == EEXIST) && mkdir(u->path, 0755) == 0)
		return true;
	writ_cgroup_fs_close(&u->fs);
	return false;
}

static void drop_unit(struct unit *u)
{
	assert_int_equal(rmdir(u->path), 0);
	(void)rmdir(u->slice);
	writ_cgroup_fs_close(&u->fs);
}

static void move_in(const struct unit *u, pid_t pid)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/cgroup.procs", u->path);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "%d", (int)pid);
	assert_int_equal(fclose(f), 0);
}

/* --- a family --- */

struct family {
	struct child front; /* the first; its pipes are everybody's */
	pid_t *pid;         /* shared memory: FAMILY of them */
};

struct plan {
	pid_t *pid;
	int generations;
	const char *last_runs; /* a program, or NULL */
};

/* Each generation has the next; the last one says so, or runs a program. */
static void beget(const struct plan *p, int ready)
{
	int i = 0;
	signal(SIGCHLD, SIG_IGN);
	alarm(60); /* a test that failed leaves nobody behind */
	p->pid[0] = getpid();
	while (i + 1 < p->generations && fork() == 0) {
		alarm(60);
		p->pid[++i] = getpid();
	}
	bool last = i + 1 == p->generations;
	if (last && p->last_runs) {
		execl(p->last_runs, p->last_runs, "1000", (char *)NULL);
		_exit(4);
	}
	if (last)
		child_ready(ready);
	for (;;)
		pause();
}

static void be_family(int go, int ready, void *arg)
{
	child_ready(ready);
	child_wait(go);
	beget(arg, ready);
}

static void start_family(struct family *f, const struct unit *u, int generations, const char *runs)
{
	char byte;
	f->pid = mmap(NULL, FAMILY * sizeof(pid_t), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(f->pid != MAP_FAILED);
	struct plan p = { .pid = f->pid, .generations = generations, .last_runs = runs };
	f->front = child_start(be_family, &p);
	move_in(u, f->front.pid);
	child_go(&f->front);
	if (!runs)
		assert_int_equal(read(f->front.ready, &byte, 1), 1);
}

/* Returns when it has ended. Who is a child of the test is waited for, the others' parents ignore
 * what becomes of them. */
static void end_one(struct family *f, int i)
{
	pid_t pid = f->pid[i];
	if (pid <= 0)
		return;
	struct pollfd p = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	assert_true(p.fd >= 0);
	kill(pid, SIGKILL);
	assert_int_equal(poll(&p, 1, 20000), 1);
	close(p.fd);
	if (i == 0)
		child_end(&f->front);
	else
		(void)waitpid(pid, NULL, WNOHANG);
	f->pid[i] = 0;
}

static void end_family(struct family *f)
{
	for (int i = 0; i < FAMILY; i++)
		end_one(f, i);
	munmap(f->pid, FAMILY * sizeof(pid_t));
}

/* --- what is seen of one --- */

static writ_rc look_again(
	const struct seen *v, const struct writ_attest_ctx *ctx, struct writ_err *err)
{
	return writ_attest_again(lineage_list, ctx, &v->s, v->pin.dirfd, &v->a.selectors, err);
}

static void expect(const struct writ_attest_ctx *ctx, pid_t pid, const char *depth, bool main)
{
	struct seen v;
	lineage_look(&v, ctx, pid);
	bool right = lineage_has(&v, "proc:main:true") == main &&
		(depth ? lineage_has(&v, depth) : !strstr(v.selectors, "proc:depth"));
	if (!right)
		fail_msg("%d: %s (%s)", (int)pid, v.selectors, v.notes);
	lineage_forget(&v);
}

struct world {
	struct unit u;
	struct family f;
	struct writ_attest_ctx ctx;
};

static void open_world(struct world *w, int generations, const char *runs)
{
	if (!make_unit(&w->u))
		skip();
	w->ctx = (struct writ_attest_ctx){
		.trust = &w->u.fs.base, .self = &lineage_self, .mains = writ_mains_new()
	};
	start_family(&w->f, &w->u, generations, runs);
}

static void close_world(struct world *w)
{
	end_family(&w->f);
	drop_unit(&w->u);
	writ_mains_free(w->ctx.mains);
}

static void await_program(pid_t pid, const char *path)
{
	char link[64], got[256];
	snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
	for (;;) {
		ssize_t n = readlink(link, got, sizeof(got) - 1);
		assert_true(n > 0);
		got[n] = '\0';
		if (strcmp(got, path) == 0)
			return;
		sched_yield();
	}
}

/* --- tests --- */

/* Where the main process is not known, all processes of the cgroup are looked at: as many as a user
 * likes. Nobody else is to wait for that. */
static void main_is_searched_for_in_a_job_alone(void **state)
{
	(void)state;
	static const unsigned quick = WRIT_ATTEST_LINEAGE;
	struct world w;
	struct seen v;
	struct writ_err err;
	struct writ_answer a;
	open_world(&w, FAMILY, NULL);
	lineage_look(&v, &w.ctx, w.f.pid[1]);
	assert_true(lineage_has(&v, "proc:depth:1"));

	writ_mains_free(w.ctx.mains);
	w.ctx.mains = writ_mains_new(); /* as if others had taken its place */
	writ_answer_init(&a);
	assert_int_equal(
		writ_attest(lineage_list, &w.ctx, &v.s, v.pin.dirfd, quick, &a, &err), WRIT_EBUSY);
	assert_int_equal(look_again(&v, &w.ctx, &err), WRIT_EUNAUTH);
	expect(&w.ctx, w.f.pid[1], "proc:depth:1", false);
	assert_int_equal(
		writ_attest(lineage_list, &w.ctx, &v.s, v.pin.dirfd, quick, &a, &err), WRIT_OK);
	assert_int_equal(look_again(&v, &w.ctx, &err), WRIT_OK);
	writ_answer_done(&a);
	lineage_forget(&v);
	close_world(&w);
}

static void only_the_process_in_front_is_the_main_one(void **state)
{
	(void)state;
	/* Whoever asks first. */
	for (int first = 0; first < FAMILY; first++) {
		static const char *const depths[] = { "proc:depth:0", "proc:depth:1",
			"proc:depth:2" };
		struct world w;
		open_world(&w, FAMILY, NULL);
		for (int i = 0; i < FAMILY; i++) {
			int who = (first + i) % FAMILY;
			expect(&w.ctx, w.f.pid[who], depths[who], who == 0);
		}
		close_world(&w);
	}
}

static void a_child_that_runs_another_program_stays_a_child(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, 2, "/usr/bin/sleep");
	while (*(volatile pid_t *)&w.f.pid[1] == 0)
		sched_yield();
	await_program(w.f.pid[1], "/usr/bin/sleep");
	expect(&w.ctx, w.f.pid[1], "proc:depth:1", false);
	close_world(&w);
}

static void a_main_process_that_runs_another_program_stays_it(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, 1, "/usr/bin/sleep");
	await_program(w.f.front.pid, "/usr/bin/sleep");
	expect(&w.ctx, w.f.front.pid, "proc:depth:0", true);
	close_world(&w);
}

static void an_orphan_is_neither_main_nor_at_any_depth(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, FAMILY, NULL);
	end_one(&w.f, 1);
	expect(&w.ctx, w.f.pid[2], NULL, false);
	expect(&w.ctx, w.f.pid[0], "proc:depth:0", true);
	close_world(&w);
}

/* The oldest that is left, with a parent outside: all that a new main process would be. */
static void who_survives_the_main_process_does_not_inherit(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, FAMILY, NULL);
	expect(&w.ctx, w.f.pid[0], "proc:depth:0", true);
	end_one(&w.f, 0);
	expect(&w.ctx, w.f.pid[1], NULL, false);
	expect(&w.ctx, w.f.pid[2], NULL, false);
	close_world(&w);
}

static void a_process_that_came_later_from_outside_is_not_main(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, 1, NULL);
	struct child late = child_start(child_idle, NULL);
	move_in(&w.u, late.pid);
	/* Within one clock tick one cannot tell; then neither is. */
	struct seen v;
	lineage_look(&v, &w.ctx, late.pid);
	assert_false(lineage_has(&v, "proc:main:true"));
	assert_non_null(strstr(v.notes, "withheld"));
	lineage_forget(&v);
	child_end(&late);
	close_world(&w);
}

/* --- what is remembered of cgroups: folders of a test have numbers, too --- */

struct plain {
	struct writ_cgroup_trust base;
	char dir[64];
};

static int open_plain(
	const struct writ_cgroup_trust *t, struct writ_str hierarchy, struct writ_str dir)
{
	const struct plain *p = (const struct plain *)(const void *)t;
	char path[160];
	(void)hierarchy;
	snprintf(path, sizeof(path), "%s" WRIT_FMT, p->dir, WRIT_ARG(dir));
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static writ_rc check_main(
	struct writ_mains *m, const struct plain *p, int folder, uint64_t pid, struct writ_err *err)
{
	char path[32];
	snprintf(path, sizeof(path), "/%d", folder);
	const struct writ_scope scope = { WRIT_STR(""), writ_cstr(path) };
	const struct writ_kin k = { .pid = pid, .start_time = 7, .dirfd = -1 };
	return writ_mains_check(m, &p->base, &scope, &k, true, err);
}

static int change(const struct plain *p, int folder, bool there)
{
	char path[160];
	snprintf(path, sizeof(path), "%s/%d", p->dir, folder);
	return there ? mkdir(path, 0700) : rmdir(path);
}

/* A user may make many: log in and out again, or stay. */
static void a_main_process_is_known_for_as_long_as_its_cgroup_is_there(void **state)
{
	(void)state;
	enum { MANY = 12000 };
	struct plain p = { .base = { .open = open_plain } };
	struct writ_err err;
	int live = 0;
	strcpy(p.dir, "/dev/shm/writ-mains-XXXXXX"); /* gives out no number twice */
	if (!mkdtemp(p.dir))
		skip();
	struct writ_mains *m = writ_mains_new();
	assert_int_equal(change(&p, 0, true), 0);
	assert_int_equal(check_main(m, &p, 0, 100, &err), WRIT_OK);
	for (int i = 1; i < MANY; i++) {
		assert_int_equal(change(&p, i, true), 0);
		if (check_main(m, &p, i, 200, &err) != WRIT_OK)
			fail_msg("%d: %s", i, err.msg);
		assert_int_equal(change(&p, i, false), 0);
	}
	assert_int_equal(check_main(m, &p, 0, 101, &err), WRIT_EUNAUTH);
	assert_non_null(strstr(err.msg, "had another main process"));
	do
		assert_int_equal(change(&p, ++live, true), 0);
	while (check_main(m, &p, live, 200, &err) == WRIT_OK && live < MANY);
	assert_non_null(strstr(err.msg, "too many"));
	assert_int_equal(check_main(m, &p, 0, 100, &err), WRIT_OK);
	assert_int_equal(check_main(m, &p, 0, 101, &err), WRIT_EUNAUTH);
	for (int i = 0; i <= live; i++)
		assert_int_equal(change(&p, i, false), 0);
	assert_int_equal(rmdir(p.dir), 0);
	writ_mains_free(m);
}

static void whoever_is_in_no_unit_is_no_main_process(void **state)
{
	(void)state;
	struct child c = child_start(child_idle, NULL);
	struct writ_cgroup_fs fs;
	if (writ_cgroup_fs_open("/sys/fs/cgroup", &fs, NULL) != WRIT_OK)
		skip();
	struct writ_attest_ctx ctx = {
		.trust = &fs.base, .self = &lineage_self, .mains = writ_mains_new()
	};
	struct seen v;
	lineage_look(&v, &ctx, c.pid);
	struct writ_scope scope;
	if (writ_scope_of(v.s.cgroup, ctx.trust, &scope, NULL) != WRIT_OK) {
		assert_null(strstr(v.selectors, "proc:main"));
		assert_null(strstr(v.selectors, "proc:depth"));
		assert_non_null(strstr(v.notes, "proc:main and proc:depth withheld"));
	}
	lineage_forget(&v);
	child_end(&c);
	writ_mains_free(ctx.mains);
	writ_cgroup_fs_close(&fs);
}

static void own_path(char *out, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", out, size - 1);
	assert_true(n > 0);
	out[n] = '\0';
}

static void ancestors_are_named_by_the_programs_that_they_run(void **state)
{
	(void)state;
	const struct writ_attest_ctx ctx = { .self = &lineage_self };
	char mine[256], text[320];
	struct seen v;
	own_path(mine, sizeof(mine));
	snprintf(text, sizeof(text), "proc:ancestor-path:%s", mine);
	struct child c = child_start(child_exec, (char *)(uintptr_t) "/usr/bin/sleep");
	child_go(&c);
	child_await_end_of_file(&c);
	lineage_look(&v, &ctx, c.pid);
	assert_true(lineage_has(&v, text));
	assert_false(lineage_has(&v, "proc:ancestor-path:/usr/bin/sleep"));
	assert_null(strstr(v.notes, "lineage:")); /* who answered is not said to have failed */
	assert_int_equal(look_again(&v, &ctx, NULL), WRIT_OK);
	lineage_forget(&v);
	child_end(&c);
}

/* Has a child, and goes on as a program that is in memory only. */
static void become_nameless(int go, int ready, void *arg)
{
	pid_t *child = arg;
	char *const argv[] = { (char *)(uintptr_t) "sleep", (char *)(uintptr_t) "60", NULL };
	char *const none[] = { NULL };
	(void)go;
	pid_t pid = fork();
	if (pid == 0) {
		alarm(60);
		for (;;)
			pause();
	}
	*child = pid;
	struct stat st;
	int from = open("/usr/bin/sleep", O_RDONLY | O_CLOEXEC);
	int fd = memfd_create("sleep", MFD_CLOEXEC);
	if (fstat(from, &st) != 0 || sendfile(fd, from, NULL, (size_t)st.st_size) != st.st_size)
		_exit(9);
	child_ready(ready);
	fexecve(fd, argv, none);
	_exit(8);
}

static void an_ancestor_without_a_file_is_said_to_be_one(void **state)
{
	(void)state;
	const struct writ_attest_ctx ctx = { .self = &lineage_self };
	pid_t *child = mmap(
		NULL, sizeof(*child), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct seen v;
	assert_true(child != MAP_FAILED);
	struct child c = child_start(become_nameless, child);
	await_program(c.pid, "/memfd:sleep (deleted)");
	lineage_look(&v, &ctx, *child);
	assert_non_null(strstr(v.notes, "withheld: it runs no file that has a name"));
	lineage_forget(&v);
	kill(*child, SIGKILL);
	child_end(&c);
	munmap(child, sizeof(*child));
}

/* As if it were in a PID namespace of its own, whose first process adopts who lost his parent. */
static void in_another_pid_namespace_only_depth_0_is_known(void **state)
{
	(void)state;
	struct world w;
	open_world(&w, 2, NULL);
	for (int i = 0; i < 2; i++) {
		struct seen v;
		lineage_look(&v, &w.ctx, w.f.pid[i]);
		writ_answer_done(&v.a);
		v.s.ns_ours[WRIT_NS_PID] = false;
		assert_int_equal(writ_attest(lineage_list, &w.ctx, &v.s, v.pin.dirfd,
					 WRIT_ATTEST_LINEAGE | WRIT_ATTEST_MAY_BLOCK, &v.a, NULL),
			WRIT_OK);
		bool main = false, depth = false;
		for (size_t k = 0; k < v.a.selectors.n; k++) {
			struct writ_str text = writ_selectors_at(&v.a.selectors, k).text;
			main = main || writ_str_eq(text, WRIT_STR("proc:main:true"));
			depth = depth || writ_str_starts(text, WRIT_STR("proc:depth:"));
		}
		assert_int_equal(main, i == 0);
		assert_int_equal(depth, i == 0);
		lineage_forget(&v);
	}
	close_world(&w);
}

/* The parent ends, or runs another program, while the child stays what it was. */
static void what_ceased_to_hold_is_found_before_keys_leave(void **state)
{
	(void)state;
	struct world w;
	struct writ_err err;
	struct seen v;
	open_world(&w, FAMILY, NULL);
	lineage_look(&v, &w.ctx, w.f.pid[2]);
	assert_true(lineage_has(&v, "proc:depth:2"));
	assert_int_equal(look_again(&v, &w.ctx, NULL), WRIT_OK);
	assert_int_equal(writ_snapshot_recheck(&v.pin, &v.s, NULL), WRIT_OK);
	end_one(&w.f, 1);
	assert_int_equal(writ_snapshot_recheck(&v.pin, &v.s, NULL), WRIT_OK);
	assert_int_equal(look_again(&v, &w.ctx, &err), WRIT_EUNAUTH);
	assert_non_null(strstr(err.msg, "ancestors"));
	lineage_forget(&v);
	close_world(&w);
}

static void nothing_of_it_is_asked_again_where_nothing_was_seen(void **state)
{
	(void)state;
	struct writ_attest_ctx ctx = { .self = NULL };
	struct child c = child_start(child_idle, NULL);
	struct seen v;
	lineage_look(&v, &ctx, c.pid);
	assert_string_equal(v.selectors, ",");
	child_end(&c);
	assert_int_equal(look_again(&v, &ctx, NULL), WRIT_OK);
	lineage_forget(&v);
}

static void fork_and_wait(int go, int ready, void *arg)
{
	pid_t *pid = arg;
	pid_t child = fork();
	if (child == 0) {
		alarm(60);
		for (;;)
			pause();
	}
	*pid = child;
	child_ready(ready);
	child_wait(go);
	_exit(0);
}

static void open_kin(struct writ_kin *k, pid_t pid, pid_t ppid)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	*k = (struct writ_kin){
		.pid = (uint64_t)pid, .ppid = (uint64_t)ppid, .start_time = UINT64_MAX
	};
	k->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(k->dirfd >= 0);
}

/* Both halves, as whoever climbs does them. */
static writ_rc step(const struct writ_kin *child)
{
	struct writ_kin parent;
	writ_rc rc = writ_kin_parent(child, &parent, NULL);
	if (rc != WRIT_OK)
		return rc;
	rc = writ_kin_check(child, &parent, NULL);
	writ_kin_close(&parent);
	return rc;
}

static void a_parent_that_ended_while_it_was_looked_at_is_none(void **state)
{
	(void)state;
	pid_t *pid =
		mmap(NULL, sizeof(*pid), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct child c = child_start(fork_and_wait, pid);
	struct writ_kin child, parent;
	open_kin(&child, *pid, c.pid);
	assert_int_equal(writ_kin_parent(&child, &parent, NULL), WRIT_OK);
	assert_int_equal(parent.pid, c.pid);
	assert_int_equal(writ_kin_check(&child, &parent, NULL), WRIT_OK);
	kill(c.pid, SIGKILL);
	siginfo_t info;
	/* A zombie still: its pid is not free, and yet it is nobody's parent any more. */
	assert_int_equal(waitid(P_PID, (id_t)c.pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(writ_kin_check(&child, &parent, NULL), WRIT_EUNAUTH);
	assert_int_equal(step(&parent), WRIT_EUNAUTH);
	pid_t orphan = *pid;
	child_end(&c);
	kill(orphan, SIGKILL);
	assert_int_equal(waitpid(orphan, NULL, 0), orphan);
	assert_int_equal(step(&child), WRIT_EUNAUTH);
	writ_kin_close(&child);
	writ_kin_close(&parent);
	munmap(pid, sizeof(*pid));
}

/* The next process gets this pid. False: that cannot be had here. */
static bool next_pid(pid_t pid)
{
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", (int)pid - 1);
	bool ok = write(fd, text, (size_t)n) == n;
	close(fd);
	return ok;
}

static void a_pid_that_means_another_process_by_now_is_no_parent(void **state)
{
	(void)state;
	pid_t *pid =
		mmap(NULL, sizeof(*pid), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct child c = child_start(fork_and_wait, pid);
	struct writ_kin child, parent;
	open_kin(&child, *pid, c.pid);
	assert_int_equal(writ_kin_parent(&child, &parent, NULL), WRIT_OK);
	pid_t wanted = c.pid, orphan = *pid;
	child_end(&c);
	struct child again = { .pid = 0 };
	for (int i = 0; i < 200 && again.pid != wanted; i++) {
		child_end(&again);
		if (next_pid(wanted))
			again = child_start(child_idle, NULL);
	}
	bool reused = again.pid == wanted;
	if (reused) {
		assert_int_equal(writ_kin_check(&child, &parent, NULL), WRIT_EUNAUTH);
		/* And where the child's stat did name that pid: the folder is the dead one's. */
		assert_int_equal(step(&parent), WRIT_EUNAUTH);
	}
	child_end(&again);
	kill(orphan, SIGKILL);
	assert_int_equal(waitpid(orphan, NULL, 0), orphan);
	writ_kin_close(&child);
	writ_kin_close(&parent);
	munmap(pid, sizeof(*pid));
	if (!reused)
		skip();
}

static void a_parent_is_not_younger_than_its_child(void **state)
{
	(void)state;
	struct child c = child_start(child_idle, NULL);
	struct writ_kin child;
	open_kin(&child, c.pid, getpid());
	child.start_time = 0;
	assert_int_equal(step(&child), WRIT_EUNAUTH);
	writ_kin_close(&child);
	child_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(main_is_searched_for_in_a_job_alone),
		cmocka_unit_test(only_the_process_in_front_is_the_main_one),
		cmocka_unit_test(a_child_that_runs_another_program_stays_a_child),
		cmocka_unit_test(a_main_process_that_runs_another_program_stays_it),
		cmocka_unit_test(an_orphan_is_neither_main_nor_at_any_depth),
		cmocka_unit_test(who_survives_the_main_process_does_not_inherit),
		cmocka_unit_test(a_process_that_came_later_from_outside_is_not_main),
		cmocka_unit_test(a_main_process_is_known_for_as_long_as_its_cgroup_is_there),
		cmocka_unit_test(whoever_is_in_no_unit_is_no_main_process),
		cmocka_unit_test(ancestors_are_named_by_the_programs_that_they_run),
		cmocka_unit_test(an_ancestor_without_a_file_is_said_to_be_one),
		cmocka_unit_test(in_another_pid_namespace_only_depth_0_is_known),
		cmocka_unit_test(what_ceased_to_hold_is_found_before_keys_leave),
		cmocka_unit_test(nothing_of_it_is_asked_again_where_nothing_was_seen),
		cmocka_unit_test(a_parent_that_ended_while_it_was_looked_at_is_none),
		cmocka_unit_test(a_pid_that_means_another_process_by_now_is_no_parent),
		cmocka_unit_test(a_parent_is_not_younger_than_its_child),
	};
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		return 1;
	writ_ns_self_read(&lineage_self);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
