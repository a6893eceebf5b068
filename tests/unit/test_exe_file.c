/* SPDX-License-Identifier: Apache-2.0 */
/* A path or a hash is of the very file that runs, or it is nobody's. */
#include "check.h"

#include "attest/exe_file.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define PROGRAM "/usr/bin/env" /* any file that nobody changes while the test runs */
#define LIMIT   (64 * 1024 * 1024)

static int hashed;

/* Stands for SHA-256: the tests are about whose hash it is, not how it is made. */
static writ_rc count(int fd, uint64_t max, uint8_t out[WRIT_EXE_HASH_LEN], struct writ_err *err)
{
	(void)fd;
	(void)max;
	(void)err;
	hashed++;
	memset(out, 'h', WRIT_EXE_HASH_LEN);
	return WRIT_OK;
}

static writ_rc hash(struct writ_exe_hashes *h, const struct writ_exe *exe, const char *path,
	writ_sha256_file_fn fn, bool may_block)
{
	uint8_t out[WRIT_EXE_HASH_LEN] = { 0 };
	writ_rc rc = writ_exe_hashes_get(h, exe, AT_FDCWD, path, fn, LIMIT, may_block, out, NULL);
	assert_int_equal(out[0] == 'h' && out[WRIT_EXE_HASH_LEN - 1] == 'h', rc == WRIT_OK);
	return rc;
}

static struct writ_exe stat_of(const char *path)
{
	struct writ_exe exe;
	assert_int_equal(writ_exe_stat(AT_FDCWD, path, &exe), 0);
	return exe;
}

/* What makes a file another one, or another content of it. */
static size_t others(const struct writ_exe *exe, struct writ_exe out[5])
{
	for (size_t i = 0; i < 5; i++)
		out[i] = *exe;
	out[0].dev++;
	out[1].ino++;
	out[2].size--;
	out[3].mtime_ns++;
	out[4].ctime_ns--;
	return 5;
}

static void a_file_that_differs_in_one_thing_is_not_hashed(void **state)
{
	struct writ_exe other[5];
	const struct writ_exe exe = stat_of(PROGRAM);
	(void)state;
	for (size_t i = 0; i < others(&exe, other); i++) {
		struct writ_exe_hashes *h = writ_exe_hashes_new();
		hashed = 0;
		if (hash(h, &other[i], PROGRAM, count, true) != WRIT_EUNAUTH || hashed > 0)
			fail_msg("row %zu", i);
		writ_exe_hashes_free(h);
	}
}

static void a_hash_that_is_known_is_of_that_very_file(void **state)
{
	struct writ_exe other[5];
	const struct writ_exe exe = stat_of(PROGRAM);
	struct writ_exe_hashes *h = writ_exe_hashes_new();
	(void)state;
	hashed = 0;
	assert_int_equal(hash(h, &exe, PROGRAM, count, false), WRIT_EBUSY);
	assert_int_equal(hash(h, &exe, PROGRAM, count, true), WRIT_OK);
	assert_int_equal(hash(h, &exe, PROGRAM, count, false), WRIT_OK);
	assert_int_equal(hashed, 1);
	for (size_t i = 0; i < others(&exe, other); i++)
		if (hash(h, &other[i], PROGRAM, count, false) != WRIT_EBUSY)
			fail_msg("row %zu", i);
	/* Whatever place a file's hash has there, another file's is not taken for it. */
	for (int i = 1; i < 20000; i++) {
		other[1].ino = exe.ino + (uint64_t)i;
		if (hash(h, &other[1], PROGRAM, count, false) != WRIT_EBUSY)
			fail_msg("inode + %d", i);
	}
	writ_exe_hashes_free(h);
}

static void nothing_is_known_of_a_file_without_numbers(void **state)
{
	const struct writ_exe zero = { .dev = 0 };
	struct writ_exe_hashes *h = writ_exe_hashes_new();
	(void)state;
	assert_int_equal(hash(h, &zero, PROGRAM, count, false), WRIT_EBUSY);
	writ_exe_hashes_free(h);
}

