/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/store.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 60000
#define S(text)     writ_cstr(text)

struct world {
	char dir[64];
	struct writ_loop *loop;
	struct writ_store *store;
	int pending;
	bool idle;
};

static int enter(void **state)
{
	struct world *w = writ_alloc(sizeof(*w));
	snprintf(w->dir, sizeof(w->dir), "/tmp/writ-store-XXXXXX");
	if (!mkdtemp(w->dir) || writ_loop_new(&w->loop, NULL) != WRIT_OK)
		return -1;
	*state = w;
	return 0;
}

static void close_store(struct world *w)
{
	writ_store_close(w->store);
	w->store = NULL;
}

static int leave(void **state)
{
	struct world *w = *state;
	close_store(w);
	writ_loop_free(w->loop);
	writ_rc rc = writ_fs_remove_tree(w->dir, NULL);
	writ_free(w);
	return rc ? -1 : 0;
}

/* What load found, as one line a row in the order given. */
struct dump {
	struct writ_buf text;
	int entries;
	uint64_t revision;
};

static writ_rc dump_entry(void *arg, struct writ_entry *e, struct writ_err *err)
{
	struct dump *d = arg;
	(void)err;
	d->entries++;
	writ_buf_addf(&d->text, "entry %d", (int)e->meta.seq);
	for (unsigned f = 0; f < WRIT_ENTRY_FIELDS; f++)
		writ_buf_addf(&d->text, " [" WRIT_FMT "]", WRIT_ARG(writ_entry_get(e, f)));
	writ_buf_addf(&d->text, " %d %d %d %d %d %d @%d\n", e->meta.x509_ttl_s, e->meta.jwt_ttl_s,
		e->meta.flags, (int)e->meta.expires_at, (int)e->meta.created_at,
		(int)e->meta.revision_number, (int)e->meta.changed_at);
	writ_entry_unref(e);
	return WRIT_OK;
}

static writ_rc dump_node(void *arg, struct writ_node *n, struct writ_err *err)
{
	struct dump *d = arg;
	(void)err;
	writ_buf_addf(&d->text, "node %d", (int)n->meta.seq);
	for (unsigned f = 0; f < WRIT_NODE_FIELDS; f++)
		writ_buf_addf(&d->text, " [" WRIT_FMT "]", WRIT_ARG(writ_node_get(n, f)));
	writ_buf_addf(&d->text, " %d %d %d %d%d%d%d %02x %02x @%d\n", (int)n->meta.not_after,
		(int)n->meta.new_not_after, (int)n->meta.attested_at, n->meta.banned,
		n->meta.can_reattest, n->meta.has_key, n->meta.has_new_key, n->meta.key[31],
		n->meta.new_key[31], (int)n->meta.changed_at);
	writ_node_unref(n);
	return WRIT_OK;
}

static writ_rc dump_token(void *arg, const struct writ_token *t, struct writ_err *err)
{
	struct dump *d = arg;
	(void)err;
	writ_buf_addf(&d->text, "token %02x %d " WRIT_FMT " " WRIT_FMT "\n", t->hash[0],
		(int)t->expires_at, WRIT_ARG(t->agent_id), WRIT_ARG(t->spiffe_id));
	return WRIT_OK;
}

static writ_rc dump_trust(void *arg, const struct writ_trust *t, struct writ_err *err)
{
	struct dump *d = arg;
	(void)err;
	writ_buf_addf(&d->text, "trust " WRIT_FMT " " WRIT_FMT " %d %d\n", WRIT_ARG(t->td),
		WRIT_ARG(t->cas), (int)t->sequence, (int)t->refresh_hint_s);
	return WRIT_OK;
}

static writ_rc dump_ca(void *arg, const struct writ_ca_slot *s, struct writ_err *err)
{
	struct dump *d = arg;
	(void)err;
	writ_buf_addf(&d->text, "ca " WRIT_FMT " " WRIT_FMT " " WRIT_FMT " %d %d\n",
		WRIT_ARG(s->authority_id), WRIT_ARG(s->state), WRIT_ARG(s->cert), (int)s->issued_at,
		(int)s->not_after);
	return WRIT_OK;
}

static writ_rc dump_pair(void *arg, const struct writ_pair *p, struct writ_err *err)
{
	struct dump *d = arg;
	(void)err;
	writ_buf_addf(&d->text, "pair " WRIT_FMT "=" WRIT_FMT "\n", WRIT_ARG(p->name),
		WRIT_ARG(p->value));
	return WRIT_OK;
}

