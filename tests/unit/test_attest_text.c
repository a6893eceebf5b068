/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts: stat, status, selectors, wire; and the start-up check over a folder made up. */
#include "attest/pin.h"
#include "attest/proc_text.h"
#include "attest/selectors.h"
#include "attest/startup.h"
#include "attest/wire.h"

#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define AFTER " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18"

static void stat_is_read_whatever_the_name(void **state)
{
	static const char *const names[] = { "a", "", "a b", ")", "(x) Z 1", "a\nb", ") S 7 1 2 3",
		"\xff\xfe" };
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(names); i++) {
		char text[256];
		snprintf(text, sizeof(text),
			"42 (%s) R 7 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 "
			"4711 9 9\n",
			names[i]);
		struct writ_proc_stat s;
		assert_int_equal(writ_proc_stat_parse(writ_cstr(text), &s, NULL), WRIT_OK);
		assert_int_equal(s.pid, 42);
		assert_int_equal(s.ppid, 7);
		assert_int_equal(s.state, 'R');
		assert_int_equal(s.start_time, 4711);
	}
}

static void a_broken_stat_is_refused(void **state)
{
	static const char *const bad[] = { "", "42", "42 (a", "42 (a)", "42 (a) R", "(a) R 7" AFTER,
		"0 (a) R 7" AFTER, "42 a) R 7" AFTER, "42 (a) 5 7" AFTER, "42 (a) R x" AFTER,
		"42 (a)xR 7" AFTER, "42 (a) Rx7" AFTER, "42 (a) { 7" AFTER, "42 (a) [ 7" AFTER,
		"42 (a) ` 7" AFTER, "42 (a) @ 7" AFTER,
		"42 (a) R 7 1  3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19\n",
		"42 (a) R 7 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
		"42 (a) R 7 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 99999999999999999999\n",
		"42 (a) R 7 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 -1\n" };
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(bad); i++) {
		struct writ_proc_stat s;
		if (writ_proc_stat_parse(writ_cstr(bad[i]), &s, NULL) != WRIT_EPROTO)
			fail_msg("accepted '%s'", bad[i]);
	}
}

static void status_gives_ids(void **state)
{
	(void)state;
	struct writ_proc_status s;
	struct writ_str good = WRIT_STR("Name:\tUid:\\n\nTracerPid:\t9\nUid:\t1\t2\t3\t4\n"
					"Gid:\t5\t6\t7\t4294967295\nNoNewPrivs:\t1\n");
	assert_int_equal(writ_proc_status_parse(good, &s, NULL), WRIT_OK);
	assert_int_equal(s.uid[1], 2);
	assert_int_equal(s.gid[3], UINT32_MAX);
	static const char *const bad[] = { "", "Uid:\t1\t2\t3\t4\n", "Gid:\t1\t2\t3\t4\n",
		"Uid:\t1\t2\t3\nGid:\t1\t2\t3\t4\n", "Uid:\t1\t2\t3\t4\t5\nGid:\t1\t2\t3\t4\n",
		"Uid:\t1\t2\t3\t4\nUid:\t1\t2\t3\t4\nGid:\t1\t2\t3\t4\n",
		"Uid:\t1\t2\t3\t4294967296\nGid:\t1\t2\t3\t4\n" };
	for (size_t i = 0; i < WRIT_COUNT(bad); i++)
		if (writ_proc_status_parse(writ_cstr(bad[i]), &s, NULL) != WRIT_EPROTO)
			fail_msg("accepted '%s'", bad[i]);
}

static void fill(struct writ_selectors *s, const char *list) /* "a:b c:d" */
{
	writ_selectors_init(s);
	struct writ_str rest = writ_cstr(list);
	while (rest.n > 0) {
		struct writ_str one;
		(void)writ_str_cut(&rest, ' ', &one);
		assert_int_equal(writ_selectors_add_text(s, one, NULL), WRIT_OK);
	}
	writ_selectors_seal(s);
}

static void an_entry_matches_when_the_caller_has_all_of_it(void **state)
{
	static const struct {
		const char *entry, *caller;
		bool match;
	} rows[] = {
		{ "unix:uid:1", "unix:gid:1 unix:uid:1", true },
		{ "unix:uid:1 unix:uid:1", "unix:uid:1", true },
		{ "unix:uid:1 unix:gid:1", "unix:uid:1 unix:gid:1 a:b z:z", true },
		{ "unix:uid:1", "unix:uid:10", false },
		{ "unix:uid:10", "unix:uid:1", false },
		{ "unix:uid:1 unix:uid:2", "unix:uid:1", false },
		{ "z:z", "a:b", false },
		{ "a:b", "", false },
		{ "", "a:b", false },
		{ "", "", false },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		WRIT_AUTO(writ_selectors_done) struct writ_selectors e;
		WRIT_AUTO(writ_selectors_done) struct writ_selectors c;
		fill(&e, rows[i].entry);
		fill(&c, rows[i].caller);
		if (writ_selectors_match(&e, &c) != rows[i].match)
			fail_msg("'%s' against '%s'", rows[i].entry, rows[i].caller);
	}
}

