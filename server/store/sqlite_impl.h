/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_impl: what the parts of the SQLite backend share. sqlite_open.c: connection, schema,
 * errors; sqlite.c: changes and transactions; sqlite_load.c: rows on their way out. */
#ifndef WRIT_STORE_SQLITE_IMPL_H
#define WRIT_STORE_SQLITE_IMPL_H

#include "store/store.h"

struct sqlite3;
struct sqlite3_stmt;

enum {
	WRIT_SQL_BEGIN,
	WRIT_SQL_MARK,
	WRIT_SQL_KEEP,
	WRIT_SQL_UNDO,
	WRIT_SQL_SEQUENCE,
	WRIT_SQL_ADVANCE,
	WRIT_SQL_COMMIT,
	WRIT_SQL_FIXED
};

struct writ_sqlite {
	struct writ_db base;
	struct sqlite3 *db;
	struct sqlite3_stmt *fixed[WRIT_SQL_FIXED];
	struct sqlite3_stmt *change[WRIT_CHANGE_KINDS];
	uint64_t revision; /* as the transaction found it */
};

struct writ_sqlite *writ_sqlite_of(struct writ_db *db);
/* What SQLite said, as a kind that callers act on and a text that says what to do. */
writ_rc writ_sqlite_fail(struct sqlite3 *db, int code, struct writ_err *err, const char *what);
WRIT_MUST writ_rc writ_sqlite_exec(struct sqlite3 *db, const char *sql, struct writ_err *err);
void writ_sqlite_rollback(struct sqlite3 *db);
WRIT_MUST writ_rc writ_sqlite_prepare(
	struct sqlite3 *db, const char *sql, struct sqlite3_stmt **ret, struct writ_err *err);
WRIT_MUST writ_rc writ_sqlite_prepare_all(struct writ_sqlite *s, struct writ_err *err);
/* The one integer that a query gives. */
WRIT_MUST writ_rc writ_sqlite_ask(
	struct sqlite3 *db, const char *sql, int *ret, struct writ_err *err);
WRIT_MUST writ_rc writ_sqlite_check_pages(struct sqlite3 *db, struct writ_err *err);
/* Of the schema; 0: there is none yet. WRIT_EPRECOND: of another program, or of a newer one. */
WRIT_MUST writ_rc writ_sqlite_version(struct sqlite3 *db, int *ret, struct writ_err *err);
const char *const *writ_sqlite_migrations(size_t *n); /* SQL of each version, from the first */

WRIT_MUST writ_rc writ_sqlite_open(const char *where, struct writ_db **ret, struct writ_err *err);
WRIT_MUST writ_rc writ_sqlite_revision(struct writ_sqlite *s, uint64_t *ret, struct writ_err *err);
WRIT_MUST writ_rc writ_sqlite_load(struct writ_db *base, const struct writ_store_sink *sink,
	void *arg, uint64_t *revision, struct writ_err *err);
WRIT_MUST writ_rc writ_sqlite_find_issued(
	struct writ_db *base, struct writ_issued_query *q, struct writ_err *err);
void writ_sqlite_close(struct writ_db *base);

#endif
