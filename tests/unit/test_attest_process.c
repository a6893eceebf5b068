/* SPDX-License-Identifier: Apache-2.0 */
/* Pins and snapshots of real processes. What needs root is skipped without. */
#include "attest/snapshot.h"

#include "attest_child.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define SLEEP   "/usr/bin/sleep"
#define SOMEONE 12345

static struct writ_ns_self self;

static struct writ_pin_facts facts_of(pid_t pid)
{
	return (struct writ_pin_facts){
		.pid = pid, .uid = geteuid(), .gid = getegid(), .pidfd = -1
	};
}

static void pin_child(const struct child *c, struct writ_pin *pin)
{
	struct writ_err err;
	struct writ_pin_facts f = facts_of(c->pid);
	if (writ_pin_open(&f, NULL, pin, &err) != WRIT_OK)
		fail_msg("%s", err.msg);
}

static void take(const struct writ_pin *pin, struct writ_snapshot *s)
{
	struct writ_err err;
	if (writ_snapshot_take(pin, &self, s, &err) != WRIT_OK)
		fail_msg("%s", err.msg);
}

static void a_process_is_pinned_until_it_ends(void **state)
{
	(void)state;
	struct child c = child_start(child_idle, NULL);
	struct writ_pin pin;
	pin_child(&c, &pin);
	assert_int_equal(writ_pin_alive(&pin, NULL), WRIT_OK);
	struct writ_snapshot a;
	struct writ_snapshot b;
	take(&pin, &a);
	take(&pin, &b);
	assert_int_equal(writ_snapshot_same(&a, &b, NULL), WRIT_OK);
	assert_int_equal(writ_snapshot_recheck(&pin, &a, NULL), WRIT_OK);
	assert_int_equal(writ_snapshot_recheck_place(&pin, &a, NULL), WRIT_OK);
	assert_int_equal(a.pid, c.pid);
	assert_int_equal(a.ppid, getpid());
	assert_int_equal(a.uid, geteuid());
	for (size_t i = 0; i < WRIT_PART_COUNT; i++)
		assert_int_equal(a.withheld[i], 0);
	for (size_t i = 0; i < WRIT_NS_COUNT; i++)
		assert_true(a.ns[i] > 0 && a.ns_ours[i] == 1);
	pid_t pid = c.pid;
	child_end(&c);
	assert_int_equal(writ_pin_alive(&pin, NULL), WRIT_EUNAUTH);
	assert_int_equal(writ_snapshot_recheck(&pin, &a, NULL), WRIT_EUNAUTH);
	writ_snapshot_done(&b);
	assert_int_equal(writ_snapshot_take(&pin, &self, &b, NULL), WRIT_EUNAUTH);
	struct writ_pin again;
	struct writ_pin_facts f = facts_of(pid);
	assert_int_equal(writ_pin_open(&f, NULL, &again, NULL), WRIT_EUNAUTH);
	writ_snapshot_done(&a);
	writ_pin_close(&pin);
	writ_pin_close(&pin);
}

static void callers_without_a_name_here_are_refused(void **state)
{
	(void)state;
	static const struct {
		pid_t pid;
		uid_t uid;
	} bad[] = { { 0, 0 }, { -1, 0 }, { 1, WRIT_PIN_OVERFLOW_UID }, { 1, (uid_t)-1 } };
	struct writ_pin pin;
	for (size_t i = 0; i < WRIT_COUNT(bad); i++) {
		struct writ_pin_facts f = { .pid = bad[i].pid, .uid = bad[i].uid, .pidfd = -1 };
		assert_int_equal(writ_pin_open(&f, NULL, &pin, NULL), WRIT_EUNAUTH);
	}
	struct writ_pin_facts f = facts_of(getpid());
	f.uid = WRIT_PIN_OVERFLOW_UID;
	struct writ_pin_rules lenient = { .allow_overflow_uid = true };
	assert_int_equal(writ_pin_open(&f, &lenient, &pin, NULL), WRIT_OK);
	writ_pin_close(&pin);
}