static const struct writ_store_sink dump_sink = { dump_entry, dump_node, dump_token, dump_trust,
	dump_ca, dump_pair };

static void open_and_dump(struct world *w, struct dump *d)
{
	struct writ_err err = { 0 };
	*d = (struct dump){ .text = WRIT_BUF(16 << 20) };
	assert_ok(writ_store_open(&writ_store_sqlite, w->dir, &w->store, &err), err);
	assert_ok(writ_store_load(w->store, &dump_sink, d, &d->revision, &err), err);
	assert_ok(writ_store_start(w->store, &err), err);
}

static void open_store(struct world *w)
{
	struct dump d;
	open_and_dump(w, &d);
	writ_buf_done(&d.text);
}

struct writer;

struct request {
	struct writ_store_tx tx;
	struct world *w;
	struct writer *writer;
};

static void finished(struct writ_store_tx *tx)
{
	struct world *w = writ_container(tx, struct request, tx)->w;
	w->idle = --w->pending == 0;
}

static void submit(struct world *w, struct request *r, const struct writ_change *c, size_t n)
{
	r->w = w;
	r->tx.loop = w->loop;
	r->tx.changes = c;
	r->tx.n = n;
	r->tx.done = finished;
	w->pending++;
	w->idle = false;
	writ_store_submit(w->store, &r->tx);
}

static void settle(struct world *w)
{
	assert_true(writ_loop_run_until(w->loop, &w->idle, writ_mono_ms() + PATIENCE_MS));
}

/* One transaction to its end: its result. */
static writ_rc apply(struct world *w, const struct writ_change *c, size_t n, struct request *r)
{
	*r = (struct request){ .w = w };
	submit(w, r, c, n);
	settle(w);
	return r->tx.rc;
}

static struct writ_entry *entry(uint64_t seq, const char *id, const char *name)
{
	struct writ_entry_spec spec = { .meta = { .seq = seq,
						.created_at = 1000,
						.x509_ttl_s = 60,
						.jwt_ttl_s = 61,
						.flags = 3,
						.expires_at = 2000,
						.revision_number = 4 } };
	spec.text[WRIT_ENTRY_ID] = S(id);
	spec.text[WRIT_ENTRY_SPIFFE_ID] = S(name);
	spec.text[WRIT_ENTRY_PARENT_ID] = S("spiffe://td/agent");
	spec.text[WRIT_ENTRY_SELECTORS] = S("8:unix:u:1,8:unix:u:2,");
	spec.text[WRIT_ENTRY_FEDERATES_WITH] = S("3:far,");
	spec.text[WRIT_ENTRY_DNS_NAMES] = S("1:b,1:a,");
	spec.text[WRIT_ENTRY_HINT] = S("hint");
	struct writ_entry *e = NULL;
	assert_int_equal(writ_entry_new(&spec, &e, NULL), WRIT_OK);
	return e;
}

static struct writ_node *node(uint64_t seq, const char *id, bool full)
{
	struct writ_node_spec spec = { .meta = { .seq = seq, .not_after = 5, .attested_at = 7 } };
	spec.text[WRIT_NODE_ID] = S(id);
	spec.text[WRIT_NODE_TYPE] = S("join_token");
	spec.text[WRIT_NODE_SERIAL] = S("123");
	if (full) {
		spec.text[WRIT_NODE_NEW_SERIAL] = S("456");
		spec.text[WRIT_NODE_SELECTORS] = S("3:a:b,");
		spec.text[WRIT_NODE_VERSION] = S("1.2");
		spec.meta.new_not_after = 6;
		spec.meta.banned = spec.meta.can_reattest = true;
		spec.meta.has_key = spec.meta.has_new_key = true;
		memset(spec.meta.key, 0xaa, sizeof(spec.meta.key));
		memset(spec.meta.new_key, 0xbb, sizeof(spec.meta.new_key));
	}
	struct writ_node *n = NULL;
	assert_int_equal(writ_node_new(&spec, &n, NULL), WRIT_OK);
	return n;
}