static char changing[] = "/tmp/writ-exe-XXXXXX";

/* Somebody writes while it is read. */
static writ_rc count_and_change(
	int fd, uint64_t max, uint8_t out[WRIT_EXE_HASH_LEN], struct writ_err *err)
{
	int other = open(changing, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(other, "x", 1), 1);
	close(other);
	return count(fd, max, out, err);
}

static void a_file_that_changes_while_it_is_read_has_no_hash(void **state)
{
	struct writ_exe_hashes *h = writ_exe_hashes_new();
	(void)state;
	int fd = mkstemp(changing);
	assert_int_equal(write(fd, "x", 1), 1);
	const struct writ_exe exe = stat_of(changing);
	hashed = 0;
	assert_int_equal(hash(h, &exe, changing, count_and_change, true), WRIT_EUNAUTH);
	assert_int_equal(hashed, 1);
	close(fd);
	unlink(changing);
	writ_exe_hashes_free(h);
}

static writ_rc check(struct writ_str path, const struct writ_exe *exe, bool may_block)
{
	return writ_exe_path_check(path, exe, may_block, NULL);
}

static void a_path_is_the_files_own_and_absolute(void **state)
{
	const struct writ_exe exe = stat_of(PROGRAM);
	char here[256];
	(void)state;
	assert_int_equal(check(WRIT_STR(PROGRAM), &exe, true), WRIT_OK);
	assert_int_equal(check(WRIT_STR(""), &exe, true), WRIT_EUNAUTH);
	assert_int_equal(check(WRIT_STR(PROGRAM "\0more"), &exe, true), WRIT_EUNAUTH);
	assert_non_null(getcwd(here, sizeof(here)));
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(check(WRIT_STR(PROGRAM), &exe, true), WRIT_OK);
	assert_int_equal(check(WRIT_STR("usr/bin/env"), &exe, true), WRIT_EUNAUTH);
	assert_int_equal(chdir(here), 0);
	char *longer = writ_alloc(WRIT_SNAPSHOT_PATH_MAX + 1);
	memset(longer, '/', WRIT_SNAPSHOT_PATH_MAX + 1);
	struct writ_str s = writ_strn(longer, WRIT_SNAPSHOT_PATH_MAX + 1);
	assert_int_equal(check(s, &exe, true), WRIT_EUNAUTH);
	writ_free(longer);
}

static void a_path_that_names_another_file_is_refused(void **state)
{
	const struct writ_exe exe = stat_of(PROGRAM);
	struct writ_exe other = exe;
	(void)state;
	other.dev++;
	assert_int_equal(check(WRIT_STR(PROGRAM), &other, true), WRIT_EUNAUTH);
	other = exe;
	other.ino++;
	assert_int_equal(check(WRIT_STR(PROGRAM), &other, true), WRIT_EUNAUTH);
	assert_int_equal(check(WRIT_STR("/usr/bin/no-such"), &exe, true), WRIT_EUNAUTH);
}

/* /proc/PID/root and its like go where the process says. */
static void a_path_does_not_lead_through_a_process(void **state)
{
	const struct writ_exe exe = stat_of(PROGRAM);
	(void)state;
	assert_int_equal(check(WRIT_STR("/proc/self/root" PROGRAM), &exe, true), WRIT_EUNAUTH);
	assert_int_equal(stat_of("/proc/self/root" PROGRAM).ino, exe.ino);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_that_differs_in_one_thing_is_not_hashed),
		cmocka_unit_test(a_hash_that_is_known_is_of_that_very_file),
		cmocka_unit_test(nothing_is_known_of_a_file_without_numbers),
		cmocka_unit_test(a_file_that_changes_while_it_is_read_has_no_hash),
		cmocka_unit_test(a_path_is_the_files_own_and_absolute),
		cmocka_unit_test(a_path_that_names_another_file_is_refused),
		cmocka_unit_test(a_path_does_not_lead_through_a_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