/* As the front does it: everything from a connected socket. */
static void a_socket_gives_the_facts(void **state)
{
	(void)state;
	int sv[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	struct ucred cred;
	socklen_t n = sizeof(cred);
	assert_int_equal(getsockopt(sv[0], SOL_SOCKET, SO_PEERCRED, &cred, &n), 0);
	int pidfd = -1;
	n = sizeof(pidfd);
	if (getsockopt(sv[0], SOL_SOCKET, SO_PEERPIDFD, &pidfd, &n) != 0)
		pidfd = -1; /* Linux before 6.5 */
	gid_t many[WRIT_PIN_GROUPS_MAX + 1] = { 7, 8 };
	struct writ_pin_facts f = { .pid = cred.pid,
		.uid = cred.uid,
		.gid = cred.gid,
		.groups = many,
		.ngroups = 2,
		.pidfd = pidfd };
	struct writ_pin pin;
	assert_int_equal(writ_pin_open(&f, NULL, &pin, NULL), WRIT_OK);
	assert_int_equal(pin.pid, getpid());
	assert_int_equal(pin.ngroups, 2);
	assert_false(pin.groups_cut);
	assert_true(pidfd < 0 || pin.pidfd == pidfd);
	writ_pin_close(&pin);
	f.pidfd = -1;
	f.ngroups = WRIT_COUNT(many);
	assert_int_equal(writ_pin_open(&f, NULL, &pin, NULL), WRIT_OK);
	assert_int_equal(pin.ngroups, WRIT_PIN_GROUPS_MAX);
	assert_true(pin.groups_cut);
	writ_pin_close(&pin);
	close(sv[0]);
	close(sv[1]);
}

static void another_program_is_seen(void **state)
{
	(void)state;
	char me[4096];
	ssize_t n = readlink("/proc/self/exe", me, sizeof(me) - 1);
	assert_true(n > 0);
	me[n] = '\0';
	char first[] = SLEEP;
	struct child c = child_start(child_exec, first);
	struct writ_pin pin;
	pin_child(&c, &pin);
	struct writ_snapshot before;
	struct writ_snapshot after;
	take(&pin, &before);
	child_go(&c);
	child_await_end_of_file(&c);
	struct writ_err err;
	assert_int_equal(writ_snapshot_recheck(&pin, &before, &err), WRIT_EUNAUTH);
	assert_non_null(strstr(err.msg, "auxv"));
	take(&pin, &after);
	assert_int_equal(before.start_time, after.start_time);
	assert_int_equal(writ_snapshot_same(&before, &after, NULL), WRIT_EUNAUTH);
	assert_true(writ_str_eq(before.exe_path, writ_cstr(me)));
	assert_true(writ_str_eq(after.exe_path, WRIT_STR(SLEEP)));
	writ_snapshot_done(&before);
	writ_snapshot_done(&after);
	writ_pin_close(&pin);
	child_end(&c);
}

/* The same file again, by the same name: nothing but auxv tells. */
static void the_same_program_started_anew_is_seen(void **state)
{
	(void)state;
	char me[4096];
	ssize_t n = readlink("/proc/self/exe", me, sizeof(me) - 1);
	assert_true(n > 0);
	me[n] = '\0';
	struct child c = child_start(child_exec, me); /* "idle": see main */
	struct writ_pin pin;
	pin_child(&c, &pin);
	struct writ_snapshot before;
	take(&pin, &before);
	child_go(&c);
	child_await_end_of_file(&c);
	struct writ_err err;
	assert_int_equal(writ_snapshot_recheck(&pin, &before, &err), WRIT_EUNAUTH);
	assert_non_null(strstr(err.msg, "auxv"));
	writ_snapshot_done(&before);
	writ_pin_close(&pin);
	child_end(&c);
}

/* Runs itself again and again, each time at the same addresses and in step with the test. */
static int run_again(char **argv)
{
	int go = atoi(argv[2]), ready = atoi(argv[3]);
	(void)personality(0);
	child_ready(ready);
	child_wait(go);
	(void)personality(ADDR_NO_RANDOMIZE);
	(void)execv("/proc/self/exe", argv);
	return 1;
}

static void start_again(int go, int ready, void *arg)
{
	char numbers[2][16];
	(void)fcntl(go, F_SETFD, 0);
	(void)fcntl(ready, F_SETFD, 0);
	(void)snprintf(numbers[0], sizeof(numbers[0]), "%d", go);
	(void)snprintf(numbers[1], sizeof(numbers[1]), "%d", ready);
	(void)personality(ADDR_NO_RANDOMIZE);
	(void)execl(arg, arg, "again", numbers[0], numbers[1], (char *)NULL);
}

/* Not even auxv tells. A descriptor of the program's memory would not either: whoever reads its
 * command line at the wrong moment keeps the memory alive over an exec. */
static void a_program_at_fixed_addresses_is_told_from_nothing(void **state)
{
	(void)state;
	char me[4096], byte;
	ssize_t n = readlink("/proc/self/exe", me, sizeof(me) - 1);
	assert_true(n > 0);
	me[n] = '\0';
	struct child c = child_start(start_again, me);
	for (int i = 0; i < 2; i++) { /* from the second run on argv[0] and all else is the same */
		child_go(&c);
		assert_int_equal(read(c.ready, &byte, 1), 1);
	}
	struct writ_pin pin;
	char before[WRIT_SNAPSHOT_AUXV_MAX], after[WRIT_SNAPSHOT_AUXV_MAX];
	size_t before_n, after_n;
	pin_child(&c, &pin);
	assert_int_equal(writ_pin_read(&pin, "auxv", before, sizeof(before), &before_n), 0);
	child_go(&c);
	assert_int_equal(read(c.ready, &byte, 1), 1);
	assert_int_equal(writ_pin_read(&pin, "auxv", after, sizeof(after), &after_n), 0);
	assert_int_equal(before_n, after_n);
	assert_memory_equal(before, after, after_n); /* that is why */
	struct writ_snapshot s;
	take(&pin, &s);
	assert_int_equal(s.withheld[WRIT_PART_AUXV], WRIT_AUXV_FIXED);
	assert_int_equal(s.auxv.n, 0);
	assert_int_equal(writ_snapshot_recheck(&pin, &s, NULL), WRIT_OK);
	writ_snapshot_done(&s);
	writ_pin_close(&pin);
	child_end(&c);
}

/* It says no more that it was, and says it again before the next exec. */
static void a_program_that_hides_its_personality_is_at_fixed_addresses_still(void **state)
{
	(void)state;
	char me[4096], byte;
	ssize_t n = readlink("/proc/self/exe", me, sizeof(me) - 1);
	assert_true(n > 0);
	me[n] = '\0';
	struct child c = child_start(start_again, me);
	child_go(&c);
	assert_int_equal(read(c.ready, &byte, 1), 1);
	struct writ_pin pin;
	pin_child(&c, &pin);
	char text[32];
	size_t got;
	assert_int_equal(writ_pin_read(&pin, "personality", text, sizeof(text), &got), 0);
	assert_string_equal(text, "00000000\n");
	struct writ_snapshot s;
	take(&pin, &s);
	assert_int_equal(s.withheld[WRIT_PART_AUXV], WRIT_AUXV_FIXED);
	writ_snapshot_done(&s);
	writ_pin_close(&pin);
	child_end(&c);
}

static void a_zombie_is_refused(void **state)
{
	(void)state;
	struct child c = child_start(child_idle, NULL);
	struct writ_pin pin;
	pin_child(&c, &pin);
	kill(c.pid, SIGKILL);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)c.pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(writ_pin_alive(&pin, NULL), WRIT_EUNAUTH);
	struct writ_snapshot s;
	assert_int_equal(writ_snapshot_take(&pin, &self, &s, NULL), WRIT_EUNAUTH);
	struct writ_pin again;
	struct writ_pin_facts f = facts_of(c.pid);
	assert_int_equal(writ_pin_open(&f, NULL, &again, NULL), WRIT_EUNAUTH);
	writ_pin_close(&pin);
	child_end(&c);
}

