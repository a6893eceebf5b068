/* SPDX-License-Identifier: Apache-2.0 */
/* What a process may do and which namespaces it is in, from real children; and that nothing is
 * asked that nobody wants. */
#include "attest/attestor.h"
#include "attest/proc_text.h"

#include "attest_child.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

static struct writ_ns_self self;

struct fixture {
	struct child c;
	struct writ_pin pin;
	struct writ_snapshot s;
	struct writ_attest_ctx ctx;
	char selectors[8192], notes[8192];
};

static uint64_t host_net; /* what the agent knows of it */

static void again(struct fixture *f)
{
	static const struct writ_attestor_vt *const list[] = { &writ_attestor_process, NULL };
	struct writ_err err;
	WRIT_AUTO(writ_answer_done) struct writ_answer a;
	if (writ_attest(list, &f->ctx, &f->s, f->pin.dirfd, WRIT_ATTEST_PROCESS, &a, &err) !=
		WRIT_OK)
		fail_msg("%s", err.msg);
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(sizeof(f->selectors) - 1);
	writ_selectors_print(&a.selectors, &b);
	snprintf(f->selectors, sizeof(f->selectors), "%s,", b.n ? writ_buf_cstr(&b) : "");
	snprintf(f->notes, sizeof(f->notes), "%s", a.notes.n ? writ_buf_cstr(&a.notes) : "");
}

static void look(struct fixture *f, child_fn run, void *arg)
{
	struct writ_err err;
	f->c = child_start(run, arg);
	const struct writ_pin_facts facts = {
		.pid = f->c.pid, .uid = geteuid(), .gid = getegid(), .pidfd = -1
	};
	if (writ_pin_open(&facts, NULL, &f->pin, &err) != WRIT_OK ||
		writ_snapshot_take(&f->pin, &self, &f->s, &err) != WRIT_OK)
		fail_msg("%s", err.msg);
	f->ctx = (struct writ_attest_ctx){ .host_net = host_net };
	again(f);
}

static void close_fixture(struct fixture *f)
{
	writ_snapshot_done(&f->s);
	writ_pin_close(&f->pin);
	child_end(&f->c);
}

static void expect(const struct fixture *f, const char *selector, bool there)
{
	char text[128];
	snprintf(text, sizeof(text), "%s,", selector);
	if ((strstr(f->selectors, text) != NULL) != there)
		fail_msg("%s %s in: %s (%s)", selector, there ? "is not" : "is", f->selectors,
			f->notes);
}

/* Keeps the sets as they are given; returns whether that worked. */
static bool set_caps(uint64_t effective, uint64_t permitted)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = {
		{ .effective = (uint32_t)effective, .permitted = (uint32_t)permitted },
		{ .effective = (uint32_t)(effective >> 32),
			.permitted = (uint32_t)(permitted >> 32) },
	};
	return syscall(SYS_capset, &h, d) == 0;
}

struct sets {
	uint64_t effective, permitted;
};

static void with_caps(int go, int ready, void *arg)
{
	const struct sets *s = arg;
	if (!set_caps(s->effective, s->permitted))
		_exit(9);
	child_ready(ready);
	child_wait(go);
}

static void no_capability_is_said_only_when_none_can_be_raised(void **state)
{
	(void)state;
	struct sets rows[] = { { 0, 0 }, { 0, 1u << CAP_NET_ADMIN },
		{ 1u << CAP_NET_ADMIN, 1u << CAP_NET_ADMIN | 1u << CAP_KILL } };
	size_t n = geteuid() == 0 ? WRIT_COUNT(rows) : 1;
	for (size_t i = 0; i < n; i++) {
		struct fixture f;
		look(&f, with_caps, &rows[i]);
		expect(&f, "caps:none", i == 0);
		expect(&f, "caps:has:cap_net_admin", i == 2);
		expect(&f, "caps:has:cap_kill", false);
		close_fixture(&f);
	}
}

static void with_filter(int go, int ready, void *arg)
{
	static struct sock_filter allow[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog prog = { .len = 1, .filter = allow };
	(void)arg;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0)
		_exit(9);
	child_ready(ready);
	child_wait(go);
}

static void seccomp_and_no_new_privs_are_told(void **state)
{
	(void)state;
	struct fixture f;
	bool mine = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
	look(&f, child_idle, NULL);
	expect(&f, mine ? "nnp:1" : "nnp:0", true);
	close_fixture(&f);
	look(&f, with_filter, NULL);
	expect(&f, "nnp:1", true);
	expect(&f, "nnp:0", false);
	expect(&f, "seccomp:2", true);
	expect(&f, "seccomp:0", false);
	close_fixture(&f);
}

