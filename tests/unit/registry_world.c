/* SPDX-License-Identifier: Apache-2.0 */
#include "registry_world.h"

#include "base/clock.h"
#include "base/fs.h"

#include <stdlib.h>

/* --- a store that fails on demand --- */

static struct writ_store_vt fragile;
bool broken;

static writ_rc fragile_open(const char *dir, struct writ_db **ret, struct writ_err *err)
{
	writ_rc rc = writ_store_sqlite.open(dir, ret, err);
	if (rc == WRIT_OK)
		(*ret)->vt = &fragile;
	return rc;
}

static writ_rc fragile_commit(struct writ_db *db, uint64_t revision, struct writ_err *err)
{
	return broken ? writ_fail(err, WRIT_EIO, "the disk is on fire")
		      : writ_store_sqlite.commit(db, revision, err);
}

/* --- world --- */

void open_world(struct world *w)
{
	struct writ_err err = { 0 };
	assert_ok(writ_store_open(&fragile, w->dir, &w->store, &err), err);
	assert_ok(writ_registry_open(w->loop, w->store, S("td"), &w->r, &err), err);
}

/* Runs the loop until nothing is in flight. */
void settle(struct world *w)
{
	bool never = false;
	int64_t end = writ_mono_ms() + PATIENCE_MS;
	while (writ_registry_busy(w->r)) {
		assert_true(writ_mono_ms() < end);
		(void)writ_loop_run_until(w->loop, &never, writ_mono_ms() + 1);
	}
}

void close_world(struct world *w)
{
	settle(w);
	writ_store_close(w->store);
	writ_registry_close(w->r);
}

int enter(void **state)
{
	struct world *w = writ_alloc(sizeof(*w));
	fragile = writ_store_sqlite;
	fragile.open = fragile_open;
	fragile.commit = fragile_commit;
	broken = false;
	w->seed = 1;
	snprintf(w->dir, sizeof(w->dir), "/tmp/writ-registry-XXXXXX");
	if (!mkdtemp(w->dir) || writ_loop_new(&w->loop, NULL) != WRIT_OK)
		return -1;
	open_world(w);
	*state = w;
	return 0;
}

int leave(void **state)
{
	struct world *w = *state;
	close_world(w);
	writ_loop_free(w->loop);
	writ_rc rc = writ_fs_remove_tree(w->dir, NULL);
	writ_free(w);
	return rc ? -1 : 0;
}

void answered(void *arg, const struct writ_outcome *out)
{
	struct answer *a = arg;
	a->calls++;
	a->rc = out->rc;
	a->revision = out->revision;
	a->n = out->n;
	snprintf(a->msg, sizeof(a->msg), "%s", out->msg);
	for (size_t i = 0; i < out->n && i < WRIT_COUNT(a->items); i++) {
		a->items[i].rc = out->items[i].rc;
		snprintf(a->items[i].msg, sizeof(a->items[i].msg), "%s", out->items[i].msg);
		const struct writ_entry *e = out->items[i].entry;
		snprintf(a->items[i].id, sizeof(a->items[i].id), "%s",
			e ? writ_entry_get(e, WRIT_ENTRY_ID).p : "");
		a->items[i].revision_number = e ? e->meta.revision_number : -1;
	}
}

struct writ_entry_request entry(
	const char *id, const char *parent, const char *name, const char *selectors)
{
	struct writ_entry_request q = { .mask = WRIT_MASK_ALL };
	q.spec.text[WRIT_ENTRY_ID] = S(id);
	q.spec.text[WRIT_ENTRY_PARENT_ID] = S(parent);
	q.spec.text[WRIT_ENTRY_SPIFFE_ID] = S(name);
	q.spec.text[WRIT_ENTRY_SELECTORS] = S(selectors);
	return q;
}

struct answer create(struct world *w, const struct writ_entry_request *list, size_t n)
{
	struct answer a = { 0 };
	writ_registry_create_entries(w->r, list, n, answered, &a);
	assert_int_equal(a.calls, 0);
	settle(w);
	assert_int_equal(a.calls, 1);
	return a;
}

struct answer create_one(struct world *w, const char *id, const char *parent, const char *name,
	const char *selectors)
{
	struct writ_entry_request q = entry(id, parent, name, selectors);
	return create(w, &q, 1);
}

struct answer edit(struct world *w, const struct writ_node_edit *e)
{
	struct answer a = { 0 };
	writ_registry_edit_node(w->r, e, answered, &a);
	settle(w);
	return a;
}

void attest(struct world *w, const char *id, const char *selectors)
{
	struct writ_node_edit e = { .act = WRIT_NODE_ATTEST,
		.id = S(id),
		.type = S("t"),
		.serial = S(id),
		.selectors = S(selectors),
		.not_after = 5000 };
	struct answer a = edit(w, &e);
	assert_int_equal(a.rc, WRIT_OK);
}

size_t count(struct world *w)
{
	size_t n = 0;
	struct writ_err err;
	assert_ok(
		writ_registry_count_entries(w->r, &(struct writ_entry_filter){ 0 }, &n, &err), err);
	return n;
}

void bumped(void *arg)
{
	++*(int *)arg;
}

unsigned below(struct world *w, unsigned n)
{
	w->seed = w->seed * 1103515245u + 12345u;
	return (w->seed >> 16) % n;
}

#define SELS 4

const char *name_of(unsigned i, char buf[64])
{
	snprintf(buf, 64, "spiffe://td/n%u", i);
	return buf;
}

const char *some_selectors(struct world *w, unsigned min, char buf[64])
{
	unsigned mask = below(w, 1u << SELS);
	if (!mask && min)
		mask = 1u << below(w, SELS);
	buf[0] = '\0';
	for (unsigned i = 0; i < SELS; i++) {
		if (mask & 1u << i)
			snprintf(buf + strlen(buf), 64 - strlen(buf), "3:s:%u,", i);
	}
	return buf;
}

/* All entries, by listing. */
void all_entries(struct world *w, struct writ_entry_list *l)
{
	char next[32];
	struct writ_err err;
	assert_ok(writ_registry_list_entries(
			  w->r, &(struct writ_entry_filter){ 0 }, 0, S(""), l, next, &err),
		err);
	assert_string_equal(next, "");
}
