/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_impl.h"

#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_TIMEOUT_MS 1000
#define VALUE_MAX       (4 * 1024 * 1024) /* bytes of one column */
#define FILE_NAME       "writ.db"
#define FILE_SCHEME     "file:"

/* What SQLite said, as a kind that callers act on and a text that says what to do. */
writ_rc writ_sqlite_fail(sqlite3 *db, int code, struct writ_err *err, const char *what)
{
	static const struct {
		int code;
		writ_rc rc;
		const char *advice;
	} kinds[] = {
		{ SQLITE_FULL, WRIT_ELIMIT, "; free some space, no restart is needed" },
		{ SQLITE_NOMEM, WRIT_ELIMIT, "" },
		{ SQLITE_TOOBIG, WRIT_ELIMIT, "" },
		{ SQLITE_BUSY, WRIT_EBUSY, "; another process uses this database: stop it first" },
		{ SQLITE_LOCKED, WRIT_EBUSY, "" },
		{ SQLITE_CONSTRAINT, WRIT_EEXIST, "" },
		{ SQLITE_CORRUPT, WRIT_EIO, "; the file is damaged: restore it from a backup" },
		{ SQLITE_NOTADB, WRIT_EIO, "; this is not a database: restore or remove it" },
		{ SQLITE_PERM, WRIT_EDENIED, "" },
		{ SQLITE_READONLY, WRIT_EDENIED, "" },
		{ SQLITE_CANTOPEN, WRIT_EDENIED, "" },
	};
	writ_rc rc = WRIT_EIO;
	const char *advice = "";
	for (size_t i = 0; i < WRIT_COUNT(kinds); i++) {
		if (kinds[i].code == (code & 0xff)) {
			rc = kinds[i].rc;
			advice = kinds[i].advice;
		}
	}
	int os = db && sqlite3_system_errno(db) ? sqlite3_system_errno(db) : errno;
	char text[96] = "";
	const char *reason = rc == WRIT_EIO && os ? strerror_r(os, text, sizeof(text)) : NULL;
	return writ_fail(err, rc, "%s: %s%s%s%s", what, sqlite3_errstr(code), reason ? ": " : "",
		reason ? reason : "", advice);
}

writ_rc writ_sqlite_exec(sqlite3 *db, const char *sql, struct writ_err *err)
{
	int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? WRIT_OK : writ_sqlite_fail(db, code, err, sqlite3_errmsg(db));
}

writ_rc writ_sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct writ_err *err)
{
	int code = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);
	return code == SQLITE_OK ? WRIT_OK : writ_sqlite_fail(db, code, err, sqlite3_errmsg(db));
}

