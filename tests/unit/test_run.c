/* SPDX-License-Identifier: Apache-2.0 */
/* Launches: who may, what a newborn is, and the keeper with real cgroups (root only). */
#include "run/confine.h"
#include "run/launches.h"
#include "run/newborn.h"
#include "run/rules.h"

#include "attest_child.h"
#include "base/clock.h"
#include "base/mem.h"
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOMEONE 12345

/* --- rules --- */

static void a_rule_allows_its_users_its_prefix_and_nothing_else(void **state)
{
	(void)state;
	struct writ_agent_run_rule rules[] = {
		{ .uid = 1000, .gid = -1, .prefix = (char *)(uintptr_t) "/agents/dev" },
		{ .uid = -1, .gid = 50, .prefix = (char *)(uintptr_t) "/team", .children = true },
		{ .uid = 7, .gid = 50, .prefix = (char *)(uintptr_t) "/both" },
		{ .uid = -1, .gid = -1, .prefix = (char *)(uintptr_t) "/nobody" },
	};
	const struct writ_agent_run run = { true, { rules, WRIT_COUNT(rules) } };
	const gid_t groups[] = { 9, 50 };
	const struct {
		uid_t uid;
		bool in_50;
		const char *path;
		bool children, want;
	} rows[] = {
		{ 1000, false, "/agents/dev", false, true },
		{ 1000, false, "/agents/dev/foo/bar", false, true },
		{ 1000, false, "/agents/devil", false, false },
		{ 1000, false, "/agents", false, false },
		{ 1000, false, "/", false, false },
		{ 1000, false, "/agents/dev/foo", true, false },
		{ 1001, false, "/agents/dev/foo", false, false },
		{ 0, false, "/agents/dev/foo", false, false },
		{ 1001, true, "/team/x", true, true },
		{ 1001, true, "/team/x", false, true },
		{ 1001, false, "/team/x", false, false },
		{ 7, true, "/both", false, true },
		{ 7, false, "/both", false, false },
		{ 1001, true, "/both", false, false },
		{ 7, true, "/nobody", false, false },
	};
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		const struct writ_run_user u = { rows[i].uid, 100, groups, rows[i].in_50 ? 2 : 1 };
		struct writ_err err = { 0 };
		writ_rc rc =
			writ_run_allowed(&run, &u, writ_cstr(rows[i].path), rows[i].children, &err);
		if (rc != (rows[i].want ? WRIT_OK : WRIT_EDENIED))
			fail_msg("row %zu: %s %s", i, writ_rc_name(rc), err.msg);
	}
}

static void a_refusal_has_the_line_that_would_allow_it(void **state)
{
	(void)state;
	const struct writ_agent_run none = { .is_on = false };
	const struct writ_run_user u = { .uid = 1000, .gid = 1000 };
	struct writ_err err = { 0 };
	assert_fails(writ_run_allowed(&none, &u, WRIT_STR("/a/b/c"), false, &err), WRIT_EDENIED,
		err, "run { allow = [ { uid = 1000, prefix = \"/a/b\" } ] }");
	assert_fails(writ_run_allowed(&none, &u, WRIT_STR("/a"), true, &err), WRIT_EDENIED, err,
		"run { allow = [ { uid = 1000, prefix = \"/a\", children = true } ] }");
}

static void only_paths_of_workloads_can_be_claimed(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "/", "a/b", "/a/", "//a", "/a/../b", "/a b", "/a%41",
		"/spire", "/spire/agent/x", "/spire/server" };
	struct writ_err err;
	for (size_t i = 0; i < WRIT_COUNT(bad); i++)
		if (writ_run_path_check(writ_cstr(bad[i]), &err) == WRIT_OK)
			fail_msg("'%s' was taken", bad[i]);
	assert_ok(writ_run_path_check(WRIT_STR("/spires/a"), &err), err);
	assert_ok(writ_run_path_check(WRIT_STR("/agents/dev/foo-1.2_x"), &err), err);
}

