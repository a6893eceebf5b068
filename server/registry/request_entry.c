/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/op.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"

#include <stdio.h>

/* One item, copied at the start. */
struct item {
	struct writ_entry *given; /* create: the candidate; update: the parts under mask */
	unsigned mask;
	char *id;   /* update, delete */
	writ_rc rc; /* found wrong at the start */
	char *msg;
};

struct batch {
	size_t n;
	struct item items[];
};

static void free_batch(struct writ_reg_op *op)
{
	struct batch *b = op->payload;
	for (size_t i = 0; i < b->n; i++) {
		writ_entry_unref(b->items[i].given);
		writ_free(b->items[i].id);
		writ_free(b->items[i].msg);
	}
	writ_free(b);
}

/* Text fields, then the rest, in the order of their mask bits. */
static void merge(struct writ_entry_spec *into, const struct writ_entry_spec *from, unsigned mask)
{
	static const struct {
		unsigned mask;
		uint8_t flags;
	} flags[] = {
		{ WRIT_MASK_ADMIN, WRIT_ENTRY_ADMIN },
		{ WRIT_MASK_DOWNSTREAM, WRIT_ENTRY_DOWNSTREAM },
		{ WRIT_MASK_STORE_SVID, WRIT_ENTRY_STORE_SVID },
		{ WRIT_MASK_ATTRIBUTES, WRIT_ENTRY_NO_PREFETCH | WRIT_ENTRY_JWT_JTI },
	};
	for (unsigned f = 0; f < WRIT_ENTRY_FIELDS; f++) {
		if (f != WRIT_ENTRY_ID && (mask & 1u << f))
			into->text[f] = from->text[f];
	}
	if (mask & WRIT_MASK_X509_TTL)
		into->meta.x509_ttl_s = from->meta.x509_ttl_s;
	if (mask & WRIT_MASK_JWT_TTL)
		into->meta.jwt_ttl_s = from->meta.jwt_ttl_s;
	if (mask & WRIT_MASK_EXPIRES_AT)
		into->meta.expires_at = from->meta.expires_at;
	for (size_t i = 0; i < WRIT_COUNT(flags); i++) {
		if (mask & flags[i].mask)
			into->meta.flags = (uint8_t)((into->meta.flags & ~flags[i].flags) |
				(from->meta.flags & flags[i].flags));
	}
}

struct writ_entry *writ_candidate(
	struct writ_registry *r, const struct writ_entry_request *q, struct writ_err *err)
{
	char uuid[37];
	struct writ_entry *e = NULL;
	struct writ_entry_spec spec = { 0 };
	if (q->problem) {
		writ_fail(err, WRIT_EINVAL, "%s", q->problem);
		return NULL;
	}
	merge(&spec, &q->spec, WRIT_MASK_ALL);
	spec.text[WRIT_ENTRY_ID] = q->spec.text[WRIT_ENTRY_ID];
	spec.meta.created_at = writ_wall_s();
	if (writ_entry_check(&spec, writ_cstr(r->td), err) != WRIT_OK)
		return NULL;
	if (!spec.text[WRIT_ENTRY_ID].n) {
		writ_rand_uuid(uuid);
		spec.text[WRIT_ENTRY_ID] = writ_cstr(uuid);
	}
	return writ_entry_new(&spec, &e, err) == WRIT_OK ? e : NULL;
}

static bool knows_trusts(struct writ_reg_op *op, size_t item, const struct writ_entry *e)
{
	struct writ_str rest = writ_entry_get(e, WRIT_ENTRY_FEDERATES_WITH), td;
	char msg[WRIT_ERR_MAX];
	while (writ_pack_next(&rest, &td)) {
		if (writ_registry_trust(op->r, td))
			continue;
		snprintf(msg, sizeof(msg), "unable to find federated bundle \"" WRIT_FMT "\"",
			WRIT_ARG(td));
		writ_op_fail_item(op, item, WRIT_EINVAL, msg);
		return false;
	}
	return true;
}

/* What stands under a lock: as staged by this request, else as in memory. */
static struct writ_entry *by_id(
	const struct writ_reg_op *op, const struct writ_lock *l, struct writ_str id)
{
	if (l->staged)
		return l->entry;
	uint32_t slot = writ_entries_find(op->r, id);
	return slot == WRIT_NONE ? NULL : op->r->slots[slot].e;
}

static struct writ_entry *by_key(
	const struct writ_reg_op *op, const struct writ_lock *l, struct writ_str key)
{
	return l->staged ? l->entry : writ_entries_by_key(op->r, key);
}