static int thread_go;

static void *wait_in_thread(void *arg)
{
	(void)arg;
	char byte;
	while (read(thread_go, &byte, 1) > 0)
		;
	return NULL;
}

static void leave_main_thread(int go, int ready, void *arg)
{
	(void)arg;
	pthread_t t;
	thread_go = go;
	if (pthread_create(&t, NULL, wait_in_thread, NULL) != 0)
		_exit(5);
	child_ready(ready);
	pthread_exit(NULL);
}

static void a_process_without_its_main_thread_is_refused(void **state)
{
	(void)state;
	struct child c = child_start(leave_main_thread, NULL);
	struct writ_pin pin;
	pin_child(&c, &pin);
	struct writ_err err = { .rc = WRIT_OK };
	writ_rc rc = WRIT_OK;
	/* Its main thread is on its way out: ask until it has gone. */
	for (int i = 0; i < 1000000 && rc == WRIT_OK; i++) {
		struct writ_snapshot s;
		rc = writ_snapshot_take(&pin, &self, &s, &err);
		if (rc == WRIT_OK)
			writ_snapshot_done(&s);
		sched_yield();
	}
	assert_int_equal(rc, WRIT_EUNAUTH);
	assert_non_null(strstr(err.msg, "state Z"));
	writ_pin_close(&pin);
	child_end(&c);
}

