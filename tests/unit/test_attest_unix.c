/* SPDX-License-Identifier: Apache-2.0 */
/* From real processes to selectors. What needs root is skipped without. */
#include "attest/attestor.h"
#include "attest/cgroup_fs.h"

#include "attest_child.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define SLEEP "/usr/bin/sleep"

static struct writ_ns_self self;
static int hashed;

/* Stands for SHA-256: the tests are about when a hash is made, not how. */
static writ_rc count_and_hash(
	int fd, uint64_t max, uint8_t out[WRIT_EXE_HASH_LEN], struct writ_err *err)
{
	struct stat st;
	if (fstat(fd, &st) != 0 || (uint64_t)st.st_size > max)
		return writ_fail(err, WRIT_ELIMIT, "too large");
	hashed++;
	memset(out, 0xab, WRIT_EXE_HASH_LEN);
	return WRIT_OK;
}

#define AB8  "abababababababab"
#define AB32 AB8 AB8 AB8 AB8

struct fixture {
	struct child c;
	struct writ_pin pin;
	struct writ_snapshot s;
	struct writ_attest_ctx ctx;
};

static void open_fixture(struct fixture *f, struct child c, const gid_t *groups, size_t ngroups)
{
	struct writ_err err;
	struct writ_pin_facts facts = { .pid = c.pid,
		.uid = geteuid(),
		.gid = getegid(),
		.groups = groups,
		.ngroups = ngroups,
		.pidfd = -1 };
	f->c = c;
	if (writ_pin_open(&facts, NULL, &f->pin, &err) != WRIT_OK ||
		writ_snapshot_take(&f->pin, &self, &f->s, &err) != WRIT_OK)
		fail_msg("%s", err.msg);
	f->ctx = (struct writ_attest_ctx){
		.names = writ_names_new(),
		.hashes = writ_exe_hashes_new(),
		.sha256_file = count_and_hash,
		.discover_workload_path = true,
	};
	hashed = 0;
}

static void close_fixture(struct fixture *f)
{
	writ_snapshot_done(&f->s);
	writ_pin_close(&f->pin);
	writ_names_free(f->ctx.names);
	writ_exe_hashes_free(f->ctx.hashes);
	child_end(&f->c);
}

static const struct writ_attestor_vt *const only_unix[] = { &writ_attestor_unix,
	&writ_attestor_unix_names, NULL };

/* "unix:gid:0, unix:uid:0"; a static text. */
static const char *selectors(struct fixture *f, unsigned flags, const char **notes)
{
	static char text[65536];
	static char note_text[8192];
	struct writ_err err;
	WRIT_AUTO(writ_answer_done) struct writ_answer a;
	writ_answer_init(&a);
	if (writ_attest(only_unix, &f->ctx, &f->s, f->pin.dirfd, flags, &a, &err) != WRIT_OK)
		fail_msg("%s", err.msg);
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(sizeof(text) - 1);
	writ_selectors_print(&a.selectors, &b);
	snprintf(text, sizeof(text), "%s", b.n ? writ_buf_cstr(&b) : "");
	snprintf(note_text, sizeof(note_text), "%s", a.notes.n ? writ_buf_cstr(&a.notes) : "");
	if (notes)
		*notes = note_text;
	return text;
}

static struct child sleeping(const char *path)
{
	static char copy[256];
	snprintf(copy, sizeof(copy), "%s", path);
	struct child c = child_start(child_exec, copy);
	child_go(&c);
	child_await_end_of_file(&c);
	return c;
}

static void the_selectors_are_spelled_as_in_spire(void **state)
{
	(void)state;
	struct fixture f;
	gid_t groups[] = { 0, 4000000001u };
	open_fixture(&f, sleeping(SLEEP), groups, 2);
	char want[1024];
	const struct passwd *pw = getpwuid(geteuid());
	const struct group *gr = getgrgid(getegid());
	if (!pw || !gr)
		skip();
	snprintf(want, sizeof(want),
		"unix:gid:%u, unix:group:%s, unix:path:" SLEEP ", unix:sha256:" AB32
		", unix:supplementary_gid:0, unix:supplementary_gid:4000000001, "
		"unix:supplementary_group:root, unix:uid:%u, unix:user:%s",
		(unsigned)getegid(), gr->gr_name, (unsigned)geteuid(), pw->pw_name);
	const char *notes;
	assert_string_equal(
		selectors(&f, WRIT_ATTEST_MAY_BLOCK | WRIT_ATTEST_SHA256, &notes), want);
	assert_non_null(strstr(notes, "group 4000000001 has no name"));
	close_fixture(&f);
}

