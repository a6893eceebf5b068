/* SPDX-License-Identifier: Apache-2.0 */
/* Entries go when they expire, tokens a day later: until then an agent that comes with one is told
 * that it is too old, and not that it never was. */
#include "registry/op.h"

#include "base/clock.h"
#include "base/mem.h"

#define PRUNE_MAX      500 /* rows in one transaction */
#define TOKEN_GRACE_S  86400
#define WAIT_MAX_MS    (10 * 60 * 1000) /* the wall clock may be set while the timer waits */
#define WAIT_FAILED_MS 5000
#define WAIT_AGAIN_MS  1000 /* what could not go now was locked: it may go soon */

static void soonest(int64_t *best, int64_t t)
{
	if (t > 0 && (*best == 0 || t < *best))
		*best = t;
}

static int64_t token_end(const struct writ_token *t)
{
	return t->expires_at + TOKEN_GRACE_S;
}

static void find_next(struct writ_registry *r)
{
	size_t i = 0;
	const struct writ_token *t;
	r->next_expiry = 0;
	for (uint32_t s = 0; s < r->n_slots; s++) {
		if (r->slots[s].e)
			soonest(&r->next_expiry, r->slots[s].e->meta.expires_at);
	}
	while ((t = writ_map_next(&r->tokens, &i, NULL)))
		soonest(&r->next_expiry, token_end(t));
}

static void stage_entries(struct writ_reg_op *op, int64_t now)
{
	struct writ_registry *r = op->r;
	for (uint32_t s = 0; s < r->n_slots && op->n < PRUNE_MAX; s++) {
		const struct writ_entry *e = r->slots[s].e;
		if (!e || !e->meta.expires_at || e->meta.expires_at > now)
			continue;
		struct writ_str id = writ_entry_get(e, WRIT_ENTRY_ID);
		if (!writ_op_is_locked(op, WRIT_LOCK_ENTRY, id) &&
			!writ_op_is_locked(op, WRIT_LOCK_KEY, writ_entry_key(e)))
			(void)writ_stage_delete(op, 0, id);
	}
}

static void stage_tokens(struct writ_reg_op *op, int64_t now)
{
	size_t i = 0;
	struct writ_token *t;
	while (op->n < PRUNE_MAX && (t = writ_map_next(&op->r->tokens, &i, NULL))) {
		struct writ_str hash = writ_strn(t->hash, sizeof(t->hash));
		if (token_end(t) <= now && !writ_op_is_locked(op, WRIT_LOCK_TOKEN, hash) &&
			writ_op_lock(op, WRIT_LOCK_TOKEN, hash))
			writ_op_stage(op,
				(struct writ_change){ WRIT_CHANGE_TOKEN_TAKE, { .key = hash } });
	}
}

static bool stage(struct writ_reg_op *op)
{
	int64_t now = writ_wall_s();
	stage_entries(op, now);
	stage_tokens(op, now);
	return true;
}

static void pruned(void *arg, const struct writ_outcome *out)
{
	struct writ_registry *r = arg;
	r->pruning = false;
	find_next(r);
	if (out->rc)
		writ_timer_start(r->prune, WAIT_FAILED_MS);
	else if (r->next_expiry && r->next_expiry <= writ_wall_s())
		writ_timer_start(r->prune, WAIT_AGAIN_MS);
	else
		writ_prune_arm(r);
}

static void fire(void *arg)
{
	struct writ_registry *r = arg;
	if (r->pruning || !r->next_expiry)
		return;
	if (r->next_expiry > writ_wall_s()) {
		writ_prune_arm(r);
		return;
	}
	r->pruning = true;
	writ_reg_op_start(writ_reg_op_new(r, stage, NULL, NULL, pruned, r));
}

void writ_prune_expect(struct writ_registry *r, int64_t expires_at)
{
	soonest(&r->next_expiry, expires_at);
}

void writ_prune_expect_token(struct writ_registry *r, const struct writ_token *t)
{
	soonest(&r->next_expiry, token_end(t));
}

void writ_prune_arm(struct writ_registry *r)
{
	if (!r->prune)
		r->prune = writ_timer_new(r->loop, fire, r);
	if (r->pruning || !r->next_expiry || writ_timer_active(r->prune))
		return;
	int64_t wait = (r->next_expiry - writ_wall_s()) * 1000;
	writ_timer_start(r->prune, wait < 0 ? 0 : wait > WAIT_MAX_MS ? WAIT_MAX_MS : wait);
}