/* Kernels before 6.13 cannot tell the IDs over a pidfd; neither can a pipe. */
static void ids_come_from_status_where_the_pidfd_has_none(void **state)
{
	(void)state;
	struct child c = child_start(child_idle, NULL);
	struct writ_pin pin;
	struct writ_pin_ids ids;
	struct writ_pin_ids again;
	int silent[2];
	pin_child(&c, &pin);
	assert_int_equal(writ_pin_ids(&pin, &ids, NULL), WRIT_OK);
	assert_int_equal(pipe2(silent, O_CLOEXEC), 0);
	int pidfd = pin.pidfd;
	pin.pidfd = silent[0];
	assert_int_equal(writ_pin_ids(&pin, &again, NULL), WRIT_OK);
	assert_memory_equal(&ids, &again, sizeof(ids));
	assert_int_equal(ids.uid[2], geteuid());
	assert_int_equal(ids.gid[0], getegid());
	pin.pidfd = pidfd;
	child_end(&c);
	assert_int_equal(writ_pin_ids(&pin, &again, NULL), WRIT_EUNAUTH);
	writ_pin_close(&pin);
	close(silent[0]);
	close(silent[1]);
}

static void change_user(int go, int ready, void *arg)
{
	(void)arg;
	child_ready(ready);
	child_wait(go);
	if (setresuid((uid_t)-1, SOMEONE, (uid_t)-1) != 0)
		_exit(6);
	child_ready(ready);
	child_wait(go);
}

static void copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	assert_true(in >= 0 && out >= 0);
	ssize_t n;
	while ((n = sendfile(out, in, NULL, 1 << 20)) > 0)
		;
	assert_int_equal(n, 0);
	close(in);
	close(out);
}