static void path_and_hash_come_only_when_asked_for(void **state)
{
	(void)state;
	struct fixture f;
	open_fixture(&f, sleeping(SLEEP), NULL, 0);
	assert_null(strstr(selectors(&f, WRIT_ATTEST_MAY_BLOCK, NULL), "sha256"));
	f.ctx.discover_workload_path = false;
	assert_null(
		strstr(selectors(&f, WRIT_ATTEST_MAY_BLOCK | WRIT_ATTEST_SHA256, NULL), "path"));
	assert_int_equal(hashed, 0);
	close_fixture(&f);
}

static void what_may_block_is_left_to_a_job_once(void **state)
{
	(void)state;
	struct fixture f;
	open_fixture(&f, sleeping(SLEEP), NULL, 0);
	struct writ_answer a;
	unsigned flags = WRIT_ATTEST_SHA256;
	assert_int_equal(
		writ_attest(only_unix, &f.ctx, &f.s, f.pin.dirfd, flags, &a, NULL), WRIT_EBUSY);
	assert_int_equal(hashed, 0);
	char cold[1024];
	snprintf(cold, sizeof(cold), "%s", selectors(&f, flags | WRIT_ATTEST_MAY_BLOCK, NULL));
	assert_string_equal(selectors(&f, flags, NULL), cold);
	assert_int_equal(hashed, 1);
	/* A minute later the names are asked for again, the hash is not. */
	writ_clock_set_mono_us(writ_mono_us() + (WRIT_NAMES_TTL_MS + 1) * 1000LL);
	assert_int_equal(
		writ_attest(only_unix, &f.ctx, &f.s, f.pin.dirfd, flags, &a, NULL), WRIT_EBUSY);
	assert_string_equal(selectors(&f, flags | WRIT_ATTEST_MAY_BLOCK, NULL), cold);
	assert_int_equal(hashed, 1);
	writ_clock_set_mono_us(-1);
	close_fixture(&f);
}

static void a_program_that_is_too_large_has_no_hash(void **state)
{
	(void)state;
	struct fixture f;
	const char *notes;
	open_fixture(&f, sleeping(SLEEP), NULL, 0);
	f.ctx.workload_size_limit = 100;
	const char *got = selectors(&f, WRIT_ATTEST_MAY_BLOCK | WRIT_ATTEST_SHA256, &notes);
	assert_null(strstr(got, "sha256"));
	assert_non_null(strstr(got, "unix:path:"));
	assert_non_null(strstr(notes, "workload_size_limit"));
	assert_int_equal(hashed, 0);
	close_fixture(&f);
}

static void copy_program(const char *from, int to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	assert_true(in >= 0);
	ssize_t n;
	while ((n = sendfile(to, in, NULL, 1 << 20)) > 0)
		;
	assert_int_equal(n, 0);
	close(in);
}

