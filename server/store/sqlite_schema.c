/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_impl.h"

#include "base/mem.h"

/* Lists are packs (store/pack.h) in one column: nothing is ever searched by them here, since all
 * reading happens in memory, and one row an entry is what makes 100,000 of them load quickly. The
 * row number of an entry or node is its order of creation. */
static const char *const migrations[] = {
	"CREATE TABLE sequence (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT "
	"NULL) "
	"STRICT;"
	"INSERT INTO sequence VALUES (1, 0);"
	"CREATE TABLE entry (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
	" spiffe_id TEXT NOT NULL, parent_id TEXT NOT NULL, selectors TEXT NOT NULL,"
	" federates_with TEXT NOT NULL, dns_names TEXT NOT NULL, hint TEXT NOT NULL,"
	" x509_ttl INTEGER NOT NULL, jwt_ttl INTEGER NOT NULL, flags INTEGER NOT NULL,"
	" expires_at INTEGER NOT NULL, created_at INTEGER NOT NULL,"
	" revision_number INTEGER NOT NULL, changed_at INTEGER NOT NULL,"
	" UNIQUE (spiffe_id, parent_id, selectors)) STRICT;"
	"CREATE TABLE node (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL,"
	" serial TEXT NOT NULL, new_serial TEXT NOT NULL, selectors TEXT NOT NULL,"
	" version TEXT NOT NULL, not_after INTEGER NOT NULL, new_not_after INTEGER NOT NULL,"
	" attested_at INTEGER NOT NULL, banned INTEGER NOT NULL, can_reattest INTEGER NOT NULL,"
	" key BLOB, new_key BLOB, changed_at INTEGER NOT NULL) STRICT;"
	"CREATE TABLE token (hash BLOB PRIMARY KEY, expires_at INTEGER NOT NULL,"
	" agent_id TEXT NOT NULL, spiffe_id TEXT NOT NULL, changed_at INTEGER NOT NULL)"
	" STRICT, WITHOUT ROWID;"
	"CREATE TABLE trust (td TEXT PRIMARY KEY, cas BLOB NOT NULL, sequence INTEGER NOT NULL,"
	" refresh_hint INTEGER NOT NULL, changed_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE ca_journal (authority_id TEXT PRIMARY KEY, state TEXT NOT NULL,"
	" cert BLOB NOT NULL, issued_at INTEGER NOT NULL, not_after INTEGER NOT NULL,"
	" changed_at INTEGER NOT NULL) STRICT;"
	"CREATE TABLE issued (serial TEXT NOT NULL UNIQUE, spiffe_id TEXT NOT NULL,"
	" entry_id TEXT NOT NULL, agent_id TEXT NOT NULL, key BLOB NOT NULL,"
	" not_before INTEGER NOT NULL, not_after INTEGER NOT NULL) STRICT;"
	"CREATE INDEX issued_by_id ON issued (spiffe_id);"
	"CREATE INDEX issued_by_end ON issued (not_after);"
	"CREATE TABLE pair (name TEXT PRIMARY KEY, value BLOB NOT NULL, changed_at INTEGER NOT "
	"NULL)"
	" STRICT, WITHOUT ROWID;",
};

const char *const *writ_sqlite_migrations(size_t *n)
{
	*n = WRIT_COUNT(migrations);
	return migrations;
}
