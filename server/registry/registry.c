/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/registry.h"

#include "base/mem.h"
#include "base/rand.h"
#include "registry/impl.h"

#include <assert.h>

static writ_rc bad_order(const char *what, struct writ_str id, struct writ_err *err)
{
	return writ_fail(err, WRIT_EIO, "%s " WRIT_FMT ": its place in the order is damaged", what,
		WRIT_ARG(id));
}

static writ_rc load_entry(void *arg, struct writ_entry *e, struct writ_err *err)
{
	struct writ_registry *r = arg;
	if (e->meta.seq == 0 || e->meta.seq > INT64_MAX ||
		(r->n_slots && e->meta.seq <= r->slots[r->n_slots - 1].seq)) {
		writ_rc rc = bad_order("entry", writ_entry_get(e, WRIT_ENTRY_ID), err);
		writ_entry_unref(e);
		return rc;
	}
	writ_entries_attach(r, e);
	return WRIT_OK;
}

static writ_rc load_node(void *arg, struct writ_node *n, struct writ_err *err)
{
	struct writ_registry *r = arg;
	if (n->meta.seq == 0 || n->meta.seq > INT64_MAX ||
		(r->n_nslots && n->meta.seq <= r->nslots[r->n_nslots - 1].seq)) {
		writ_rc rc = bad_order("agent", writ_node_get(n, WRIT_NODE_ID), err);
		writ_node_unref(n);
		return rc;
	}
	writ_nodes_put(r, n);
	return WRIT_OK;
}

static writ_rc load_token(void *arg, const struct writ_token *t, struct writ_err *err)
{
	(void)err;
	writ_rows_put_token(arg, t);
	return WRIT_OK;
}

static writ_rc load_trust(void *arg, const struct writ_trust *t, struct writ_err *err)
{
	(void)err;
	writ_rows_put_trust(arg, t);
	return WRIT_OK;
}

static writ_rc load_ca(void *arg, const struct writ_ca_slot *s, struct writ_err *err)
{
	(void)err;
	writ_rows_put_ca(arg, s);
	return WRIT_OK;
}

static writ_rc load_pair(void *arg, const struct writ_pair *p, struct writ_err *err)
{
	(void)err;
	writ_rows_put_value(arg, p);
	return WRIT_OK;
}

static const struct writ_store_sink sink = { load_entry, load_node, load_token, load_trust, load_ca,
	load_pair };

static struct writ_registry *new_registry(
	struct writ_loop *loop, struct writ_store *store, struct writ_str td)
{
	struct writ_registry *r = writ_alloc(sizeof(*r));
	r->loop = loop;
	r->store = store;
	r->td = writ_strndup(td.p, td.n);
	r->server_id = writ_asprintf("spiffe://%s/spire/server", r->td);
	r->free_id = WRIT_NONE;
	r->next_seq = 1;
	writ_list_init(&r->dirty);
	writ_list_init(&r->trust_watches);
	do {
		r->epoch = writ_rand_u64();
	} while (r->epoch == 0);
	return r;
}

writ_rc writ_registry_open(struct writ_loop *loop, struct writ_store *store, struct writ_str td,
	struct writ_registry **ret, struct writ_err *err)
{
	struct writ_registry *r = new_registry(loop, store, td);
	writ_rc rc = writ_store_load(store, &sink, r, &r->revision, err);
	if (rc == WRIT_OK)
		rc = writ_store_start(store, err);
	if (rc) {
		writ_registry_close(r);
		return rc;
	}
	/* Nothing is known of the time before. */
	r->ring_floor = r->revision;
	writ_prune_arm(r);
	*ret = r;
	return WRIT_OK;
}

size_t writ_registry_busy(const struct writ_registry *r)
{
	return r->n_ops + r->flush_posted;
}

void writ_registry_close(struct writ_registry *r)
{
	if (!r)
		return;
	assert(!writ_registry_busy(r));
	writ_timer_free(r->prune);
	writ_changes_finish(r);
	writ_views_done(r);
	writ_entries_done(r);
	writ_selectors_done(r);
	writ_nodes_done(r);
	writ_rows_done(r);
	writ_ids_done(r);
	writ_map_done(&r->locks);
	writ_free(r->td);
	writ_free(r->server_id);
	writ_free(r);
}

uint64_t writ_registry_revision(const struct writ_registry *r)
{
	return r->revision;
}

uint64_t writ_registry_epoch(const struct writ_registry *r)
{
	return r->epoch;
}

struct writ_entry *writ_registry_entry(const struct writ_registry *r, struct writ_str id)
{
	uint32_t slot = writ_entries_find(r, id);
	return slot == WRIT_NONE ? NULL : r->slots[slot].e;
}