/* A link more, an upgrade that removes the file: the program is the same, what was seen is not. */
static void what_is_done_to_the_programs_file_is_told_from_another_program(void **state)
{
	(void)state;
	char dir[] = "/tmp/writ-test-exe-XXXXXX", program[64], more[64];
	assert_non_null(mkdtemp(dir));
	(void)snprintf(program, sizeof(program), "%s/sleep", dir);
	(void)snprintf(more, sizeof(more), "%s/more", dir);
	copy_file(SLEEP, program);
	struct child c = child_start(child_exec, program);
	child_go(&c);
	child_await_end_of_file(&c);
	struct writ_pin pin;
	struct writ_snapshot s;
	struct writ_err err;
	pin_child(&c, &pin);
	take(&pin, &s);
	assert_int_equal(writ_snapshot_recheck(&pin, &s, &err), WRIT_OK);
	assert_int_equal(link(program, more), 0);
	assert_int_equal(writ_snapshot_recheck(&pin, &s, &err), WRIT_EEXPIRED);
	assert_non_null(strstr(err.msg, "changed, linked or removed"));
	writ_snapshot_done(&s);
	take(&pin, &s);
	assert_int_equal(writ_snapshot_recheck(&pin, &s, &err), WRIT_OK);
	assert_int_equal(unlink(program), 0);
	assert_int_equal(unlink(more), 0);
	assert_int_equal(writ_snapshot_recheck(&pin, &s, &err), WRIT_EEXPIRED);
	writ_snapshot_done(&s);
	writ_pin_close(&pin);
	child_end(&c);
	assert_int_equal(rmdir(dir), 0);
}

static void a_changed_user_is_refused(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	struct child c = child_start(change_user, NULL);
	struct writ_pin pin;
	pin_child(&c, &pin);
	struct writ_snapshot s;
	take(&pin, &s);
	child_go(&c);
	char byte;
	assert_int_equal(read(c.ready, &byte, 1), 1);
	struct writ_err err;
	assert_int_equal(writ_snapshot_recheck(&pin, &s, &err), WRIT_EUNAUTH);
	assert_non_null(strstr(err.msg, "0/12345/0"));
	writ_snapshot_done(&s);
	assert_int_equal(writ_snapshot_take(&pin, &self, &s, NULL), WRIT_EUNAUTH);
	writ_pin_close(&pin);
	child_end(&c);
}

static void leave_namespace(int go, int ready, void *arg)
{
	child_ready(ready);
	child_wait(go);
	if (unshare(*(const int *)arg) != 0)
		_exit(7);
	child_ready(ready);
	child_wait(go);
}

/* In a user namespace of its own a process can name any file as the one that it runs, and nothing
 * else about it changes. */
static void a_process_that_left_our_namespaces_is_seen(void **state)
{
	(void)state;
	static const struct {
		int flags;
		const char *what;
	} rows[] = { { CLONE_NEWUSER, "user namespace" }, { CLONE_NEWNS, "mount namespace" },
		{ CLONE_NEWCGROUP, "cgroup namespace" } };
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		int flags = rows[i].flags;
		if (flags != CLONE_NEWUSER && geteuid() != 0)
			continue;
		struct child c = child_start(leave_namespace, &flags);
		struct writ_pin pin;
		pin_child(&c, &pin);
		struct writ_snapshot s;
		take(&pin, &s);
		child_go(&c);
		char byte;
		if (read(c.ready, &byte, 1) == 1) { /* else: this system does not allow it */
			struct writ_err err;
			assert_int_equal(writ_snapshot_recheck_place(&pin, &s, &err), WRIT_EUNAUTH);
			assert_non_null(strstr(err.msg, rows[i].what));
		}
		writ_snapshot_done(&s);
		writ_pin_close(&pin);
		child_end(&c);
	}
}

/* A cgroup of our own to move a process into; false: this system gives us none. */
static bool make_cgroup(char *dir, size_t size)
{
	static const char *const roots[] = { "/sys/fs/cgroup/unified", "/sys/fs/cgroup/pids",
		"/sys/fs/cgroup" };
	for (size_t i = 0; i < WRIT_COUNT(roots); i++) {
		(void)snprintf(dir, size, "%s/writ-test-%d", roots[i], (int)getpid());
		char procs[160];
		(void)snprintf(procs, sizeof(procs), "%s/cgroup.procs", dir);
		if (mkdir(dir, 0755) == 0 && access(procs, W_OK) == 0)
			return true;
		(void)rmdir(dir);
	}
	return false;
}

static void move_to_cgroup(pid_t pid, const char *dir)
{
	char path[160];
	char text[16];
	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	int n = snprintf(text, sizeof(text), "%d", (int)pid);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, (size_t)n), n);
	close(fd);
}