static void every_kind_of_row_comes_back_as_it_went(void **state)
{
	struct world *w = *state;
	open_store(w);
	struct writ_entry *e = entry(7, "e-1", "spiffe://td/a");
	struct writ_node *n1 = node(1, "spiffe://td/n1", false);
	struct writ_node *n2 = node(2, "spiffe://td/n2", true);
	struct writ_token t = { { 0xab }, 99, S("spiffe://td/agent/h"), S("spiffe://td/x") };
	struct writ_trust b = { S("td"), S("2:0x,2:1y,"), 12, 300 };
	struct writ_ca_slot ca = { S("aid"), S("active"), S("DER"), 10, 20 };
	struct writ_pair p = { S("epoch"), S("17") };
	const struct writ_change all[] = {
		{ WRIT_CHANGE_ENTRY_INSERT, { .entry = e } },
		{ WRIT_CHANGE_NODE_PUT, { .node = n1 } },
		{ WRIT_CHANGE_NODE_PUT, { .node = n2 } },
		{ WRIT_CHANGE_TOKEN_INSERT, { .token = &t } },
		{ WRIT_CHANGE_TRUST_PUT, { .trust = &b } },
		{ WRIT_CHANGE_CA_PUT, { .ca = &ca } },
		{ WRIT_CHANGE_PAIR_PUT, { .pair = &p } },
	};
	struct request r;
	assert_ok(apply(w, all, WRIT_COUNT(all), &r), r.tx.err);
	assert_int_equal(r.tx.revision, 1);
	close_store(w);
	struct dump d;
	open_and_dump(w, &d);
	assert_int_equal(d.revision, 1);
	assert_string_equal(writ_buf_cstr(&d.text),
		"pair epoch=17\n"
		"ca aid active DER 10 20\n"
		"trust td 2:0x,2:1y, 12 300\n"
		"entry 7 [spiffe://td/a] [spiffe://td/agent] [8:unix:u:1,8:unix:u:2,] [e-1]"
		" [3:far,] [1:b,1:a,] [hint] 60 61 3 2000 1000 4 @1\n"
		"node 1 [spiffe://td/n1] [join_token] [123] [] [] [] 5 0 7 0000 00 00 @1\n"
		"node 2 [spiffe://td/n2] [join_token] [123] [456] [3:a:b,] [1.2] 5 6 7 1111 aa bb "
		"@1\n"
		"token ab 99 spiffe://td/agent/h spiffe://td/x\n");
	writ_buf_done(&d.text);

	/* And all of it goes again; an update in between. */
	struct writ_entry *e2 = entry(7, "e-1", "spiffe://td/b");
	const struct writ_change update = { WRIT_CHANGE_ENTRY_UPDATE, { .entry = e2 } };
	assert_ok(apply(w, &update, 1, &r), r.tx.err);
	const struct writ_change gone[] = {
		{ WRIT_CHANGE_ENTRY_DELETE, { .key = S("e-1") } },
		{ WRIT_CHANGE_NODE_DELETE, { .key = S("spiffe://td/n1") } },
		{ WRIT_CHANGE_NODE_DELETE, { .key = S("spiffe://td/n2") } },
		{ WRIT_CHANGE_TOKEN_TAKE, { .key = writ_strn(t.hash, sizeof(t.hash)) } },
		{ WRIT_CHANGE_TRUST_DELETE, { .key = S("td") } },
		{ WRIT_CHANGE_CA_DELETE, { .key = S("aid") } },
		{ WRIT_CHANGE_PAIR_DELETE, { .key = S("epoch") } },
	};
	assert_ok(apply(w, gone, WRIT_COUNT(gone), &r), r.tx.err);
	close_store(w);
	open_and_dump(w, &d);
	assert_int_equal(d.text.n, 0);
	assert_int_equal(d.revision, 3);
	writ_buf_done(&d.text);
	writ_entry_unref(e);
	writ_entry_unref(e2);
	writ_node_unref(n1);
	writ_node_unref(n2);
}

