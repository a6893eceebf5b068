/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/op.h"

#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

/* The edit with copies of all it points to. */
struct payload {
	struct writ_node_edit edit;
	struct writ_node *copy; /* holds the text */
	uint8_t key[WRIT_KEY_HASH_LEN];
};

static void free_payload(struct writ_reg_op *op)
{
	struct payload *p = op->payload;
	writ_node_unref(p->copy);
	writ_free(p);
}

static void set_key(bool *has, uint8_t key[WRIT_KEY_HASH_LEN], const uint8_t *from)
{
	*has = from != NULL;
	memset(key, 0, WRIT_KEY_HASH_LEN);
	if (from)
		memcpy(key, from, WRIT_KEY_HASH_LEN);
}

static void clear_new(struct writ_node_spec *s)
{
	s->text[WRIT_NODE_NEW_SERIAL] = WRIT_STR("");
	s->meta.new_not_after = 0;
	set_key(&s->meta.has_new_key, s->meta.new_key, NULL);
}

static void use_serial(struct writ_node_spec *s, const struct writ_node_edit *e)
{
	s->text[WRIT_NODE_SERIAL] = e->serial;
	s->meta.not_after = e->not_after;
	s->meta.attested_at = writ_wall_s();
	set_key(&s->meta.has_key, s->meta.key, e->key);
	clear_new(s);
}

/* Each makes the node into what the edit asks for; false: nothing to change. */
static bool attest(struct writ_node_spec *s, const struct writ_node_edit *e)
{
	s->text[WRIT_NODE_TYPE] = e->type;
	s->text[WRIT_NODE_SELECTORS] = e->selectors;
	s->meta.can_reattest = e->can_reattest;
	use_serial(s, e);
	return true;
}

static bool reissue(struct writ_node_spec *s, const struct writ_node_edit *e)
{
	use_serial(s, e);
	return true;
}

static bool renew(struct writ_node_spec *s, const struct writ_node_edit *e)
{
	s->text[WRIT_NODE_NEW_SERIAL] = e->serial;
	s->meta.new_not_after = e->not_after;
	set_key(&s->meta.has_new_key, s->meta.new_key, e->key);
	return true;
}

static bool promote(struct writ_node_spec *s, const struct writ_node_edit *e)
{
	if (!e->serial.n || !writ_str_eq(s->text[WRIT_NODE_NEW_SERIAL], e->serial))
		return false;
	s->text[WRIT_NODE_SERIAL] = s->text[WRIT_NODE_NEW_SERIAL];
	s->meta.not_after = s->meta.new_not_after;
	s->meta.has_key = s->meta.has_new_key;
	memcpy(s->meta.key, s->meta.new_key, sizeof(s->meta.key));
	clear_new(s);
	return true;
}

static bool report(struct writ_node_spec *s, const struct writ_node_edit *e)
{
	if (writ_str_eq(s->text[WRIT_NODE_VERSION], e->version))
		return false;
	s->text[WRIT_NODE_VERSION] = e->version;
	return true;
}

static bool ban(struct writ_node_spec *s, const struct writ_node_edit *e)
{
	(void)e;
	s->text[WRIT_NODE_SERIAL] = WRIT_STR("");
	s->meta.banned = true;
	/* The key stays on record: who proves it is told of the ban. */
	clear_new(s);
	return true;
}

static const struct {
	bool (*make)(struct writ_node_spec *s, const struct writ_node_edit *e); /* NULL: removes */
	bool may_be_new, may_be_banned;
} acts[] = {
	[WRIT_NODE_ATTEST] = { attest, true, false },
	[WRIT_NODE_REISSUE] = { reissue, false, false },
	[WRIT_NODE_RENEW] = { renew, false, false },
	[WRIT_NODE_PROMOTE] = { promote, false, false },
	[WRIT_NODE_REPORT] = { report, false, false },
	[WRIT_NODE_BAN] = { ban, false, true },
	[WRIT_NODE_REMOVE] = { NULL, false, true },
};

/* Entries that were made with the join token of this agent go with it. */
static bool stage_token_entries(struct writ_reg_op *op, struct writ_str agent)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf own = WRIT_BUF(2 * WRIT_SELECTOR_MAX);
	WRIT_AUTO(writ_buf_done) struct writ_buf set = WRIT_BUF(2 * WRIT_SELECTOR_MAX);
	writ_buf_add_cstr(&own, "spiffe_id:");
	writ_buf_add_str(&own, agent);
	writ_pack_add(&set, writ_buf_str(&own));
	uint32_t id = writ_ids_find(op->r, agent);
	uint32_t slot = id == WRIT_NONE ? WRIT_NONE : op->r->ids[id].child_first;
	struct writ_registry *r = op->r;
	for (; slot != WRIT_NONE; slot = r->slots[slot].child_next) {
		const struct writ_entry *e = r->slots[slot].e;
		struct writ_str selectors = writ_entry_get(e, WRIT_ENTRY_SELECTORS);
		if (!writ_str_eq(selectors, writ_buf_str(&set)))
			continue;
		/* One in flight is somebody's own change of it: it is left to them. */
		if (writ_op_is_locked(op, WRIT_LOCK_KEY, writ_entry_key(e)) ||
			writ_op_is_locked(op, WRIT_LOCK_ENTRY, writ_entry_get(e, WRIT_ENTRY_ID)))
			continue;
		if (!writ_stage_delete(op, 0, writ_entry_get(e, WRIT_ENTRY_ID)))
			return false;
	}
	return true;
}