static void selectors_are_sorted_and_single(void **state)
{
	(void)state;
	WRIT_AUTO(writ_selectors_done) struct writ_selectors a;
	WRIT_AUTO(writ_selectors_done) struct writ_selectors b;
	fill(&a, "b:2 a:1 b:2 a:1:x");
	fill(&b, "a:1:x b:2 a:1");
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(256);
	writ_selectors_print(&a, &text);
	assert_string_equal(writ_buf_cstr(&text), "a:1, a:1:x, b:2");
	assert_true(writ_selectors_eq(&a, &b));
	assert_int_equal(writ_selectors_hash(&a), writ_selectors_hash(&b));
	struct writ_selector s = writ_selectors_at(&a, 1);
	assert_true(writ_str_eq(s.type, WRIT_STR("a")) && writ_str_eq(s.value, WRIT_STR("1:x")));
}

static void a_bad_selector_is_refused(void **state)
{
	static const char *const bad[] = { "", "unix", ":uid", "unix:", "a\n:b", "a:b\x7f",
		"a:\xff" };
	(void)state;
	WRIT_AUTO(writ_selectors_done) struct writ_selectors s;
	writ_selectors_init(&s);
	for (size_t i = 0; i < WRIT_COUNT(bad); i++)
		if (writ_selectors_add_text(&s, writ_cstr(bad[i]), NULL) != WRIT_EINVAL)
			fail_msg("accepted '%s'", bad[i]);
	assert_int_equal(writ_selectors_add(&s, WRIT_STR("a:b"), WRIT_STR("c"), NULL), WRIT_EINVAL);
	char many[32];
	for (int i = 0; i < WRIT_SELECTORS_MAX; i++) {
		snprintf(many, sizeof(many), "n:%d", i);
		assert_int_equal(writ_selectors_add_text(&s, writ_cstr(many), NULL), WRIT_OK);
	}
	assert_int_equal(writ_selectors_add_text(&s, WRIT_STR("one:more"), NULL), WRIT_ELIMIT);
}

static void a_selector_has_a_size(void **state)
{
	static char text[WRIT_SELECTOR_VALUE_MAX + 1];
	struct writ_selectors s;
	(void)state;
	memset(text, 'x', sizeof(text));
	writ_selectors_init(&s);
	const struct writ_str a = WRIT_STR("a");
	struct writ_str type = writ_strn(text, WRIT_SELECTOR_TYPE_MAX);
	struct writ_str value = writ_strn(text, WRIT_SELECTOR_VALUE_MAX);
	assert_int_equal(writ_selectors_add(&s, type, a, NULL), WRIT_OK);
	assert_int_equal(writ_selectors_add(&s, a, value, NULL), WRIT_OK);
	type.n++;
	value.n++;
	assert_int_equal(writ_selectors_add(&s, type, a, NULL), WRIT_EINVAL);
	assert_int_equal(writ_selectors_add(&s, a, value, NULL), WRIT_EINVAL);
	assert_int_equal(writ_selectors_add(&s, WRIT_STR("\xff"), a, NULL), WRIT_EINVAL);
	value.n--;
	writ_rc rc = WRIT_OK;
	for (size_t n = 0; rc == WRIT_OK && n < WRIT_SELECTORS_MAX; n++)
		rc = writ_selectors_add(&s, a, value, NULL);
	assert_int_equal(rc, WRIT_ELIMIT);
	assert_true(s.n < WRIT_SELECTORS_MAX && s.bytes.n <= WRIT_SELECTORS_BYTES);
	writ_selectors_seal(&s); /* what is in it is whole */
	assert_int_equal(s.n, 2);
	writ_selectors_done(&s);
}