static void set(struct writ_lock *l, struct writ_entry *e)
{
	l->staged = true;
	l->entry = e;
}

static void show(struct writ_reg_op *op, size_t item, struct writ_entry *e)
{
	if (item >= op->n_items)
		return;
	writ_entry_unref(op->items[item].entry);
	op->items[item].entry = writ_entry_ref(e);
}

static void exists(struct writ_reg_op *op, size_t item, struct writ_entry *there, const char *msg)
{
	writ_op_fail_item(op, item, WRIT_EEXIST, msg);
	show(op, item, there);
}

bool writ_stage_create(struct writ_reg_op *op, size_t item, struct writ_entry *candidate)
{
	struct writ_str id = writ_entry_get(candidate, WRIT_ENTRY_ID);
	struct writ_str key = writ_entry_key(candidate);
	struct writ_lock *id_lock = writ_op_lock(op, WRIT_LOCK_ENTRY, id);
	struct writ_lock *key_lock = id_lock ? writ_op_lock(op, WRIT_LOCK_KEY, key) : NULL;
	if (!key_lock)
		return false;
	struct writ_entry *there = by_key(op, key_lock, key);
	if (there) {
		exists(op, item, there, "similar entry already exists");
		return true;
	}
	there = by_id(op, id_lock, id);
	if (there) {
		exists(op, item, there, "an entry with this ID already exists");
		return true;
	}
	if (!knows_trusts(op, item, candidate))
		return true;
	candidate->meta.seq = op->r->next_seq++;
	set(id_lock, candidate);
	set(key_lock, candidate);
	show(op, item, candidate);
	writ_op_stage(op,
		(struct writ_change){
			WRIT_CHANGE_ENTRY_INSERT, { .entry = writ_entry_ref(candidate) } });
	return true;
}

bool writ_stage_delete(struct writ_reg_op *op, size_t item, struct writ_str id)
{
	struct writ_lock *id_lock = writ_op_lock(op, WRIT_LOCK_ENTRY, id);
	if (!id_lock)
		return false;
	struct writ_entry *e = by_id(op, id_lock, id);
	if (!e) {
		writ_op_fail_item(op, item, WRIT_ENOENT, "entry not found");
		return true;
	}
	struct writ_lock *key_lock = writ_op_lock(op, WRIT_LOCK_KEY, writ_entry_key(e));
	if (!key_lock)
		return false;
	set(id_lock, NULL);
	set(key_lock, NULL);
	show(op, item, e);
	writ_op_stage(op, (struct writ_change){ WRIT_CHANGE_ENTRY_DELETE, { .key = id } });
	return true;
}

/* The entry as the update makes it; NULL: refused, said so in the item. */
static struct writ_entry *updated(
	struct writ_reg_op *op, size_t i, const struct writ_entry *now, const struct item *item)
{
	struct writ_entry_spec spec, given;
	struct writ_err err = { 0 };
	struct writ_entry *e = NULL;
	writ_entry_describe(now, &spec);
	writ_entry_describe(item->given, &given);
	merge(&spec, &given, item->mask);
	spec.meta.revision_number++;
	writ_rc rc = writ_entry_check(&spec, writ_cstr(op->r->td), &err);
	if (rc == WRIT_OK)
		rc = writ_entry_new(&spec, &e, &err);
	if (rc) {
		writ_op_fail_item(op, i, WRIT_EINVAL, err.msg);
		return NULL;
	}
	return e;
}

static bool stage_update_item(struct writ_reg_op *op, size_t i, const struct item *item)
{
	struct writ_str id = writ_cstr(item->id);
	struct writ_lock *id_lock = writ_op_lock(op, WRIT_LOCK_ENTRY, id);
	if (!id_lock)
		return false;
	struct writ_entry *now = by_id(op, id_lock, id);
	if (!now) {
		writ_op_fail_item(op, i, WRIT_ENOENT, "entry not found");
		return true;
	}
	WRIT_AUTO(writ_entry_unrefp) struct writ_entry *e = updated(op, i, now, item);
	if (!e || !knows_trusts(op, i, e))
		return true;
	struct writ_lock *old_key = writ_op_lock(op, WRIT_LOCK_KEY, writ_entry_key(now));
	struct writ_lock *new_key =
		old_key ? writ_op_lock(op, WRIT_LOCK_KEY, writ_entry_key(e)) : NULL;
	if (!new_key)
		return false;
	struct writ_entry *there = by_key(op, new_key, writ_entry_key(e));
	if (there && there != now) {
		exists(op, i, there, "similar entry already exists");
		return true;
	}
	set(old_key, NULL);
	set(new_key, e);
	set(id_lock, e);
	show(op, i, e);
	writ_op_stage(op,
		(struct writ_change){ WRIT_CHANGE_ENTRY_UPDATE, { .entry = writ_entry_ref(e) } });
	return true;
}

