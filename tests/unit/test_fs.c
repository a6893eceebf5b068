/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
	char dir[64];
	char path[128];
	mode_t umask;
};

/* A folder of its own for each test, under the loosest umask there is. */
static int enter(void **state)
{
	struct place *p = writ_alloc(sizeof(*p));
	snprintf(p->dir, sizeof(p->dir), "/tmp/writ-test-fs-XXXXXX");
	p->umask = umask(0);
	*state = p;
	return mkdtemp(p->dir) ? 0 : -1;
}

static int leave(void **state)
{
	struct place *p = *state;
	struct writ_err err;
	umask(p->umask);
	int rc = writ_fs_remove_tree(p->dir, &err) == WRIT_OK && access(p->dir, F_OK) != 0 ? 0 : -1;
	writ_free(p);
	return rc;
}

static const char *at(struct place *p, const char *name)
{
	snprintf(p->path, sizeof(p->path), "%s/%s", p->dir, name);
	return p->path;
}

static mode_t mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void paths_split_and_join(void **state)
{
	static const struct {
		const char *in, *want;
	} rows[] = { { "/a/b", "/a" }, { "x", "." }, { "/x", "/" }, { "a//b", "a" }, { "//x", "/" },
		{ "/a/", "/a" } };
	(void)state;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		WRIT_AUTO(writ_freep) char *dir = writ_fs_dirname(rows[i].in);
		assert_string_equal(dir, rows[i].want);
	}
	WRIT_AUTO(writ_freep) char *a = writ_fs_join("/a", "b");
	WRIT_AUTO(writ_freep) char *b = writ_fs_join("/", "b");
	assert_string_equal(a, "/a/b");
	assert_string_equal(b, "/b");
}

static void what_is_written_is_read_with_its_exact_mode(void **state)
{
	static const mode_t modes[] = { 0600, 0644, 0640, 0400, 0666 };
	static const mode_t masks[] = { 0000, 0077, 0777 };
	struct place *p = *state;
	struct writ_err err;
	for (size_t i = 0; i < WRIT_COUNT(modes) * WRIT_COUNT(masks); i++) {
		mode_t mode = modes[i / WRIT_COUNT(masks)];
		umask(masks[i % WRIT_COUNT(masks)]);
		struct writ_buf b = WRIT_BUF(64);
		assert_ok(writ_fs_write(at(p, "f"), "hello\0x", 7, mode, &err), err);
		assert_int_equal(mode_of(p->path), mode);
		assert_ok(writ_fs_read(p->path, &b, &err), err);
		assert_int_equal(b.n, 7);
		assert_memory_equal(b.p, "hello\0x", 7);
		writ_buf_done(&b);
	}
	umask(0);
}

static void a_link_is_replaced_and_never_written_through(void **state)
{
	struct place *p = *state;
	struct writ_err err;
	struct writ_buf b = WRIT_BUF(64);
	char link[128];
	put(at(p, "target"), "keep", 0600);
	snprintf(link, sizeof(link), "%s/link", p->dir);
	assert_int_equal(symlink(p->path, link), 0);
	assert_fails(writ_fs_read(link, &b, &err), WRIT_EDENIED, err, "symbolic link");
	assert_fails(writ_fs_read_private(link, &b, &err), WRIT_EDENIED, err, "symbolic link");
	assert_ok(writ_fs_read_linked(link, &b, &err), err); /* where that is wanted */
	assert_string_equal(writ_buf_cstr(&b), "keep");
	writ_buf_reset(&b);
	assert_fails(writ_fs_read_linked("/proc/self/cwd", &b, &err), WRIT_EINVAL, err,
		"not a regular file");
	assert_ok(writ_fs_write(link, "new", 3, 0600, &err), err);
	assert_ok(writ_fs_read(p->path, &b, &err), err);
	assert_string_equal(writ_buf_cstr(&b), "keep");
	writ_buf_reset(&b);
	assert_ok(writ_fs_read(link, &b, &err), err);
	assert_string_equal(writ_buf_cstr(&b), "new");
	writ_buf_done(&b);
}

