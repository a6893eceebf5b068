/* SPDX-License-Identifier: Apache-2.0 */
/* Which script an interpreter runs: from command lines made up, and from real interpreters. */
#include "attest/attestor.h"
#include "attest/cmdline.h"

#include "attest_child.h"
#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static struct writ_ns_self self;

/* --- command lines: blanks stand for the NULs between arguments --- */

static const struct {
	enum writ_interp kind;
	const char *line, *script; /* NULL: none; "?": cannot be told */
} command_lines[] = {
	{ WRIT_INTERP_PYTHON, "python3 a.py x", "a.py" },
	{ WRIT_INTERP_PYTHON, "python3 -u -Wd -X dev a.py", "a.py" },
	{ WRIT_INTERP_PYTHON, "python3 -uW ignore a.py", "a.py" },
	{ WRIT_INTERP_PYTHON, "python3 --check-hash-based-pycs always a.py", "a.py" },
	{ WRIT_INTERP_PYTHON, "python3 --check-hash-based-pycs=always a.py", "a.py" },
	{ WRIT_INTERP_PYTHON, "python3 -- -a.py", "-a.py" },
	{ WRIT_INTERP_PYTHON, "python3 -c a.py", NULL },
	{ WRIT_INTERP_PYTHON, "python3 -um a.py", NULL },
	{ WRIT_INTERP_PYTHON, "python3 -", NULL },
	{ WRIT_INTERP_PYTHON, "python3", NULL },
	{ WRIT_INTERP_PYTHON, "", NULL },
	{ WRIT_INTERP_PYTHON, "python3 -W", NULL },
	{ WRIT_INTERP_PYTHON, "python3 -y a.py", "?" },
	{ WRIT_INTERP_PYTHON, "python3 --new x a.py", "?" },
	{ WRIT_INTERP_NODE, "node a.js --require b.js", "a.js" },
	{ WRIT_INTERP_NODE, "node --require b.js --inspect=1 --no-warnings a.js", "a.js" },
	{ WRIT_INTERP_NODE, "node -r b.js --max-old-space-size=9 a.js", "a.js" },
	{ WRIT_INTERP_NODE, "node -e a.js", NULL },
	{ WRIT_INTERP_NODE, "node --test a.js", NULL },
	{ WRIT_INTERP_NODE, "node --max-old-space-size 9 a.js", "?" },
	{ WRIT_INTERP_SHELL, "bash -eu +o posix --norc a.sh", "a.sh" },
	{ WRIT_INTERP_SHELL, "sh -c a.sh", NULL },
	{ WRIT_INTERP_SHELL, "sh -s a.sh", NULL },
	{ WRIT_INTERP_RUBY, "ruby -W0 -I lib -rset --yjit a.rb", "a.rb" },
	{ WRIT_INTERP_RUBY, "ruby -S a.rb", NULL },
	{ WRIT_INTERP_PERL, "perl -wT -I lib -MData::Dumper a.pl", "a.pl" },
	{ WRIT_INTERP_PERL, "perl -ne a.pl", NULL },
	{ WRIT_INTERP_JAVA, "java -cp x -Xmx1g -ea -jar a.jar y", "a.jar" },
	{ WRIT_INTERP_JAVA, "java -cp x Main -jar a.jar", NULL },
	{ WRIT_INTERP_JAVA, "java -m mod -jar a.jar", NULL },
	{ WRIT_INTERP_JAVA, "java @args -jar a.jar", "?" },
	{ WRIT_INTERP_PYTHON, "python3  a.py", NULL }, /* an empty argument */
	{ WRIT_INTERP_PYTHON, "python3 +odd.py", "+odd.py" },
	{ WRIT_INTERP_JAVA, "java -Xmx1g -jar a.jar", "a.jar" },
	{ WRIT_INTERP_JAVA, "java --module=mod -jar a.jar", NULL },
	{ WRIT_INTERP_JAVA, "java --module -jar a.jar", NULL },
	{ WRIT_INTERP_JAVA, "java -m -jar a.jar", NULL },
	{ (enum writ_interp)99, "x a", "?" },
	{ WRIT_INTERP_OTHER, "php a.php", "?" },
	{ WRIT_INTERP_NONE, "x a", "?" },
};

static void the_script_is_the_first_argument_that_is_no_option(void **state)
{
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(command_lines); i++) {
		char text[256];
		size_t n = strlen(command_lines[i].line);
		memcpy(text, command_lines[i].line, n + 1);
		for (size_t k = 0; k < n; k++)
			if (text[k] == ' ')
				text[k] = '\0';
		struct writ_str got = { NULL, 0 };
		struct writ_err err;
		writ_rc rc = writ_cmdline_script(
			command_lines[i].kind, writ_strn(text, n ? n + 1 : 0), &got, &err);
		bool unknown = command_lines[i].script && command_lines[i].script[0] == '?';
		writ_rc want = !command_lines[i].script ? WRIT_ENOENT
			: unknown                       ? WRIT_EUNSUP
							: WRIT_OK;
		if (rc != want ||
			(rc == WRIT_OK && !writ_str_eq(got, writ_cstr(command_lines[i].script))))
			fail_msg("%s: %d '" WRIT_FMT "'", command_lines[i].line, (int)rc,
				WRIT_ARG(got));
	}
}

