/* SPDX-License-Identifier: Apache-2.0 */
/* Launches: a keeper, cgroups, and who belongs to one (root only). */
#include "run/launches.h"

#include "attest_child.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "check.h"
#include "keeper_kit.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
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

/* The number of a command is nothing without a hold on the process. */
static void who_asks_has_to_live(struct writ_launches *ls, pid_t command)
{
	struct writ_selectors got;
	struct child gone = child_start(child_idle, NULL);
	int pidfd = (int)syscall(SYS_pidfd_open, gone.pid, 0);
	child_end(&gone);
	writ_selectors_init(&got);
	assert_int_equal(writ_launches_select(ls, command, pidfd, &got), WRIT_RUN_NONE);
	assert_int_equal(writ_launches_select(ls, command, -1, &got), WRIT_RUN_NONE);
	assert_int_equal(
		writ_launches_may_claim(ls, command, pidfd, WRIT_STR("/agents/dev/x"), NULL),
		WRIT_EUNAUTH);
	assert_int_equal(writ_launches_may_claim(ls, command, -1, WRIT_STR("/agents/dev/x"), NULL),
		WRIT_EUNAUTH);
	writ_selectors_done(&got);
	(void)close(pidfd);
}

static writ_rc claim(struct writ_launches *ls, pid_t pid, const char *path)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	writ_rc rc = writ_launches_may_claim(ls, pid, pidfd, writ_cstr(path), NULL);
	(void)close(pidfd);
	return rc;
}

/* Who is in a launch starts others below it alone, and only where it is meant itself. */
static void claims(struct writ_launches *ls, pid_t command, pid_t kid, bool children)
{
	static const struct {
		const char *path;
		bool below;
	} rows[] = {
		{ "/agents/dev/x", true },
		{ "/agents/dev/x/y", true },
		{ "/agents/dev", false },
		{ "/agents/devil", false },
		{ "/agents/dex/x", false },
		{ "/agents", false },
		{ "/other", false },
	};
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		const char *path = rows[i].path;
		writ_rc want = rows[i].below ? WRIT_OK : WRIT_EDENIED;
		if (claim(ls, command, path) != want)
			fail_msg("the command: %s", path);
		if (claim(ls, kid, path) != (children ? want : WRIT_EDENIED))
			fail_msg("its child: %s", path);
		if (claim(ls, getpid(), path) != WRIT_OK)
			fail_msg("who is in no launch: %s", path);
	}
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
	who_asks_has_to_live(ls, c.pid);
	child_go(&c);
	char byte;
	assert_int_equal(read(c.ready, &byte, 1), 1);
	assert_int_equal(place_of(ls, *kid, &got), children ? WRIT_RUN_MEANT : WRIT_RUN_CHILD);
	writ_selectors_done(&got);
	claims(ls, c.pid, *kid, children);
	assert_int_equal(kill(c.pid, SIGKILL), 0);
	assert_true(child_has_ended(&c, 5000));
	assert_int_equal(place_of(ls, *kid, &got), WRIT_RUN_NONE); /* before the loop knows */
	assert_int_equal(claim(ls, *kid, "/agents/dev/x"), WRIT_EDENIED);
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
	struct writ_selectors none;
	writ_launch_drop(s.launch);
	assert_true(s.over);
	assert_int_equal(place_of(ls, c.pid, &none), WRIT_RUN_NONE); /* whether it lives or not */
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

/* --- with a keeper of the test's own, who says what it likes --- */

struct world {
	struct writ_loop *loop;
	struct writ_launches *ls;
	struct seen s;
	struct child c;
	int ours, keeper; /* the two ends */
	struct writ_audit *audit;
};

static void open_world_with(struct world *w, const char *audit)
{
	struct writ_err err = { 0 };
	int pair[2];
	*w = (struct world){ .c = child_start(child_idle, NULL) }; /* first: it holds no end */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	w->ours = pair[0];
	w->keeper = pair[1];
	assert_ok(writ_loop_new(&w->loop, &err), err);
	if (audit)
		assert_ok(writ_audit_open(audit, &w->audit, &err), err);
	const struct writ_launches_config cfg = {
		.loop = w->loop, .keeper = pair[0], .over = on_over, .arg = &w->s, .audit = w->audit
	};
	assert_ok(writ_launches_new(&cfg, &w->ls, &err), err);
}

static void open_world(struct world *w)
{
	open_world_with(w, NULL);
}

static void close_world(struct world *w)
{
	child_end(&w->c);
	writ_launches_free(w->ls);
	writ_loop_free(w->loop);
	if (w->audit)
		writ_audit_close(w->audit);
	if (w->keeper >= 0)
		(void)close(w->keeper);
}