static void a_failed_write_leaves_nothing_behind(void **state)
{
	struct place *p = *state;
	struct writ_err err;
	assert_int_equal(mkdir(at(p, "d"), 0700), 0);
	assert_fails(writ_fs_write(p->path, "x", 1, 0600, &err), WRIT_EIO, err, "Is a directory");
	assert_fails(writ_fs_write(at(p, "d/"), "x", 1, 0600, &err), WRIT_EINVAL, err, "folder");
	assert_fails(writ_fs_write(at(p, "d/.."), "x", 1, 0600, &err), WRIT_EINVAL, err, "folder");
	assert_fails(writ_fs_write(at(p, "none/f"), "x", 1, 0600, &err), WRIT_ENOENT, err, "none");
	/* rmdir works: no temporary file is in the folder. */
	assert_int_equal(rmdir(at(p, "d")), 0);
	assert_int_equal(rmdir(p->dir), 0);
	assert_int_equal(mkdir(p->dir, 0700), 0);
}

static void reading_is_bounded_and_touches_the_buffer_on_success_only(void **state)
{
	struct place *p = *state;
	struct writ_err err;
	struct writ_buf b = WRIT_BUF(10);
	put(at(p, "eight"), "12345678", 0600);
	writ_buf_add_cstr(&b, "ab");
	assert_ok(writ_fs_read(p->path, &b, &err), err);
	assert_string_equal(writ_buf_cstr(&b), "ab12345678");
	writ_buf_drop(&b, 9);
	writ_buf_add_cstr(&b, "cd");
	assert_fails(writ_fs_read(p->path, &b, &err), WRIT_ELIMIT, err, "larger than 10 bytes");
	assert_string_equal(writ_buf_cstr(&b), "8cd");
	assert_fails(writ_fs_read(at(p, "none"), &b, &err), WRIT_ENOENT, err, "none");
	assert_fails(writ_fs_read(p->dir, &b, &err), WRIT_EINVAL, err, "not a regular file");
	/* A named pipe without a writer must not hold us up. */
	assert_int_equal(mkfifo(at(p, "pipe"), 0600), 0);
	assert_fails(writ_fs_read(p->path, &b, &err), WRIT_EINVAL, err, "not a regular file");
	writ_buf_done(&b);
	struct writ_buf large = WRIT_BUF(1 << 20);
	assert_ok(writ_fs_read("/proc/self/status", &large, &err), err);
	assert_non_null(strstr(writ_buf_cstr(&large), "Pid:"));
	writ_buf_done(&large);
}

static void a_loose_key_file_is_refused_with_the_cure(void **state)
{
	static const struct {
		mode_t mode;
		bool good;
	} rows[] = { { 0600, true }, { 0400, true }, { 0700, true }, { 0640, false },
		{ 0604, false }, { 0620, false }, { 0602, false }, { 0601, false } };
	struct place *p = *state;
	struct writ_err err;
	put(at(p, "key"), "k", 0600);
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct writ_buf b = WRIT_BUF(16);
		assert_int_equal(chmod(p->path, rows[i].mode), 0);
		if (rows[i].good)
			assert_ok(writ_fs_read_private(p->path, &b, &err), err);
		else
			assert_fails(writ_fs_read_private(p->path, &b, &err), WRIT_EDENIED, err,
				"run: chmod 600 ");
		writ_buf_done(&b);
	}
}

static void a_file_with_a_second_name_is_refused(void **state)
{
	struct place *p = *state;
	struct writ_err err;
	struct writ_buf b = WRIT_BUF(16);
	put(at(p, "key"), "k", 0600);
	char *first = writ_strdup(p->path);
	assert_int_equal(link(first, at(p, "again")), 0);
	assert_fails(writ_fs_read_private(first, &b, &err), WRIT_EDENIED, err, "has 2 names");
	assert_int_equal(unlink(p->path), 0);
	assert_ok(writ_fs_read_private(first, &b, &err), err);
	writ_buf_done(&b);
	writ_free(first);
}

