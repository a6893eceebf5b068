/* SPDX-License-Identifier: Apache-2.0 */
/* Which cgroup counts as somebody's unit, and who is the first process of it. The folders are plain
 * ones with a cgroup.procs in them; the processes are real. */
#include "check.h"

#include "attest/mains.h"
#include "attest/proc_text.h"
#include "base/fs.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define H64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UID "/user.slice/user-1000.slice"

/* Trusts all, and opens one folder whatever is asked for. */
struct fake {
	struct writ_cgroup_trust base;
	char dir[64];
	struct writ_mains *mains;
};

static bool everything(
	const struct writ_cgroup_trust *t, struct writ_str hierarchy, struct writ_str dir)
{
	(void)t;
	(void)hierarchy;
	(void)dir;
	return true;
}

static int open_it(
	const struct writ_cgroup_trust *t, struct writ_str hierarchy, struct writ_str dir)
{
	(void)hierarchy;
	(void)dir;
	return open(
		((const struct fake *)(const void *)t)->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static const struct writ_cgroup_trust trust_all = { .trusted = everything };

static void setup(struct fake *f)
{
	*f = (struct fake){ .base = { .trusted = everything, .open = open_it },
		.dir = "/tmp/writ-mains-XXXXXX",
		.mains = writ_mains_new() };
	assert_non_null(mkdtemp(f->dir));
}

static void teardown(struct fake *f)
{
	assert_int_equal(writ_fs_remove_tree(f->dir, NULL), WRIT_OK);
	writ_mains_free(f->mains);
}

static void put_text(const struct fake *f, const char *folder, const char *text, size_t n)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%scgroup.procs", f->dir, folder);
	assert_int_equal(writ_fs_write(path, text, n, 0644, NULL), WRIT_OK);
}

static void put(const struct fake *f, const char *folder, pid_t a, pid_t b)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%d\n", (int)a);
	if (b)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%d\n", (int)b);
	put_text(f, folder, text, (size_t)n);
}

static uint64_t start_of(pid_t pid)
{
	char path[64], text[1024];
	struct writ_proc_stat st;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text));
	close(fd);
	assert_true(n > 0);
	assert_int_equal(writ_proc_stat_parse(writ_strn(text, (size_t)n), &st, NULL), WRIT_OK);
	return st.start_time;
}

static writ_rc check(const struct fake *f, uint64_t pid, uint64_t start)
{
	const struct writ_scope scope = { WRIT_STR(""), WRIT_STR("/system.slice/a.service") };
	const struct writ_kin k = { .pid = pid, .start_time = start, .dirfd = -1 };
	return writ_mains_check(f->mains, &f->base, &scope, &k, true, NULL);
}

/* --- the scope --- */