static bool stage_create_item(struct writ_reg_op *op, size_t i, const struct item *item)
{
	return writ_stage_create(op, i, item->given);
}

static bool stage_delete_item(struct writ_reg_op *op, size_t i, const struct item *item)
{
	return writ_stage_delete(op, i, writ_cstr(item->id));
}

static bool stage_each(struct writ_reg_op *op,
	bool (*one)(struct writ_reg_op *op, size_t i, const struct item *item))
{
	const struct batch *b = op->payload;
	for (size_t i = 0; i < b->n; i++) {
		if (b->items[i].rc)
			writ_op_fail_item(op, i, b->items[i].rc, b->items[i].msg);
		else if (!one(op, i, &b->items[i]))
			return false;
	}
	return true;
}

static bool stage_creates(struct writ_reg_op *op)
{
	return stage_each(op, stage_create_item);
}

static bool stage_updates(struct writ_reg_op *op)
{
	return stage_each(op, stage_update_item);
}

static bool stage_deletes(struct writ_reg_op *op)
{
	return stage_each(op, stage_delete_item);
}

static struct writ_reg_op *new_batch(
	struct writ_registry *r, size_t n, writ_stage_fn *stage, writ_outcome_fn *done, void *arg)
{
	size_t kept = n > WRIT_BATCH_MAX ? 0 : n;
	struct batch *b = writ_alloc(sizeof(*b) + kept * sizeof(b->items[0]));
	b->n = kept;
	struct writ_reg_op *op = writ_reg_op_new(r, stage, b, free_batch, done, arg);
	op->n_items = n;
	op->items = writ_alloc_array(n ? n : 1, sizeof(*op->items));
	return op;
}

static void spoil(struct item *item, writ_rc rc, const char *msg)
{
	item->rc = rc;
	item->msg = writ_strdup(msg);
}

void writ_registry_create_entries(struct writ_registry *r, const struct writ_entry_request *list,
	size_t n, writ_outcome_fn *done, void *arg)
{
	struct writ_reg_op *op = new_batch(r, n, stage_creates, done, arg);
	struct batch *b = op->payload;
	for (size_t i = 0; i < b->n; i++) {
		struct writ_err err = { 0 };
		b->items[i].given = writ_candidate(r, &list[i], &err);
		if (!b->items[i].given)
			spoil(&b->items[i], WRIT_EINVAL, err.msg);
	}
	writ_reg_op_start(op);
}

void writ_registry_update_entries(struct writ_registry *r, const struct writ_entry_request *list,
	size_t n, writ_outcome_fn *done, void *arg)
{
	struct writ_reg_op *op = new_batch(r, n, stage_updates, done, arg);
	struct batch *b = op->payload;
	for (size_t i = 0; i < b->n; i++) {
		struct writ_err err = { 0 };
		struct item *item = &b->items[i];
		struct writ_str id = list[i].spec.text[WRIT_ENTRY_ID];
		item->mask = list[i].mask;
		item->id = writ_strndup(id.n ? id.p : "", id.n > WRIT_ENTRY_ID_MAX ? 0 : id.n);
		if (list[i].problem)
			spoil(item, WRIT_EINVAL, list[i].problem);
		else if (writ_entry_new(&list[i].spec, &item->given, &err) != WRIT_OK)
			spoil(item, WRIT_EINVAL, err.msg);
	}
	writ_reg_op_start(op);
}

void writ_registry_delete_entries(struct writ_registry *r, const struct writ_str *ids, size_t n,
	writ_outcome_fn *done, void *arg)
{
	struct writ_reg_op *op = new_batch(r, n, stage_deletes, done, arg);
	struct batch *b = op->payload;
	for (size_t i = 0; i < b->n; i++) {
		b->items[i].id = writ_strndup(
			ids[i].n ? ids[i].p : "", ids[i].n > WRIT_ENTRY_ID_MAX ? 0 : ids[i].n);
		if (!ids[i].n)
			spoil(&b->items[i], WRIT_EINVAL, "missing entry ID");
	}
	writ_reg_op_start(op);
}