/* --- newborns --- */

static void a_name_cannot_say_what_a_process_is(void **state)
{
	(void)state;
	static const char rest[] = "S 11 12 13 0 -1 4194368 1 2 3 4 5 6 7 8 20 0 3 0 99 1 1";
	static const char *const names[] = { "a", "a b", ")", "x) S 1 1 1 0 -1 64 (", "((", "" };
	struct writ_newborn_stat s;
	struct writ_err err;
	char text[256];
	for (size_t i = 0; i < WRIT_COUNT(names); i++) {
		(void)snprintf(text, sizeof(text), "42 (%s) %s", names[i], rest);
		assert_ok(writ_newborn_parse(writ_cstr(text), &s, &err), err);
		assert_int_equal(s.pid, 42);
		assert_int_equal(s.ppid, 11);
		assert_int_equal(s.flags, 4194368);
		assert_int_equal(s.threads, 3);
		assert_int_equal(s.state, 'S');
	}
	static const char *const bad[] = { "", "42", "42 (a)", "42 (a) S 11 12", "x (a) S 1 1",
		"(a) 1", "42 (a) SS 11 12 13 0 -1 4194368 1 2 3 4 5 6 7 8 20 0 3 0",
		"42 (a) S -1 12 13 0 -1 4194368 1 2 3 4 5 6 7 8 20 0 3 0" };
	for (size_t i = 0; i < WRIT_COUNT(bad); i++)
		assert_int_equal(writ_newborn_parse(writ_cstr(bad[i]), &s, &err), WRIT_EPROTO);
}

static writ_rc open_newborn(pid_t pid, pid_t parent, uid_t uid, struct writ_err *err)
{
	struct writ_newborn n;
	writ_rc rc = writ_newborn_open(pid, parent, uid, getegid(), &n, err);
	if (rc == WRIT_OK)
		writ_newborn_close(&n);
	return rc;
}

static void a_child_that_waits_is_a_newborn_until_it_runs_a_program(void **state)
{
	(void)state;
	struct writ_err err = { 0 };
	struct child c = child_start(child_exec, (void *)(uintptr_t) "/usr/bin/sleep");
	assert_ok(open_newborn(c.pid, getpid(), geteuid(), &err), err);
	child_go(&c);
	child_await_end_of_file(&c);
	assert_fails(open_newborn(c.pid, getpid(), geteuid(), &err), WRIT_EUNAUTH, err,
		"runs a program already");
	child_end(&c);
}

static void who_is_not_the_callers_child_is_no_newborn(void **state)
{
	(void)state;
	struct writ_err err = { 0 };
	struct child c = child_start(child_idle, NULL);
	assert_fails(open_newborn(c.pid, getppid(), geteuid(), &err), WRIT_EUNAUTH, err,
		"is not a child of");
	assert_fails(open_newborn(c.pid, getpid(), geteuid() + 1, &err), WRIT_EUNAUTH, err,
		"is not of user");
	static const pid_t bad[] = { -1, 0, 1 };
	for (size_t i = 0; i < WRIT_COUNT(bad); i++)
		assert_int_equal(open_newborn(bad[i], getpid(), geteuid(), &err), WRIT_EUNAUTH);
	pid_t pid = c.pid;
	child_end(&c);
	assert_fails(open_newborn(pid, getpid(), geteuid(), &err), WRIT_EUNAUTH, err, "ended");
}

static void child_other_user(int go, int ready, void *arg)
{
	(void)arg;
	if (setresuid(SOMEONE, SOMEONE, 0) != 0)
		_exit(1);
	child_ready(ready);
	child_wait(go);
	_exit(0);
}