static void a_scope_is_the_folder_that_carries_the_name(void **state)
{
	static const struct {
		const char *text;
		writ_rc rc;
		const char *hierarchy, *path;
	} rows[] = {
		{ "0::/\n", WRIT_ENOENT, NULL, NULL },
		{ "0::/../a\n", WRIT_EUNAUTH, NULL, NULL },
		{ "0::/system.slice/a.service\n", WRIT_OK, "", "/system.slice/a.service" },
		{ "0::/system.slice/a.service/x/y\n", WRIT_OK, "", "/system.slice/a.service" },
		/* v2 first, systemd's own then, any other last. */
		{ "1:name=systemd:/system.slice/a.service\n0::/system.slice/a.service\n", WRIT_OK,
			"", "/system.slice/a.service" },
		{ "0::/system.slice/a.service\n1:name=systemd:/system.slice/a.service\n", WRIT_OK,
			"", "/system.slice/a.service" },
		{ "4:memory:/system.slice/a.service/m\n1:name=systemd:/system.slice/a.service\n"
		  "0::/\n",
			WRIT_OK, "name=systemd", "/system.slice/a.service" },
		{ "1:name=systemd:/system.slice/a.service\n4:memory:/system.slice/a.service/m\n"
		  "0::/\n",
			WRIT_OK, "name=systemd", "/system.slice/a.service" },
		{ "4:memory:/system.slice/a.service/m\n5:pids:/system.slice/a.service\n", WRIT_OK,
			"memory", "/system.slice/a.service" },
		/* A container's, not that of the unit its runtime is in. */
		{ "4:memory:/docker/" H64 "\n0::/system.slice/docker.service\n", WRIT_OK, "memory",
			"/docker/" H64 },
		/* A login and a job have an owner, who cannot move processes there. */
		{ "0::" UID "/session-3.scope\n", WRIT_OK, "", UID "/session-3.scope" },
		{ "4:memory:/slurm/uid_1000/job_4/step_0/task_0\n", WRIT_OK, "memory",
			"/slurm/uid_1000/job_4/step_0" },
		/* In these he can. */
		{ "0::" UID "/user@1000.service/a.service\n", WRIT_EUNAUTH, NULL, NULL },
		{ "0::" UID "/user@1000.service/user.slice/libpod-" H64 ".scope\n", WRIT_EUNAUTH,
			NULL, NULL },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_scope s = { .path = { NULL, 0 } };
		writ_rc rc = writ_scope_of(writ_cstr(rows[i].text), &trust_all, &s, NULL);
		if (rc != rows[i].rc ||
			(rc == WRIT_OK &&
				(!writ_str_eq(s.hierarchy, writ_cstr(rows[i].hierarchy)) ||
					!writ_str_eq(s.path, writ_cstr(rows[i].path)))))
			fail_msg("row %zu: %s, " WRIT_FMT " " WRIT_FMT, i, writ_rc_name(rc),
				WRIT_ARG(s.hierarchy), WRIT_ARG(s.path));
	}
}

static void who_is_below_the_folder_is_in_the_scope(void **state)
{
	static const struct {
		const char *text;
		bool is_in;
	} rows[] = {
		{ "0::/system.slice/a.service\n", true },
		{ "0::/system.slice/a.service/x\n", true },
		{ "1:name=systemd:/\n0::/system.slice/a.service\n", true },
		{ "0::/system.slice/a.service2\n", false },
		{ "0::/system.slice/b.service\n", false },
		{ "0::/system.slice/b.service/x\n", false },
		{ "0::/system.slice\n", false },
		{ "0::/\n", false },
		{ "1:name=systemd:/system.slice/a.service\n", false },
		{ "1:name=systemd:/system.slice/a.service\n0::/\n", false },
		{ "", false },
	};
	const struct writ_scope s = { WRIT_STR(""), WRIT_STR("/system.slice/a.service") };
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		/* Alone in its memory, so that a look beyond its end is seen. */
		size_t n = strlen(rows[i].text);
		char *text = writ_memdup(rows[i].text, n ? n : 1);
		if (writ_scope_has(&s, writ_strn(text, n)) != rows[i].is_in)
			fail_msg("row %zu", i);
		writ_free(text);
	}
}

/* --- who is first --- */

static void the_first_one_stays_it(void **state)
{
	struct fake f;
	const uint64_t me = (uint64_t)getpid(), start = start_of(getpid());
	(void)state;
	setup(&f);
	put(&f, "", getpid(), 0);
	assert_int_equal(check(&f, me, start), WRIT_OK);
	assert_int_equal(check(&f, me, start), WRIT_OK);
	put(&f, "", getppid(), 0); /* what is there now does not matter any more */
	assert_int_equal(check(&f, me, start), WRIT_OK);
	assert_int_equal(check(&f, me, start + 1), WRIT_EUNAUTH);
	assert_int_equal(check(&f, me + 1, start), WRIT_EUNAUTH);
	assert_int_equal(check(&f, (uint64_t)getppid(), start_of(getppid())), WRIT_EUNAUTH);
	teardown(&f);
}