static void start(struct world *w)
{
	struct writ_err err = { 0 };
	const struct writ_launch_spec spec = spec_of(w->c.pid, false, &w->s);
	assert_ok(writ_launch_start(w->ls, &spec, &w->s.launch, &err), err);
}

/* What the keeper is asked next. */
static struct writ_keeper_ask asked(const struct world *w)
{
	struct writ_keeper_ask q = { .op = 0 };
	assert_int_equal(recv(w->keeper, &q, sizeof(q), MSG_DONTWAIT), sizeof(q));
	return q;
}

static void say(const struct world *w, uint32_t op, uint32_t rc, const char *id)
{
	struct writ_keeper_answer a = { .op = op, .rc = rc, .path = "/writ/x", .why = "because" };
	(void)snprintf(a.id, sizeof(a.id), "%s", id);
	assert_int_equal(send(w->keeper, &a, sizeof(a), 0), sizeof(a));
}

static void settle(const struct world *w)
{
	const bool never = false;
	(void)writ_loop_run_until(w->loop, &never, writ_mono_ms() + 20);
}

static void answers_to_nothing_that_was_asked_change_nothing(void **state)
{
	(void)state;
	struct world w;
	open_world(&w);
	start(&w);
	const struct writ_keeper_ask q = asked(&w);
	assert_int_equal(q.op, WRIT_KEEPER_PUT);
	say(&w, WRIT_KEEPER_PUT, WRIT_OK, "0123456789abcdef0123456789abcdef");
	say(&w, WRIT_KEEPER_PUT, WRIT_RC_COUNT, q.id);
	say(&w, WRIT_KEEPER_END, WRIT_OK, q.id);
	say(&w, WRIT_KEEPER_READY, WRIT_OK, q.id);
	settle(&w);
	assert_false(w.s.started || w.s.ended || w.s.over);
	assert_int_equal(writ_launches_count(w.ls), 1);
	say(&w, WRIT_KEEPER_PUT, WRIT_OK, q.id);
	assert_true(writ_loop_run_until(w.loop, &w.s.started, writ_mono_ms() + 5000));
	say(&w, WRIT_KEEPER_END, WRIT_OK, q.id);
	settle(&w);
	assert_false(w.s.ended || w.s.over);
	assert_int_equal(writ_launches_count(w.ls), 1);
	close_world(&w);
}

static void a_launch_dropped_before_it_started_never_lives(void **state)
{
	(void)state;
	struct world w;
	open_world(&w);
	start(&w);
	const struct writ_keeper_ask q = asked(&w);
	writ_launch_drop(w.s.launch);
	assert_false(w.s.over); /* nothing of it was known to anybody */
	say(&w, WRIT_KEEPER_PUT, WRIT_OK, q.id);
	settle(&w);
	const struct writ_keeper_ask end = asked(&w);
	assert_int_equal(end.op, WRIT_KEEPER_END);
	assert_string_equal(end.id, q.id);
	assert_false(w.s.started || w.s.over || w.s.ended);
	say(&w, WRIT_KEEPER_END, WRIT_EBUSY, q.id); /* what is left is the next start's matter */
	settle(&w);
	assert_int_equal(writ_launches_count(w.ls), 0);
	close_world(&w);
}

static void a_command_that_ended_meanwhile_is_no_launch(void **state)
{
	(void)state;
	struct world w;
	open_world(&w);
	start(&w);
	const struct writ_keeper_ask q = asked(&w);
	child_end(&w.c);
	say(&w, WRIT_KEEPER_PUT, WRIT_OK, q.id);
	assert_true(writ_loop_run_until(w.loop, &w.s.ended, writ_mono_ms() + 5000));
	assert_false(w.s.started || w.s.over);
	assert_int_equal(w.s.why.rc, WRIT_EUNAUTH);
	assert_int_equal(asked(&w).op, WRIT_KEEPER_END);
	close_world(&w);
}

static void without_its_keeper_nothing_is_a_launch(void **state)
{
	(void)state;
	for (int cut = 0; cut < 2; cut++) {
		struct world w;
		struct writ_launch *l;
		open_world(&w);
		start(&w);
		say(&w, WRIT_KEEPER_PUT, WRIT_OK, asked(&w).id);
		assert_true(writ_loop_run_until(w.loop, &w.s.started, writ_mono_ms() + 5000));
		if (cut) { /* half an answer is none */
			assert_int_equal(send(w.keeper, "x", 1, 0), 1);
		} else {
			(void)close(w.keeper);
			w.keeper = -1;
		}
		assert_true(writ_loop_run_until(w.loop, &w.s.ended, writ_mono_ms() + 5000));
		assert_true(w.s.over);
		assert_int_equal(w.s.why.rc, WRIT_EUNAVAIL);
		assert_int_equal(writ_launches_count(w.ls), 0);
		const struct writ_launch_spec spec = spec_of(w.c.pid, false, &w.s);
		assert_int_equal(writ_launch_start(w.ls, &spec, &l, NULL), WRIT_EUNAVAIL);
		close_world(&w);
	}
}

