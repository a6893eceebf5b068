/* SPDX-License-Identifier: Apache-2.0 */
/* Launches: who may, and what a newborn is. */
#include "run/newborn.h"
#include "run/rules.h"

#include "attest_child.h"
#include "base/mem.h"
#include "check.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/fsuid.h>
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
		err, "run { allow = [ { uid = 1000, prefix = \"/a/b/c\" } ] }");
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
		"42 a) S 11 12 13 0 -1 4194368 1 2 3 4 5 6 7 8 20 0 3 0 99",
		")42 (a S 11 12 13 0 -1 4194368 1 2 3 4 5 6 7 8 20 0 3 0 99",
		"42 (a)xS 11 12 13 0 -1 4194368 1 2 3 4 5 6 7 8 20 0 3 0 99",
		"42 (a S 11 12 13 0 -1 4194368 1 2 3 4 5 6 7 8 20 0 3 0 99", "42 ",
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

static const struct ids {
	uid_t uid[3], fs;
	gid_t gid[3];
	uid_t as; /* who asks for it */
} mixed[] = {
	{ { SOMEONE, SOMEONE, 0 }, 0, { 0, 0, 0 }, SOMEONE },
	{ { SOMEONE, 0, SOMEONE }, 0, { 0, 0, 0 }, SOMEONE },
	{ { 0, SOMEONE, SOMEONE }, 0, { 0, 0, 0 }, SOMEONE },
	{ { SOMEONE, 0, SOMEONE }, SOMEONE, { 0, 0, 0 }, SOMEONE },
	{ { SOMEONE, SOMEONE, 0 }, 0, { 0, 0, 0 }, 0 },
	{ { 0, 0, SOMEONE }, 0, { 0, 0, 0 }, 0 },
	{ { SOMEONE, 0, 0 }, 0, { 0, 0, 0 }, 0 },
	{ { 0, 0, 0 }, SOMEONE, { 0, 0, 0 }, 0 },
	{ { 0, 0, 0 }, 0, { SOMEONE, 0, 0 }, 0 },
	{ { 0, 0, 0 }, 0, { 0, SOMEONE, 0 }, 0 },
	{ { 0, 0, 0 }, 0, { 0, 0, SOMEONE }, 0 },
};

static void child_mixed(int go, int ready, void *arg)
{
	const struct ids *i = arg;
	if (setresgid(i->gid[0], i->gid[1], i->gid[2]) != 0 ||
		setresuid(i->uid[0], i->uid[1], i->uid[2]) != 0)
		_exit(1);
	if (i->fs)
		(void)setfsuid(i->fs);
	child_ready(ready);
	child_wait(go);
	_exit(0);
}

static void a_child_with_a_second_user_is_no_newborn(void **state)
{
	(void)state;
	struct writ_err err = { 0 };
	if (geteuid() != 0 || getegid() != 0)
		skip();
	for (size_t i = 0; i < WRIT_COUNT(mixed); i++) {
		struct child c = child_start(child_mixed, (void *)(uintptr_t)&mixed[i]);
		if (open_newborn(c.pid, getpid(), mixed[i].as, &err) != WRIT_EUNAUTH ||
			!strstr(err.msg, "is not of user"))
			fail_msg("row %zu: %s", i, err.msg);
		child_end(&c);
	}
}

static void *do_nothing(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void child_with_thread(int go, int ready, void *arg)
{
	pthread_t t;
	(void)arg;
	if (pthread_create(&t, NULL, do_nothing, NULL) != 0)
		_exit(1);
	child_ready(ready);
	child_wait(go);
	_exit(0);
}

/* Which of its threads would be the command? */
static void a_child_with_threads_is_no_newborn(void **state)
{
	(void)state;
	struct writ_err err = { 0 };
	struct child c = child_start(child_with_thread, NULL);
	assert_fails(open_newborn(c.pid, getpid(), geteuid(), &err), WRIT_EUNAUTH, err,
		"runs a program already");
	child_end(&c);
}

static void a_cgroup_that_does_not_fit_is_not_cut(void **state)
{
	(void)state;
	struct writ_newborn n;
	struct writ_err err = { 0 };
	char path[4096];
	struct child c = child_start(child_idle, NULL);
	assert_ok(writ_newborn_open(c.pid, getpid(), geteuid(), getegid(), &n, &err), err);
	if (writ_newborn_cgroup(&n, path, sizeof(path), &err) == WRIT_OK) {
		size_t need = strlen(path);
		memset(path, 'x', sizeof(path));
		assert_int_equal(writ_newborn_cgroup(&n, path, need, &err), WRIT_EUNAVAIL);
		assert_int_equal(path[need], 'x');
		assert_int_equal(writ_newborn_cgroup(&n, path, need + 1, &err), WRIT_OK);
	}
	writ_newborn_close(&n);
	child_end(&c);
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
		cmocka_unit_test(a_child_with_threads_is_no_newborn),
		cmocka_unit_test(a_cgroup_that_does_not_fit_is_not_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