static void the_issuance_index_is_searched_by_serial_and_by_id(void **state)
{
	struct world *w = *state;
	open_store(w);
	struct writ_issued rows[] = {
		{ S("1"), S("spiffe://td/a"), S("e"), S("agent"), { 1 }, 10, 20 },
		{ S("2"), S("spiffe://td/a"), S("e"), S("agent"), { 2 }, 11, 30 },
		{ S("3"), S("spiffe://td/b"), S("e"), S("agent"), { 3 }, 12, 40 },
		{ S("3"), S("spiffe://td/b"), S("e"), S("agent"), { 3 }, 12, 40 },
	};
	struct writ_change add[4];
	for (size_t i = 0; i < WRIT_COUNT(add); i++)
		add[i] = (struct writ_change){ WRIT_CHANGE_ISSUED_ADD, { .issued = &rows[i] } };
	struct request r;
	assert_ok(apply(w, add, WRIT_COUNT(add), &r), r.tx.err);

	struct writ_issued_query q = { .spiffe_id = S("spiffe://td/a"), .limit = 10 };
	r = (struct request){ .tx.query = &q };
	submit(w, &r, NULL, 0);
	settle(w);
	assert_ok(r.tx.rc, r.tx.err);
	assert_int_equal(q.n, 2);
	assert_string_equal(q.rows[0].serial.p, "2");
	assert_int_equal(q.rows[1].key[0], 1);
	writ_issued_query_done(&q);

	const struct writ_change prune = { WRIT_CHANGE_ISSUED_PRUNE, { .before = 40 } };
	assert_ok(apply(w, &prune, 1, &r), r.tx.err);
	q = (struct writ_issued_query){ .serial = S("2") };
	r = (struct request){ .tx.query = &q };
	submit(w, &r, NULL, 0);
	settle(w);
	assert_int_equal(q.n, 0);
	assert_int_equal(r.tx.revision, 2); /* a read takes none */
	writ_issued_query_done(&q);
}

#define CROWD 200

static int by_revision(const void *a, const void *b)
{
	const struct request *x = a, *y = b;
	return x->tx.revision < y->tx.revision ? -1 : x->tx.revision > y->tx.revision;
}

static void concurrent_transactions_share_commits_and_have_gap_free_revisions(void **state)
{
	struct world *w = *state;
	open_store(w);
	static struct request r[CROWD];
	static struct writ_change c[CROWD][2];
	memset(r, 0, sizeof(r));
	for (int i = 0; i < CROWD; i++) {
		char id[32], name[64];
		/* Every fifth breaks a rule with its second change: nothing of it may stay. */
		snprintf(id, sizeof(id), "id-%d", i);
		snprintf(name, sizeof(name), "spiffe://td/w/%d", i);
		c[i][0] = (struct writ_change){ WRIT_CHANGE_ENTRY_INSERT,
			{ .entry = entry((uint64_t)i + 1, id, name) } };
		c[i][1] = (struct writ_change){ WRIT_CHANGE_NODE_DELETE, { .key = S("nobody") } };
		submit(w, &r[i], c[i], i % 5 == 4 ? 2 : 1);
	}
	settle(w);
	struct writ_store_stats stats;
	writ_store_stats_get(w->store, &stats);
	assert_true(stats.commits < CROWD / 4);
	assert_int_equal(stats.transactions, CROWD);
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(r[i].tx.rc, i % 5 == 4 ? WRIT_EPRECOND : WRIT_OK);
		writ_entry_unref(c[i][0].u.entry);
	}
	qsort(r, CROWD, sizeof(r[0]), by_revision);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(r[i].tx.revision, i < CROWD / 5 ? 0 : i - CROWD / 5 + 1);
	close_store(w);
	struct dump d;
	open_and_dump(w, &d);
	assert_int_equal(d.entries, CROWD - CROWD / 5);
	assert_int_equal(d.revision, CROWD - CROWD / 5);
	writ_buf_done(&d.text);
}

static void a_second_entry_of_the_same_id_or_key_is_refused(void **state)
{
	struct world *w = *state;
	open_store(w);
	struct writ_entry *e[] = { entry(1, "a", "spiffe://td/x"), entry(2, "a", "spiffe://td/y"),
		entry(3, "b", "spiffe://td/x") };
	for (int i = 0; i < 3; i++) {
		struct request r;
		struct writ_change c = { WRIT_CHANGE_ENTRY_INSERT, { .entry = e[i] } };
		assert_int_equal(apply(w, &c, 1, &r), i ? WRIT_EEXIST : WRIT_OK);
		writ_entry_unref(e[i]);
	}
}

