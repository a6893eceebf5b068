/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/op.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

static void attempt(struct writ_reg_op *op);

struct writ_reg_op *writ_reg_op_new(struct writ_registry *r, writ_stage_fn *stage, void *payload,
	void (*free_payload)(struct writ_reg_op *op), writ_outcome_fn *done, void *arg)
{
	struct writ_reg_op *op = writ_alloc(sizeof(*op));
	op->r = r;
	op->stage = stage;
	op->payload = payload;
	op->free_payload = free_payload;
	op->done = done;
	op->arg = arg;
	writ_list_init(&op->link);
	return op;
}

static size_t lock_key(
	enum writ_lock_kind kind, struct writ_str key, char *buf, size_t cap, char **heap)
{
	char *at = buf;
	if (key.n + 1 > cap)
		at = *heap = writ_alloc(key.n + 1);
	at[0] = (char)kind;
	if (key.n)
		memcpy(at + 1, key.p, key.n);
	return key.n + 1;
}

static struct writ_lock *find_lock(
	const struct writ_registry *r, enum writ_lock_kind kind, struct writ_str key)
{
	char buf[512];
	WRIT_AUTO(writ_freep) char *heap = NULL;
	size_t n = lock_key(kind, key, buf, sizeof(buf), &heap);
	return writ_map_get(&r->locks, writ_strn(heap ? heap : buf, n));
}

bool writ_op_is_locked(const struct writ_reg_op *op, enum writ_lock_kind kind, struct writ_str key)
{
	const struct writ_lock *l = find_lock(op->r, kind, key);
	return l && l->owner != op;
}

struct writ_lock *writ_op_lock(
	struct writ_reg_op *op, enum writ_lock_kind kind, struct writ_str key)
{
	struct writ_lock *l = find_lock(op->r, kind, key);
	if (l && l->owner == op)
		return l;
	if (l) {
		writ_list_remove(&op->link);
		writ_list_push(&l->waiters, &op->link);
		return NULL;
	}
	l = writ_alloc(sizeof(*l) + key.n + 1);
	writ_list_init(&l->waiters);
	l->owner = op;
	l->len = key.n + 1;
	l->key[0] = (char)kind;
	if (key.n)
		memcpy(l->key + 1, key.p, key.n);
	l->next = op->locks;
	op->locks = l;
	writ_map_put(&op->r->locks, writ_strn(l->key, l->len), l);
	return l;
}

/* Gives the locks back; who waited for them goes to ready. */
static void unlock_all(struct writ_reg_op *op, struct writ_list *ready)
{
	struct writ_lock *l;
	while ((l = op->locks)) {
		struct writ_list *w;
		op->locks = l->next;
		while ((w = writ_list_pop(&l->waiters)))
			writ_list_push(ready, w);
		writ_map_remove(&op->r->locks, writ_strn(l->key, l->len));
		writ_free(l);
	}
}

void writ_op_stage(struct writ_reg_op *op, struct writ_change c)
{
	if (op->n == op->cap) {
		op->cap = op->cap ? op->cap * 2 : 4;
		op->changes = writ_realloc(op->changes, op->cap * sizeof(*op->changes));
	}
	op->changes[op->n++] = c;
}

static void set_msg(struct writ_item *item, const char *msg)
{
	union {
		const char *in;
		char *out;
	} old = { .in = item->msg };
	writ_free(old.out);
	item->msg = msg ? writ_strdup(msg) : NULL;
}

void writ_op_fail_item(struct writ_reg_op *op, size_t i, writ_rc rc, const char *msg)
{
	if (i >= op->n_items)
		return;
	op->items[i].rc = rc;
	set_msg(&op->items[i], msg);
}

static void drop_changes(struct writ_reg_op *op)
{
	for (size_t i = 0; i < op->n; i++) {
		enum writ_change_kind k = op->changes[i].kind;
		if (k == WRIT_CHANGE_ENTRY_INSERT || k == WRIT_CHANGE_ENTRY_UPDATE)
			writ_entry_unref(op->changes[i].u.entry);
		else if (k == WRIT_CHANGE_NODE_PUT)
			writ_node_unref(op->changes[i].u.node);
	}
	op->n = 0;
}

static void reset(struct writ_reg_op *op)
{
	drop_changes(op);
	for (size_t i = 0; i < op->n_items; i++) {
		writ_entry_unref(op->items[i].entry);
		op->items[i].entry = NULL;
		writ_op_fail_item(op, i, WRIT_OK, NULL);
	}
	op->rc = WRIT_OK;
	writ_node_unref(op->node);
	op->node = NULL;
}

static void complete(struct writ_reg_op *op)
{
	for (size_t i = 0; i < op->n_items; i++) {
		if (op->items[i].rc && op->items[i].rc != WRIT_EEXIST) {
			writ_entry_unref(op->items[i].entry);
			op->items[i].entry = NULL;
		}
		if (!op->items[i].msg)
			set_msg(&op->items[i], "");
	}
	const struct writ_outcome out = { .rc = op->rc,
		.msg = op->rc ? op->err.msg : "",
		.revision = op->tx.revision,
		.items = op->items,
		.n = op->n_items,
		.node = op->node,
		.token = op->token,
		.trust = op->trust };
	op->r->n_ops--;
	if (op->done)
		op->done(op->arg, &out);
	reset(op);
	for (size_t i = 0; i < op->n_items; i++)
		set_msg(&op->items[i], NULL);
	writ_free(op->items);
	writ_free(op->changes);
	if (op->free_payload)
		op->free_payload(op);
	writ_free(op);
}