static void a_file_changed_just_now_is_hashed_each_time(void **state)
{
	(void)state;
	char dir[] = "/tmp/writ-test-XXXXXX";
	assert_non_null(mkdtemp(dir));
	char path[64];
	snprintf(path, sizeof(path), "%s/program", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	copy_program(SLEEP, fd);
	close(fd);
	struct fixture f;
	unsigned flags = WRIT_ATTEST_MAY_BLOCK | WRIT_ATTEST_SHA256;
	open_fixture(&f, sleeping(path), NULL, 0);
	(void)selectors(&f, flags, NULL);
	(void)selectors(&f, flags, NULL);
	assert_int_equal(hashed, 2);
	writ_clock_set_wall_ms(writ_wall_ms() + 10000);
	(void)selectors(&f, flags, NULL);
	(void)selectors(&f, flags, NULL);
	assert_int_equal(hashed, 3);
	writ_clock_set_wall_ms(-1);
	close_fixture(&f);
	assert_int_equal(writ_fs_remove_tree(dir, NULL), WRIT_OK);
}

/* No path for a program whose file is gone, replaced, or never had a name. */
static void a_path_that_is_not_the_program_is_withheld(void **state)
{
	(void)state;
	for (int how = 0; how < 3; how++) {
		char dir[] = "/tmp/writ-test-XXXXXX";
		assert_non_null(mkdtemp(dir));
		char path[64];
		char other[64];
		snprintf(path, sizeof(path), "%s/program", dir);
		snprintf(other, sizeof(other), "%s/other", dir);
		int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
		copy_program(SLEEP, fd);
		close(fd);
		struct child c = sleeping(path);
		if (how ==
			1) { /* a second link keeps nlink at 1, and the path shows another file */
			assert_int_equal(link(path, other), 0);
			assert_int_equal(unlink(path), 0);
			snprintf(other, sizeof(other), "%s/program (deleted)", dir);
			fd = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
			close(fd);
		} else if (how == 2) {
			assert_int_equal(unlink(path), 0);
		}
		struct fixture f;
		const char *notes;
		open_fixture(&f, c, NULL, 0);
		const char *got = selectors(&f, WRIT_ATTEST_MAY_BLOCK | WRIT_ATTEST_SHA256, &notes);
		if ((strstr(got, "unix:path") != NULL) != (how == 0))
			fail_msg("%d: %s (%s)", how, got, notes);
		assert_true((strstr(got, "sha256") != NULL) == (how == 0));
		assert_non_null(strstr(got, "unix:uid:"));
		close_fixture(&f);
		assert_int_equal(writ_fs_remove_tree(dir, NULL), WRIT_OK);
	}
}

static void exec_memfd(int go, int ready, void *arg)
{
	char name[] = "idle";
	char seconds[] = "1000";
	char *argv[] = { name, seconds, NULL };
	char *envp[] = { NULL };
	int fd = *(int *)arg;
	child_ready(ready);
	child_wait(go);
	fexecve(fd, argv, envp);
	_exit(7);
}

static void a_program_in_memory_has_no_path(void **state)
{
	(void)state;
	int fd = memfd_create("/usr/bin/sleep", MFD_CLOEXEC);
	assert_true(fd >= 0);
	copy_program(SLEEP, fd);
	struct child c = child_start(exec_memfd, &fd);
	child_go(&c);
	child_await_end_of_file(&c);
	struct fixture f;
	const char *notes;
	open_fixture(&f, c, NULL, 0);
	const char *got = selectors(&f, WRIT_ATTEST_MAY_BLOCK | WRIT_ATTEST_SHA256, &notes);
	assert_null(strstr(got, "unix:path"));
	assert_null(strstr(got, "sha256"));
	assert_non_null(strstr(notes, "deleted"));
	close_fixture(&f);
	close(fd);
}

static void enter_namespace(int go, int ready, void *arg)
{
	if (unshare(*(int *)arg) != 0)
		*(int *)arg = -1;
	child_ready(ready);
	child_wait(go);
}

static void a_foreign_namespace_hides_the_program(void **state)
{
	(void)state;
	static const struct {
		int flag;
		enum writ_ns ns;
		const char *says;
	} rows[] = { { CLONE_NEWUSER, WRIT_NS_USER, "user namespace" },
		{ CLONE_NEWNS, WRIT_NS_MNT, "mount namespace" } };
	size_t tried = 0;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		int flag = rows[i].flag;
		struct fixture f;
		const char *notes;
		open_fixture(&f, child_start(enter_namespace, &flag), NULL, 0);
		if (!f.s.withheld[WRIT_PART_NS + rows[i].ns] && !f.s.ns_ours[rows[i].ns]) {
			const char *got = selectors(&f, WRIT_ATTEST_MAY_BLOCK, &notes);
			assert_null(strstr(got, "unix:path"));
			assert_non_null(strstr(notes, rows[i].says));
			tried++;
		}
		close_fixture(&f);
	}
	if (tried == 0)
		skip();
}

static void unread_parts_withhold_what_rests_on_them(void **state)
{
	(void)state;
	static const enum writ_snapshot_part parts[] = { WRIT_PART_EXE, WRIT_PART_AUXV,
		WRIT_PART_NS + WRIT_NS_USER, WRIT_PART_NS + WRIT_NS_MNT };
	struct fixture f;
	const char *notes;
	open_fixture(&f, sleeping(SLEEP), NULL, 0);
	for (size_t i = 0; i < WRIT_COUNT(parts); i++) {
		f.s.withheld[parts[i]] = EACCES;
		const char *got = selectors(&f, WRIT_ATTEST_MAY_BLOCK, &notes);
		assert_null(strstr(got, "unix:path"));
		assert_non_null(strstr(got, "unix:uid:"));
		assert_non_null(strstr(notes, "CAP_SYS_PTRACE"));
		f.s.withheld[parts[i]] = 0;
	}
	assert_non_null(strstr(selectors(&f, WRIT_ATTEST_MAY_BLOCK, NULL), "unix:path"));
	/* A thread of the kernel has no program, and no capability would show one. */
	f.s.withheld[WRIT_PART_EXE] = ENOENT;
	assert_null(strstr(selectors(&f, WRIT_ATTEST_MAY_BLOCK, &notes), "unix:path"));
	assert_non_null(strstr(notes, "it runs no file"));
	assert_null(strstr(notes, "CAP_SYS_PTRACE"));
	close_fixture(&f);
}

