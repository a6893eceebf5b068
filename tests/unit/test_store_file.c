/* SPDX-License-Identifier: Apache-2.0 */
/* The store's file: whose it is, what is damaged, and what outlives full disks and kill -9. */
#include "store_kit.h"

#include "base/fs.h"
#include "base/mem.h"
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define S(text) writ_cstr(text)

static void sql(const struct store_world *w, const char *text)
{
	char path[128];
	sqlite3 *db = NULL;
	snprintf(path, sizeof(path), "%s/writ.db", w->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_newer_schema_is_refused_and_left_alone(void **state)
{
	struct store_world *w = *state;
	struct writ_err err;
	store_open(w);
	store_close(w);
	sql(w, "UPDATE schema SET version = 7");
	assert_fails(writ_store_open(&writ_store_sqlite, w->dir, &w->store, &err), WRIT_EPRECOND,
		err, "schema version 7");
	assert_non_null(strstr(err.msg, "up to 1"));
	sql(w, "UPDATE schema SET version = 1");
	store_open(w);
}

static void a_second_server_on_the_same_folder_is_refused(void **state)
{
	struct store_world *w = *state;
	struct writ_err err;
	struct writ_store *other = NULL;
	store_open(w);
	assert_fails(writ_store_open(&writ_store_sqlite, w->dir, &other, &err), WRIT_EBUSY, err,
		"another process");
}

static void a_damaged_file_is_refused(void **state)
{
	struct store_world *w = *state;
	struct writ_err err;
	char path[128];
	snprintf(path, sizeof(path), "%s/writ.db", w->dir);
	assert_ok(writ_fs_write(path, "this is not a database, it only is a file of its name", 50,
			  0600, &err),
		err);
	assert_fails(writ_store_open(&writ_store_sqlite, w->dir, &w->store, &err), WRIT_EIO, err,
		"not a database");
}

static void damaged_lists_are_refused(void **state)
{
	struct store_world *w = *state;
	struct writ_err err;
	struct store_request r;
	store_open(w);
	struct writ_entry *e = store_entry(1, "a", "spiffe://td/x");
	struct writ_change c = { WRIT_CHANGE_ENTRY_INSERT, { .entry = e } };
	assert_ok(store_apply(w, &c, 1, &r), r.tx.err);
	writ_entry_unref(e);
	store_close(w);
	sql(w, "UPDATE entry SET selectors = '3:b:b,3:a:a,'");
	struct store_dump d = { .text = WRIT_BUF(1000) };
	assert_ok(writ_store_open(&writ_store_sqlite, w->dir, &w->store, &err), err);
	assert_fails(writ_store_load(w->store, &store_dump_sink, &d, &d.revision, &err), WRIT_EIO,
		err, "entry a: a list in it is damaged");
	writ_buf_done(&d.text);
}

static void a_chosen_file_is_used_and_that_of_another_program_is_not(void **state)
{
	struct store_world *w = *state;
	struct writ_err err;
	char path[160], where[200];
	(void)mkdir(w->dir, 0755); /* it may be there */
	assert_int_equal(chmod(w->dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/chosen.sqlite3", w->dir);
	snprintf(where, sizeof(where), "file:%s", path);
	assert_ok(writ_store_open(&writ_store_sqlite, where, &w->store, &err), err);
	store_close(w);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(unlink(path), 0);
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, "CREATE TABLE bundles (id)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(chmod(path, 0600), 0);
	assert_fails(writ_store_open(&writ_store_sqlite, where, &w->store, &err), WRIT_EPRECOND,
		err, "another program");
	assert_int_equal(chmod(w->dir, 0700), 0);
	store_open(w);
}

static void loose_modes_are_refused_and_ours_are_tight_under_any_umask(void **state)
{
	struct store_world *w = *state;
	struct writ_err err;
	char path[4][128];
	static const char *const names[] = { "", "/writ.db", "/writ.db-wal", "/writ.db-shm" };
	for (int i = 0; i < 4; i++)
		snprintf(path[i], sizeof(path[i]), "%s%s", w->dir, names[i]);
	mode_t before = umask(0);
	store_open(w);
	umask(before);
	struct stat st;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(stat(path[i], &st), 0);
		assert_int_equal(st.st_mode & 0777, i ? 0600 : 0700);
	}
	/* Exclusive locking keeps the index of the log in memory. */
	assert_int_equal(stat(path[3], &st), -1);
	store_close(w);
	assert_int_equal(chmod(path[1], 0640), 0);
	assert_fails(writ_store_open(&writ_store_sqlite, w->dir, &w->store, &err), WRIT_EDENIED,
		err, "chmod 600");
	assert_int_equal(chmod(path[1], 0600), 0);
	assert_int_equal(chmod(path[0], 0750), 0);
	assert_int_equal(
		writ_store_open(&writ_store_sqlite, w->dir, &w->store, &err), WRIT_EDENIED);
	assert_int_equal(chmod(path[0], 0700), 0);
	store_open(w);
}

/* Changes until one does not fit. What was acknowledged is counted in *acked. */
static writ_rc fill(struct store_world *w, uint64_t *seq, int *acked, struct store_request *r)
{
	static char bulk[60000];
	memset(bulk, 'x', sizeof(bulk));
	for (int i = 0; i < 400; i++) {
		char name[32];
		snprintf(name, sizeof(name), "n-%d", (int)++*seq);
		struct writ_pair p = { S(name), writ_strn(bulk, sizeof(bulk)) };
		struct writ_change c = { WRIT_CHANGE_PAIR_PUT, { .pair = &p } };
		if (store_apply(w, &c, 1, r))
			return r->tx.rc;
		++*acked;
	}
	return WRIT_OK;
}

static int lines(const char *s)
{
	int n = 0;
	for (; *s; s++)
		n += *s == '\n';
	return n;
}

static void check_recovery(struct store_world *w, uint64_t seq, int acked)
{
	struct store_request r;
	char name[32];
	snprintf(name, sizeof(name), "n-%d", (int)seq);
	struct writ_pair p = { S(name), S("small") };
	struct writ_change c = { WRIT_CHANGE_PAIR_PUT, { .pair = &p } };
	assert_ok(store_apply(w, &c, 1, &r), r.tx.err);
	assert_int_equal(r.tx.revision, acked + 1);
	store_close(w);
	struct store_dump d;
	store_open_and_dump(w, &d);
	assert_int_equal(d.revision, acked + 1);
	assert_int_equal(lines(writ_buf_cstr(&d.text)), acked + 1);
	writ_buf_done(&d.text);
}

static void a_write_error_loses_nothing_and_goes_away_by_itself(void **state)
{
	struct store_world *w = *state;
	uint64_t seq = 0;
	int acked = 0;
	struct store_request r;
	struct rlimit old, low = { 4 << 20, RLIM_INFINITY };
	store_open(w);
	void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
	writ_rc rc = fill(w, &seq, &acked, &r);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, before);
	assert_int_equal(rc, WRIT_EIO);
	if (!strstr(r.tx.err.msg, "File too large"))
		fail_msg("no reason in '%s'", r.tx.err.msg);
	assert_true(acked > 10);
	check_recovery(w, seq, acked);
}

static void a_full_disk_refuses_changes_until_there_is_space(void **state)
{
	struct store_world *w = *state;
	if (mount("none", w->dir, "tmpfs", 0, "size=3m,mode=0700") != 0)
		skip(); /* only root can make a small disk */
	uint64_t seq = 0;
	int acked = 0;
	struct store_request r;
	store_open(w);
	writ_rc rc = fill(w, &seq, &acked, &r);
	assert_int_equal(rc, WRIT_ELIMIT);
	assert_non_null(strstr(r.tx.err.msg, "free some space"));
	assert_int_equal(mount("none", w->dir, "tmpfs", MS_REMOUNT, "size=40m"), 0);
	check_recovery(w, seq, acked);
	store_close(w);
	assert_int_equal(umount(w->dir), 0);
}

/* Writes entries and tells each acknowledged number to the parent, until it is killed. */
struct writer {
	struct store_world *w;
	struct write {
		struct writ_store_tx tx;
		struct writer *writer;
	} r[8];
	struct writ_change c[8];
	uint64_t seq;
	int out;
};

static void write_next(struct writer *me, size_t i);

static void acknowledged(struct writ_store_tx *tx)
{
	struct write *r = writ_container(tx, struct write, tx);
	struct writer *me = r->writer;
	size_t i = (size_t)(r - me->r);
	uint64_t pair[2] = { me->c[i].u.entry->meta.seq, tx->revision };
	if (tx->rc || write(me->out, pair, sizeof(pair)) != (ssize_t)sizeof(pair))
		_exit(3);
	writ_entry_unref(me->c[i].u.entry);
	write_next(me, i);
}

static void write_next(struct writer *me, size_t i)
{
	char id[32], name[64];
	uint64_t seq = ++me->seq;
	snprintf(id, sizeof(id), "id-%d", (int)seq);
	snprintf(name, sizeof(name), "spiffe://td/w/%d", (int)seq);
	me->c[i] = (struct writ_change){ WRIT_CHANGE_ENTRY_INSERT,
		{ .entry = store_entry(seq, id, name) } };
	me->r[i] = (struct write){ .writer = me };
	me->r[i].tx = (struct writ_store_tx){
		.loop = me->w->loop, .changes = &me->c[i], .n = 1, .done = acknowledged
	};
	writ_store_submit(me->w->store, &me->r[i].tx);
}

static void child(struct store_world *w, uint64_t seq, int out)
{
	struct writer *me = writ_alloc(sizeof(*me));
	*me = (struct writer){ .w = w, .seq = seq, .out = out };
	if (writ_loop_new(&w->loop, NULL) != WRIT_OK)
		_exit(2);
	store_open(w);
	for (size_t i = 0; i < WRIT_COUNT(me->r); i++)
		write_next(me, i);
	writ_loop_run(w->loop);
	_exit(0);
}

static void what_was_acknowledged_survives_kill_9(void **state)
{
	struct store_world *w = *state;
	static bool acked[1 << 20];
	uint64_t top = 0, top_revision = 0;
	for (int round = 0; round < 20; round++) {
		int pipes[2];
		assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			child(w, top + 1000, pipes[1]);
		close(pipes[1]);
		uint64_t pair[2];
		for (int i = 0; read(pipes[0], pair, sizeof(pair)) == (ssize_t)sizeof(pair); i++) {
			assert_true(pair[0] < WRIT_COUNT(acked));
			acked[pair[0]] = true;
			top = pair[0] > top ? pair[0] : top;
			top_revision = pair[1] > top_revision ? pair[1] : top_revision;
			if (i == round * 7)
				kill(pid, SIGKILL);
		}
		close(pipes[0]);
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		struct store_dump d;
		store_open_and_dump(w, &d);
		assert_true(d.revision >= top_revision);
		int found = 0, lost = 0;
		const char *at = writ_buf_cstr(&d.text);
		for (; (at = strstr(at, "entry ")); at += 6) {
			long seq = strtol(at + 6, NULL, 10);
			found += acked[seq];
		}
		for (uint64_t i = 0; i <= top; i++)
			lost += acked[i];
		assert_int_equal(lost - found, 0);
		assert_int_equal(d.revision, d.entries); /* gap-free over all lives */
		writ_buf_done(&d.text);
		store_close(w);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, store_enter, store_leave)
	const struct CMUnitTest tests[] = {
		T(a_newer_schema_is_refused_and_left_alone),
		T(a_second_server_on_the_same_folder_is_refused),
		T(a_damaged_file_is_refused),
		T(damaged_lists_are_refused),
		T(a_chosen_file_is_used_and_that_of_another_program_is_not),
		T(loose_modes_are_refused_and_ours_are_tight_under_any_umask),
		T(a_write_error_loses_nothing_and_goes_away_by_itself),
		T(a_full_disk_refuses_changes_until_there_is_space),
		T(what_was_acknowledged_survives_kill_9),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
