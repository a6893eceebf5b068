/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_impl.h"
#include "store/sqlite_sql.h"

#include <errno.h>
#include <sqlite3.h>

/* Runs a statement that gives no rows, and makes it ready for its next use. */
static writ_rc run(sqlite3_stmt *st, const char *what, struct writ_err *err)
{
	errno = 0;
	int code = sqlite3_step(st);
	writ_rc rc = WRIT_OK;
	if (code != SQLITE_DONE)
		rc = writ_sqlite_fail(sqlite3_db_handle(st), code, err, what);
	sqlite3_reset(st); /* repeats the error of the step */
	return rc;
}

/* Parameters in order; the first failure sticks and is asked for once. */
struct binder {
	sqlite3_stmt *st;
	int at, code;
};

static void keep_code(struct binder *b, int code)
{
	if (b->code == SQLITE_OK)
		b->code = code;
}

static void bind_text(struct binder *b, struct writ_str s)
{
	keep_code(b,
		sqlite3_bind_text64(
			b->st, ++b->at, s.n ? s.p : "", s.n, SQLITE_STATIC, SQLITE_UTF8));
}

static void bind_blob(struct binder *b, const void *p, size_t n)
{
	keep_code(b, sqlite3_bind_blob64(b->st, ++b->at, n ? p : "", n, SQLITE_STATIC));
}

static void bind_int(struct binder *b, int64_t v)
{
	keep_code(b, sqlite3_bind_int64(b->st, ++b->at, v));
}

static void bind_null(struct binder *b)
{
	keep_code(b, sqlite3_bind_null(b->st, ++b->at));
}

static void bind_entry(struct binder *b, const struct writ_change *c, uint64_t revision)
{
	const struct writ_entry *e = c->u.entry;
	for (unsigned f = 0; f < WRIT_ENTRY_FIELDS; f++)
		bind_text(b, writ_entry_get(e, f));
	bind_int(b, e->meta.x509_ttl_s);
	bind_int(b, e->meta.jwt_ttl_s);
	bind_int(b, e->meta.flags);
	bind_int(b, e->meta.expires_at);
	bind_int(b, e->meta.created_at);
	bind_int(b, e->meta.revision_number);
	bind_int(b, (int64_t)e->meta.seq);
	bind_int(b, (int64_t)revision);
}

static void bind_key_hash(struct binder *b, bool has, const uint8_t *key)
{
	if (has)
		bind_blob(b, key, WRIT_KEY_HASH_LEN);
	else
		bind_null(b);
}

static void bind_node(struct binder *b, const struct writ_change *c, uint64_t revision)
{
	const struct writ_node *n = c->u.node;
	for (unsigned f = 0; f < WRIT_NODE_FIELDS; f++)
		bind_text(b, writ_node_get(n, f));
	bind_int(b, n->meta.not_after);
	bind_int(b, n->meta.new_not_after);
	bind_int(b, n->meta.attested_at);
	bind_int(b, n->meta.banned);
	bind_int(b, n->meta.can_reattest);
	bind_key_hash(b, n->meta.has_key, n->meta.key);
	bind_key_hash(b, n->meta.has_new_key, n->meta.new_key);
	bind_int(b, (int64_t)n->meta.seq);
	bind_int(b, (int64_t)revision);
}

static void bind_token(struct binder *b, const struct writ_change *c, uint64_t revision)
{
	const struct writ_token *t = c->u.token;
	bind_blob(b, t->hash, sizeof(t->hash));
	bind_int(b, t->expires_at);
	bind_text(b, t->agent_id);
	bind_text(b, t->spiffe_id);
	bind_int(b, (int64_t)revision);
}

static void bind_trust(struct binder *b, const struct writ_change *c, uint64_t revision)
{
	const struct writ_trust *t = c->u.trust;
	bind_text(b, t->td);
	bind_blob(b, t->cas.p, t->cas.n);
	bind_int(b, (int64_t)t->sequence);
	bind_int(b, t->refresh_hint_s);
	bind_int(b, (int64_t)revision);
}