/* --- real ones --- */

struct fixture {
	struct child c;
	struct writ_pin pin;
	struct writ_snapshot s;
	struct writ_attest_ctx ctx;
	char dir[32];
	char selectors[8192], notes[4096];
};

static writ_rc fixed_hash(
	int fd, uint64_t max, uint8_t out[WRIT_EXE_HASH_LEN], struct writ_err *err)
{
	(void)fd;
	(void)max;
	(void)err;
	memset(out, 0xcd, WRIT_EXE_HASH_LEN);
	return WRIT_OK;
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

struct launch {
	const char *dir;
	const char *const *argv;
};

/* A shell as the interpreter: it is on every system. Its script waits for a line that never comes.
 */
static void run_script(int go, int ready, void *arg)
{
	const struct launch *l = arg;
	child_ready(ready);
	child_wait(go);
	if (chdir(l->dir) != 0 || dup2(go, STDIN_FILENO) < 0)
		_exit(5);
	execv(l->argv[0], (char *const *)(uintptr_t)l->argv);
	_exit(4);
}

static void look(struct fixture *f, unsigned flags)
{
	static const struct writ_attestor_vt *const list[] = { &writ_attestor_script, NULL };
	struct writ_err err;
	WRIT_AUTO(writ_answer_done) struct writ_answer a;
	writ_answer_init(&a);
	if (writ_attest(list, &f->ctx, &f->s, f->pin.dirfd,
		    WRIT_ATTEST_SCRIPT | WRIT_ATTEST_MAY_BLOCK | flags, &a, &err) != WRIT_OK)
		fail_msg("%s", err.msg);
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(sizeof(f->selectors) - 1);
	writ_selectors_print(&a.selectors, &b);
	snprintf(f->selectors, sizeof(f->selectors), "%s", b.n ? writ_buf_cstr(&b) : "");
	snprintf(f->notes, sizeof(f->notes), "%s", a.notes.n ? writ_buf_cstr(&a.notes) : "");
}

static void open_fixture(struct fixture *f)
{
	snprintf(f->dir, sizeof(f->dir), "/tmp/writ-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	write_file(f->dir, "agent.sh", "read x\n");
	write_file(f->dir, "other.sh", "read x\n");
}

static void start(struct fixture *f, const char *const *argv)
{
	struct writ_err err;
	struct launch l = { .dir = f->dir, .argv = argv };
	f->c = child_start(run_script, &l);
	child_go(&f->c);
	child_await_end_of_file(&f->c);
	const struct writ_pin_facts facts = {
		.pid = f->c.pid, .uid = geteuid(), .gid = getegid(), .pidfd = -1
	};
	if (writ_pin_open(&facts, NULL, &f->pin, &err) != WRIT_OK ||
		writ_snapshot_take(&f->pin, &self, &f->s, &err) != WRIT_OK)
		fail_msg("%s", err.msg);
	f->ctx = (struct writ_attest_ctx){ .hashes = writ_exe_hashes_new(),
		.sha256_file = fixed_hash };
}

static void stop(struct fixture *f)
{
	writ_snapshot_done(&f->s);
	writ_pin_close(&f->pin);
	writ_exe_hashes_free(f->ctx.hashes);
	child_end(&f->c);
}

static void expect_script(struct fixture *f, const char *name)
{
	char want[128];
	snprintf(want, sizeof(want), "script:path:%s/%s", f->dir, name);
	look(f, 0);
	if (strcmp(f->selectors, want) != 0)
		fail_msg("%s (%s), not %s", f->selectors, f->notes, want);
}

static void a_relative_script_is_found_below_the_present_folder(void **state)
{
	static const char *const argv[] = { "/bin/sh", "-e", "./agent.sh", NULL };
	struct fixture f;
	(void)state;
	open_fixture(&f);
	start(&f, argv);
	expect_script(&f, "agent.sh");
	stop(&f);
	assert_int_equal(writ_fs_remove_tree(f.dir, NULL), WRIT_OK);
}

static void a_link_is_followed_to_the_file(void **state)
{
	struct fixture f;
	char link[64];
	const char *argv[] = { "/bin/sh", link, NULL };
	(void)state;
	open_fixture(&f);
	snprintf(link, sizeof(link), "%s/link.sh", f.dir);
	assert_int_equal(symlink("agent.sh", link), 0);
	start(&f, argv);
	expect_script(&f, "agent.sh");
	stop(&f);
	assert_int_equal(writ_fs_remove_tree(f.dir, NULL), WRIT_OK);
}

static void the_hash_comes_only_when_asked_for(void **state)
{
	static const char *const argv[] = { "/bin/sh", "agent.sh", NULL };
	struct fixture f;
	(void)state;
	open_fixture(&f);
	start(&f, argv);
	look(&f, 0);
	assert_null(strstr(f.selectors, "script:sha256:"));
	look(&f, WRIT_ATTEST_SCRIPT_SHA256);
	assert_non_null(strstr(f.selectors, "script:sha256:cdcdcdcd"));
	stop(&f);
	assert_int_equal(writ_fs_remove_tree(f.dir, NULL), WRIT_OK);
}

/* This is what the selector cannot see, and why it only narrows: the arguments say agent.sh, which
 * the program never reads. docs/selectors.md names it forgeable by the process itself. */
static void a_process_can_claim_another_script(void **state)
{
	struct fixture f;
	char sh[64];
	(void)state;
	open_fixture(&f);
	/* A program of one's own under an interpreter's name, started with arguments that it
	 * ignores: it does as well as one that writes over its argv. */
	snprintf(sh, sizeof(sh), "%s/sh", f.dir);
	WRIT_AUTO(writ_freep) char *cp = writ_asprintf("cp /usr/bin/tail %s", sh);
	assert_int_equal(system(cp), 0);
	const char *const lying[] = { sh, "agent.sh", "-f", "/dev/null", NULL };
	start(&f, lying);
	expect_script(&f, "agent.sh");
	stop(&f);
	assert_int_equal(writ_fs_remove_tree(f.dir, NULL), WRIT_OK);
}

static void what_is_no_script_in_a_file_gives_nothing(void **state)
{
	static const struct {
		const char *argv[4], *note;
	} rows[] = {
		{ { "/usr/bin/sleep", "1000", NULL }, "" },
		{ { "/bin/sh", "-c", "read x", NULL }, "no script from a file, but a module (-m)" },
		{ { "/bin/sh", "/dev/stdin", NULL }, "withheld" },
	};
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct fixture f;
		open_fixture(&f);
		start(&f, rows[i].argv);
		look(&f, 0);
		assert_string_equal(f.selectors, "");
		if (!strstr(f.notes, rows[i].note))
			fail_msg("%zu: %s", i, f.notes);
		stop(&f);
		assert_int_equal(writ_fs_remove_tree(f.dir, NULL), WRIT_OK);
	}
}

static void a_script_that_is_gone_or_elsewhere_gives_nothing(void **state)
{
	static const char *const argv[] = { "/bin/sh", "agent.sh", NULL };
	struct fixture f;
	(void)state;
	open_fixture(&f);
	start(&f, argv);
	f.s.ns_ours[WRIT_NS_MNT] = 0;
	look(&f, 0);
	assert_string_equal(f.selectors, "");
	assert_non_null(strstr(f.notes, "mount namespace"));
	f.s.ns_ours[WRIT_NS_MNT] = 1;
	expect_script(&f, "agent.sh");
	assert_int_equal(writ_fs_remove_tree(f.dir, NULL), WRIT_OK);
	look(&f, 0);
	assert_string_equal(f.selectors, "");
	stop(&f);
}

/* What the kernel withheld of the program, or what another namespace makes of its paths. */
static void who_cannot_be_seen_whole_has_no_script(void **state)
{
	static const char *const argv[] = { "/bin/sh", "agent.sh", NULL };
	static const enum writ_snapshot_part parts[] = { WRIT_PART_EXE, WRIT_PART_AUXV,
		WRIT_PART_NS + WRIT_NS_USER, WRIT_PART_NS + WRIT_NS_MNT };
	struct fixture f;
	(void)state;
	open_fixture(&f);
	start(&f, argv);
	for (size_t i = 0; i < WRIT_COUNT(parts); i++) {
		f.s.withheld[parts[i]] = EACCES;
		look(&f, 0);
		assert_string_equal(f.selectors, "");
		assert_non_null(strstr(f.notes, "script withheld"));
		f.s.withheld[parts[i]] = 0;
	}
	f.s.ns_ours[WRIT_NS_USER] = 0;
	look(&f, 0);
	assert_string_equal(f.selectors, "");
	f.s.ns_ours[WRIT_NS_USER] = 1;
	expect_script(&f, "agent.sh");
	stop(&f);
	assert_int_equal(writ_fs_remove_tree(f.dir, NULL), WRIT_OK);
}

static void a_hash_that_cannot_be_had_is_left_out(void **state)
{
	static const char *const argv[] = { "/bin/sh", "agent.sh", NULL };
	struct fixture f;
	(void)state;
	open_fixture(&f);
	start(&f, argv);
	f.ctx.workload_size_limit = 1;
	look(&f, WRIT_ATTEST_SCRIPT_SHA256);
	assert_null(strstr(f.selectors, "script:sha256:"));
	assert_non_null(strstr(f.selectors, "script:path:"));
	assert_non_null(strstr(f.notes, "script:sha256 withheld"));
	f.ctx.workload_size_limit = 0;
	f.ctx.sha256_file = NULL;
	look(&f, WRIT_ATTEST_SCRIPT_SHA256);
	assert_null(strstr(f.selectors, "script:sha256:"));
	stop(&f);
	assert_int_equal(writ_fs_remove_tree(f.dir, NULL), WRIT_OK);
}

/* A folder in /proc as the kernel could show it: links root and cwd, and a command line. */
static void a_path_counts_in_our_own_root_alone(void **state)
{
	static const char *const argv[] = { "/bin/sh", "agent.sh", NULL };
	struct fixture f;
	(void)state;
	open_fixture(&f);
	start(&f, argv);
	int own = f.pin.dirfd;
	const struct {
		const char *root, *cwd, *script, *says; /* says NULL: the script is found */
	} rows[] = {
		{ "/", f.dir, "agent.sh", NULL },
		{ f.dir, f.dir, "agent.sh", "root folder is another one" },
		{ "/proc", f.dir, "agent.sh", "root folder is another one" },
		{ "/", "(unreachable)/", "agent.sh", "present folder has no path" },
		{ "/", f.dir, "fake", "is no file with a name" },
		{ "/", f.dir, "absent.sh", "script withheld" },
		{ "/nowhere", f.dir, "agent.sh", "script withheld" },
	};
	char path[64];
	snprintf(path, sizeof(path), "%s/fake", f.dir);
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		assert_int_equal(mkdir(path, 0700), 0);
		f.pin.dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_int_equal(symlinkat(rows[i].root, f.pin.dirfd, "root"), 0);
		assert_int_equal(symlinkat(rows[i].cwd, f.pin.dirfd, "cwd"), 0);
		char line[64];
		int n = snprintf(line, sizeof(line), "sh%c%s", '\0', rows[i].script) + 1;
		int fd = openat(f.pin.dirfd, "cmdline", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		assert_int_equal(write(fd, line, (size_t)n), n);
		close(fd);
		if (rows[i].says)
			look(&f, 0);
		else
			expect_script(&f, rows[i].script);
		if (rows[i].says && (f.selectors[0] || !strstr(f.notes, rows[i].says)))
			fail_msg("row %zu: '%s', %s", i, f.selectors, f.notes);
		close(f.pin.dirfd);
		assert_int_equal(writ_fs_remove_tree(path, NULL), WRIT_OK);
	}
	f.pin.dirfd = own;
	stop(&f);
	assert_int_equal(writ_fs_remove_tree(f.dir, NULL), WRIT_OK);
}

static void an_interpreter_is_left_to_a_job_and_others_are_not(void **state)
{
	static const struct writ_attestor_vt *const list[] = { &writ_attestor_script, NULL };
	static const char *const shell[] = { "/bin/sh", "agent.sh", NULL };
	static const char *const sleep[] = { "/usr/bin/sleep", "1000", NULL };
	struct fixture f;
	struct writ_answer a;
	(void)state;
	open_fixture(&f);
	start(&f, shell);
	assert_int_equal(writ_attest(list, &f.ctx, &f.s, f.pin.dirfd, WRIT_ATTEST_SCRIPT, &a, NULL),
		WRIT_EBUSY);
	stop(&f);
	start(&f, sleep);
	assert_int_equal(writ_attest(list, &f.ctx, &f.s, f.pin.dirfd, WRIT_ATTEST_SCRIPT, &a, NULL),
		WRIT_OK);
	writ_answer_done(&a);
	stop(&f);
	assert_int_equal(writ_fs_remove_tree(f.dir, NULL), WRIT_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_script_is_the_first_argument_that_is_no_option),
		cmocka_unit_test(a_relative_script_is_found_below_the_present_folder),
		cmocka_unit_test(a_link_is_followed_to_the_file),
		cmocka_unit_test(the_hash_comes_only_when_asked_for),
		cmocka_unit_test(a_process_can_claim_another_script),
		cmocka_unit_test(what_is_no_script_in_a_file_gives_nothing),
		cmocka_unit_test(a_script_that_is_gone_or_elsewhere_gives_nothing),
		cmocka_unit_test(who_cannot_be_seen_whole_has_no_script),
		cmocka_unit_test(a_hash_that_cannot_be_had_is_left_out),
		cmocka_unit_test(a_path_counts_in_our_own_root_alone),
		cmocka_unit_test(an_interpreter_is_left_to_a_job_and_others_are_not),
	};
	writ_ns_self_read(&self);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