static void a_folder_of_ours_is_closed_when_others_could_only_look(void **state)
{
	static const struct {
		mode_t has;
		bool good, closed;
	} rows[] = { { 0700, true, false }, { 0755, true, true }, { 0711, true, true },
		{ 0750, true, true }, { 0770, false, false }, { 0777, false, false },
		{ 01777, false, false } };
	struct place *p = *state;
	struct writ_err err;
	struct stat st;
	bool closed;
	assert_int_equal(mkdir(at(p, "state"), 0700), 0);
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		assert_int_equal(chmod(p->path, rows[i].has), 0);
		if (rows[i].good)
			assert_ok(writ_fs_claim_dir(p->path, &closed, &err), err);
		else
			assert_fails(writ_fs_claim_dir(p->path, &closed, &err), WRIT_EDENIED, err,
				"run: chmod ");
		assert_int_equal(closed, rows[i].closed);
		assert_int_equal(stat(p->path, &st), 0);
		assert_int_equal(st.st_mode & 07777, rows[i].good ? 0700 : rows[i].has);
	}
}

static void a_file_of_another_user_is_refused(void **state)
{
	struct place *p = *state;
	struct writ_err err;
	struct writ_buf b = WRIT_BUF(16);
	if (geteuid() != 0)
		skip();
	put(at(p, "key"), "k", 0600);
	assert_int_equal(chown(p->path, 12345, 0), 0);
	assert_fails(writ_fs_read_private(p->path, &b, &err), WRIT_EDENIED, err, "user 12345");
	assert_int_equal(mkdir(at(p, "dir"), 0700), 0);
	assert_int_equal(chown(p->path, 12345, 0), 0);
	assert_fails(writ_fs_ensure_dir(p->path, 0700, &err), WRIT_EDENIED, err, "user 12345");
	writ_buf_done(&b);
}

static void folders_are_made_with_their_parents(void **state)
{
	struct place *p = *state;
	struct writ_err err;
	umask(0777);
	assert_ok(writ_fs_ensure_dir(at(p, "a//b/c/"), 0750, &err), err);
	umask(0);
	assert_int_equal(mode_of(p->path), 0750);
	assert_int_equal(mode_of(at(p, "a")), 0750);
	assert_ok(writ_fs_ensure_dir(at(p, "a/b/c"), 0750, &err), err);
	assert_ok(writ_fs_ensure_dir(at(p, "./a/../a/new"), 0700, &err), err);
	assert_int_equal(mode_of(at(p, "a/new")), 0700);
	assert_fails(writ_fs_ensure_dir("", 0700, &err), WRIT_EINVAL, err, "empty");
}

static void loose_folders_are_refused(void **state)
{
	static const struct {
		mode_t has, asked;
		bool good;
	} rows[] = {
		{ 0700, 0700, true },
		{ 0500, 0700, true },
		{ 0750, 0700, false },
		{ 0701, 0700, false },
		{ 0755, 0755, true },
		{ 0700, 0755, true },
		{ 0775, 0755, false },
		{ 0757, 0755, false },
		{ 01777, 0755, false },
		{ 0770, 0770, true },
		{ 0772, 0770, false },
	};
	struct place *p = *state;
	struct writ_err err;
	assert_int_equal(mkdir(at(p, "d"), 0700), 0);
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		assert_int_equal(chmod(p->path, rows[i].has), 0);
		if (rows[i].good)
			assert_ok(writ_fs_ensure_dir(p->path, rows[i].asked, &err), err);
		else
			assert_fails(writ_fs_ensure_dir(p->path, rows[i].asked, &err), WRIT_EDENIED,
				err, "run: chmod ");
	}
}

static void folders_under_what_others_can_write_are_refused(void **state)
{
	struct place *p = *state;
	struct writ_err err;
	assert_int_equal(mkdir(at(p, "open"), 0777), 0);
	assert_fails(
		writ_fs_ensure_dir(at(p, "open/d"), 0700, &err), WRIT_EDENIED, err, "mode 0777");
	assert_int_not_equal(access(p->path, F_OK), 0);
	assert_int_equal(chmod(at(p, "open"), 01777), 0); /* as /tmp */
	assert_ok(writ_fs_ensure_dir(at(p, "open/d"), 0700, &err), err);
	assert_int_equal(chmod(at(p, "open"), 0775), 0); /* a group of ours */
	assert_ok(writ_fs_ensure_dir(at(p, "open/e"), 0700, &err), err);
}