static bool stage_remove(struct writ_reg_op *op, struct writ_node *node)
{
	op->node = writ_node_ref(node);
	if (!stage_token_entries(op, writ_node_get(node, WRIT_NODE_ID)))
		return false;
	writ_op_stage(op,
		(struct writ_change){
			WRIT_CHANGE_NODE_DELETE, { .key = writ_node_get(node, WRIT_NODE_ID) } });
	return true;
}

static void stage_put(struct writ_reg_op *op, struct writ_node *now, const struct payload *p)
{
	struct writ_node_spec spec = { 0 };
	struct writ_node *made = NULL;
	if (now) {
		writ_node_describe(now, &spec);
	} else {
		spec.text[WRIT_NODE_ID] = p->edit.id;
		spec.meta.seq = op->r->next_seq++;
	}
	if (!acts[p->edit.act].make(&spec, &p->edit)) {
		op->node = writ_node_ref(now);
		return;
	}
	op->rc = writ_node_new(&spec, &made, &op->err);
	if (op->rc)
		return;
	op->node = writ_node_ref(made);
	writ_op_stage(op, (struct writ_change){ WRIT_CHANGE_NODE_PUT, { .node = made } });
}

static bool stage(struct writ_reg_op *op)
{
	const struct payload *p = op->payload;
	if (!writ_op_lock(op, WRIT_LOCK_NODE, p->edit.id))
		return false;
	struct writ_node *now = writ_registry_node(op->r, p->edit.id);
	if (!now && !acts[p->edit.act].may_be_new)
		op->rc = writ_fail(&op->err, WRIT_ENOENT, "agent not found");
	else if (now && now->meta.banned && !acts[p->edit.act].may_be_banned)
		op->rc = writ_fail(&op->err, WRIT_EDENIED, "agent is banned");
	else if (now && p->edit.first_only)
		op->rc = writ_fail(&op->err, WRIT_EEXIST, "agent is attested already");
	if (op->rc)
		return true;
	if (!acts[p->edit.act].make)
		return stage_remove(op, now);
	stage_put(op, now, p);
	return true;
}

static writ_rc check(const struct writ_node_edit *e, struct writ_err *err)
{
	if (e->version.n > WRIT_AGENT_VERSION_MAX)
		return writ_fail(err, WRIT_EINVAL, "agent version is longer than %d characters",
			WRIT_AGENT_VERSION_MAX);
	if (!writ_pack_is_set(e->selectors))
		return writ_fail(err, WRIT_EINVAL, "selectors of the agent are malformed");
	return WRIT_OK;
}

static bool stage_refused(struct writ_reg_op *op)
{
	op->rc = op->err.rc;
	return true;
}

void writ_registry_edit_node(struct writ_registry *r, const struct writ_node_edit *edit,
	writ_outcome_fn *done, void *arg)
{
	struct payload *p = writ_alloc(sizeof(*p));
	struct writ_reg_op *op = writ_reg_op_new(r, stage, p, free_payload, done, arg);
	struct writ_node_spec text = { .text = {
					       [WRIT_NODE_ID] = edit->id,
					       [WRIT_NODE_TYPE] = edit->type,
					       [WRIT_NODE_SERIAL] = edit->serial,
					       [WRIT_NODE_SELECTORS] = edit->selectors,
					       [WRIT_NODE_VERSION] = edit->version,
				       } };
	writ_rc rc = check(edit, &op->err);
	if (rc == WRIT_OK)
		rc = writ_node_new(&text, &p->copy, &op->err);
	if (rc) {
		op->stage = stage_refused;
	} else {
		p->edit = *edit;
		p->edit.id = writ_node_get(p->copy, WRIT_NODE_ID);
		p->edit.type = writ_node_get(p->copy, WRIT_NODE_TYPE);
		p->edit.serial = writ_node_get(p->copy, WRIT_NODE_SERIAL);
		p->edit.selectors = writ_node_get(p->copy, WRIT_NODE_SELECTORS);
		p->edit.version = writ_node_get(p->copy, WRIT_NODE_VERSION);
		if (edit->key) {
			memcpy(p->key, edit->key, sizeof(p->key));
			p->edit.key = p->key;
		}
	}
	writ_reg_op_start(op);
}