static void one_of_64_takes_a_token(void **state)
{
	struct world *w = *state;
	open_store(w);
	struct writ_token t = { { 1, 2, 3 }, 99, S("spiffe://td/a"), S("") };
	struct writ_change put = { WRIT_CHANGE_TOKEN_INSERT, { .token = &t } };
	struct request first;
	assert_ok(apply(w, &put, 1, &first), first.tx.err);
	static struct request r[64];
	struct writ_change take = { WRIT_CHANGE_TOKEN_TAKE,
		{ .key = writ_strn(t.hash, sizeof(t.hash)) } };
	memset(r, 0, sizeof(r));
	for (size_t i = 0; i < WRIT_COUNT(r); i++)
		submit(w, &r[i], &take, 1);
	settle(w);
	int winners = 0;
	for (size_t i = 0; i < WRIT_COUNT(r); i++) {
		winners += r[i].tx.rc == WRIT_OK;
		assert_true(r[i].tx.rc == WRIT_OK || r[i].tx.rc == WRIT_EPRECOND);
	}
	assert_int_equal(winners, 1);
}

static void sql(const struct world *w, const char *text)
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
	struct world *w = *state;
	struct writ_err err;
	open_store(w);
	close_store(w);
	sql(w, "UPDATE schema SET version = 7");
	assert_fails(writ_store_open(&writ_store_sqlite, w->dir, &w->store, &err), WRIT_EPRECOND,
		err, "schema version 7");
	assert_non_null(strstr(err.msg, "up to 1"));
	sql(w, "UPDATE schema SET version = 1");
	open_store(w);
}

static void a_second_server_on_the_same_folder_is_refused(void **state)
{
	struct world *w = *state;
	struct writ_err err;
	struct writ_store *other = NULL;
	open_store(w);
	assert_fails(writ_store_open(&writ_store_sqlite, w->dir, &other, &err), WRIT_EBUSY, err,
		"another process");
}

static void a_damaged_file_is_refused(void **state)
{
	struct world *w = *state;
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
	struct world *w = *state;
	struct writ_err err;
	struct request r;
	open_store(w);
	struct writ_entry *e = entry(1, "a", "spiffe://td/x");
	struct writ_change c = { WRIT_CHANGE_ENTRY_INSERT, { .entry = e } };
	assert_ok(apply(w, &c, 1, &r), r.tx.err);
	writ_entry_unref(e);
	close_store(w);
	sql(w, "UPDATE entry SET selectors = '3:b:b,3:a:a,'");
	struct dump d = { .text = WRIT_BUF(1000) };
	assert_ok(writ_store_open(&writ_store_sqlite, w->dir, &w->store, &err), err);
	assert_fails(writ_store_load(w->store, &dump_sink, &d, &d.revision, &err), WRIT_EIO, err,
		"entry a: a list in it is damaged");
	writ_buf_done(&d.text);
}