/* A search may take long: who may not wait for it is told to come back from a job. */
static void without_a_search_only_what_is_known_counts(void **state)
{
	struct fake f;
	const struct writ_scope scope = { WRIT_STR(""), WRIT_STR("/a") };
	const struct writ_kin k = {
		.pid = (uint64_t)getpid(), .start_time = start_of(getpid()), .dirfd = -1
	};
	struct writ_kin other = k;
	other.pid++;
	(void)state;
	setup(&f);
	put(&f, "", getpid(), 0);
	assert_int_equal(writ_mains_check(f.mains, &f.base, &scope, &k, false, NULL), WRIT_EBUSY);
	assert_int_equal(writ_mains_check(f.mains, &f.base, &scope, &k, true, NULL), WRIT_OK);
	assert_int_equal(writ_mains_check(f.mains, &f.base, &scope, &k, false, NULL), WRIT_OK);
	assert_int_equal(
		writ_mains_check(f.mains, &f.base, &scope, &other, false, NULL), WRIT_EUNAUTH);
	teardown(&f);
}

static void who_came_after_others_is_not_the_first(void **state)
{
	struct fake f;
	const uint64_t me = (uint64_t)getpid(), start = start_of(getpid());
	(void)state;
	setup(&f);
	put(&f, "", getpid(), 1);
	assert_int_equal(check(&f, me, start), WRIT_EUNAUTH);
	put(&f, "", 1, getpid());
	assert_int_equal(check(&f, me, start), WRIT_EUNAUTH);
	assert_int_equal(check(&f, 1, start_of(1)), WRIT_OK);
	teardown(&f);
}

/* By the time of their start; within one tick by their numbers, which go round in a circle. */
static void the_older_one_is_who_started_before(void **state)
{
	const uint64_t me = (uint64_t)getpid(), start = start_of(getpid());
	const struct {
		uint64_t pid, start;
		writ_rc rc;
	} rows[] = {
		{ me + 100, start - 1, WRIT_OK },
		{ me - 1, start + 1, WRIT_EUNAUTH },
		{ me + 1, start, WRIT_EUNAUTH },
		{ me - 1, start, WRIT_OK },
		{ me + 16383, start, WRIT_EUNAUTH },
		{ me + 16384, start, WRIT_OK },
		{ me > 16384 ? me - 16384 : me + 1, start, WRIT_EUNAUTH },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct fake f;
		setup(&f);
		put(&f, "", getpid(), 0);
		if (check(&f, rows[i].pid, rows[i].start) != rows[i].rc)
			fail_msg("row %zu", i);
		teardown(&f);
	}
}

static void who_has_ended_was_not_there(void **state)
{
	struct fake f;
	(void)state;
	setup(&f);
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	put(&f, "", pid, getpid());
	assert_int_equal(check(&f, (uint64_t)getpid(), start_of(getpid())), WRIT_OK);
	teardown(&f);
}

static void make_folder(const struct fake *f, const char *name)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void folders_below_count_too(void **state)
{
	struct fake f;
	const uint64_t me = (uint64_t)getpid(), start = start_of(getpid());
	(void)state;
	setup(&f);
	make_folder(&f, "a");
	make_folder(&f, "a/b");
	put(&f, "", getpid(), 0);
	put(&f, "a/b/", 1, 0);
	assert_int_equal(check(&f, me, start), WRIT_EUNAUTH);
	teardown(&f);
	setup(&f);
	make_folder(&f, "a"); /* one without any process */
	assert_int_equal(check(&f, me, start), WRIT_OK);
	teardown(&f);
}

static void what_cannot_be_looked_through_has_no_first(void **state)
{
	struct fake f;
	const uint64_t me = (uint64_t)getpid(), start = start_of(getpid());
	char path[128] = "";
	(void)state;
	setup(&f);
	put_text(&f, "", "x\n", 2);
	assert_int_not_equal(check(&f, me, start), WRIT_OK);
	put_text(&f, "", "0\n", 2); /* as the kernel calls who is in another PID namespace */
	assert_int_not_equal(check(&f, me, start), WRIT_OK);
	struct writ_buf text = WRIT_BUF(1024 * 1024);
	for (int i = 0; i < WRIT_MAINS_PROCS_MAX; i++)
		writ_buf_addf(&text, "%d\n", (int)getpid());
	put_text(&f, "", (const char *)text.p, text.n);
	assert_int_equal(check(&f, me, start), WRIT_OK);
	teardown(&f);
	setup(&f);
	writ_buf_addf(&text, "%d\n", (int)getpid());
	put_text(&f, "", (const char *)text.p, text.n);
	assert_int_equal(check(&f, me, start), WRIT_EUNAUTH);
	while (text.n < 64 * 1024)
		writ_buf_addf(&text, "%d\n", (int)getpid());
	put_text(&f, "", (const char *)text.p, text.n);
	assert_int_equal(check(&f, me, start), WRIT_EUNAUTH);
	writ_buf_done(&text);
	put(&f, "", getpid(), 0);
	size_t n = 0;
	for (int i = 0; i < 17; i++) {
		n += (size_t)snprintf(path + n, sizeof(path) - n, i ? "/d" : "d");
		make_folder(&f, path);
	}
	assert_int_equal(check(&f, me, start), WRIT_EUNAUTH);
	char *last = writ_fs_join(f.dir, path);
	assert_int_equal(rmdir(last), 0);
	writ_free(last);
	assert_int_equal(check(&f, me, start), WRIT_OK);
	teardown(&f);
}