/* Whoever owns a folder above can swap what is in it, whatever its mode is now. */
static void folders_under_what_another_user_owns_are_refused(void **state)
{
	static const mode_t modes[] = { 0755, 0700, 01777 };
	struct place *p = *state;
	struct writ_err err;
	if (geteuid() != 0)
		skip();
	assert_int_equal(mkdir(at(p, "theirs"), 0755), 0);
	assert_int_equal(chown(p->path, 12345, 0), 0);
	for (size_t i = 0; i < WRIT_COUNT(modes); i++) {
		assert_int_equal(chmod(at(p, "theirs"), modes[i]), 0);
		assert_fails(writ_fs_ensure_dir(at(p, "theirs/d"), 0700, &err), WRIT_EDENIED, err,
			"user 12345");
		assert_int_not_equal(access(p->path, F_OK), 0);
	}
	/* Neither does one of ours in there help. */
	assert_int_equal(mkdir(at(p, "theirs/ours"), 0700), 0);
	assert_fails(writ_fs_ensure_dir(at(p, "theirs/ours"), 0700, &err), WRIT_EDENIED, err,
		"user 12345");
}

static void a_link_or_file_is_no_folder(void **state)
{
	struct place *p = *state;
	struct writ_err err;
	char real[128];
	snprintf(real, sizeof(real), "%s/real", p->dir);
	assert_int_equal(mkdir(real, 0700), 0);
	assert_int_equal(symlink("real", at(p, "link")), 0);
	assert_fails(writ_fs_ensure_dir(p->path, 0700, &err), WRIT_EDENIED, err, "symbolic link");
	/* On the way a link is fine: /var/run is one. */
	assert_ok(writ_fs_ensure_dir(at(p, "link/sub"), 0700, &err), err);
	put(at(p, "file"), "", 0600);
	assert_fails(writ_fs_ensure_dir(p->path, 0700, &err), WRIT_EDENIED, err, "a file");
	assert_int_equal(symlink("nowhere", at(p, "broken")), 0);
	assert_fails(writ_fs_ensure_dir(p->path, 0700, &err), WRIT_EDENIED, err, "symbolic link");
	assert_int_equal(unlink(p->path), 0);
}

static void a_tree_goes_but_not_what_its_links_point_to(void **state)
{
	struct place *p = *state;
	struct writ_err err;
	char victim[128];
	snprintf(victim, sizeof(victim), "%s/victim", p->dir);
	assert_int_equal(mkdir(victim, 0700), 0);
	put(at(p, "victim/f"), "x", 0600);
	assert_ok(writ_fs_ensure_dir(at(p, "tree/a/b/c"), 0700, &err), err);
	put(at(p, "tree/a/f"), "x", 0600);
	assert_int_equal(symlink(victim, at(p, "tree/a/b/link")), 0);
	assert_ok(writ_fs_remove_tree(at(p, "tree"), &err), err);
	assert_int_not_equal(access(p->path, F_OK), 0);
	assert_int_equal(access(at(p, "victim/f"), F_OK), 0);
	assert_ok(writ_fs_remove_tree(at(p, "tree"), &err), err);
	assert_int_equal(symlink(victim, at(p, "link")), 0);
	assert_int_not_equal(writ_fs_remove_tree(p->path, &err), WRIT_OK);
	assert_int_equal(access(at(p, "victim/f"), F_OK), 0);
	assert_int_equal(unlink(at(p, "link")), 0);
}

int main(void)
{
#define IN_A_PLACE(test) cmocka_unit_test_setup_teardown(test, enter, leave)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_split_and_join),
		IN_A_PLACE(what_is_written_is_read_with_its_exact_mode),
		IN_A_PLACE(a_link_is_replaced_and_never_written_through),
		IN_A_PLACE(a_failed_write_leaves_nothing_behind),
		IN_A_PLACE(reading_is_bounded_and_touches_the_buffer_on_success_only),
		IN_A_PLACE(a_loose_key_file_is_refused_with_the_cure),
		IN_A_PLACE(a_file_with_a_second_name_is_refused),
		IN_A_PLACE(a_folder_of_ours_is_closed_when_others_could_only_look),
		IN_A_PLACE(a_file_of_another_user_is_refused),
		IN_A_PLACE(folders_are_made_with_their_parents),
		IN_A_PLACE(loose_folders_are_refused),
		IN_A_PLACE(folders_under_what_others_can_write_are_refused),
		IN_A_PLACE(folders_under_what_another_user_owns_are_refused),
		IN_A_PLACE(a_link_or_file_is_no_folder),
		IN_A_PLACE(a_tree_goes_but_not_what_its_links_point_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
