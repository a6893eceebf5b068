/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of ancestors: which are named, and that they are asked for again. */
#include "attest/attestor.h"

#include "attest_child.h"
#include "base/mem.h"
#include "lineage_kit.h"

#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

struct parent {
	bool apart; /* in a mount namespace of its own */
	pid_t *pid; /* of its child; shared memory */
};

/* Has a child, and runs another program then. */
static void be_parent(int go, int ready, void *arg)
{
	const struct parent *p = arg;
	pid_t child = fork();
	if (child == 0) {
		close(go);
		close(ready); /* whose end says that the parent runs the other program */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	*p->pid = child;
	if (p->apart && unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
		*p->pid = 0;
	child_exec(go, ready, (char *)(uintptr_t) "/usr/bin/sleep");
}

/* There a path can name another file. */
static void an_ancestor_in_another_mount_namespace_is_not_named(void **state)
{
	(void)state;
	const struct writ_attest_ctx ctx = { .self = &lineage_self };
	pid_t *pid =
		mmap(NULL, sizeof(*pid), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int apart = 0; apart < 2; apart++) {
		struct parent p = { .apart = apart != 0, .pid = pid };
		struct child c = child_start(be_parent, &p);
		struct seen v;
		pid_t grandchild = *pid;
		child_go(&c);
		child_await_end_of_file(&c);
		if (grandchild == 0) {
			child_end(&c);
			skip();
		}
		lineage_look(&v, &ctx, grandchild);
		assert_int_equal(lineage_has(&v, "proc:ancestor-path:/usr/bin/sleep"), !apart);
		/* of those above it nothing is known: the test may run in a container */
		char note[128];
		(void)snprintf(note, sizeof(note),
			"proc:ancestor-path of process %d withheld: it is in another", (int)c.pid);
		assert_int_equal(strstr(v.notes, note) != NULL, apart);
		lineage_forget(&v);
		child_end(&c);
		assert_int_equal(waitpid(grandchild, NULL, 0), grandchild);
	}
	munmap(pid, sizeof(*pid));
}

#define DEEP 40

static void be_deep(int go, int ready, void *arg)
{
	pid_t *last = arg;
	int i = 0;
	(void)go;
	while (++i < DEEP && fork() == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (i == DEEP) {
		*last = getpid();
		child_ready(ready);
	}
	for (;;)
		pause();
}

static void only_so_many_ancestors_are_looked_at(void **state)
{
	(void)state;
	const struct writ_attest_ctx ctx = { .self = &lineage_self };
	pid_t *pid =
		mmap(NULL, sizeof(*pid), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct child c = child_start(be_deep, pid);
	struct seen v;
	lineage_look(&v, &ctx, *pid);
	assert_non_null(strstr(v.notes, "only the first 32 ancestors"));
	assert_non_null(strstr(v.selectors, "proc:ancestor-path:"));
	lineage_forget(&v);
	child_end(&c);
	munmap(pid, sizeof(*pid));
}

static void add(struct writ_selectors *s, const char *text)
{
	assert_int_equal(writ_selectors_add_text(s, writ_cstr(text), NULL), WRIT_OK);
}

/* Nothing of what was seen may be missing now; what others vouch for is not asked here. */
static void each_selector_of_before_has_to_hold_again(void **state)
{
	(void)state;
	static const struct writ_attestor_vt *const both[] = { &writ_attestor_unix,
		&writ_attestor_lineage, NULL };
	const struct writ_attest_ctx ctx = { .self = &lineage_self };
	struct child c = child_start(child_idle, NULL);
	struct writ_selectors before;
	struct writ_err err;
	struct seen v;
	lineage_look(&v, &ctx, c.pid);
	assert_true(v.a.selectors.n > 0);
	for (int other = 0; other < 2; other++) {
		writ_selectors_init(&before);
		for (size_t i = 0; i < v.a.selectors.n; i++) {
			struct writ_selector s = writ_selectors_at(&v.a.selectors, i);
			assert_int_equal(
				writ_selectors_add(&before, s.type, s.value, NULL), WRIT_OK);
		}
		add(&before, "aaa:before:all");
		add(&before, "unix:uid:4242");
		add(&before, other ? "proc:ancestor-path:/usr/bin/other" : "zzz:after:all");
		writ_selectors_seal(&before);
		writ_rc rc = writ_attest_again(both, &ctx, &v.s, v.pin.dirfd, &before, &err);
		assert_int_equal(rc, other ? WRIT_EUNAUTH : WRIT_OK);
		if (other)
			assert_non_null(strstr(err.msg, "proc:ancestor-path:/usr/bin/other"));
		writ_selectors_done(&before);
	}
	lineage_forget(&v);
	child_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ancestor_in_another_mount_namespace_is_not_named),
		cmocka_unit_test(only_so_many_ancestors_are_looked_at),
		cmocka_unit_test(each_selector_of_before_has_to_hold_again),
	};
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
		return 1;
	writ_ns_self_read(&lineage_self);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