static void a_chosen_file_is_used_and_that_of_another_program_is_not(void **state)
{
	struct world *w = *state;
	struct writ_err err;
	char path[160], where[200];
	(void)mkdir(w->dir, 0755); /* it may be there */
	assert_int_equal(chmod(w->dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/chosen.sqlite3", w->dir);
	snprintf(where, sizeof(where), "file:%s", path);
	assert_ok(writ_store_open(&writ_store_sqlite, where, &w->store, &err), err);
	close_store(w);
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
	open_store(w);
}

static void loose_modes_are_refused_and_ours_are_tight_under_any_umask(void **state)
{
	struct world *w = *state;
	struct writ_err err;
	char path[4][128];
	static const char *const names[] = { "", "/writ.db", "/writ.db-wal", "/writ.db-shm" };
	for (int i = 0; i < 4; i++)
		snprintf(path[i], sizeof(path[i]), "%s%s", w->dir, names[i]);
	mode_t before = umask(0);
	open_store(w);
	umask(before);
	struct stat st;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(stat(path[i], &st), 0);
		assert_int_equal(st.st_mode & 0777, i ? 0600 : 0700);
	}
	/* Exclusive locking keeps the index of the log in memory. */
	assert_int_equal(stat(path[3], &st), -1);
	close_store(w);
	assert_int_equal(chmod(path[1], 0640), 0);
	assert_fails(writ_store_open(&writ_store_sqlite, w->dir, &w->store, &err), WRIT_EDENIED,
		err, "chmod 600");
	assert_int_equal(chmod(path[1], 0600), 0);
	assert_int_equal(chmod(path[0], 0750), 0);
	assert_int_equal(
		writ_store_open(&writ_store_sqlite, w->dir, &w->store, &err), WRIT_EDENIED);
	assert_int_equal(chmod(path[0], 0700), 0);
	open_store(w);
}

/* Changes until one does not fit. What was acknowledged is counted in *acked. */
static writ_rc fill(struct world *w, uint64_t *seq, int *acked, struct request *r)
{
	static char bulk[60000];
	memset(bulk, 'x', sizeof(bulk));
	for (int i = 0; i < 400; i++) {
		char name[32];
		snprintf(name, sizeof(name), "n-%d", (int)++*seq);
		struct writ_pair p = { S(name), writ_strn(bulk, sizeof(bulk)) };
		struct writ_change c = { WRIT_CHANGE_PAIR_PUT, { .pair = &p } };
		if (apply(w, &c, 1, r))
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

static void check_recovery(struct world *w, uint64_t seq, int acked)
{
	struct request r;
	char name[32];
	snprintf(name, sizeof(name), "n-%d", (int)seq);
	struct writ_pair p = { S(name), S("small") };
	struct writ_change c = { WRIT_CHANGE_PAIR_PUT, { .pair = &p } };
	assert_ok(apply(w, &c, 1, &r), r.tx.err);
	assert_int_equal(r.tx.revision, acked + 1);
	close_store(w);
	struct dump d;
	open_and_dump(w, &d);
	assert_int_equal(d.revision, acked + 1);
	assert_int_equal(lines(writ_buf_cstr(&d.text)), acked + 1);
	writ_buf_done(&d.text);
}

static void a_write_error_loses_nothing_and_goes_away_by_itself(void **state)
{
	struct world *w = *state;
	uint64_t seq = 0;
	int acked = 0;
	struct request r;
	struct rlimit old, low = { 4 << 20, RLIM_INFINITY };
	open_store(w);
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
	struct world *w = *state;
	if (mount("none", w->dir, "tmpfs", 0, "size=3m,mode=0700") != 0)
		skip(); /* only root can make a small disk */
	uint64_t seq = 0;
	int acked = 0;
	struct request r;
	open_store(w);
	writ_rc rc = fill(w, &seq, &acked, &r);
	assert_int_equal(rc, WRIT_ELIMIT);
	assert_non_null(strstr(r.tx.err.msg, "free some space"));
	assert_int_equal(mount("none", w->dir, "tmpfs", MS_REMOUNT, "size=40m"), 0);
	check_recovery(w, seq, acked);
	close_store(w);
	assert_int_equal(umount(w->dir), 0);
}

/* Writes entries and tells each acknowledged number to the parent, until it is killed. */
struct writer {
	struct world *w;
	struct request r[8];
	struct writ_change c[8];
	uint64_t seq;
	int out;
};

static void write_next(struct writer *me, size_t i);

static void acknowledged(struct writ_store_tx *tx)
{
	struct request *r = writ_container(tx, struct request, tx);
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
	me->c[i] =
		(struct writ_change){ WRIT_CHANGE_ENTRY_INSERT, { .entry = entry(seq, id, name) } };
	me->r[i] = (struct request){ .writer = me };
	me->r[i].tx = (struct writ_store_tx){
		.loop = me->w->loop, .changes = &me->c[i], .n = 1, .done = acknowledged
	};
	writ_store_submit(me->w->store, &me->r[i].tx);
}

static void child(struct world *w, uint64_t seq, int out)
{
	struct writer *me = writ_alloc(sizeof(*me));
	*me = (struct writer){ .w = w, .seq = seq, .out = out };
	if (writ_loop_new(&w->loop, NULL) != WRIT_OK)
		_exit(2);
	open_store(w);
	for (size_t i = 0; i < WRIT_COUNT(me->r); i++)
		write_next(me, i);
	writ_loop_run(w->loop);
	_exit(0);
}

static void what_was_acknowledged_survives_kill_9(void **state)
{
	struct world *w = *state;
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
		struct dump d;
		open_and_dump(w, &d);
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
		close_store(w);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, enter, leave)
	const struct CMUnitTest tests[] = {
		T(every_kind_of_row_comes_back_as_it_went),
		T(the_issuance_index_is_searched_by_serial_and_by_id),
		T(concurrent_transactions_share_commits_and_have_gap_free_revisions),
		T(a_second_entry_of_the_same_id_or_key_is_refused),
		T(one_of_64_takes_a_token),
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
