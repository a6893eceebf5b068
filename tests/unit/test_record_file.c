/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/fs.h"
#include "base/mem.h"
#include "monitor/record_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW INT64_C(1800000000)

struct fixture {
	char dir[64];
	struct writ_record_file f;
	int fd;
};

static int setup(void **state)
{
	struct fixture *x = writ_alloc(sizeof(*x));
	snprintf(x->dir, sizeof(x->dir), "/tmp/writ-record-XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	x->f = (struct writ_record_file){ .dir = x->dir, .rules = { .max = 10, .hold_s = 100 } };
	struct writ_err err = { 0 };
	assert_ok(writ_record_file_open(&x->f, &x->fd, &err), err);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;
	writ_closep(&x->fd);
	assert_int_equal(writ_fs_remove_tree(x->dir, NULL), WRIT_OK);
	writ_free(x);
	return 0;
}

static const char *text_of(struct fixture *x, const char *name)
{
	static char text[256];
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(x->dir, name);
	struct writ_buf b = WRIT_BUF(sizeof(text) - 1);
	if (writ_fs_read(path, &b, NULL) != WRIT_OK)
		return "(none)";
	snprintf(text, sizeof(text), "%s", b.n ? writ_buf_cstr(&b) : "");
	writ_buf_done(&b);
	return text;
}

static void add(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static writ_rc rotate(struct fixture *x)
{
	int fd = -1;
	writ_rc rc = writ_record_file_rotate(&x->f, NOW, &fd, NULL);
	if (rc == WRIT_OK) {
		close(x->fd);
		x->fd = fd;
	}
	return rc;
}

/* As if it had been written to last at that time. */
static void set_age(struct fixture *x, const char *name, int64_t at)
{
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(x->dir, name);
	const struct timespec t[2] = { { .tv_sec = at }, { .tv_sec = at } };
	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static void a_full_file_gets_the_next_number(void **state)
{
	struct fixture *x = *state;
	add(x->fd, "short\n");
	assert_int_equal(rotate(x), WRIT_EBUSY);
	add(x->fd, "and long\n");
	int before = dup(x->fd);
	assert_int_equal(rotate(x), WRIT_OK);
	/* Who still has the one before writes to the numbered one. */
	add(before, "late\n");
	close(before);
	add(x->fd, "next one is here\n");
	assert_string_equal(text_of(x, "issued.jsonl.000001"), "short\nand long\nlate\n");
	assert_string_equal(text_of(x, "issued.jsonl"), "next one is here\n");
	assert_int_equal(rotate(x), WRIT_OK);
	assert_string_equal(text_of(x, "issued.jsonl.000002"), "next one is here\n");
	assert_string_equal(text_of(x, "issued.jsonl"), "");
	struct stat st;
	assert_int_equal(fstat(x->fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void numbers_go_on_behind_the_highest(void **state)
{
	struct fixture *x = *state;
	static const char *const there[] = { "issued.jsonl.000041", "issued.jsonl.7",
		"issued.jsonl.000099.gz", "issued.jsonl.x", "issued.jsonl.-50", "issued.jsonl.",
		"xissued.jsonl.000077" };
	for (size_t i = 0; i < WRIT_COUNT(there); i++) {
		WRIT_AUTO(writ_freep) char *path = writ_fs_join(x->dir, there[i]);
		assert_int_equal(writ_fs_write(path, "x", 1, 0600, NULL), WRIT_OK);
	}
	add(x->fd, "0123456789\n");
	assert_int_equal(rotate(x), WRIT_OK);
	assert_string_equal(text_of(x, "issued.jsonl.000042"), "0123456789\n");
	for (size_t i = 0; i < WRIT_COUNT(there); i++)
		assert_string_equal(text_of(x, there[i]), "x");
}

static void without_a_limit_nothing_happens(void **state)
{
	struct fixture *x = *state;
	x->f.rules.max = 0;
	add(x->fd, "0123456789\n");
	assert_int_equal(rotate(x), WRIT_EBUSY);
	assert_string_equal(text_of(x, "issued.jsonl"), "0123456789\n");
}

static void what_is_too_many_goes_when_its_certificates_have_ended(void **state)
{
	struct fixture *x = *state;
	x->f.rules.keep = 2;
	for (int i = 0; i < 4; i++) {
		add(x->fd, "0123456789\n");
		/* The second one may name certificates that are still good. */
		set_age(x, "issued.jsonl", i == 1 ? NOW - 99 : NOW - 1000);
		assert_int_equal(rotate(x), WRIT_OK);
	}
	assert_string_equal(text_of(x, "issued.jsonl.000001"), "(none)");
	assert_string_equal(text_of(x, "issued.jsonl.000002"), "0123456789\n");
	assert_string_equal(text_of(x, "issued.jsonl.000003"), "0123456789\n");
	assert_string_equal(text_of(x, "issued.jsonl.000004"), "0123456789\n");
	set_age(x, "issued.jsonl.000002", NOW - 101);
	add(x->fd, "0123456789\n");
	assert_int_equal(rotate(x), WRIT_OK);
	assert_string_equal(text_of(x, "issued.jsonl.000002"), "(none)");
	assert_string_equal(text_of(x, "issued.jsonl.000003"), "(none)");
	assert_string_equal(text_of(x, "issued.jsonl.000004"), "0123456789\n");
}

static void one_that_was_renamed_is_opened_anew(void **state)
{
	struct fixture *x = *state;
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(x->dir, "issued.jsonl");
	WRIT_AUTO(writ_freep) char *to = writ_fs_join(x->dir, "mine");
	int fd;
	add(x->fd, "0123456789\n");
	assert_false(writ_record_file_moved(&x->f));
	assert_int_equal(rename(path, to), 0);
	assert_true(writ_record_file_moved(&x->f));
	/* Also when it was full: the operator's name stays, and no number is used up. */
	assert_int_equal(rotate(x), WRIT_OK);
	assert_false(writ_record_file_moved(&x->f));
	assert_string_equal(text_of(x, "mine"), "0123456789\n");
	assert_string_equal(text_of(x, "issued.jsonl.000001"), "(none)");
	/* A line that was cut short is ended. */
	add(x->fd, "{\"time");
	assert_int_equal(writ_record_file_open(&x->f, &fd, NULL), WRIT_OK);
	close(fd);
	assert_string_equal(text_of(x, "issued.jsonl"), "{\"time\n");
}

static void what_others_can_reach_is_refused(void **state)
{
	struct fixture *x = *state;
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(x->dir, "issued.jsonl");
	WRIT_AUTO(writ_freep) char *other = writ_fs_join(x->dir, "other");
	int fd = -1;
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(writ_record_file_open(&x->f, &fd, NULL), WRIT_EDENIED);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(link(path, other), 0);
	assert_int_equal(writ_record_file_open(&x->f, &fd, NULL), WRIT_EDENIED);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_int_not_equal(writ_record_file_open(&x->f, &fd, NULL), WRIT_OK);
	assert_int_equal(fd, -1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_full_file_gets_the_next_number),
		T(numbers_go_on_behind_the_highest),
		T(without_a_limit_nothing_happens),
		T(what_is_too_many_goes_when_its_certificates_have_ended),
		T(one_that_was_renamed_is_opened_anew),
		T(what_others_can_reach_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