static void sets_are_equal_when_each_has_all_of_the_other(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} rows[] = { { "", "", true }, { "a:1", "a:1", true }, { "b:1 a:1", "a:1 b:1", true },
		{ "", "a:1", false }, { "a:1", "b:1", false }, { "a:1", "a:1 b:1", false },
		{ "a:1 b:1", "a:1 c:1", false } };
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_selectors a, b;
		fill(&a, rows[i].a);
		fill(&b, rows[i].b);
		assert_int_equal(writ_selectors_eq(&a, &b), rows[i].equal);
		assert_int_equal(writ_selectors_eq(&b, &a), rows[i].equal);
		assert_int_equal(writ_selectors_hash(&a) == writ_selectors_hash(&b), rows[i].equal);
		writ_selectors_done(&a);
		writ_selectors_done(&b);
	}
}

static void a_request_survives_the_wire(void **state)
{
	(void)state;
	uint32_t groups[] = { 4, 27, UINT32_MAX };
	struct writ_snapshot s = { .pid = 42,
		.uid = 1000,
		.gid = 100,
		.state = 'S',
		.groups_cut = 1,
		.exe = { .dev = 1, .ino = 2, .nlink = 3, .ctime_ns = UINT64_MAX },
		.ns = { 1, 2, 3, 4 },
		.ns_ours = { 1, 0, 1, 0 },
		.withheld = { [WRIT_PART_AUXV] = EACCES },
		.exe_path = WRIT_STR("/bin/a"),
		.cgroup = WRIT_STR("0::/\n"),
		.groups = groups,
		.ngroups = 3 };
	WRIT_AUTO(writ_buf_done) struct writ_buf once = WRIT_BUF(WRIT_WIRE_REQUEST_MAX);
	WRIT_AUTO(writ_buf_done) struct writ_buf twice = WRIT_BUF(WRIT_WIRE_REQUEST_MAX);
	writ_request_encode(&s, &once);
	WRIT_AUTO(writ_snapshot_done) struct writ_snapshot back = { .bytes = NULL };
	assert_int_equal(writ_request_decode(writ_buf_str(&once), &back, NULL), WRIT_OK);
	writ_request_encode(&back, &twice);
	assert_true(writ_str_eq(writ_buf_str(&once), writ_buf_str(&twice)));
	assert_true(writ_str_eq(back.exe_path, s.exe_path) && writ_str_eq(back.cgroup, s.cgroup));
	assert_int_equal(back.groups[2], UINT32_MAX);
	assert_int_equal(back.withheld[WRIT_PART_AUXV], EACCES);
	for (size_t n = 0; n < once.n; n++) {
		struct writ_snapshot cut;
		assert_int_equal(
			writ_request_decode(writ_strn(once.p, n), &cut, NULL), WRIT_EPROTO);
	}
	writ_buf_add_byte(&once, 0);
	assert_int_equal(writ_request_decode(writ_buf_str(&once), &back, NULL), WRIT_EPROTO);
}

static void an_answer_survives_the_wire(void **state)
{
	(void)state;
	WRIT_AUTO(writ_answer_done) struct writ_answer a;
	writ_answer_init(&a);
	fill(&a.selectors, "unix:uid:1 a:b");
	writ_answer_note(&a, "withheld: %s", "one\ntwo");
	for (int i = 0; i < 2 * WRIT_WIRE_NOTES_MAX; i++)
		writ_answer_note(&a, "%d", i);
	WRIT_AUTO(writ_buf_done) struct writ_buf once = WRIT_BUF(WRIT_WIRE_ANSWER_MAX);
	writ_answer_encode(&a, &once);
	WRIT_AUTO(writ_answer_done) struct writ_answer back;
	assert_int_equal(writ_answer_decode(writ_buf_str(&once), &back, NULL), WRIT_OK);
	assert_true(writ_selectors_eq(&a.selectors, &back.selectors));
	assert_true(writ_str_starts(writ_buf_str(&back.notes), WRIT_STR("withheld: one two\n0\n")));
	assert_int_equal(back.nnotes, WRIT_WIRE_NOTES_MAX);
	struct writ_answer bad;
	for (size_t n = 0; n < once.n; n++)
		assert_int_equal(writ_answer_decode(writ_strn(once.p, n), &bad, NULL), WRIT_EPROTO);
	static const char unsorted[] = "WAA1\2\0\3\0b:1\3\0a:1\0";
	assert_int_equal(
		writ_answer_decode(writ_strn(unsorted, sizeof(unsorted)), &bad, NULL), WRIT_EPROTO);
}

static void put_link(const char *root, const char *name, const char *target)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(symlink(target, path), 0);
}