static void bind_ca(struct binder *b, const struct writ_change *c, uint64_t revision)
{
	const struct writ_ca_slot *s = c->u.ca;
	bind_text(b, s->authority_id);
	bind_text(b, s->state);
	bind_blob(b, s->cert.p, s->cert.n);
	bind_int(b, s->issued_at);
	bind_int(b, s->not_after);
	bind_int(b, (int64_t)revision);
}

static void bind_issued(struct binder *b, const struct writ_change *c, uint64_t revision)
{
	const struct writ_issued *i = c->u.issued;
	(void)revision;
	bind_text(b, i->serial);
	bind_text(b, i->spiffe_id);
	bind_text(b, i->entry_id);
	bind_text(b, i->agent_id);
	bind_blob(b, i->key, sizeof(i->key));
	bind_int(b, i->not_before);
	bind_int(b, i->not_after);
}

static void bind_pair(struct binder *b, const struct writ_change *c, uint64_t revision)
{
	bind_text(b, c->u.pair->name);
	bind_blob(b, c->u.pair->value.p, c->u.pair->value.n);
	bind_int(b, (int64_t)revision);
}

static void bind_key(struct binder *b, const struct writ_change *c, uint64_t revision)
{
	(void)revision;
	bind_text(b, c->u.key);
}

static void bind_hash(struct binder *b, const struct writ_change *c, uint64_t revision)
{
	(void)revision;
	bind_blob(b, c->u.key.p, c->u.key.n);
}

static void bind_before(struct binder *b, const struct writ_change *c, uint64_t revision)
{
	(void)revision;
	bind_int(b, c->u.before);
}

static const struct {
	const char *what;
	const char *sql;
	void (*bind)(struct binder *b, const struct writ_change *c, uint64_t revision);
	bool one; /* anything but one row is WRIT_EPRECOND */
} kinds[WRIT_CHANGE_KINDS] = {
	[WRIT_CHANGE_ENTRY_INSERT] = { "create entry", WRIT_SQL_ENTRY_INSERT, bind_entry, true },
	[WRIT_CHANGE_ENTRY_UPDATE] = { "update entry", WRIT_SQL_ENTRY_UPDATE, bind_entry, true },
	[WRIT_CHANGE_ENTRY_DELETE] = { "delete entry", WRIT_SQL_ENTRY_DELETE, bind_key, true },
	[WRIT_CHANGE_NODE_PUT] = { "write agent", WRIT_SQL_NODE_PUT, bind_node, true },
	[WRIT_CHANGE_NODE_DELETE] = { "delete agent", WRIT_SQL_NODE_DELETE, bind_key, true },
	[WRIT_CHANGE_TOKEN_INSERT] = { "create join token", WRIT_SQL_TOKEN_INSERT, bind_token,
		true },
	[WRIT_CHANGE_TOKEN_TAKE] = { "take join token", WRIT_SQL_TOKEN_TAKE, bind_hash, true },
	[WRIT_CHANGE_TRUST_PUT] = { "write bundle", WRIT_SQL_TRUST_PUT, bind_trust, true },
	[WRIT_CHANGE_TRUST_DELETE] = { "delete bundle", WRIT_SQL_TRUST_DELETE, bind_key, false },
	[WRIT_CHANGE_CA_PUT] = { "write CA journal", WRIT_SQL_CA_PUT, bind_ca, true },
	[WRIT_CHANGE_CA_DELETE] = { "delete from CA journal", WRIT_SQL_CA_DELETE, bind_key, false },
	[WRIT_CHANGE_ISSUED_ADD] = { "index issuance", WRIT_SQL_ISSUED_ADD, bind_issued, false },
	[WRIT_CHANGE_ISSUED_PRUNE] = { "prune issuance index", WRIT_SQL_ISSUED_PRUNE, bind_before,
		false },
	[WRIT_CHANGE_PAIR_PUT] = { "write value", WRIT_SQL_PAIR_PUT, bind_pair, true },
	[WRIT_CHANGE_PAIR_DELETE] = { "delete value", WRIT_SQL_PAIR_DELETE, bind_key, false },
};