static void a_process_that_left_its_cgroup_is_seen(void **state)
{
	(void)state;
	char dir[128];
	if (geteuid() != 0 || !make_cgroup(dir, sizeof(dir)))
		skip();
	struct child c = child_start(child_idle, NULL);
	struct writ_pin pin;
	pin_child(&c, &pin);
	struct writ_snapshot s;
	take(&pin, &s);
	move_to_cgroup(c.pid, dir);
	struct writ_err err;
	writ_rc rc = writ_snapshot_recheck_place(&pin, &s, &err);
	child_end(&c);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(rc, WRIT_EUNAUTH);
	assert_non_null(strstr(err.msg, "cgroup"));
	writ_snapshot_done(&s);
	writ_pin_close(&pin);
}

static void hide(int go, int ready, void *arg)
{
	prctl(PR_SET_DUMPABLE, 0);
	child_idle(go, ready, arg);
}

/* An agent without privileges looks at a process of root: 0 when it sees what it should. */
static int look_without_privileges(pid_t pid)
{
	struct writ_pin_facts f = { .pid = pid, .uid = 0, .gid = 0, .pidfd = -1 };
	struct writ_pin pin;
	struct writ_snapshot s;
	if (setresgid(SOMEONE, SOMEONE, SOMEONE) != 0 || setresuid(SOMEONE, SOMEONE, SOMEONE) != 0)
		return 10;
	if (writ_pin_open(&f, NULL, &pin, NULL) != WRIT_OK)
		return 11;
	if (writ_snapshot_take(&pin, &self, &s, NULL) != WRIT_OK)
		return 12;
	if (writ_snapshot_recheck_place(&pin, &s, NULL) != WRIT_OK ||
		writ_snapshot_recheck(&pin, &s, NULL) != WRIT_OK)
		return 13;
	bool ok = s.withheld[WRIT_PART_EXE] == EACCES && s.withheld[WRIT_PART_AUXV] != 0 &&
		s.withheld[WRIT_PART_NS + WRIT_NS_USER] == EACCES && s.ns_ours[WRIT_NS_USER] == 0 &&
		s.withheld[WRIT_PART_CGROUP] == 0 && s.cgroup.n > 0 && s.exe_path.n == 0;
	writ_snapshot_done(&s);
	writ_pin_close(&pin);
	return ok ? 0 : 14;
}

static void what_cannot_be_read_is_marked(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	struct child c = child_start(hide, NULL);
	pid_t agent = fork();
	if (agent == 0)
		_exit(look_without_privileges(c.pid));
	int status;
	assert_int_equal(waitpid(agent, &status, 0), agent);
	assert_int_equal(WEXITSTATUS(status), 0);
	child_end(&c);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[0], "idle") == 0)
		return pause(); /* a test runs this file in a child */
	if (argc == 4 && strcmp(argv[1], "again") == 0)
		return run_again(argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_is_pinned_until_it_ends),
		cmocka_unit_test(callers_without_a_name_here_are_refused),
		cmocka_unit_test(a_socket_gives_the_facts),
		cmocka_unit_test(another_program_is_seen),
		cmocka_unit_test(the_same_program_started_anew_is_seen),
		cmocka_unit_test(a_program_at_fixed_addresses_is_told_from_nothing),
		cmocka_unit_test(a_program_that_hides_its_personality_is_at_fixed_addresses_still),
		cmocka_unit_test(a_zombie_is_refused),
		cmocka_unit_test(a_process_without_its_main_thread_is_refused),
		cmocka_unit_test(ids_come_from_status_where_the_pidfd_has_none),
		cmocka_unit_test(what_is_done_to_the_programs_file_is_told_from_another_program),
		cmocka_unit_test(a_changed_user_is_refused),
		cmocka_unit_test(a_process_that_left_our_namespaces_is_seen),
		cmocka_unit_test(a_process_that_left_its_cgroup_is_seen),
		cmocka_unit_test(what_cannot_be_read_is_marked),
	};
	writ_ns_self_read(&self);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