static void a_child_with_a_second_user_is_no_newborn(void **state)
{
	(void)state;
	struct writ_err err = { 0 };
	if (geteuid() != 0)
		skip();
	struct child c = child_start(child_other_user, NULL);
	assert_fails(
		open_newborn(c.pid, getpid(), SOMEONE, &err), WRIT_EUNAUTH, err, "is not of user");
	assert_fails(open_newborn(c.pid, getpid(), 0, &err), WRIT_EUNAUTH, err, "is not of user");
	child_end(&c);
}

/* --- the keeper --- */

static char root[128]; /* a v2 cgroup for this test; "": there can be none */

static int make_root(void **state)
{
	(void)state;
	static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	for (size_t i = 0; geteuid() == 0 && i < WRIT_COUNT(mounts); i++) {
		char procs[160];
		(void)snprintf(root, sizeof(root), "%s/writ-test-%d", mounts[i], (int)getpid());
		(void)snprintf(procs, sizeof(procs), "%s/cgroup.kill", root);
		if (mkdir(root, 0755) == 0 && access(procs, W_OK) == 0)
			return 0;
		(void)rmdir(root);
	}
	root[0] = '\0';
	return 0;
}

static int drop_root(void **state)
{
	char path[256];
	(void)state;
	(void)snprintf(path, sizeof(path), "%s/" WRIT_CELLS_FOLDER, root);
	(void)rmdir(path);
	return root[0] ? rmdir(root) : 0;
}

static size_t count_below(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 ? (size_t)st.st_nlink - 2 : 0;
}

static size_t agents_left(void)
{
	char path[256];
	(void)snprintf(path, sizeof(path), "%s/" WRIT_CELLS_FOLDER, root);
	return count_below(path);
}

static int start_keeper(void)
{
	struct writ_keeper_answer ready = { 0 };
	struct writ_err err = { 0 };
	int fd = -1;
	if (!root[0])
		skip();
	assert_ok(writ_keeper_start(root, &fd, &ready, &err), err);
	return fd;
}

static struct writ_keeper_answer ask(int fd, const struct writ_keeper_ask *q)
{
	struct writ_keeper_answer a = { 0 };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	assert_int_equal(send(fd, q, sizeof(*q), 0), sizeof(*q));
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(recv(fd, &a, sizeof(a), 0), sizeof(a));
	return a;
}

static struct writ_keeper_ask put_of(pid_t pid, char digit)
{
	struct writ_keeper_ask q = { .op = WRIT_KEEPER_PUT,
		.pid = pid,
		.parent = getpid(),
		.uid = geteuid(),
		.gid = getegid() };
	memset(q.id, digit, WRIT_CELL_ID);
	return q;
}

/* The keeper is our child: its end can be waited for. */
static void end_keeper(int fd)
{
	(void)close(fd);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	assert_int_equal(agents_left(), 0);
}

static bool has_ended(const struct child *c, int64_t ms)
{
	int64_t until = writ_mono_ms() + ms;
	siginfo_t info = { .si_pid = 0 };
	while (!info.si_pid && writ_mono_ms() < until) {
		(void)waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT);
		(void)poll(NULL, 0, 2);
	}
	return info.si_pid != 0;
}

static void a_newborn_gets_a_cgroup_and_its_end_empties_it(void **state)
{
	(void)state;
	int fd = start_keeper();
	struct child c = child_start(child_idle, NULL);
	struct writ_keeper_ask q = put_of(c.pid, 'a');
	struct writ_keeper_answer a = ask(fd, &q);
	if (a.rc != WRIT_OK)
		fail_msg("%s", a.why);
	assert_true(writ_str_ends(writ_cstr(a.path), writ_cstr(q.id)));
	assert_non_null(strstr(a.path, "/" WRIT_CELLS_FOLDER "/"));
	struct writ_newborn n;
	struct writ_err err;
	char path[512];
	assert_ok(writ_newborn_open(c.pid, getpid(), geteuid(), getegid(), &n, &err), err);
	assert_ok(writ_newborn_cgroup(&n, path, sizeof(path), &err), err);
	assert_string_equal(path, a.path);
	writ_newborn_close(&n);
	assert_false(has_ended(&c, 20));
	q.op = WRIT_KEEPER_END;
	a = ask(fd, &q);
	assert_int_equal(a.op, WRIT_KEEPER_END);
	assert_int_equal(a.rc, WRIT_OK);
	assert_true(has_ended(&c, 1000));
	child_end(&c);
	end_keeper(fd);
}