static writ_rc apply(
	struct writ_db *base, const struct writ_change *c, uint64_t revision, struct writ_err *err)
{
	struct writ_sqlite *s = writ_sqlite_of(base);
	struct binder b = { .st = s->change[c->kind] };
	kinds[c->kind].bind(&b, c, revision);
	writ_rc rc = WRIT_OK;
	if (b.code)
		rc = writ_sqlite_fail(s->db, b.code, err, kinds[c->kind].what);
	else
		rc = run(b.st, kinds[c->kind].what, err);
	/* What is bound belongs to the submitter, who takes it away soon. */
	sqlite3_clear_bindings(b.st);
	if (rc == WRIT_OK && kinds[c->kind].one && sqlite3_changes(s->db) != 1)
		return writ_fail(
			err, WRIT_EPRECOND, "%s: it is not there (any more)", kinds[c->kind].what);
	return rc;
}

static writ_rc begin(struct writ_db *base, uint64_t *revision, struct writ_err *err)
{
	struct writ_sqlite *s = writ_sqlite_of(base);
	writ_rc rc = run(s->fixed[WRIT_SQL_BEGIN], "start a transaction", err);
	if (rc == WRIT_OK)
		rc = writ_sqlite_revision(s, &s->revision, err);
	if (rc == WRIT_OK)
		*revision = s->revision;
	return rc;
}

static writ_rc mark(struct writ_db *base, struct writ_err *err)
{
	return run(writ_sqlite_of(base)->fixed[WRIT_SQL_MARK], "start a change", err);
}

static writ_rc keep(struct writ_db *base, struct writ_err *err)
{
	return run(writ_sqlite_of(base)->fixed[WRIT_SQL_KEEP], "end a change", err);
}

static writ_rc drop(struct writ_db *base, struct writ_err *err)
{
	writ_rc rc = run(writ_sqlite_of(base)->fixed[WRIT_SQL_UNDO], "undo a change", err);
	return rc ? rc : keep(base, err);
}

static writ_rc commit(struct writ_db *base, uint64_t revision, struct writ_err *err)
{
	struct writ_sqlite *s = writ_sqlite_of(base);
	writ_rc rc = WRIT_OK;
	if (revision != s->revision) {
		struct binder b = { .st = s->fixed[WRIT_SQL_ADVANCE] };
		bind_int(&b, (int64_t)revision);
		rc = b.code ? writ_sqlite_fail(s->db, b.code, err, "advance the revision")
			    : run(b.st, "advance the revision", err);
	}
	return rc ? rc : run(s->fixed[WRIT_SQL_COMMIT], "commit", err);
}

static void rollback(struct writ_db *base)
{
	writ_sqlite_rollback(writ_sqlite_of(base)->db);
}

/* SQL that stands as it is, and SQL of each kind of change: prepared once, at opening. */
writ_rc writ_sqlite_prepare_all(struct writ_sqlite *s, struct writ_err *err)
{
	static const char *const fixed[WRIT_SQL_FIXED] = {
		[WRIT_SQL_BEGIN] = "BEGIN IMMEDIATE",
		[WRIT_SQL_MARK] = "SAVEPOINT one",
		[WRIT_SQL_KEEP] = "RELEASE one",
		[WRIT_SQL_UNDO] = "ROLLBACK TO one",
		[WRIT_SQL_SEQUENCE] = "SELECT revision FROM sequence",
		[WRIT_SQL_ADVANCE] = "UPDATE sequence SET revision = ?1",
		[WRIT_SQL_COMMIT] = "COMMIT",
	};
	writ_rc rc = WRIT_OK;
	for (size_t i = 0; i < WRIT_SQL_FIXED && rc == WRIT_OK; i++)
		rc = writ_sqlite_prepare(s->db, fixed[i], &s->fixed[i], err);
	for (size_t i = 0; i < WRIT_CHANGE_KINDS && rc == WRIT_OK; i++)
		rc = writ_sqlite_prepare(s->db, kinds[i].sql, &s->change[i], err);
	return rc;
}

const struct writ_store_vt writ_store_sqlite = {
	.name = "sqlite3",
	.open = writ_sqlite_open,
	.load = writ_sqlite_load,
	.begin = begin,
	.mark = mark,
	.apply = apply,
	.keep = keep,
	.drop = drop,
	.commit = commit,
	.rollback = rollback,
	.find_issued = writ_sqlite_find_issued,
	.close = writ_sqlite_close,
};
