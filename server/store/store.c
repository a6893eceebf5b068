/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include "base/mem.h"

#include <assert.h>
#include <stdatomic.h>

struct writ_store {
	struct writ_db *db;
	struct writ_worker *worker;
	_Atomic uint64_t commits, transactions, changes, failures;
};

static void deliver(struct writ_task *t)
{
	struct writ_store_tx *tx = writ_container(t, struct writ_store_tx, task);
	tx->done(tx);
}

static bool is_own_fault(writ_rc rc)
{
	return rc == WRIT_EEXIST || rc == WRIT_EPRECOND;
}

/* The changes of one transaction inside a mark. A failure that only concerns it is in tx->rc; what
 * is returned concerns the whole group. */
static writ_rc apply_one(
	struct writ_db *db, struct writ_store_tx *tx, uint64_t *revision, struct writ_err *err)
{
	writ_rc rc = db->vt->mark(db, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < tx->n && tx->rc == WRIT_OK; i++)
		tx->rc = db->vt->apply(db, &tx->changes[i], *revision + 1, &tx->err);
	if (tx->rc == WRIT_OK && tx->query)
		tx->rc = db->vt->find_issued(db, tx->query, &tx->err);
	if (tx->rc && !is_own_fault(tx->rc)) {
		*err = tx->err;
		return tx->rc;
	}
	if (tx->rc)
		return db->vt->drop(db, err);
	if (tx->n)
		++*revision;
	tx->revision = *revision;
	return db->vt->keep(db, err);
}

static writ_rc run_group(
	struct writ_db *db, struct writ_store_tx *const *group, size_t n, struct writ_err *err)
{
	uint64_t before = 0;
	writ_rc rc = db->vt->begin(db, &before, err);
	uint64_t revision = before;
	for (size_t i = 0; i < n && rc == WRIT_OK; i++)
		rc = apply_one(db, group[i], &revision, err);
	if (rc == WRIT_OK)
		rc = db->vt->commit(db, revision, err);
	if (rc)
		db->vt->rollback(db);
	return rc;
}

static void finish_group(struct writ_store *s, struct writ_store_tx *const *group, size_t n)
{
	struct writ_err err = { 0 };
	writ_rc rc = run_group(s->db, group, n, &err);
	s->commits += rc == WRIT_OK;
	s->failures += rc != WRIT_OK;
	for (size_t i = 0; i < n; i++) {
		struct writ_store_tx *tx = group[i];
		if (rc) { /* also one that failed by itself: what it ran into is undone now */
			tx->rc = writ_fail(&tx->err, rc, "%s", err.msg);
			tx->revision = 0;
		}
		s->transactions++;
		s->changes += tx->rc ? 0 : tx->n;
		tx->task.run = deliver;
		writ_loop_post(tx->loop, &tx->task);
	}
}

/* Cuts what waits into groups: a commit that never ends would keep the first one waiting. */
static void batch(void *arg, struct writ_task *first)
{
	struct writ_store *s = arg;
	struct writ_store_tx *group[256];
	while (first) {
		size_t n = 0, changes = 0;
		while (first && n < WRIT_COUNT(group) && changes < WRIT_STORE_GROUP_MAX) {
			struct writ_store_tx *tx =
				writ_container(first, struct writ_store_tx, task);
			first = first->next;
			changes += tx->n;
			group[n++] = tx;
		}
		finish_group(s, group, n);
	}
}

writ_rc writ_store_open(const struct writ_store_vt *vt, const char *dir, struct writ_store **ret,
	struct writ_err *err)
{
	struct writ_db *db = NULL;
	writ_rc rc = vt->open(dir, &db, err);
	if (rc)
		return writ_wrap(err, rc, "data store %s in %s", vt->name, dir);
	struct writ_store *s = writ_alloc(sizeof(*s));
	s->db = db;
	*ret = s;
	return WRIT_OK;
}

writ_rc writ_store_load(struct writ_store *s, const struct writ_store_sink *sink, void *arg,
	uint64_t *revision, struct writ_err *err)
{
	assert(!s->worker);
	writ_rc rc = s->db->vt->load(s->db, sink, arg, revision, err);
	return rc ? writ_wrap(err, rc, "load the data store") : WRIT_OK;
}

writ_rc writ_store_start(struct writ_store *s, struct writ_err *err)
{
	assert(!s->worker);
	return writ_worker_start("store", batch, s, &s->worker, err);
}

void writ_store_submit(struct writ_store *s, struct writ_store_tx *tx)
{
	assert(s->worker && tx->loop && tx->done);
	tx->rc = WRIT_OK;
	tx->revision = 0;
	writ_worker_submit(s->worker, &tx->task);
}

void writ_store_stats_get(const struct writ_store *s, struct writ_store_stats *ret)
{
	*ret = (struct writ_store_stats){ .commits = s->commits,
		.transactions = s->transactions,
		.changes = s->changes,
		.failures = s->failures };
}

void writ_store_close(struct writ_store *s)
{
	if (!s)
		return;
	if (s->worker)
		writ_worker_stop(s->worker);
	s->db->vt->close(s->db);
	writ_free(s);
}

static void free_text(struct writ_str s)
{
	union {
		const char *in;
		char *out;
	} cast = { .in = s.p };
	writ_free(cast.out);
}

void writ_issued_query_done(struct writ_issued_query *q)
{
	for (size_t i = 0; i < q->n; i++) {
		free_text(q->rows[i].serial);
		free_text(q->rows[i].spiffe_id);
		free_text(q->rows[i].entry_id);
		free_text(q->rows[i].agent_id);
	}
	writ_free(q->rows);
	q->rows = NULL;
	q->n = 0;
}
