/* SPDX-License-Identifier: Apache-2.0 */
/* Which process a connection is of, and when what is known of one counts for another. */
#include "check.h"

#include "attest_child.h"
#include "attestor_kit.h"
#include "base/clock.h"
#include "base/mem.h"
#include "front/peer.h"
#include "wlapi/caller.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WAIT_MS     10000
#define PIDFS_MAGIC 0x50494446 /* Linux 6.9 and later: a process is told by its pidfd */

struct fixture {
	struct writ_loop *loop;
	struct writ_attest_env env;
	struct attestor_kit attestor;
};

static void start(struct fixture *f)
{
	struct writ_err err = { 0 };
	*f = (struct fixture){ .loop = NULL };
	assert_ok(writ_loop_new(&f->loop, &err), err);
	attestor_kit_open(&f->attestor, f->loop, &f->env, writ_attestors);
}

static void stop(struct fixture *f)
{
	attestor_kit_close(&f->attestor);
	writ_loop_free(f->loop);
}

static int open_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool processes_have_numbers(void)
{
	struct statfs fs = { .f_type = 0 };
	int fd = open_pidfd(getpid());
	bool ok = fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == PIDFS_MAGIC;
	close(fd);
	return ok;
}

static struct writ_caller *caller(
	struct fixture *f, const struct writ_pin_facts *who, bool groups_cut)
{
	struct writ_caller *c = NULL;
	struct writ_err err = { 0 };
	assert_ok(writ_caller_by_pidfd(&f->env, who, groups_cut, &c, &err), err);
	return c;
}

static void what_is_known_is_of_one_process_as_one_user(void **state)
{
	static const gid_t four[] = { 4 }, five[] = { 5 }, both[] = { 4, 5 };
	static gid_t many[WRIT_PIN_GROUPS_MAX + 1];
	(void)state;
	struct fixture f;
	if (!processes_have_numbers())
		skip();
	start(&f);
	int me = open_pidfd(getpid()), parent = open_pidfd(getppid());
	const struct writ_pin_facts base = {
		.pid = getpid(), .uid = 1000, .gid = 100, .groups = four, .ngroups = 1, .pidfd = me
	};
	struct writ_pin_facts other[7] = { base, base, base, base, base, base, base };
	other[0].uid = 1001;
	other[1].gid = 101;
	other[2].groups = five;
	other[3].groups = both;
	other[3].ngroups = 2;
	other[4].ngroups = 0;
	other[5].pid = getppid();
	other[5].pidfd = parent;
	other[6].pidfd = parent; /* the number alone is not the process */
	struct writ_caller *c = caller(&f, &base, false), *same = caller(&f, &base, false);
	assert_ptr_equal(c, same);
	for (size_t i = 0; i < WRIT_COUNT(other); i++) {
		struct writ_caller *d = caller(&f, &other[i], false);
		if (d == c)
			fail_msg("row %zu", i);
		writ_caller_unref(d);
	}
	struct writ_caller *cut = caller(&f, &base, true);
	assert_ptr_not_equal(cut, c);
	struct writ_pin_facts full = base;
	full.groups = many;
	full.ngroups = WRIT_PIN_GROUPS_MAX;
	struct writ_caller *most = caller(&f, &full, false);
	full.ngroups++;
	struct writ_caller *more = caller(&f, &full, false);
	assert_ptr_not_equal(most, more);
	writ_caller_unref(most);
	writ_caller_unref(more);
	writ_caller_unref(cut);
	writ_caller_unref(same);
	writ_caller_unref(c);
	close(me);
	close(parent);
	stop(&f);
}

/* While its number is still taken: nobody comes after it. */
static void what_is_known_ends_with_the_process(void **state)
{
	(void)state;
	struct fixture f;
	const bool never = false;
	if (!processes_have_numbers())
		skip();
	start(&f);
	struct child child = child_start(child_idle, NULL);
	const struct writ_pin_facts who = { .pid = child.pid, .pidfd = open_pidfd(child.pid) };
	struct writ_caller *c = caller(&f, &who, false), *idle = NULL;
	assert_ptr_equal(c, idle = caller(&f, &who, false));
	writ_caller_unref(idle);
	kill(child.pid, SIGKILL);
	struct writ_caller *now = c;
	for (int64_t until = writ_mono_ms() + WAIT_MS; now == c && writ_mono_ms() < until;) {
		(void)writ_loop_run_until(f.loop, &never, writ_mono_ms() + 5);
		writ_caller_unref(now == c ? NULL : now);
		now = caller(&f, &who, false);
		if (now == c)
			writ_caller_unref(now);
	}
	assert_ptr_not_equal(now, c);
	writ_caller_unref(now);
	writ_caller_unref(c);
	close(who.pidfd);
	child_end(&child);
	stop(&f);
}

