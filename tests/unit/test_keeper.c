/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper of launches, with real cgroups (root only). */
#include "run/confine.h"
#include "run/keeper.h"
#include "run/newborn.h"

#include "attest_child.h"
#include "base/clock.h"
#include "base/mem.h"
#include "check.h"
#include "keeper_kit.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOMEONE 12345

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

static void a_newborn_gets_a_cgroup_and_its_end_empties_it(void **state)
{
	(void)state;
	int fd = keeper_begin();
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
	assert_false(child_has_ended(&c, 20));
	q.op = WRIT_KEEPER_END;
	a = ask(fd, &q);
	assert_int_equal(a.op, WRIT_KEEPER_END);
	assert_int_equal(a.rc, WRIT_OK);
	assert_true(child_has_ended(&c, 1000));
	child_end(&c);
	keeper_end(fd);
}

static void what_is_no_newborn_is_not_moved(void **state)
{
	(void)state;
	int fd = keeper_begin();
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
	assert_false(child_has_ended(&c, 20));
	child_end(&c);
	keeper_end(fd);
}

static void one_id_is_one_launch(void **state)
{
	(void)state;
	int fd = keeper_begin();
	struct child c = child_start(child_idle, NULL);
	struct child d = child_start(child_idle, NULL);
	struct writ_keeper_ask q = put_of(c.pid, 'c');
	assert_int_equal(ask(fd, &q).rc, WRIT_OK);
	q = put_of(d.pid, 'c');
	assert_int_equal(ask(fd, &q).rc, WRIT_EINVAL);
	child_end(&c);
	child_end(&d);
	keeper_end(fd);
}

/* What it is asked is of one form; who says anything else is no agent of ours. */
static void who_does_not_speak_its_language_is_left(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		int fd = keeper_begin();
		char byte;
		struct pollfd p = { .fd = fd, .events = POLLIN };
		struct writ_keeper_ask q = put_of(getpid(), 'd');
		memset(q.id, 'd', sizeof(q.id)); /* it has no end */
		size_t n = i ? sizeof(q) - 1 : sizeof(q);
		if (i)
			q = put_of(getpid(), 'd');
		assert_int_equal(send(fd, &q, n, 0), n);
		assert_int_equal(poll(&p, 1, 5000), 1);
		assert_int_equal(recv(fd, &byte, 1, 0), 0);
		keeper_end(fd);
	}
}

static void the_end_of_what_is_not_there_ends_nothing(void **state)
{
	(void)state;
	int fd = keeper_begin();
	struct child c = child_start(child_idle, NULL);
	struct writ_keeper_ask q = put_of(c.pid, 'e');
	assert_int_equal(ask(fd, &q).rc, WRIT_OK);
	static const char *const ids[] = { "", "..", "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
		"ffffffffffffffffffffffffffffffff" };
	for (size_t i = 0; i < WRIT_COUNT(ids); i++) {
		struct writ_keeper_ask end = { .op = WRIT_KEEPER_END };
		(void)snprintf(end.id, sizeof(end.id), "%s", ids[i]);
		assert_int_equal(send(fd, &end, sizeof(end), 0), sizeof(end));
	}
	q.pid = 0;
	memset(q.id, 'f', WRIT_CELL_ID);
	assert_int_equal(ask(fd, &q).rc, WRIT_EUNAUTH); /* it answers still, and all before it */
	assert_false(child_has_ended(&c, 20));
	child_end(&c);
	keeper_end(fd);
}

/* Ctrl-C, and what a manager sends to all processes of a unit: its agent says when it is over. */
static void signals_do_not_end_it(void **state)
{
	(void)state;
	static const int all[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE };
	int fd = keeper_begin();
	for (size_t i = 0; i < WRIT_COUNT(all); i++)
		children_signal(0, all[i]); /* the keeper is the only one */
	struct child c = child_start(child_idle, NULL);
	struct writ_keeper_ask q = put_of(c.pid, 'a');
	assert_int_equal(ask(fd, &q).rc, WRIT_OK);
	child_end(&c);
	keeper_end(fd);
}