static void an_end_that_finds_no_room_is_told_again(void **state)
{
	(void)state;
	struct world w;
	struct writ_keeper_ask q;
	char junk[sizeof(q)] = "";
	open_world(&w);
	start(&w);
	const struct writ_keeper_ask put = asked(&w);
	say(&w, WRIT_KEEPER_PUT, WRIT_OK, put.id);
	assert_true(writ_loop_run_until(w.loop, &w.s.started, writ_mono_ms() + 5000));
	while (send(w.ours, junk, sizeof(junk), MSG_DONTWAIT) > 0)
		continue;
	writ_launch_drop(w.s.launch);
	while (recv(w.keeper, &q, sizeof(q), MSG_DONTWAIT) > 0)
		assert_int_equal(q.op, 0);
	settle(&w);
	q = asked(&w);
	assert_int_equal(q.op, WRIT_KEEPER_END);
	assert_string_equal(q.id, put.id);
	settle(&w);
	assert_int_equal(recv(w.keeper, &q, sizeof(q), MSG_DONTWAIT), -1); /* and once alone */
	close_world(&w);
}

static size_t count_in(const char *path, const char *word)
{
	struct writ_buf text = WRIT_BUF(65536);
	size_t n = 0;
	assert_int_equal(writ_fs_read(path, &text, NULL), WRIT_OK);
	for (const char *p = writ_buf_cstr(&text); (p = strstr(p, word)); p++)
		n++;
	writ_buf_done(&text);
	return n;
}

/* Who ran as whom, from when to when. */
static void a_launch_is_in_the_audit_log(void **state)
{
	(void)state;
	struct world w;
	char path[] = "/tmp/writ-launches-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	open_world_with(&w, path);
	start(&w);
	const struct writ_keeper_ask q = asked(&w);
	assert_int_equal(count_in(path, "run."), 0);
	say(&w, WRIT_KEEPER_PUT, WRIT_OK, q.id);
	assert_true(writ_loop_run_until(w.loop, &w.s.started, writ_mono_ms() + 5000));
	assert_int_equal(count_in(path, "run.started"), 1);
	writ_launch_drop(w.s.launch);
	assert_int_equal(count_in(path, "run.ended"), 1);
	assert_int_equal(count_in(path, q.id), 2);
	assert_int_equal(count_in(path, "/agents/dev"), 2);
	close_world(&w);
	unlink(path);
}

static void there_is_room_for_so_many(void **state)
{
	(void)state;
	struct world w;
	struct writ_launch *l;
	open_world(&w);
	struct writ_launch_spec spec = spec_of(w.c.pid, false, &w.s);
	for (size_t i = 0; i < WRIT_LAUNCHES_MAX; i++) {
		spec.uid = (uid_t)(1000 + i / WRIT_LAUNCHES_PER_UID);
		assert_int_equal(writ_launch_start(w.ls, &spec, &l, NULL), WRIT_OK);
		(void)asked(&w);
		bool is_full = (i + 1) % WRIT_LAUNCHES_PER_UID == 0;
		if (is_full)
			assert_int_equal(writ_launch_start(w.ls, &spec, &l, NULL), WRIT_ELIMIT);
	}
	spec.uid = 2000;
	assert_int_equal(writ_launch_start(w.ls, &spec, &l, NULL), WRIT_ELIMIT);
	writ_launches_stop(w.ls);
	assert_int_equal(writ_launch_start(w.ls, &spec, &l, NULL), WRIT_EUNAVAIL);
	close_world(&w);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, keeper_clean)
	const struct CMUnitTest tests[] = {
		T(the_command_alone_is_meant),
		T(its_children_are_meant_where_that_was_asked),
		T(a_launch_that_is_dropped_ends_its_command),
		T(what_cannot_be_launched_says_why),
		T(answers_to_nothing_that_was_asked_change_nothing),
		T(a_launch_dropped_before_it_started_never_lives),
		T(a_command_that_ended_meanwhile_is_no_launch),
		T(without_its_keeper_nothing_is_a_launch),
		T(an_end_that_finds_no_room_is_told_again),
		T(a_launch_is_in_the_audit_log),
		T(there_is_room_for_so_many),
	};
	return cmocka_run_group_tests(tests, keeper_root_make, keeper_root_drop);
}