static void unshare_in(int go, int ready, void *arg)
{
	if (unshare(*(int *)arg) != 0)
		*(int *)arg = 0;
	child_ready(ready);
	child_wait(go);
}

static void namespaces_are_the_hosts_or_others(void **state)
{
	static const struct {
		int flag;
		const char *name;
	} rows[] = { { CLONE_NEWNS, "mnt" }, { CLONE_NEWNET, "net" }, { CLONE_NEWCGROUP, "cgroup" },
		{ CLONE_NEWUSER, "user" } };
	(void)state;
	uint64_t known = host_net;
	int proc = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Where the machine's cannot be read, what counts as it is the test's own. */
	if (geteuid() != 0 || (!host_net && writ_ns_read(proc, "ns/net", &host_net) != 0))
		skip();
	close(proc);
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct fixture f;
		int flag = rows[i].flag;
		char text[32];
		look(&f, unshare_in, &flag);
		snprintf(text, sizeof(text), "ns:%s:other", rows[i].name);
		expect(&f, text, true);
		snprintf(text, sizeof(text), "ns:%s:host", rows[i].name);
		expect(&f, text, false);
		expect(&f, "ns:pid:host", true);
		for (size_t k = 0; k < WRIT_COUNT(rows); k++) {
			snprintf(text, sizeof(text), "ns:%s:host", rows[k].name);
			if (rows[i].flag != CLONE_NEWUSER)
				expect(&f, text, k != i);
		}
		close_fixture(&f);
	}
	host_net = known;
}

static void a_namespace_that_cannot_be_read_is_not_named(void **state)
{
	(void)state;
	struct fixture f;
	struct sets none = { 0, 0 };
	look(&f, with_caps, &none);
	f.s.withheld[WRIT_PART_NS + WRIT_NS_USER] = EACCES;
	again(&f);
	assert_null(strstr(f.selectors, "ns:user"));
	assert_null(strstr(f.selectors, "caps:"));
	assert_non_null(strstr(f.notes, "ns:user withheld"));
	close_fixture(&f);
}

/* An agent without capabilities knows the caller's, and not the machine's: nothing is said. */
static void without_the_machines_network_to_compare_with_none_is_named(void **state)
{
	(void)state;
	struct fixture f;
	uint64_t known = host_net;
	struct sets none = { 0, 0 };
	host_net = 0;
	look(&f, with_caps, &none);
	host_net = known;
	assert_null(strstr(f.selectors, "ns:net"));
	assert_non_null(strstr(f.notes, "ns:net withheld: the agent may not read"));
	close_fixture(&f);
}

/* In a user namespace of one's own one has all capabilities, over nothing. */
static void capabilities_of_another_user_namespace_are_withheld(void **state)
{
	(void)state;
	struct fixture f;
	int flag = CLONE_NEWUSER;
	look(&f, unshare_in, &flag);
	if (!f.s.withheld[WRIT_PART_NS + WRIT_NS_USER] && !f.s.ns_ours[WRIT_NS_USER]) {
		assert_null(strstr(f.selectors, "caps:"));
		assert_non_null(strstr(f.notes, "caps withheld"));
		assert_non_null(strstr(f.selectors, "nnp:"));
		close_fixture(&f);
		return;
	}
	close_fixture(&f);
	skip();
}

static void an_attestor_that_nobody_wants_is_not_asked(void **state)
{
	(void)state;
	struct fixture f;
	struct writ_answer a;
	look(&f, child_idle, NULL);
	static const struct writ_attestor_vt *const list[] = { &writ_attestor_process, NULL };
	assert_int_equal(writ_attest(list, &f.ctx, &f.s, f.pin.dirfd, WRIT_ATTEST_SHA256, &a, NULL),
		WRIT_OK);
	assert_int_equal(a.selectors.n, 0);
	assert_int_equal(a.nnotes, 0);
	writ_answer_done(&a);
	close_fixture(&f);
}