static void complete_posted(struct writ_task *t)
{
	complete(writ_container(t, struct writ_reg_op, posted));
}

static void complete_soon(struct writ_reg_op *op)
{
	op->posted.run = complete_posted;
	writ_loop_post(op->r->loop, &op->posted);
}

/* Memory follows the disk. */
static void apply(struct writ_registry *r, const struct writ_change *c, uint64_t revision)
{
	switch (c->kind) {
	case WRIT_CHANGE_ENTRY_INSERT:
	case WRIT_CHANGE_ENTRY_UPDATE:
		c->u.entry->meta.changed_at = revision;
		writ_views_apply_entry(r, writ_entry_get(c->u.entry, WRIT_ENTRY_ID),
			writ_entry_ref(c->u.entry), revision);
		break;
	case WRIT_CHANGE_ENTRY_DELETE: writ_views_apply_entry(r, c->u.key, NULL, revision); break;
	case WRIT_CHANGE_NODE_PUT:
		c->u.node->meta.changed_at = revision;
		writ_nodes_put(r, writ_node_ref(c->u.node));
		writ_views_apply_node(r, writ_node_get(c->u.node, WRIT_NODE_ID), revision);
		break;
	case WRIT_CHANGE_NODE_DELETE:
		writ_nodes_remove(r, c->u.key);
		writ_views_apply_node(r, c->u.key, revision);
		break;
	case WRIT_CHANGE_TOKEN_INSERT: writ_rows_put_token(r, c->u.token); break;
	case WRIT_CHANGE_TOKEN_TAKE: writ_rows_remove_token(r, c->u.key); break;
	case WRIT_CHANGE_TRUST_PUT:
		writ_rows_put_trust(r, c->u.trust);
		writ_changes_dirty_trust(r);
		break;
	case WRIT_CHANGE_TRUST_DELETE:
		writ_rows_remove_trust(r, c->u.key);
		writ_changes_dirty_trust(r);
		break;
	case WRIT_CHANGE_CA_PUT: writ_rows_put_ca(r, c->u.ca); break;
	case WRIT_CHANGE_CA_DELETE: writ_rows_remove_ca(r, c->u.key); break;
	case WRIT_CHANGE_PAIR_PUT: writ_rows_put_value(r, c->u.pair); break;
	case WRIT_CHANGE_PAIR_DELETE: writ_rows_remove_value(r, c->u.key); break;
	case WRIT_CHANGE_ISSUED_ADD:
	case WRIT_CHANGE_ISSUED_PRUNE:
	case WRIT_CHANGE_KINDS: break;
	}
}

static void retry(struct writ_list *ready)
{
	struct writ_list *l;
	while ((l = writ_list_pop(ready)))
		attempt(writ_container(l, struct writ_reg_op, link));
}

static void refuse(struct writ_reg_op *op)
{
	op->rc = op->tx.rc;
	op->err = op->tx.err;
	for (size_t i = 0; i < op->n_items; i++) {
		if (op->items[i].rc == WRIT_OK || op->items[i].rc == WRIT_EEXIST)
			writ_op_fail_item(op, i, op->tx.rc, op->tx.err.msg);
	}
}

static void written(struct writ_store_tx *tx)
{
	struct writ_reg_op *op = writ_container(tx, struct writ_reg_op, tx);
	struct writ_registry *r = op->r;
	struct writ_list ready;
	writ_list_init(&ready);
	if (tx->rc) {
		refuse(op);
	} else {
		for (size_t i = 0; i < op->n; i++)
			apply(r, &op->changes[i], tx->revision);
		r->revision = tx->revision;
		op->rc = op->after;
	}
	unlock_all(op, &ready);
	complete(op);
	retry(&ready);
	writ_prune_arm(r);
}

static void attempt(struct writ_reg_op *op)
{
	struct writ_list ready;
	writ_list_init(&ready);
	reset(op);
	if (!op->stage(op)) {
		/* What it had locked so far nobody can have waited for: this is one step of the
		 * loop. */
		unlock_all(op, &ready);
		assert(writ_list_empty(&ready));
		return;
	}
	if (op->rc)
		drop_changes(op);
	if (op->n == 0) {
		unlock_all(op, &ready);
		assert(writ_list_empty(&ready));
		complete_soon(op);
		return;
	}
	op->tx = (struct writ_store_tx){
		.loop = op->r->loop, .changes = op->changes, .n = op->n, .done = written
	};
	writ_store_submit(op->r->store, &op->tx);
}

void writ_reg_op_start(struct writ_reg_op *op)
{
	op->r->n_ops++;
	if (op->r->n_ops <= WRIT_REQUESTS_MAX && op->n_items <= WRIT_BATCH_MAX) {
		attempt(op);
		return;
	}
	if (op->n_items > WRIT_BATCH_MAX)
		op->rc = writ_fail(&op->err, WRIT_ELIMIT, "%zu items in one request, at most %d",
			op->n_items, WRIT_BATCH_MAX);
	else
		op->rc = writ_fail(&op->err, WRIT_EBUSY,
			"%d changes are waiting to be written; try again", WRIT_REQUESTS_MAX);
	for (size_t i = 0; i < op->n_items; i++)
		writ_op_fail_item(op, i, op->rc, op->err.msg);
	complete_soon(op);
}