static void what_is_no_newborn_is_not_moved(void **state)
{
	(void)state;
	int fd = start_keeper();
	struct child c = child_start(child_idle, NULL);
	struct writ_keeper_ask q = put_of(c.pid, 'b');
	q.parent = getppid();
	assert_int_equal(ask(fd, &q).rc, WRIT_EUNAUTH);
	q = put_of(c.pid, 'b');
	q.uid++;
	assert_int_equal(ask(fd, &q).rc, WRIT_EUNAUTH);
	static const char *const ids[] = { "", "..", "../../../..",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	for (size_t i = 0; i < WRIT_COUNT(ids); i++) {
		q = put_of(c.pid, 'b');
		memset(q.id, 0, sizeof(q.id));
		(void)snprintf(q.id, sizeof(q.id), "%s", ids[i]);
		assert_int_equal(ask(fd, &q).rc, WRIT_EINVAL);
	}
	assert_false(has_ended(&c, 20));
	child_end(&c);
	end_keeper(fd);
}

static void one_id_is_one_launch(void **state)
{
	(void)state;
	int fd = start_keeper();
	struct child c = child_start(child_idle, NULL);
	struct child d = child_start(child_idle, NULL);
	struct writ_keeper_ask q = put_of(c.pid, 'c');
	assert_int_equal(ask(fd, &q).rc, WRIT_OK);
	q = put_of(d.pid, 'c');
	assert_int_equal(ask(fd, &q).rc, WRIT_EINVAL);
	child_end(&c);
	child_end(&d);
	end_keeper(fd);
}

static void the_end_of_the_agent_is_the_end_of_its_launches_after_a_grace(void **state)
{
	(void)state;
	struct child c = child_start(child_idle, NULL); /* first: it must not hold fd */
	int fd = start_keeper();
	struct writ_keeper_ask q = put_of(c.pid, 'd');
	assert_int_equal(ask(fd, &q).rc, WRIT_OK);
	int64_t since = writ_mono_ms();
	(void)close(fd);
	assert_true(has_ended(&c, WRIT_KEEPER_GRACE_MS + 2000));
	assert_true(writ_mono_ms() - since >= WRIT_KEEPER_GRACE_MS - 100);
	child_end(&c);
	end_keeper(-1);
}

static void what_a_dead_agent_left_behind_is_ended_at_the_next_start(void **state)
{
	(void)state;
	struct child c = child_start(child_idle, NULL); /* first: it must not hold fd */
	int fd = start_keeper();
	struct writ_keeper_ask q = put_of(c.pid, 'e');
	assert_int_equal(ask(fd, &q).rc, WRIT_OK);
	/* The keeper is the other child of this process. */
	char kids[256] = "", path[64];
	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	int k = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(k >= 0 && read(k, kids, sizeof(kids) - 1) > 0);
	(void)close(k);
	struct writ_str rest = writ_str_trim(writ_cstr(kids)), word;
	while (rest.n > 0) {
		uint64_t pid = 0;
		(void)writ_str_cut(&rest, ' ', &word);
		if (writ_parse_u64(word, 1, INT32_MAX, &pid, NULL) == WRIT_OK &&
			(pid_t)pid != c.pid)
			(void)kill((pid_t)pid, SIGKILL);
	}
	(void)close(fd);
	assert_false(has_ended(&c, 50));
	assert_int_equal(agents_left(), 1);
	struct writ_keeper_answer ready = { 0 };
	struct writ_err err = { 0 };
	assert_ok(writ_keeper_start(root, &fd, &ready, &err), err);
	assert_int_equal(ready.swept, 1);
	assert_true(has_ended(&c, 1000));
	child_end(&c);
	end_keeper(fd);
}

/* The number of the first thing that went wrong; 0: none. */
static int try_to_break_out(void)
{
	struct writ_err err;
	char path[160];
	(void)snprintf(path, sizeof(path), "%s/inside", root);
	if (writ_keeper_confine(root, &err) != WRIT_OK)
		return 1;
	if (mkdirat(AT_FDCWD, path, 0700) != 0 || unlinkat(AT_FDCWD, path, AT_REMOVEDIR) != 0)
		return 2;
	if (open("/proc/self/stat", O_RDONLY | O_CLOEXEC) < 0)
		return 3;
	if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0)
		return 4;
	if (open("/proc/self/comm", O_WRONLY | O_CLOEXEC) >= 0)
		return 5;
	if (mkdirat(AT_FDCWD, "/tmp/writ-test-outside", 0700) == 0)
		return 6;
	if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0)
		return 7;
	if (kill(getppid(), 0) == 0)
		return 8;
	if (fork() >= 0)
		return 9;
	(void)execl("/bin/true", "true", NULL);
	return setuid(0) == 0 ? 10 : 0;
}