void writ_sqlite_rollback(sqlite3 *db)
{
	/* After some failures SQLite has rolled back by itself. Should this one fail, then the next
	 * BEGIN does too and says so: nothing is committed on top of it. */
	if (!sqlite3_get_autocommit(db))
		(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

struct writ_sqlite *writ_sqlite_of(struct writ_db *db)
{
	return writ_container(db, struct writ_sqlite, base);
}

/* The file with its mode, before SQLite would make it with one of its own: the journal files get
 * theirs from it. */
static writ_rc claim_file(const char *path, struct writ_err *err)
{
	WRIT_AUTO(writ_closep)
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0)
		return writ_fail_errno(err, errno, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return writ_fail(err, WRIT_EINVAL, "open %s: not a regular file", path);
	if (st.st_uid != geteuid())
		return writ_fail(err, WRIT_EDENIED,
			"open %s: owned by user %u, not by us (user %u); chown it", path, st.st_uid,
			geteuid());
	if (st.st_mode & 077)
		return writ_fail(err, WRIT_EDENIED,
			"open %s: mode is %04o, so others can get at it; run: chmod 600 %s", path,
			st.st_mode & 07777, path);
	return writ_fs_check_single(fd, path, err);
}

writ_rc writ_sqlite_ask(sqlite3 *db, const char *sql, int *ret, struct writ_err *err)
{
	sqlite3_stmt *st = NULL;
	writ_rc rc = writ_sqlite_prepare(db, sql, &st, err);
	if (rc)
		return rc;
	int code = sqlite3_step(st);
	if (code == SQLITE_ROW)
		*ret = sqlite3_column_int(st, 0);
	else
		rc = writ_sqlite_fail(db, code, err, sql);
	sqlite3_finalize(st);
	return rc;
}

/* Settings of the connection. Exclusive locking: what is in memory is only true while nobody else
 * writes, so a second server on the same folder has to fail. */
static writ_rc configure(sqlite3 *db, struct writ_err *err)
{
	static const struct {
		int option, value;
	} options[] = {
		{ SQLITE_DBCONFIG_DEFENSIVE, 1 },
		{ SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
		{ SQLITE_DBCONFIG_ENABLE_FKEY, 1 },
		{ SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 },
		{ SQLITE_DBCONFIG_ENABLE_VIEW, 0 },
		{ SQLITE_DBCONFIG_DQS_DML, 0 },
		{ SQLITE_DBCONFIG_DQS_DDL, 0 },
	};
	for (size_t i = 0; i < WRIT_COUNT(options); i++) {
		int code = sqlite3_db_config(db, options[i].option, options[i].value, NULL);
		if (code != SQLITE_OK)
			return writ_sqlite_fail(db, code, err, "configure the connection");
	}
	int code = sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
	if (code != SQLITE_OK)
		return writ_sqlite_fail(db, code, err, "set the busy timeout");
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, VALUE_MAX);
	sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	return writ_sqlite_exec(db,
		"PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
		"PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON;"
		"PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 8192;"
		"PRAGMA journal_size_limit = 67108864",
		err);
}

static writ_rc check_wal(sqlite3 *db, struct writ_err *err)
{
	sqlite3_stmt *st = NULL;
	writ_rc rc = writ_sqlite_prepare(db, "PRAGMA journal_mode", &st, err);
	if (rc == WRIT_OK &&
		(sqlite3_step(st) != SQLITE_ROW ||
			strcmp((const char *)sqlite3_column_text(st, 0), "wal") != 0))
		rc = writ_fail(err, WRIT_EIO,
			"this file system does not support write-ahead logging (WAL); use a local "
			"one");
	sqlite3_finalize(st);
	return rc;
}

writ_rc writ_sqlite_check_pages(sqlite3 *db, struct writ_err *err)
{
	sqlite3_stmt *st = NULL;
	writ_rc rc = writ_sqlite_prepare(db, "PRAGMA quick_check(1)", &st, err);
	if (rc)
		return rc;
	int code = sqlite3_step(st);
	const char *said = code == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
	/* Some have a heading with the name of the database. */
	const char *line = said && writ_str_starts(writ_cstr(said), WRIT_STR("***"))
		? strchr(said, '\n')
		: NULL;
	said = line ? line + 1 : said;
	if (!said)
		rc = writ_sqlite_fail(db, code, err, "check the pages");
	else if (strcmp(said, "ok") != 0)
		rc = writ_fail(
			err, WRIT_EIO, "the file is damaged (%s): restore it from a backup", said);
	sqlite3_finalize(st);
	return rc;
}

static writ_rc migrate_from(sqlite3 *db, int version, struct writ_err *err)
{
	writ_rc rc = writ_sqlite_exec(db, "BEGIN EXCLUSIVE", err);
	size_t n = 0;
	const char *const *steps = writ_sqlite_migrations(&n);
	for (size_t i = (size_t)version; i < n && rc == WRIT_OK; i++)
		rc = writ_sqlite_exec(db, steps[i], err);
	char *set = writ_asprintf("DELETE FROM schema; INSERT INTO schema VALUES (%zu)", n);
	if (rc == WRIT_OK)
		rc = writ_sqlite_exec(db, set, err);
	writ_free(set);
	if (rc == WRIT_OK)
		rc = writ_sqlite_exec(db, "COMMIT", err);
	if (rc)
		writ_sqlite_rollback(db);
	return rc ? writ_wrap(err, rc, "migrate from schema version %d to %zu", version, n)
		  : WRIT_OK;
}

writ_rc writ_sqlite_version(sqlite3 *db, int *ret, struct writ_err *err)
{
	int version = 0, tables = 0, ours = 0;
	size_t known = 0;
	(void)writ_sqlite_migrations(&known);
	writ_rc rc = writ_sqlite_ask(db, "SELECT count(*) FROM sqlite_schema", &tables, err);
	if (rc == WRIT_OK)
		rc = writ_sqlite_ask(
			db, "SELECT count(*) FROM sqlite_schema WHERE name = 'schema'", &ours, err);
	if (rc == WRIT_OK && tables && !ours)
		rc = writ_fail(err, WRIT_EPRECOND,
			"this is the database of another program (SPIRE's cannot be taken over): "
			"name another file in connection_string");
	if (rc == WRIT_OK && ours)
		rc = writ_sqlite_ask(
			db, "SELECT coalesce(max(version), 0) FROM schema", &version, err);
	if (rc)
		return rc;
	if (version < 0 || (size_t)version > known)
		return writ_fail(err, WRIT_EPRECOND,
			"the database has schema version %d, this program (%s) knows versions up "
			"to %zu: run the newer program that wrote it, or restore a backup from "
			"before",
			version, WRIT_VERSION, known);
	*ret = version;
	return WRIT_OK;
}

static writ_rc migrate(sqlite3 *db, struct writ_err *err)
{
	int version = 0;
	size_t ours = 0;
	(void)writ_sqlite_migrations(&ours);
	writ_rc rc = writ_sqlite_version(db, &version, err);
	if (rc == WRIT_OK && !version)
		rc = writ_sqlite_exec(db,
			"CREATE TABLE IF NOT EXISTS schema (version INTEGER NOT NULL) STRICT", err);
	if (rc)
		return rc;
	return (size_t)version == ours ? WRIT_OK : migrate_from(db, version, err);
}

static writ_rc open_connection(struct writ_sqlite *s, const char *path, struct writ_err *err)
{
	/* One thread at a time touches the connection (writ_store), so it needs no lock of its own.
	 */
	int code = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code != SQLITE_OK)
		return writ_sqlite_fail(s->db, code, err, "open");
	writ_rc rc = configure(s->db, err);
	if (rc == WRIT_OK)
		rc = check_wal(s->db, err);
	if (rc == WRIT_OK)
		rc = writ_sqlite_check_pages(s->db, err);
	if (rc == WRIT_OK)
		rc = migrate(s->db, err);
	return rc ? rc : writ_sqlite_prepare_all(s, err);
}

/* The folder of a file that somebody chose may be one that others look into, the file is not. */
static writ_rc prepare_folder(const char *path, bool chosen, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *dir = writ_fs_dirname(path);
	mode_t mode = chosen && access(dir, F_OK) == 0 ? 0755 : 0700;
	return writ_fs_ensure_dir(dir, mode, err);
}

writ_rc writ_sqlite_open(const char *where, struct writ_db **ret, struct writ_err *err)
{
	bool chosen = writ_str_starts(writ_cstr(where), WRIT_STR(FILE_SCHEME));
	WRIT_AUTO(writ_freep)
	char *path = chosen ? writ_strdup(where + sizeof(FILE_SCHEME) - 1)
			    : writ_fs_join(where, FILE_NAME);
	writ_rc rc = prepare_folder(path, chosen, err);
	if (rc == WRIT_OK)
		rc = claim_file(path, err);
	if (rc)
		return rc;
	struct writ_sqlite *s = writ_alloc(sizeof(*s));
	s->base.vt = &writ_store_sqlite;
	rc = open_connection(s, path, err);
	if (rc) {
		writ_sqlite_close(&s->base);
		return writ_wrap(err, rc, "%s", path);
	}
	*ret = &s->base;
	return WRIT_OK;
}

void writ_sqlite_close(struct writ_db *base)
{
	struct writ_sqlite *s = writ_sqlite_of(base);
	for (size_t i = 0; i < WRIT_SQL_FIXED; i++)
		sqlite3_finalize(s->fixed[i]);
	for (size_t i = 0; i < WRIT_CHANGE_KINDS; i++)
		sqlite3_finalize(s->change[i]);
	/* Only statements left open could make it fail, and there are none. */
	(void)sqlite3_close_v2(s->db);
	writ_free(s);
}
