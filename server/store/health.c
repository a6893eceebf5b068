/* SPDX-License-Identifier: Apache-2.0 */
#include "store/health.h"

#include "store/image.h"
#include "store/sqlite_impl.h"

#include "base/mem.h"

#include <sqlite3.h>
#include <string.h>

static void close_db(sqlite3 **db)
{
	(void)sqlite3_close_v2(*db);
}

static writ_rc open_image(const struct writ_image *m, sqlite3 **db, struct writ_err *err)
{
	int code = sqlite3_open_v2(":memory:", db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_deserialize(*db, "main", m->bytes, (sqlite3_int64)m->n,
			(sqlite3_int64)m->n, SQLITE_DESERIALIZE_READONLY);
	if (code == SQLITE_OK)
		code = sqlite3_db_config(*db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_db_config(*db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	if (code != SQLITE_OK)
		return writ_sqlite_fail(*db, code, err, "look at it");
	return writ_sqlite_exec(*db, "PRAGMA cell_size_check = ON; PRAGMA query_only = ON", err);
}

/* Each row is one reference to what is not there. */
static writ_rc check_references(sqlite3 *db, struct writ_err *err)
{
	sqlite3_stmt *st = NULL;
	writ_rc rc = writ_sqlite_prepare(db, "PRAGMA foreign_key_check", &st, err);
	if (rc)
		return rc;
	int code = sqlite3_step(st);
	if (code == SQLITE_ROW)
		rc = writ_fail(err, WRIT_EIO, "a row of %s refers to one of %s that is not there",
			(const char *)sqlite3_column_text(st, 0),
			(const char *)sqlite3_column_text(st, 2));
	else if (code != SQLITE_DONE)
		rc = writ_sqlite_fail(db, code, err, "check the references");
	sqlite3_finalize(st);
	return rc;
}

static writ_rc check_all(sqlite3 *db, struct writ_store_health *h, struct writ_err *err)
{
	writ_rc rc = writ_sqlite_check_pages(db, err);
	if (rc == WRIT_OK)
		rc = check_references(db, err);
	if (rc == WRIT_OK)
		rc = writ_sqlite_version(db, &h->version, err);
	if (rc == WRIT_OK && !h->version)
		rc = writ_fail(err, WRIT_EPRECOND, "it has no schema: no server has used it yet");
	if (rc == WRIT_OK)
		rc = writ_sqlite_ask(db, "SELECT count(*) FROM entry", &h->entries, err);
	return rc;
}

writ_rc writ_store_check(const char *path, struct writ_store_health *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_image_done) struct writ_image m = { 0 };
	WRIT_AUTO(close_db) sqlite3 *db = NULL; /* looks at m: ends before it */
	size_t ours = 0;
	writ_rc rc = writ_image_read(path, &m, err);
	if (rc != WRIT_OK)
		return rc;
	(void)writ_sqlite_migrations(&ours);
	struct writ_store_health h = { .bytes = (int64_t)m.n, .version_ours = (int)ours };
	rc = open_image(&m, &db, err);
	if (rc == WRIT_OK)
		rc = check_all(db, &h, err);
	if (rc == WRIT_OK)
		*ret = h;
	return rc;
}