static void the_end_of_the_agent_is_the_end_of_its_launches_after_a_grace(void **state)
{
	(void)state;
	struct child c = child_start(child_idle, NULL); /* first: it must not hold fd */
	int fd = keeper_begin();
	struct writ_keeper_ask q = put_of(c.pid, 'd');
	assert_int_equal(ask(fd, &q).rc, WRIT_OK);
	int64_t since = writ_mono_ms();
	(void)close(fd);
	assert_true(child_has_ended(&c, WRIT_KEEPER_GRACE_MS + 2000));
	assert_true(writ_mono_ms() - since >= WRIT_KEEPER_GRACE_MS - 100);
	child_end(&c);
	keeper_end(-1);
}

static void what_a_dead_agent_left_behind_is_ended_at_the_next_start(void **state)
{
	(void)state;
	struct child c = child_start(child_idle, NULL); /* first: it must not hold fd */
	int fd = keeper_begin();
	struct writ_keeper_ask q = put_of(c.pid, 'e');
	assert_int_equal(ask(fd, &q).rc, WRIT_OK);
	children_kill(c.pid); /* the keeper is the other one */
	(void)close(fd);
	assert_false(child_has_ended(&c, 50));
	assert_int_equal(keeper_agents_left(), 1);
	struct writ_keeper_answer ready = { 0 };
	struct writ_err err = { 0 };
	assert_ok(writ_keeper_start(keeper_root, &fd, &ready, &err), err);
	assert_int_equal(ready.swept, 1);
	assert_true(child_has_ended(&c, 1000));
	child_end(&c);
	keeper_end(fd);
}

/* The number of the first thing that went wrong; 0: none. */
static int try_to_break_out(void)
{
	struct writ_err err;
	char path[160];
	(void)snprintf(path, sizeof(path), "%s/inside", keeper_root);
	if (writ_keeper_confine(keeper_root, &err) != WRIT_OK)
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
	if (!keeper_root[0] || syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 1)
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
	int one = keeper_begin();
	struct child c = child_start(child_idle, NULL);
	struct writ_keeper_ask q = put_of(c.pid, 'f');
	assert_int_equal(ask(one, &q).rc, WRIT_OK);
	int two = keeper_begin();
	assert_false(child_has_ended(&c, 20));
	assert_int_equal(keeper_agents_left(), 2);
	child_end(&c);
	(void)close(two);
	keeper_end(one);
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
	if (!keeper_root[0])
		skip();
	(void)snprintf(path, sizeof(path), "%s/" WRIT_CELLS_FOLDER, keeper_root);
	(void)mkdir(path, 0711);
	char inside[300];
	(void)snprintf(inside, sizeof(inside), "%s/in-use", path);
	assert_int_equal(mkdir(inside, 0711), 0);
	for (size_t i = 0; i < WRIT_COUNT(bad); i++) {
		assert_int_equal(chown(path, bad[i].owner, 0), 0);
		assert_int_equal(chmod(path, bad[i].mode), 0);
		assert_fails(writ_keeper_start(keeper_root, &fd, &ready, &err), WRIT_EPRECOND, err,
			"others could put their processes into a launch");
	}
	assert_int_equal(rmdir(inside), 0);
	assert_ok(writ_keeper_start(keeper_root, &fd, &ready, &err), err); /* made anew */
	(void)close(fd);
	assert_fails(writ_keeper_start("/tmp", &fd, &ready, &err), WRIT_EPRECOND, err,
		"there is no cgroup v2 hierarchy at /tmp");
	while (waitpid(-1, NULL, 0) > 0)
		;
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, keeper_clean)
	const struct CMUnitTest tests[] = {
		T(a_newborn_gets_a_cgroup_and_its_end_empties_it),
		T(what_is_no_newborn_is_not_moved),
		T(one_id_is_one_launch),
		T(who_does_not_speak_its_language_is_left),
		T(signals_do_not_end_it),
		T(the_end_of_what_is_not_there_ends_nothing),
		T(the_end_of_the_agent_is_the_end_of_its_launches_after_a_grace),
		T(what_a_dead_agent_left_behind_is_ended_at_the_next_start),
		T(the_keeper_can_change_cgroups_and_nothing_else),
		T(two_agents_leave_each_other_alone),
		T(a_folder_that_others_can_write_is_refused),
	};
	return cmocka_run_group_tests(tests, keeper_root_make, keeper_root_drop);
}
