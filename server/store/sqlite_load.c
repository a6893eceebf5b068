/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_impl.h"

#include "base/mem.h"
#include "store/sqlite_sql.h"

#include <sqlite3.h>
#include <string.h>

#define FIND_MAX 1000

static void finalize(sqlite3_stmt **st)
{
	sqlite3_finalize(*st); /* repeats the error of the last step, which was seen there */
}

writ_rc writ_sqlite_revision(struct writ_sqlite *s, uint64_t *ret, struct writ_err *err)
{
	sqlite3_stmt *st = s->fixed[WRIT_SQL_SEQUENCE];
	int code = sqlite3_step(st);
	if (code == SQLITE_ROW)
		*ret = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return code == SQLITE_ROW ? WRIT_OK
				  : writ_sqlite_fail(s->db, code, err, "read the revision");
}

static struct writ_str column(sqlite3_stmt *st, int i)
{
	const void *p = sqlite3_column_blob(st, i);
	return (struct writ_str){ p ? p : "", (size_t)sqlite3_column_bytes(st, i) };
}

static bool column_hash(sqlite3_stmt *st, int i, uint8_t out[WRIT_KEY_HASH_LEN])
{
	struct writ_str s = column(st, i);
	if (s.n != WRIT_KEY_HASH_LEN)
		return false;
	memcpy(out, s.p, s.n);
	return true;
}

static writ_rc load_entry(
	sqlite3_stmt *st, const struct writ_store_sink *sink, void *arg, struct writ_err *err)
{
	struct writ_entry_spec spec;
	int at = 0;
	for (; at < WRIT_ENTRY_FIELDS; at++)
		spec.text[at] = column(st, at);
	if (!writ_pack_is_set(spec.text[WRIT_ENTRY_SELECTORS]) ||
		!writ_pack_is_set(spec.text[WRIT_ENTRY_FEDERATES_WITH]) ||
		!writ_pack_valid(spec.text[WRIT_ENTRY_DNS_NAMES], NULL))
		return writ_fail(err, WRIT_EIO, "entry " WRIT_FMT ": a list in it is damaged",
			WRIT_ARG(spec.text[WRIT_ENTRY_ID]));
	spec.meta = (struct writ_entry_meta){
		.x509_ttl_s = sqlite3_column_int(st, at),
		.jwt_ttl_s = sqlite3_column_int(st, at + 1),
		.flags = (uint8_t)sqlite3_column_int(st, at + 2),
		.expires_at = sqlite3_column_int64(st, at + 3),
		.created_at = sqlite3_column_int64(st, at + 4),
		.revision_number = sqlite3_column_int64(st, at + 5),
		.seq = (uint64_t)sqlite3_column_int64(st, at + 6),
		.changed_at = (uint64_t)sqlite3_column_int64(st, at + 7),
	};
	struct writ_entry *e = NULL;
	writ_rc rc = writ_entry_new(&spec, &e, err);
	return rc ? rc : sink->entry(arg, e, err);
}

static writ_rc load_node(
	sqlite3_stmt *st, const struct writ_store_sink *sink, void *arg, struct writ_err *err)
{
	struct writ_node_spec spec;
	int at = 0;
	for (; at < WRIT_NODE_FIELDS; at++)
		spec.text[at] = column(st, at);
	if (!writ_pack_is_set(spec.text[WRIT_NODE_SELECTORS]))
		return writ_fail(err, WRIT_EIO, "agent " WRIT_FMT ": its selectors are damaged",
			WRIT_ARG(spec.text[WRIT_NODE_ID]));
	spec.meta = (struct writ_node_meta){
		.not_after = sqlite3_column_int64(st, at),
		.new_not_after = sqlite3_column_int64(st, at + 1),
		.attested_at = sqlite3_column_int64(st, at + 2),
		.banned = sqlite3_column_int(st, at + 3) != 0,
		.can_reattest = sqlite3_column_int(st, at + 4) != 0,
		.seq = (uint64_t)sqlite3_column_int64(st, at + 7),
		.changed_at = (uint64_t)sqlite3_column_int64(st, at + 8),
	};
	spec.meta.has_key = column_hash(st, at + 5, spec.meta.key);
	spec.meta.has_new_key = column_hash(st, at + 6, spec.meta.new_key);
	struct writ_node *n = NULL;
	writ_rc rc = writ_node_new(&spec, &n, err);
	return rc ? rc : sink->node(arg, n, err);
}

static writ_rc load_token(
	sqlite3_stmt *st, const struct writ_store_sink *sink, void *arg, struct writ_err *err)
{
	struct writ_token t = { .expires_at = sqlite3_column_int64(st, 1),
		.agent_id = column(st, 2),
		.spiffe_id = column(st, 3) };
	if (!column_hash(st, 0, t.hash))
		return writ_fail(err, WRIT_EIO, "join token: its hash is damaged");
	return sink->token(arg, &t, err);
}