static void the_keeper_can_change_cgroups_and_nothing_else(void **state)
{
	(void)state;
	int status = 0;
	if (!root[0] || syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 1)
		skip();
	pid_t pid = fork();
	if (pid == 0)
		_exit(try_to_break_out());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void two_agents_leave_each_other_alone(void **state)
{
	(void)state;
	int one = start_keeper();
	struct child c = child_start(child_idle, NULL);
	struct writ_keeper_ask q = put_of(c.pid, 'f');
	assert_int_equal(ask(one, &q).rc, WRIT_OK);
	int two = start_keeper();
	assert_false(has_ended(&c, 20));
	assert_int_equal(agents_left(), 2);
	child_end(&c);
	(void)close(two);
	end_keeper(one);
}

static void a_folder_that_others_can_write_is_refused(void **state)
{
	(void)state;
	static const struct {
		uid_t owner;
		mode_t mode;
	} bad[] = { { SOMEONE, 0711 }, { 0, 0722 }, { 0, 0777 }, { 0, 0731 } };
	struct writ_keeper_answer ready;
	struct writ_err err = { 0 };
	char path[256];
	int fd;
	if (!root[0])
		skip();
	(void)snprintf(path, sizeof(path), "%s/" WRIT_CELLS_FOLDER, root);
	(void)mkdir(path, 0711);
	char inside[300];
	(void)snprintf(inside, sizeof(inside), "%s/in-use", path);
	assert_int_equal(mkdir(inside, 0711), 0);
	for (size_t i = 0; i < WRIT_COUNT(bad); i++) {
		assert_int_equal(chown(path, bad[i].owner, 0), 0);
		assert_int_equal(chmod(path, bad[i].mode), 0);
		assert_fails(writ_keeper_start(root, &fd, &ready, &err), WRIT_EPRECOND, err,
			"others could put their processes into a launch");
	}
	assert_int_equal(rmdir(inside), 0);
	assert_ok(writ_keeper_start(root, &fd, &ready, &err), err); /* made anew */
	(void)close(fd);
	assert_fails(writ_keeper_start("/tmp", &fd, &ready, &err), WRIT_EPRECOND, err,
		"there is no cgroup v2 hierarchy at /tmp");
	while (waitpid(-1, NULL, 0) > 0)
		;
}

/* --- launches --- */

struct seen {
	struct writ_launch *launch;
	struct writ_err why;
	bool started, ended, over;
};

static void on_started(void *arg, struct writ_launch *l)
{
	(void)l;
	((struct seen *)arg)->started = true;
}

static void on_ended(void *arg, const struct writ_err *why)
{
	struct seen *s = arg;
	s->ended = true;
	if (why)
		s->why = *why;
}

static void on_over(void *arg, const char *id)
{
	(void)id;
	((struct seen *)arg)->over = true;
}

static void child_with_child(int go, int ready, void *arg)
{
	int *pid = arg;
	child_ready(ready);
	child_wait(go);
	pid_t kid = fork();
	while (kid == 0)
		pause();
	*pid = kid;
	child_ready(ready);
	for (;;)
		pause();
}

static enum writ_run_place place_of(struct writ_launches *ls, pid_t pid, struct writ_selectors *out)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	writ_selectors_init(out);
	enum writ_run_place place = writ_launches_select(ls, pid, pidfd, out);
	(void)close(pidfd);
	return place;
}