static void who_is_not_known_to_be_a_process_is_no_caller(void **state)
{
	(void)state;
	static const struct {
		enum writ_peer_kind kind;
		bool closed;
		pid_t pid; /* 0: outside our PID namespace; -1: this process */
		bool has_pidfd;
		const char *says; /* NULL: it is one */
	} rows[] = {
		{ WRIT_PEER_UNIX, false, -1, true, NULL },
		{ WRIT_PEER_TCP, false, -1, true, "no process is known" },
		{ WRIT_PEER_UNIX, true, -1, true, "no process is known" },
		{ WRIT_PEER_UNIX, false, 0, true, "outside the agent's PID namespace" },
		{ WRIT_PEER_UNIX, false, -1, false, "has ended" },
	};
	struct fixture f;
	start(&f);
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_err err = { 0 };
		struct writ_caller *c = NULL;
		struct writ_peer p = { .kind = rows[i].kind,
			.closed = rows[i].closed,
			.pid = rows[i].pid ? getpid() : 0,
			.uid = geteuid(),
			.gid = getegid(),
			.pidfd = rows[i].has_pidfd ? open_pidfd(getpid()) : -1 };
		writ_rc rc = writ_caller_of(&f.env, NULL, &p, &c, &err);
		if (rc != (rows[i].says ? WRIT_EUNAUTH : WRIT_OK) ||
			(rows[i].says && !strstr(err.msg, rows[i].says)))
			fail_msg("row %zu: %s %s", i, writ_rc_name(rc), err.msg);
		if (rc == WRIT_OK)
			writ_caller_closed(&p);
		writ_closep(&p.pidfd);
	}
	stop(&f);
}

/* --- by number, as operators ask --- */

struct looked {
	struct writ_attest_wait wait;
	bool done;
	writ_rc rc;
	struct writ_facts *facts; /* owned */
};

static void on_looked(struct writ_attest_wait *w, writ_rc rc, const struct writ_err *err,
	struct writ_facts *facts)
{
	struct looked *l = writ_container(w, struct looked, wait);
	(void)err;
	l->done = true;
	l->rc = rc;
	l->facts = facts ? writ_facts_ref(facts) : NULL;
}

struct groups {
	size_t n;
};

static void with_groups(int go, int ready, void *arg)
{
	static gid_t list[WRIT_PIN_GROUPS_MAX + 1];
	const struct groups *g = arg;
	for (size_t i = 0; i < g->n; i++)
		list[i] = (gid_t)(4000 + i);
	if (setgroups(g->n, list) != 0)
		_exit(1);
	child_ready(ready);
	child_wait(go);
	_exit(0);
}

static size_t count_groups(const struct writ_facts *facts)
{
	size_t n = 0;
	for (size_t i = 0; i < facts->answer.selectors.n; i++) {
		struct writ_str text = writ_selectors_at(&facts->answer.selectors, i).text;
		n += writ_str_starts(text, WRIT_STR("unix:supplementary_gid:4"));
	}
	return n;
}

static void a_process_asked_for_by_number_has_its_own_groups(void **state)
{
	static const struct {
		size_t has, told;
		bool cut;
	} rows[] = { { 0, 0, false }, { 1, 1, false }, { 3, 3, false },
		{ WRIT_PIN_GROUPS_MAX, WRIT_PIN_GROUPS_MAX, false },
		{ WRIT_PIN_GROUPS_MAX + 1, WRIT_PIN_GROUPS_MAX, true } };
	(void)state;
	struct fixture f;
	if (geteuid() != 0)
		skip();
	start(&f);
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct groups g = { rows[i].has };
		struct child child = child_start(with_groups, &g);
		struct looked l = { .wait = { .done = on_looked } };
		struct writ_caller *c = NULL;
		struct writ_err err = { 0 };
		writ_list_init(&l.wait.node);
		assert_ok(writ_caller_of_pid(&f.env, child.pid, &c, &err), err);
		writ_caller_attest_anew(c, 0, &l.wait);
		assert_true(writ_loop_run_until(f.loop, &l.done, writ_mono_ms() + WAIT_MS));
		assert_int_equal(l.rc, WRIT_OK);
		assert_int_equal(l.facts->snapshot.pid, child.pid);
		assert_int_equal(count_groups(l.facts), rows[i].told);
		const char *notes =
			l.facts->answer.notes.n ? writ_buf_cstr(&l.facts->answer.notes) : "";
		assert_int_equal(strstr(notes, "supplementary groups count") != NULL, rows[i].cut);
		writ_facts_unref(l.facts);
		writ_caller_unref(c);
		child_end(&child);
	}
	stop(&f);
}

static void a_number_of_no_process_is_nobody(void **state)
{
	(void)state;
	struct fixture f;
	struct writ_caller *c;
	struct child child = child_start(child_idle, NULL);
	pid_t gone = child.pid;
	const pid_t rows[] = { 0, -1, gone, INT32_MAX };
	child_end(&child);
	start(&f);
	for (size_t i = 0; i < WRIT_COUNT(rows); i++)
		if (writ_caller_of_pid(&f.env, rows[i], &c, NULL) != WRIT_ENOENT)
			fail_msg("row %zu", i);
	stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_known_is_of_one_process_as_one_user),
		cmocka_unit_test(what_is_known_ends_with_the_process),
		cmocka_unit_test(who_is_not_known_to_be_a_process_is_no_caller),
		cmocka_unit_test(a_process_asked_for_by_number_has_its_own_groups),
		cmocka_unit_test(a_number_of_no_process_is_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