static writ_rc load_trust(
	sqlite3_stmt *st, const struct writ_store_sink *sink, void *arg, struct writ_err *err)
{
	struct writ_trust t = { .td = column(st, 0),
		.cas = column(st, 1),
		.sequence = (uint64_t)sqlite3_column_int64(st, 2),
		.refresh_hint_s = sqlite3_column_int64(st, 3) };
	if (!writ_pack_valid(t.cas, NULL))
		return writ_fail(err, WRIT_EIO, "bundle of " WRIT_FMT ": its list is damaged",
			WRIT_ARG(t.td));
	return sink->trust(arg, &t, err);
}

static writ_rc load_ca(
	sqlite3_stmt *st, const struct writ_store_sink *sink, void *arg, struct writ_err *err)
{
	struct writ_ca_slot s = { .authority_id = column(st, 0),
		.state = column(st, 1),
		.cert = column(st, 2),
		.issued_at = sqlite3_column_int64(st, 3),
		.not_after = sqlite3_column_int64(st, 4) };
	return sink->ca(arg, &s, err);
}

static writ_rc load_pair(
	sqlite3_stmt *st, const struct writ_store_sink *sink, void *arg, struct writ_err *err)
{
	struct writ_pair p = { .name = column(st, 0), .value = column(st, 1) };
	return sink->pair(arg, &p, err);
}

static writ_rc load_table(sqlite3 *db, const char *sql,
	writ_rc (*row)(sqlite3_stmt *, const struct writ_store_sink *, void *, struct writ_err *),
	const struct writ_store_sink *sink, void *arg, struct writ_err *err)
{
	WRIT_AUTO(finalize) sqlite3_stmt *st = NULL;
	writ_rc rc = writ_sqlite_prepare(db, sql, &st, err);
	int code = SQLITE_DONE;
	while (rc == WRIT_OK) {
		code = sqlite3_step(st);
		if (code != SQLITE_ROW)
			break;
		rc = row(st, sink, arg, err);
	}
	if (rc == WRIT_OK && code != SQLITE_DONE)
		return writ_sqlite_fail(db, code, err, sql);
	return rc;
}

writ_rc writ_sqlite_load(struct writ_db *base, const struct writ_store_sink *sink, void *arg,
	uint64_t *revision, struct writ_err *err)
{
	static const struct {
		const char *sql;
		writ_rc (*row)(
			sqlite3_stmt *, const struct writ_store_sink *, void *, struct writ_err *);
	} tables[] = {
		/* bundles before the entries that name them */
		{ WRIT_SQL_LOAD_PAIRS, load_pair },
		{ WRIT_SQL_LOAD_CAS, load_ca },
		{ WRIT_SQL_LOAD_TRUST, load_trust },
		{ WRIT_SQL_LOAD_ENTRIES, load_entry },
		{ WRIT_SQL_LOAD_NODES, load_node },
		{ WRIT_SQL_LOAD_TOKENS, load_token },
	};
	struct writ_sqlite *s = writ_sqlite_of(base);
	writ_rc rc = WRIT_OK;
	for (size_t i = 0; i < WRIT_COUNT(tables) && rc == WRIT_OK; i++)
		rc = load_table(s->db, tables[i].sql, tables[i].row, sink, arg, err);
	return rc ? rc : writ_sqlite_revision(s, revision, err);
}

static struct writ_str owned(struct writ_str s)
{
	return (struct writ_str){ writ_strndup(s.p, s.n), s.n };
}

static void take_issued(sqlite3_stmt *st, struct writ_issued *row)
{
	*row = (struct writ_issued){ .serial = owned(column(st, 0)),
		.spiffe_id = owned(column(st, 1)),
		.entry_id = owned(column(st, 2)),
		.agent_id = owned(column(st, 3)),
		.not_before = sqlite3_column_int64(st, 5),
		.not_after = sqlite3_column_int64(st, 6) };
	(void)column_hash(
		st, 4, row->key); /* a damaged one stays zero: the index is no authority */
}

writ_rc writ_sqlite_find_issued(
	struct writ_db *base, struct writ_issued_query *q, struct writ_err *err)
{
	struct writ_sqlite *s = writ_sqlite_of(base);
	WRIT_AUTO(finalize) sqlite3_stmt *st = NULL;
	struct writ_str by = q->serial.n ? q->serial : q->spiffe_id;
	size_t limit = q->limit > 0 && q->limit < FIND_MAX ? q->limit : FIND_MAX;
	writ_rc rc = writ_sqlite_prepare(
		s->db, q->serial.n ? WRIT_SQL_FIND_SERIAL : WRIT_SQL_FIND_ID, &st, err);
	if (rc)
		return rc;
	int code = sqlite3_bind_text64(st, 1, by.n ? by.p : "", by.n, SQLITE_STATIC, SQLITE_UTF8);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(st, 2, (int64_t)limit);
	if (code != SQLITE_OK)
		return writ_sqlite_fail(s->db, code, err, "search the issuance index");
	q->rows = writ_alloc_array(limit, sizeof(*q->rows));
	q->n = 0;
	do {
		code = sqlite3_step(st);
		if (code == SQLITE_ROW && q->n < limit)
			take_issued(st, &q->rows[q->n++]);
	} while (code == SQLITE_ROW);
	if (code == SQLITE_DONE)
		return WRIT_OK;
	writ_issued_query_done(q);
	return writ_sqlite_fail(s->db, code, err, "search the issuance index");
}
