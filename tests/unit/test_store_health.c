/* SPDX-License-Identifier: Apache-2.0 */
/* The look at a store's file: what is in it while a server has it open, and what is wrong with it.
 */
#include "store_kit.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "check.h"
#include "store/health.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096

static char *path_of(const struct store_world *w)
{
	return writ_fs_join(w->dir, "writ.db");
}

static writ_rc look(const struct store_world *w, struct writ_store_health *h, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *path = path_of(w);
	return writ_store_check(path, h, err);
}

static void sql(const struct store_world *w, const char *text)
{
	WRIT_AUTO(writ_freep) char *path = path_of(w);
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void add(struct store_world *w, int from, int n)
{
	struct store_request r;
	for (int i = from; i < from + n; i++) {
		char id[32], name[64];
		snprintf(id, sizeof(id), "e%d", i);
		snprintf(name, sizeof(name), "spiffe://td/%d", i);
		struct writ_entry *e = store_entry((uint64_t)i, id, name);
		struct writ_change c = { WRIT_CHANGE_ENTRY_INSERT, { .entry = e } };
		assert_ok(store_apply(w, &c, 1, &r), r.tx.err);
		writ_entry_unref(e);
	}
}

static struct timespec changed(const struct store_world *w, const char *more)
{
	struct stat st;
	WRIT_AUTO(writ_freep) char *path = writ_asprintf("%s/writ.db%s", w->dir, more);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mtim;
}

static void a_store_in_use_is_seen_as_after_its_last_commit_and_left_alone(void **state)
{
	struct store_world *w = *state;
	struct writ_store_health h;
	struct writ_err err;
	store_open(w);
	for (int n = 0; n < 40; n += 20) {
		add(w, n + 1, 20);
		struct timespec file = changed(w, ""), wal = changed(w, "-wal");
		assert_ok(look(w, &h, &err), err);
		assert_int_equal(h.entries, n + 20);
		assert_int_equal(h.version, h.version_ours);
		assert_true(h.bytes >= PAGE && h.bytes % PAGE == 0);
		struct timespec file2 = changed(w, ""), wal2 = changed(w, "-wal");
		assert_memory_equal(&file, &file2, sizeof(file));
		assert_memory_equal(&wal, &wal2, sizeof(wal));
	}
	WRIT_AUTO(writ_freep) char *shm = writ_asprintf("%s/writ.db-shm", w->dir);
	assert_int_equal(access(shm, F_OK), -1);
	add(w, 41, 1); /* the server's lock is still its own */
	store_close(w);
	assert_ok(look(w, &h, &err), err);
	assert_int_equal(h.entries, 41);
	WRIT_AUTO(writ_freep) char *wal = writ_asprintf("%s/writ.db-wal", w->dir);
	assert_int_equal(access(wal, F_OK), -1);
}

static void the_unfinished_end_of_a_log_does_not_count(void **state)
{
	struct store_world *w = *state;
	struct writ_store_health h;
	struct writ_err err;
	store_open(w);
	add(w, 1, 3);
	WRIT_AUTO(writ_freep) char *wal = writ_asprintf("%s/writ.db-wal", w->dir);
	WRIT_AUTO(writ_closep) int fd = open(wal, O_RDWR | O_CLOEXEC);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	uint8_t byte = 0;
	/* The last frame is the commit of the third. */
	assert_int_equal(pread(fd, &byte, 1, st.st_size - 1), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, st.st_size - 1), 1);
	assert_ok(look(w, &h, &err), err);
	assert_int_equal(h.entries, 2);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, st.st_size - 1), 1);
	assert_ok(look(w, &h, &err), err);
	assert_int_equal(h.entries, 3);
}

static void a_damaged_page_is_found(void **state)
{
	struct store_world *w = *state;
	struct writ_store_health h;
	struct writ_err err;
	char junk[PAGE];
	store_open(w);
	add(w, 1, 200);
	store_close(w);
	assert_ok(look(w, &h, &err), err);
	WRIT_AUTO(writ_freep) char *path = path_of(w);
	WRIT_AUTO(writ_closep) int fd = open(path, O_RDWR | O_CLOEXEC);
	memset(junk, 0xa5, sizeof(junk));
	assert_int_equal(pwrite(fd, junk, PAGE, h.bytes - PAGE), PAGE);
	assert_fails(look(w, &h, &err), WRIT_EIO, err, "the file is damaged");
	assert_non_null(strstr(err.msg, "restore it from a backup"));
	/* The complaint itself, not what SQLite puts above it. */
	assert_null(strchr(err.msg, '\n'));
	assert_int_equal(ftruncate(fd, 100), 0);
	assert_fails(look(w, &h, &err), WRIT_EIO, err, "it has 100 bytes");
	memset(junk, 'x', sizeof(junk));
	assert_int_equal(pwrite(fd, junk, PAGE, 0), PAGE);
	assert_fails(look(w, &h, &err), WRIT_EIO, err, "not a database");
}

static void references_to_nothing_are_found(void **state)
{
	struct store_world *w = *state;
	struct writ_store_health h;
	struct writ_err err;
	store_open(w);
	store_close(w);
	sql(w, "CREATE TABLE x (id TEXT REFERENCES entry (id)); INSERT INTO x VALUES ('gone')");
	assert_fails(look(w, &h, &err), WRIT_EIO, err, "a row of x refers to one of entry");
}

static void the_schema_may_be_older_but_not_newer(void **state)
{
	struct store_world *w = *state;
	struct writ_store_health h;
	struct writ_err err;
	store_open(w);
	store_close(w);
	sql(w, "UPDATE schema SET version = 7");
	assert_fails(look(w, &h, &err), WRIT_EPRECOND, err, "schema version 7");
	/* There is no older one yet: 0 is what stands before the first. */
	sql(w, "DELETE FROM schema");
	assert_fails(look(w, &h, &err), WRIT_EPRECOND, err, "no server has used it");
	sql(w, "DROP TABLE schema");
	assert_fails(look(w, &h, &err), WRIT_EPRECOND, err, "another program");
}

static void files_that_are_not_there_or_not_for_us(void **state)
{
	struct store_world *w = *state;
	struct writ_store_health h;
	struct writ_err err;
	assert_fails(look(w, &h, &err), WRIT_ENOENT, err, "No such file");
	store_open(w);
	store_close(w);
	WRIT_AUTO(writ_freep) char *path = path_of(w);
	if (geteuid() == 0) {
		assert_int_equal(seteuid(65534), 0);
		writ_rc rc = look(w, &h, &err);
		assert_int_equal(seteuid(0), 0);
		assert_int_equal(rc, WRIT_EDENIED);
	} else {
		assert_int_equal(chmod(path, 0), 0);
		assert_fails(look(w, &h, &err), WRIT_EDENIED, err, "Permission denied");
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, store_enter, store_leave)
	const struct CMUnitTest tests[] = {
		T(a_store_in_use_is_seen_as_after_its_last_commit_and_left_alone),
		T(the_unfinished_end_of_a_log_does_not_count),
		T(a_damaged_page_is_found),
		T(references_to_nothing_are_found),
		T(the_schema_may_be_older_but_not_newer),
		T(files_that_are_not_there_or_not_for_us),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
