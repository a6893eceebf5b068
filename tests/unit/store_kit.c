/* SPDX-License-Identifier: Apache-2.0 */
#include "store_kit.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "check.h"

#include <stdlib.h>

#define PATIENCE_MS 60000
#define S(text)     writ_cstr(text)

int store_enter(void **state)
{
	struct store_world *w = writ_alloc(sizeof(*w));
	snprintf(w->dir, sizeof(w->dir), "/tmp/writ-store-XXXXXX");
	if (!mkdtemp(w->dir) || writ_loop_new(&w->loop, NULL) != WRIT_OK)
		return -1;
	*state = w;
	return 0;
}

void store_close(struct store_world *w)
{
	writ_store_close(w->store);
	w->store = NULL;
}

int store_leave(void **state)
{
	struct store_world *w = *state;
	store_close(w);
	writ_loop_free(w->loop);
	writ_rc rc = writ_fs_remove_tree(w->dir, NULL);
	writ_free(w);
	return rc ? -1 : 0;
}

static writ_rc dump_entry(void *arg, struct writ_entry *e, struct writ_err *err)
{
	struct store_dump *d = arg;
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
	struct store_dump *d = arg;
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
	struct store_dump *d = arg;
	(void)err;
	writ_buf_addf(&d->text, "token %02x %d " WRIT_FMT " " WRIT_FMT "\n", t->hash[0],
		(int)t->expires_at, WRIT_ARG(t->agent_id), WRIT_ARG(t->spiffe_id));
	return WRIT_OK;
}

static writ_rc dump_trust(void *arg, const struct writ_trust *t, struct writ_err *err)
{
	struct store_dump *d = arg;
	(void)err;
	writ_buf_addf(&d->text, "trust " WRIT_FMT " " WRIT_FMT " %d %d\n", WRIT_ARG(t->td),
		WRIT_ARG(t->cas), (int)t->sequence, (int)t->refresh_hint_s);
	return WRIT_OK;
}

static writ_rc dump_ca(void *arg, const struct writ_ca_slot *s, struct writ_err *err)
{
	struct store_dump *d = arg;
	(void)err;
	writ_buf_addf(&d->text, "ca " WRIT_FMT " " WRIT_FMT " " WRIT_FMT " %d %d\n",
		WRIT_ARG(s->authority_id), WRIT_ARG(s->state), WRIT_ARG(s->cert), (int)s->issued_at,
		(int)s->not_after);
	return WRIT_OK;
}

static writ_rc dump_pair(void *arg, const struct writ_pair *p, struct writ_err *err)
{
	struct store_dump *d = arg;
	(void)err;
	writ_buf_addf(&d->text, "pair " WRIT_FMT "=" WRIT_FMT "\n", WRIT_ARG(p->name),
		WRIT_ARG(p->value));
	return WRIT_OK;
}

const struct writ_store_sink store_dump_sink = { dump_entry, dump_node, dump_token, dump_trust,
	dump_ca, dump_pair };

void store_open_and_dump(struct store_world *w, struct store_dump *d)
{
	struct writ_err err = { 0 };
	*d = (struct store_dump){ .text = WRIT_BUF(16 << 20) };
	assert_ok(writ_store_open(&writ_store_sqlite, w->dir, &w->store, &err), err);
	assert_ok(writ_store_load(w->store, &store_dump_sink, d, &d->revision, &err), err);
	assert_ok(writ_store_start(w->store, &err), err);
}

void store_open(struct store_world *w)
{
	struct store_dump d;
	store_open_and_dump(w, &d);
	writ_buf_done(&d.text);
}

static void finished(struct writ_store_tx *tx)
{
	struct store_world *w = writ_container(tx, struct store_request, tx)->w;
	w->idle = --w->pending == 0;
}

void store_submit(
	struct store_world *w, struct store_request *r, const struct writ_change *c, size_t n)
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

void store_settle(struct store_world *w)
{
	assert_true(writ_loop_run_until(w->loop, &w->idle, writ_mono_ms() + PATIENCE_MS));
}

writ_rc store_apply(
	struct store_world *w, const struct writ_change *c, size_t n, struct store_request *r)
{
	*r = (struct store_request){ .w = w };
	store_submit(w, r, c, n);
	store_settle(w);
	return r->tx.rc;
}

struct writ_entry *store_entry(uint64_t seq, const char *id, const char *name)
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
