/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/op.h"

#include "base/clock.h"
#include "base/mem.h"

#include <string.h>

#define TRUST_BYTES_MAX (1024u * 1024u)
#define TRUST_CAS_MAX   256

static struct writ_str dup(struct writ_str s)
{
	return (struct writ_str){ writ_strndup(s.n ? s.p : "", s.n), s.n };
}

static void drop(struct writ_str s)
{
	union {
		const char *in;
		char *out;
	} cast = { .in = s.p };
	writ_free(cast.out);
}

/* --- join tokens --- */

struct token {
	struct writ_token row;
	struct writ_entry *entry; /* NULL: none */
	bool refused;             /* op->err says why */
};

static void free_token(struct writ_reg_op *op)
{
	struct token *t = op->payload;
	writ_entry_unref(t->entry);
	drop(t->row.agent_id);
	drop(t->row.spiffe_id);
	writ_free(t);
}

static struct writ_str hash_of(const struct token *t)
{
	return writ_strn(t->row.hash, sizeof(t->row.hash));
}

static bool stage_create_token(struct writ_reg_op *op)
{
	const struct token *t = op->payload;
	if (t->refused) {
		op->rc = op->err.rc;
		return true;
	}
	if (!writ_op_lock(op, WRIT_LOCK_TOKEN, hash_of(t)))
		return false;
	if (writ_registry_token(op->r, t->row.hash)) {
		op->rc = writ_fail(&op->err, WRIT_EEXIST, "this join token already exists");
		return true;
	}
	op->token = &t->row;
	writ_op_stage(op, (struct writ_change){ WRIT_CHANGE_TOKEN_INSERT, { .token = &t->row } });
	if (!t->entry)
		return true;
	if (!writ_stage_create(op, 0, t->entry))
		return false;
	if (op->items[0].rc)
		op->rc = writ_fail(&op->err, op->items[0].rc, "%s", op->items[0].msg);
	return true;
}

void writ_registry_create_token(struct writ_registry *r, const struct writ_token *token,
	const struct writ_entry_request *entry, writ_outcome_fn *done, void *arg)
{
	struct token *t = writ_alloc(sizeof(*t));
	struct writ_reg_op *op = writ_reg_op_new(r, stage_create_token, t, free_token, done, arg);
	t->row = *token;
	t->row.agent_id = dup(token->agent_id);
	t->row.spiffe_id = dup(token->spiffe_id);
	if (entry) {
		op->n_items = 1;
		op->items = writ_alloc_array(1, sizeof(*op->items));
		t->entry = writ_candidate(r, entry, &op->err);
		t->refused = !t->entry;
	}
	writ_reg_op_start(op);
}

static bool stage_take_token(struct writ_reg_op *op)
{
	struct token *t = op->payload;
	if (!writ_op_lock(op, WRIT_LOCK_TOKEN, hash_of(t)))
		return false;
	const struct writ_token *now = writ_registry_token(op->r, t->row.hash);
	if (!now) {
		op->rc = writ_fail(&op->err, WRIT_ENOENT,
			"join token does not exist or has already been used");
		return true;
	}
	drop(t->row.agent_id);
	drop(t->row.spiffe_id);
	t->row.expires_at = now->expires_at;
	t->row.agent_id = dup(now->agent_id);
	t->row.spiffe_id = dup(now->spiffe_id);
	op->token = &t->row;
	op->after = WRIT_OK;
	if (now->expires_at < writ_wall_s())
		op->after = writ_fail(&op->err, WRIT_EEXPIRED, "join token expired");
	writ_op_stage(op, (struct writ_change){ WRIT_CHANGE_TOKEN_TAKE, { .key = hash_of(t) } });
	return true;
}

void writ_registry_take_token(struct writ_registry *r, const uint8_t hash[WRIT_KEY_HASH_LEN],
	writ_outcome_fn *done, void *arg)
{
	struct token *t = writ_alloc(sizeof(*t));
	memcpy(t->row.hash, hash, sizeof(t->row.hash));
	writ_reg_op_start(writ_reg_op_new(r, stage_take_token, t, free_token, done, arg));
}

/* --- bundles --- */

struct trust {
	struct writ_str td;
	struct writ_buf add, taint, remove; /* packs of DER */
	bool set_hint;
	int64_t hint;
	struct writ_buf cas; /* of the new row */
	struct writ_trust row;
};

static void free_trust(struct writ_reg_op *op)
{
	struct trust *t = op->payload;
	drop(t->td);
	writ_buf_done(&t->add);
	writ_buf_done(&t->taint);
	writ_buf_done(&t->remove);
	writ_buf_done(&t->cas);
	writ_free(t);
}

static void add_ca(struct writ_buf *out, char tainted, struct writ_str der)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf one = WRIT_BUF(TRUST_BYTES_MAX);
	writ_buf_add_byte(&one, (uint8_t)tainted);
	writ_buf_add_str(&one, der);
	if (one.failed)
		out->failed = true;
	writ_pack_add(out, writ_buf_str(&one));
}

/* Is that CA in the list, tainted or not? */
static bool has_ca(struct writ_str cas, struct writ_str der)
{
	struct writ_str item;
	while (writ_pack_next(&cas, &item)) {
		if (item.n == der.n + 1 && memcmp(item.p + 1, der.p, der.n) == 0)
			return true;
	}
	return false;
}