static void more_folders_than_the_limit_have_no_first(void **state)
{
	struct fake f;
	char name[16];
	(void)state;
	setup(&f);
	put(&f, "", getpid(), 0);
	for (int i = 0; i < WRIT_MAINS_DIRS_MAX; i++) {
		snprintf(name, sizeof(name), "%d", i);
		make_folder(&f, name);
	}
	assert_int_equal(check(&f, (uint64_t)getpid(), start_of(getpid())), WRIT_EUNAUTH);
	char path[128];
	snprintf(path, sizeof(path), "%s/0", f.dir);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(check(&f, (uint64_t)getpid(), start_of(getpid())), WRIT_OK);
	teardown(&f);
}

static void what_cannot_be_opened_has_no_first(void **state)
{
	struct fake f;
	const struct writ_scope scope = { WRIT_STR(""), WRIT_STR("/a") };
	const struct writ_kin k = { .pid = (uint64_t)getpid(), .start_time = 1, .dirfd = -1 };
	(void)state;
	setup(&f);
	assert_int_equal(
		writ_mains_check(f.mains, &trust_all, &scope, &k, true, NULL), WRIT_EUNAUTH);
	assert_int_equal(writ_mains_check(NULL, &f.base, &scope, &k, true, NULL), WRIT_EUNAUTH);
	teardown(&f);
	f.mains = writ_mains_new();
	assert_int_equal(writ_mains_check(f.mains, &f.base, &scope, &k, true, NULL), WRIT_EUNAUTH);
	writ_mains_free(f.mains);
}

/* Two hundred in one memory: of each its own, whatever places they have there. */
static void the_first_of_one_cgroup_is_not_that_of_another(void **state)
{
	struct fake f;
	char top[64];
	(void)state;
	setup(&f);
	memcpy(top, f.dir, sizeof(top));
	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 200; i++) {
			char name[16];
			snprintf(name, sizeof(name), "%u", i);
			memcpy(f.dir, top, sizeof(top));
			if (round == 0)
				make_folder(&f, name);
			snprintf(f.dir, sizeof(f.dir), "%.40s/%u", top, i);
			if (check(&f, 1000 + i, 5) != WRIT_OK)
				fail_msg("the first of folder %u, round %d", i, round);
			if (check(&f, 2000 + i, 5) != WRIT_EUNAUTH)
				fail_msg("another in folder %u, round %d", i, round);
		}
	}
	memcpy(f.dir, top, sizeof(top));
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_scope_is_the_folder_that_carries_the_name),
		cmocka_unit_test(who_is_below_the_folder_is_in_the_scope),
		cmocka_unit_test(the_first_one_stays_it),
		cmocka_unit_test(without_a_search_only_what_is_known_counts),
		cmocka_unit_test(who_came_after_others_is_not_the_first),
		cmocka_unit_test(the_older_one_is_who_started_before),
		cmocka_unit_test(who_has_ended_was_not_there),
		cmocka_unit_test(folders_below_count_too),
		cmocka_unit_test(what_cannot_be_looked_through_has_no_first),
		cmocka_unit_test(more_folders_than_the_limit_have_no_first),
		cmocka_unit_test(what_cannot_be_opened_has_no_first),
		cmocka_unit_test(the_first_of_one_cgroup_is_not_that_of_another),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