static void entries_are_counted_by_what_they_ask_for(void **state)
{
	static const struct {
		const char *selector;
		unsigned flags;
	} rows[] = {
		{ "unix:uid:1", 0 },
		{ "unix:sha256:ab", WRIT_ATTEST_SHA256 },
		{ "caps:none", WRIT_ATTEST_PROCESS },
		{ "seccomp:2", WRIT_ATTEST_PROCESS },
		{ "nnp:1", WRIT_ATTEST_PROCESS },
		{ "ns:net:host", WRIT_ATTEST_PROCESS },
		{ "script:path:/a", WRIT_ATTEST_SCRIPT },
		{ "script:sha256:ab", WRIT_ATTEST_SCRIPT | WRIT_ATTEST_SCRIPT_SHA256 },
		{ "proc:main:true", WRIT_ATTEST_LINEAGE },
		{ "process:x", 0 },
		{ "unix:path:/caps:none", 0 },
	};
	struct writ_wants all = { { 0 } };
	(void)state;
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
			struct writ_wants one = { { 0 } };
			struct writ_selectors s;
			writ_selectors_init(&s);
			assert_int_equal(
				writ_selectors_add_text(&s, writ_cstr(rows[i].selector), NULL),
				WRIT_OK);
			writ_selectors_seal(&s);
			writ_wants_count(&one, &s, 1);
			assert_int_equal(writ_wants_flags(&one), rows[i].flags);
			writ_wants_count(&all, &s, round ? -1 : 1);
			writ_selectors_done(&s);
		}
		assert_int_equal(writ_wants_flags(&all),
			round ? 0
			      : WRIT_ATTEST_SHA256 | WRIT_ATTEST_PROCESS | WRIT_ATTEST_SCRIPT |
					WRIT_ATTEST_SCRIPT_SHA256 | WRIT_ATTEST_LINEAGE);
	}
}

static void rights_are_read_strictly(void **state)
{
	static const char good[] = "Name:\tCapEff:\\n\nCapPrm:\t00000000a80425fb\n"
				   "CapEff:\t0000000000000001\nNoNewPrivs:\t1\nSeccomp:\t2\n";
	static const char *const bad[] = { "", "CapPrm:\t0\nCapEff:\t0\n",
		"CapPrm:\t0\nCapEff:\t\nNoNewPrivs:\t0\n",
		"CapPrm:\t0\nCapEff:\tx\nNoNewPrivs:\t0\n",
		"CapPrm:\t0\nCapEff:\t/\nNoNewPrivs:\t0\n",
		"CapPrm:\t0\nCapEff:\tA\nNoNewPrivs:\t0\n",
		"CapPrm:\t0\nCapEff:\tg\nNoNewPrivs:\t0\n",
		"CapPrm:\t0\nCapEff:\t00000000000000000\nNoNewPrivs:\t0\n",
		"CapPrm:\t0\nCapEff:\t0\nNoNewPrivs:\t2\n",
		"CapPrm:\t0\nCapEff:\t0\nCapEff:\t1\nNoNewPrivs:\t0\n",
		"CapPrm:\t0\nCapEff:\t0\nNoNewPrivs:\t0\nSeccomp:\t3\n",
		"CapPrm:\t0\nCapEff:\t0\nNoNewPrivs:\t0 0\n" };
	struct writ_proc_rights r;
	(void)state;
	assert_int_equal(writ_proc_rights_parse(writ_cstr(good), &r, NULL), WRIT_OK);
	assert_int_equal(r.cap_permitted, 0xa80425fb);
	assert_int_equal(r.cap_effective, 1);
	assert_true(r.no_new_privs && r.has_seccomp && r.seccomp == 2);
	assert_int_equal(writ_proc_rights_parse(
				 WRIT_STR("CapPrm:\t0\nCapEff:\t0\nNoNewPrivs:\t0"), &r, NULL),
		WRIT_OK);
	assert_false(r.has_seccomp);
	for (size_t i = 0; i < WRIT_COUNT(bad); i++)
		if (writ_proc_rights_parse(writ_cstr(bad[i]), &r, NULL) != WRIT_EPROTO)
			fail_msg("accepted %zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_capability_is_said_only_when_none_can_be_raised),
		cmocka_unit_test(seccomp_and_no_new_privs_are_told),
		cmocka_unit_test(namespaces_are_the_hosts_or_others),
		cmocka_unit_test(a_namespace_that_cannot_be_read_is_not_named),
		cmocka_unit_test(without_the_machines_network_to_compare_with_none_is_named),
		cmocka_unit_test(capabilities_of_another_user_namespace_are_withheld),
		cmocka_unit_test(an_attestor_that_nobody_wants_is_not_asked),
		cmocka_unit_test(entries_are_counted_by_what_they_ask_for),
		cmocka_unit_test(rights_are_read_strictly),
	};
	writ_ns_self_read(&self);
	host_net = writ_ns_host_net();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
