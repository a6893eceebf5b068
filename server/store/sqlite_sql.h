/* SPDX-License-Identifier: Apache-2.0 */
/* sqlite_sql: the statements. The tables are in sqlite_schema.c. */
#ifndef WRIT_STORE_SQLITE_SQL_H
#define WRIT_STORE_SQLITE_SQL_H

#define ENTRY_COLUMNS                                                                              \
	"spiffe_id, parent_id, selectors, id, federates_with, dns_names, hint, x509_ttl, "         \
	"jwt_ttl, flags, expires_at, created_at, revision_number, seq"
#define NODE_COLUMNS                                                                               \
	"id, type, serial, new_serial, selectors, version, not_after, new_not_after, "             \
	"attested_at, banned, can_reattest, key, new_key, seq"
#define ISSUED_COLUMNS "serial, spiffe_id, entry_id, agent_id, key, not_before, not_after"

#define WRIT_SQL_ENTRY_INSERT                                                                      \
	"INSERT INTO entry (" ENTRY_COLUMNS ", changed_at)"                                        \
	" VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)"
#define WRIT_SQL_ENTRY_UPDATE                                                                      \
	"UPDATE entry SET spiffe_id=?1, parent_id=?2, selectors=?3, federates_with=?5,"            \
	" dns_names=?6, hint=?7, x509_ttl=?8, jwt_ttl=?9, flags=?10, expires_at=?11,"              \
	" created_at=?12, revision_number=?13, changed_at=?15 WHERE id=?4 AND seq=?14"
#define WRIT_SQL_ENTRY_DELETE "DELETE FROM entry WHERE id=?1"
#define WRIT_SQL_NODE_PUT                                                                          \
	"INSERT INTO node (" NODE_COLUMNS ", changed_at)"                                          \
	" VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)"                             \
	" ON CONFLICT (id) DO UPDATE SET type=?2, serial=?3, new_serial=?4, selectors=?5,"         \
	" version=?6, not_after=?7, new_not_after=?8, attested_at=?9, banned=?10,"                 \
	" can_reattest=?11, key=?12, new_key=?13, changed_at=?15"
#define WRIT_SQL_NODE_DELETE  "DELETE FROM node WHERE id=?1"
#define WRIT_SQL_TOKEN_INSERT "INSERT INTO token VALUES (?1,?2,?3,?4,?5)"
#define WRIT_SQL_TOKEN_TAKE   "DELETE FROM token WHERE hash=?1"
#define WRIT_SQL_TRUST_PUT                                                                         \
	"INSERT INTO trust VALUES (?1,?2,?3,?4,?5) ON CONFLICT (td) DO UPDATE SET"                 \
	" cas=?2, sequence=?3, refresh_hint=?4, changed_at=?5"
#define WRIT_SQL_TRUST_DELETE "DELETE FROM trust WHERE td=?1"
#define WRIT_SQL_CA_PUT                                                                            \
	"INSERT INTO ca_journal VALUES (?1,?2,?3,?4,?5,?6) ON CONFLICT (authority_id) DO UPDATE"   \
	" SET state=?2, cert=?3, issued_at=?4, not_after=?5, changed_at=?6"
#define WRIT_SQL_CA_DELETE "DELETE FROM ca_journal WHERE authority_id=?1"
#define WRIT_SQL_ISSUED_ADD                                                                        \
	"INSERT OR IGNORE INTO issued (" ISSUED_COLUMNS ")"                                        \
	" VALUES (?1,?2,?3,?4,?5,?6,?7)"
#define WRIT_SQL_ISSUED_PRUNE                                                                      \
	"DELETE FROM issued WHERE rowid IN (SELECT rowid FROM issued WHERE not_after < ?1"         \
	" ORDER BY not_after LIMIT 1000)"
#define WRIT_SQL_PAIR_PUT                                                                          \
	"INSERT INTO pair VALUES (?1,?2,?3)"                                                       \
	" ON CONFLICT (name) DO UPDATE SET value=?2, changed_at=?3"
#define WRIT_SQL_PAIR_DELETE "DELETE FROM pair WHERE name=?1"

#define WRIT_SQL_LOAD_ENTRIES "SELECT " ENTRY_COLUMNS ", changed_at FROM entry ORDER BY seq"
#define WRIT_SQL_LOAD_NODES   "SELECT " NODE_COLUMNS ", changed_at FROM node ORDER BY seq"
#define WRIT_SQL_LOAD_TOKENS  "SELECT hash, expires_at, agent_id, spiffe_id FROM token"
#define WRIT_SQL_LOAD_TRUST   "SELECT td, cas, sequence, refresh_hint FROM trust"
#define WRIT_SQL_LOAD_CAS                                                                          \
	"SELECT authority_id, state, cert, issued_at, not_after FROM ca_journal ORDER BY rowid"
#define WRIT_SQL_LOAD_PAIRS  "SELECT name, value FROM pair"
#define WRIT_SQL_FIND_SERIAL "SELECT " ISSUED_COLUMNS " FROM issued WHERE serial=?1 LIMIT ?2"
#define WRIT_SQL_FIND_ID                                                                           \
	"SELECT " ISSUED_COLUMNS " FROM issued WHERE spiffe_id=?1 ORDER BY rowid DESC LIMIT ?2"

#endif