static bool trusted(
	const struct writ_cgroup_trust *t, struct writ_str hierarchy, struct writ_str dir)
{
	(void)t;
	(void)hierarchy;
	return !writ_str_eq(dir, WRIT_STR("/delegated.slice"));
}

static void cgroups_give_units_containers_and_paths(void **state)
{
	(void)state;
	static const struct writ_cgroup_trust trust = { .trusted = trusted };
	static const struct {
		const char *cgroup, *want, *note;
	} rows[] = {
		{ "0::/system.slice/a.service\n",
			"cgroup:path:/system.slice/a.service, systemd:id:a.service", "" },
		{ "0::/docker/" AB32 "\n",
			"cgroup:path:/docker/" AB32 ", container:id:" AB32
			", container:runtime:docker",
			"" },
		{ "0::/delegated.slice/a.service\n", "", "root's alone" },
		{ "0::/delegated.slice/x\n", "", "cgroup:path withheld" },
		{ "0::/..\n", "", "namespace" },
		{ "0::/user.slice/user-5.slice/user@5.service/user.slice/libpod-" AB32 ".scope\n",
			"cgroup:path:/user.slice/user-5.slice/user@5.service/user.slice/"
			"libpod-" AB32 ".scope, podman-rootless:uid:5:id:" AB32
			", systemd:id:user@5.service",
			"rootless" },
	};
	struct fixture f;
	open_fixture(&f, sleeping(SLEEP), NULL, 0);
	f.ctx.trust = &trust;
	f.ctx.discover_workload_path = false;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_snapshot s = f.s;
		s.cgroup = writ_cstr(rows[i].cgroup);
		WRIT_AUTO(writ_answer_done) struct writ_answer a;
		writ_answer_init(&a);
		assert_int_equal(writ_attest(writ_attestors, &f.ctx, &s, f.pin.dirfd,
					 WRIT_ATTEST_MAY_BLOCK, &a, NULL),
			WRIT_OK);
		WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(8192);
		writ_selectors_print(&a.selectors, &b);
		writ_buf_add_cstr(&b, "");
		char *unix_part = strstr((char *)b.p, "unix:");
		assert_non_null(unix_part); /* they come last, and always */
		*unix_part = '\0';
		char want[512];
		snprintf(want, sizeof(want), "%s%s", rows[i].want, rows[i].want[0] ? ", " : "");
		assert_string_equal((char *)b.p, want);
		if (rows[i].note[0])
			assert_non_null(strstr(writ_buf_cstr(&a.notes), rows[i].note));
	}
	close_fixture(&f);
}

static void when_no_attestor_answers_it_is_said(void **state)
{
	(void)state;
	static const struct writ_attestor_vt *const list[] = { &writ_attestor_systemd, NULL };
	struct fixture f;
	struct writ_answer a;
	struct writ_err err;
	open_fixture(&f, sleeping(SLEEP), NULL, 0);
	assert_int_equal(writ_attest(list, &f.ctx, &f.s, f.pin.dirfd, 0, &a, &err), WRIT_EUNAVAIL);
	assert_non_null(strstr(err.msg, "/sys/fs/cgroup"));
	assert_ptr_equal(writ_attestor_find(WRIT_STR("systemd")), &writ_attestor_systemd);
	assert_null(writ_attestor_find(WRIT_STR("k8s")));
	close_fixture(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_selectors_are_spelled_as_in_spire),
		cmocka_unit_test(path_and_hash_come_only_when_asked_for),
		cmocka_unit_test(what_may_block_is_left_to_a_job_once),
		cmocka_unit_test(a_program_that_is_too_large_has_no_hash),
		cmocka_unit_test(a_file_changed_just_now_is_hashed_each_time),
		cmocka_unit_test(a_path_that_is_not_the_program_is_withheld),
		cmocka_unit_test(a_program_in_memory_has_no_path),
		cmocka_unit_test(a_foreign_namespace_hides_the_program),
		cmocka_unit_test(unread_parts_withhold_what_rests_on_them),
		cmocka_unit_test(cgroups_give_units_containers_and_paths),
		cmocka_unit_test(when_no_attestor_answers_it_is_said),
	};
	writ_ns_self_read(&self);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