static struct writ_launches *open_launches(struct writ_loop *loop, struct seen *s)
{
	const struct writ_launches_config cfg = {
		.loop = loop, .keeper = start_keeper(), .over = on_over, .arg = s
	};
	struct writ_launches *ls = NULL;
	struct writ_err err = { 0 };
	assert_ok(writ_launches_new(&cfg, &ls, &err), err);
	return ls;
}

static struct writ_launch_spec spec_of(pid_t pid, bool children, struct seen *s)
{
	return (struct writ_launch_spec){ .as = "/agents/dev",
		.parent = getpid(),
		.pid = pid,
		.uid = geteuid(),
		.gid = getegid(),
		.children = children,
		.started = on_started,
		.ended = on_ended,
		.arg = s };
}

static void belonging(bool children)
{
	int *kid =
		mmap(NULL, sizeof(*kid), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct writ_loop *loop = NULL;
	struct writ_err err = { 0 };
	struct seen s = { 0 };
	struct writ_selectors got;
	if (!root[0])
		skip();
	assert_ok(writ_loop_new(&loop, &err), err);
	struct writ_launches *ls = open_launches(loop, &s);
	struct child c = child_start(child_with_child, kid);
	const struct writ_launch_spec spec = spec_of(c.pid, children, &s);
	assert_ok(writ_launch_start(ls, &spec, &s.launch, &err), err);
	assert_int_equal(place_of(ls, c.pid, &got), WRIT_RUN_NONE); /* not before it has started */
	assert_true(writ_loop_run_until(loop, &s.started, writ_mono_ms() + 5000));
	assert_int_equal(place_of(ls, c.pid, &got), WRIT_RUN_MEANT);
	assert_int_equal(got.n, 2);
	writ_selectors_seal(&got);
	assert_true(writ_str_eq(writ_selectors_at(&got, 0).text, WRIT_STR("run:as:/agents/dev")));
	assert_true(writ_str_starts(writ_selectors_at(&got, 1).text, WRIT_STR("run:id:")));
	writ_selectors_done(&got);
	assert_int_equal(place_of(ls, getpid(), &got), WRIT_RUN_NONE);
	child_go(&c);
	char byte;
	assert_int_equal(read(c.ready, &byte, 1), 1);
	assert_int_equal(place_of(ls, *kid, &got), children ? WRIT_RUN_MEANT : WRIT_RUN_CHILD);
	writ_selectors_done(&got);
	assert_int_equal(kill(c.pid, SIGKILL), 0);
	assert_true(writ_loop_run_until(loop, &s.over, writ_mono_ms() + 5000));
	assert_int_equal(place_of(ls, *kid, &got), WRIT_RUN_NONE);
	assert_true(writ_loop_run_until(loop, &s.ended, writ_mono_ms() + 5000));
	assert_int_equal(s.why.rc, WRIT_OK);
	assert_int_equal(writ_launches_count(ls), 0);
	child_end(&c);
	writ_launches_free(ls);
	writ_loop_free(loop);
	(void)munmap(kid, sizeof(*kid));
	end_keeper(-1);
}

static void the_command_alone_is_meant(void **state)
{
	(void)state;
	belonging(false);
}

static void its_children_are_meant_where_that_was_asked(void **state)
{
	(void)state;
	belonging(true);
}

static void a_launch_that_is_dropped_ends_its_command(void **state)
{
	(void)state;
	struct writ_loop *loop = NULL;
	struct writ_err err = { 0 };
	struct seen s = { 0 };
	if (!root[0])
		skip();
	assert_ok(writ_loop_new(&loop, &err), err);
	struct writ_launches *ls = open_launches(loop, &s);
	struct child c = child_start(child_idle, NULL);
	const struct writ_launch_spec spec = spec_of(c.pid, false, &s);
	assert_ok(writ_launch_start(ls, &spec, &s.launch, &err), err);
	assert_true(writ_loop_run_until(loop, &s.started, writ_mono_ms() + 5000));
	writ_launch_drop(s.launch);
	assert_true(s.over);
	assert_true(has_ended(&c, 1000));
	(void)writ_loop_run_until(loop, &s.ended, writ_mono_ms() + 50);
	assert_false(s.ended); /* nobody wanted to know */
	assert_int_equal(writ_launches_count(ls), 0);
	child_end(&c);
	writ_launches_free(ls);
	writ_loop_free(loop);
	end_keeper(-1);
}

static void what_cannot_be_launched_says_why(void **state)
{
	(void)state;
	struct writ_loop *loop = NULL;
	struct writ_err err = { 0 };
	struct seen s = { 0 };
	if (!root[0])
		skip();
	assert_ok(writ_loop_new(&loop, &err), err);
	struct writ_launches *ls = open_launches(loop, &s);
	struct writ_launch_spec spec = spec_of(getppid(), false, &s);
	assert_ok(writ_launch_start(ls, &spec, &s.launch, &err), err);
	assert_true(writ_loop_run_until(loop, &s.ended, writ_mono_ms() + 5000));
	assert_false(s.started);
	assert_int_equal(s.why.rc, WRIT_EUNAUTH);
	assert_non_null(strstr(s.why.msg, "is not a child of"));
	spec.pid = 0;
	assert_int_equal(writ_launch_start(ls, &spec, &s.launch, &err), WRIT_EUNAUTH);
	writ_launches_free(ls);
	writ_loop_free(loop);
	end_keeper(-1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_allows_its_users_its_prefix_and_nothing_else),
		cmocka_unit_test(a_refusal_has_the_line_that_would_allow_it),
		cmocka_unit_test(only_paths_of_workloads_can_be_claimed),
		cmocka_unit_test(a_name_cannot_say_what_a_process_is),
		cmocka_unit_test(a_child_that_waits_is_a_newborn_until_it_runs_a_program),
		cmocka_unit_test(who_is_not_the_callers_child_is_no_newborn),
		cmocka_unit_test(a_child_with_a_second_user_is_no_newborn),
		cmocka_unit_test(a_newborn_gets_a_cgroup_and_its_end_empties_it),
		cmocka_unit_test(what_is_no_newborn_is_not_moved),
		cmocka_unit_test(one_id_is_one_launch),
		cmocka_unit_test(the_end_of_the_agent_is_the_end_of_its_launches_after_a_grace),
		cmocka_unit_test(what_a_dead_agent_left_behind_is_ended_at_the_next_start),
		cmocka_unit_test(the_keeper_can_change_cgroups_and_nothing_else),
		cmocka_unit_test(two_agents_leave_each_other_alone),
		cmocka_unit_test(a_folder_that_others_can_write_is_refused),
		cmocka_unit_test(the_command_alone_is_meant),
		cmocka_unit_test(its_children_are_meant_where_that_was_asked),
		cmocka_unit_test(a_launch_that_is_dropped_ends_its_command),
		cmocka_unit_test(what_cannot_be_launched_says_why),
	};
	return cmocka_run_group_tests(tests, make_root, drop_root);
}
