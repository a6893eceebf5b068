/* SPDX-License-Identifier: Apache-2.0 */
/* Launches: a keeper, cgroups, and who belongs to one (root only). */
#include "run/launches.h"

#include "attest_child.h"
#include "base/clock.h"
#include "check.h"
#include "keeper_kit.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

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
		.loop = loop, .keeper = keeper_begin(), .over = on_over, .arg = s
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
	if (!keeper_root[0])
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
	keeper_end(-1);
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
	if (!keeper_root[0])
		skip();
	assert_ok(writ_loop_new(&loop, &err), err);
	struct writ_launches *ls = open_launches(loop, &s);
	struct child c = child_start(child_idle, NULL);
	const struct writ_launch_spec spec = spec_of(c.pid, false, &s);
	assert_ok(writ_launch_start(ls, &spec, &s.launch, &err), err);
	assert_true(writ_loop_run_until(loop, &s.started, writ_mono_ms() + 5000));
	writ_launch_drop(s.launch);
	assert_true(s.over);
	assert_true(child_has_ended(&c, 1000));
	(void)writ_loop_run_until(loop, &s.ended, writ_mono_ms() + 50);
	assert_false(s.ended); /* nobody wanted to know */
	assert_int_equal(writ_launches_count(ls), 0);
	child_end(&c);
	writ_launches_free(ls);
	writ_loop_free(loop);
	keeper_end(-1);
}

static void what_cannot_be_launched_says_why(void **state)
{
	(void)state;
	struct writ_loop *loop = NULL;
	struct writ_err err = { 0 };
	struct seen s = { 0 };
	if (!keeper_root[0])
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
	keeper_end(-1);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, keeper_clean)
	const struct CMUnitTest tests[] = {
		T(the_command_alone_is_meant),
		T(its_children_are_meant_where_that_was_asked),
		T(a_launch_that_is_dropped_ends_its_command),
		T(what_cannot_be_launched_says_why),
	};
	return cmocka_run_group_tests(tests, keeper_root_make, keeper_root_drop);
}