static void put_dir(const char *root, const char *name)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void the_agent_does_not_start_in_a_foreign_namespace(void **state)
{
	static const struct {
		const char *self, *ns, *is; /* is NULL: there is none of this kind */
		bool allow;
		const char *says; /* NULL: starts */
	} rows[] = {
		{ "PID", "cgroup", "cgroup:[4026531835]", false, NULL },
		{ "PID", "pid", "pid:[4026531836]", false, NULL },
		{ "PID", "user", "user:[4026531837]", false, NULL },
		{ "PID", "cgroup", NULL, false, NULL },
		{ "PID", "cgroup", "cgroup:[4026532177]", true, NULL },
		{ "PID", "cgroup", "cgroup:[4026532177]", false, "--cgroupns=host" },
		{ "PID", "pid", "pid:[4026532177]", false, "--pid=host" },
		{ "PID", "user", "user:[4026531836]", false, "--userns=host" },
		{ "1", "cgroup", "cgroup:[4026531835]", true, "another PID namespace" },
		{ NULL, "cgroup", "cgroup:[4026531835]", true, "mount proc" },
	};
	(void)state;
	char me[32];
	snprintf(me, sizeof(me), "%d", (int)getpid());
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		char root[] = "/tmp/writ-test-XXXXXX";
		assert_non_null(mkdtemp(root));
		const char *self =
			rows[i].self && strcmp(rows[i].self, "PID") == 0 ? me : rows[i].self;
		if (self)
			put_link(root, "self", self);
		char name[64];
		put_dir(root, me);
		snprintf(name, sizeof(name), "%s/ns", me);
		put_dir(root, name);
		snprintf(name, sizeof(name), "%s/ns/%s", me, rows[i].ns);
		if (rows[i].is)
			put_link(root, name, rows[i].is);
		struct writ_startup_rules rules = { .allow_foreign_namespaces = rows[i].allow,
			.proc = root };
		struct writ_err err = { .rc = WRIT_OK };
		writ_rc rc = writ_startup_check(&rules, &err);
		if (rc != (rows[i].says ? WRIT_EPRECOND : WRIT_OK))
			fail_msg("row %zu: %s %s", i, writ_rc_name(rc), err.msg);
		if (rows[i].says && !strstr(err.msg, rows[i].says))
			fail_msg("row %zu: '%s'", i, err.msg);
		assert_int_equal(writ_fs_remove_tree(root, NULL), WRIT_OK);
	}
	struct writ_startup_rules lenient = { .allow_foreign_namespaces = true };
	assert_int_equal(writ_startup_check(&lenient, NULL), WRIT_OK);
}

static void few_process_ids_matter_where_callers_are_pinned_by_them(void **state)
{
	static const struct {
		const char *pid_max; /* NULL: cannot be read */
		bool has_peer_pidfd;
		uint64_t want;
	} rows[] = { { "32768\n", false, 32768 }, { "32768\n", true, 0 }, { "4194304\n", false, 0 },
		{ "4194303\n", false, 4194303 }, { "many\n", false, 0 }, { NULL, false, 0 } };
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		char root[] = "/tmp/writ-test-XXXXXX";
		assert_non_null(mkdtemp(root));
		put_dir(root, "sys");
		put_dir(root, "sys/kernel");
		WRIT_AUTO(writ_freep) char *path = writ_fs_join(root, "sys/kernel/pid_max");
		if (rows[i].pid_max)
			assert_int_equal(writ_fs_write(path, rows[i].pid_max,
						 strlen(rows[i].pid_max), 0600, NULL),
				WRIT_OK);
		assert_int_equal(writ_startup_few_pids(root, rows[i].has_peer_pidfd), rows[i].want);
		assert_int_equal(writ_fs_remove_tree(root, NULL), WRIT_OK);
	}
	int pair[2], fd = -1;
	socklen_t n = sizeof(fd);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	bool has = getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD, &fd, &n) == 0;
	assert_int_equal(writ_startup_has_peer_pidfd(), has);
	(void)close(fd);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stat_is_read_whatever_the_name),
		cmocka_unit_test(a_broken_stat_is_refused),
		cmocka_unit_test(status_gives_ids),
		cmocka_unit_test(an_entry_matches_when_the_caller_has_all_of_it),
		cmocka_unit_test(selectors_are_sorted_and_single),
		cmocka_unit_test(a_bad_selector_is_refused),
		cmocka_unit_test(a_selector_has_a_size),
		cmocka_unit_test(sets_are_equal_when_each_has_all_of_the_other),
		cmocka_unit_test(a_request_survives_the_wire),
		cmocka_unit_test(an_answer_survives_the_wire),
		cmocka_unit_test(the_agent_does_not_start_in_a_foreign_namespace),
		cmocka_unit_test(few_process_ids_matter_where_callers_are_pinned_by_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