/* The list of CAs after the edit, into t->cas. */
static writ_rc edit_cas(struct trust *t, struct writ_str now, struct writ_err *err)
{
	struct writ_str item, rest = now;
	size_t n;
	t->cas.n = 0;
	while (writ_pack_next(&rest, &item)) {
		struct writ_str der = { item.p + 1, item.n - 1 };
		if (writ_pack_has(writ_buf_str(&t->remove), der))
			continue;
		bool taint = writ_pack_has(writ_buf_str(&t->taint), der);
		add_ca(&t->cas, taint ? '1' : item.p[0], der);
	}
	rest = writ_buf_str(&t->add);
	while (writ_pack_next(&rest, &item)) {
		if (!has_ca(writ_buf_str(&t->cas), item))
			add_ca(&t->cas, '0', item);
	}
	writ_rc rc = writ_buf_check(&t->cas, "bundle", err);
	if (rc == WRIT_OK && writ_pack_valid(writ_buf_str(&t->cas), &n) && n > TRUST_CAS_MAX)
		rc = writ_fail(
			err, WRIT_ELIMIT, "bundle: %zu authorities, at most %d", n, TRUST_CAS_MAX);
	return rc;
}

static bool stage_trust(struct writ_reg_op *op)
{
	struct trust *t = op->payload;
	if (!writ_op_lock(op, WRIT_LOCK_TRUST, t->td))
		return false;
	const struct writ_trust *now = writ_registry_trust(op->r, t->td);
	op->rc = edit_cas(t, now ? now->cas : WRIT_STR(""), &op->err);
	if (op->rc == WRIT_OK && !now && !t->cas.n)
		op->rc = writ_fail(&op->err, WRIT_ENOENT, "bundle not found");
	if (op->rc)
		return true;
	t->row = (struct writ_trust){ .td = t->td,
		.cas = writ_buf_str(&t->cas),
		.sequence = now ? now->sequence : 0,
		.refresh_hint_s = t->set_hint ? t->hint
			: now                 ? now->refresh_hint_s
					      : 0 };
	op->trust = &t->row;
	if (now && writ_str_eq(now->cas, t->row.cas) &&
		now->refresh_hint_s == t->row.refresh_hint_s)
		return true;
	t->row.sequence++;
	writ_op_stage(op, (struct writ_change){ WRIT_CHANGE_TRUST_PUT, { .trust = &t->row } });
	return true;
}

static void pack_ders(struct writ_buf *out, const struct writ_str *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		writ_pack_add(out, list[i]);
}

static bool stage_oversized(struct writ_reg_op *op)
{
	op->rc = writ_fail(&op->err, WRIT_ELIMIT, "bundle: larger than %u bytes", TRUST_BYTES_MAX);
	return true;
}

void writ_registry_edit_trust(struct writ_registry *r, const struct writ_trust_edit *edit,
	writ_outcome_fn *done, void *arg)
{
	struct trust *t = writ_alloc(sizeof(*t));
	t->td = dup(edit->td);
	t->add = t->taint = t->remove = t->cas = WRIT_BUF(TRUST_BYTES_MAX);
	t->set_hint = edit->set_hint;
	t->hint = edit->refresh_hint_s;
	pack_ders(&t->add, edit->add, edit->n_add);
	pack_ders(&t->taint, edit->taint, edit->n_taint);
	pack_ders(&t->remove, edit->remove, edit->n_remove);
	bool fits = !t->add.failed && !t->taint.failed && !t->remove.failed;
	writ_reg_op_start(
		writ_reg_op_new(r, fits ? stage_trust : stage_oversized, t, free_trust, done, arg));
}

/* --- CA journal and values --- */

static void free_ca(struct writ_reg_op *op)
{
	struct writ_ca_slot *s = op->payload;
	drop(s->authority_id);
	drop(s->state);
	drop(s->cert);
	writ_free(s);
}

static bool stage_ca(struct writ_reg_op *op)
{
	const struct writ_ca_slot *s = op->payload;
	if (s->state.n)
		writ_op_stage(op, (struct writ_change){ WRIT_CHANGE_CA_PUT, { .ca = s } });
	else
		writ_op_stage(op,
			(struct writ_change){ WRIT_CHANGE_CA_DELETE, { .key = s->authority_id } });
	return true;
}

void writ_registry_put_ca(
	struct writ_registry *r, const struct writ_ca_slot *slot, writ_outcome_fn *done, void *arg)
{
	struct writ_ca_slot *s = writ_alloc(sizeof(*s));
	*s = *slot;
	s->authority_id = dup(slot->authority_id);
	s->state = dup(slot->state);
	s->cert = dup(slot->cert);
	writ_reg_op_start(writ_reg_op_new(r, stage_ca, s, free_ca, done, arg));
}

static void free_pair(struct writ_reg_op *op)
{
	struct writ_pair *p = op->payload;
	drop(p->name);
	drop(p->value);
	writ_free(p);
}

static bool stage_pair(struct writ_reg_op *op)
{
	const struct writ_pair *p = op->payload;
	if (p->value.n)
		writ_op_stage(op, (struct writ_change){ WRIT_CHANGE_PAIR_PUT, { .pair = p } });
	else
		writ_op_stage(
			op, (struct writ_change){ WRIT_CHANGE_PAIR_DELETE, { .key = p->name } });
	return true;
}

void writ_registry_put_value(
	struct writ_registry *r, const struct writ_pair *pair, writ_outcome_fn *done, void *arg)
{
	struct writ_pair *p = writ_alloc(sizeof(*p));
	p->name = dup(pair->name);
	p->value = dup(pair->value);
	writ_reg_op_start(writ_reg_op_new(r, stage_pair, p, free_pair, done, arg));
}
