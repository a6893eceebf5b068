/* SPDX-License-Identifier: Apache-2.0 */
/* registry_world: a registry over a store in a folder of its own, and short forms of requests;
 * shared by the tests of server/registry. */
#ifndef WRIT_TEST_REGISTRY_WORLD_H
#define WRIT_TEST_REGISTRY_WORLD_H

#include "check.h"

#include "base/mem.h"
#include "loop/loop.h"
#include "registry/request.h"
#include "registry/view.h"

#define PATIENCE_MS 60000
#define S(text)     writ_cstr(text)
#define SERVER      "spiffe://td/spire/server"
#define T(f)        cmocka_unit_test_setup_teardown(f, enter, leave)
#define NAMES       12 /* IDs that random entries use as names and parents */
#define AGENTS      6  /* IDs behind those */

struct world {
	char dir[64];
	struct writ_loop *loop;
	struct writ_store *store;
	struct writ_registry *r;
	unsigned seed;
};

/* What the last outcome of a request said. */
struct answer {
	int calls;
	writ_rc rc;
	char msg[WRIT_ERR_MAX];
	uint64_t revision;
	struct {
		writ_rc rc;
		char msg[128];
		char id[64];
		int64_t revision_number;
	} items[64];
	size_t n;
};

extern bool broken; /* commits fail while it is set */

int enter(void **state); /* setup and teardown of cmocka */
int leave(void **state);
void open_world(struct world *w);
void close_world(struct world *w);
void settle(struct world *w); /* runs the loop until nothing is in flight */

void answered(void *arg, const struct writ_outcome *out); /* arg: struct answer */
void bumped(void *arg);                                   /* arg: int, one more */
struct writ_entry_request entry(
	const char *id, const char *parent, const char *name, const char *selectors);
/* These wait for the answer. */
struct answer create(struct world *w, const struct writ_entry_request *list, size_t n);
struct answer create_one(struct world *w, const char *id, const char *parent, const char *name,
	const char *selectors);
struct answer edit(struct world *w, const struct writ_node_edit *e);
void attest(struct world *w, const char *id, const char *selectors);

size_t count(struct world *w);
void all_entries(struct world *w, struct writ_entry_list *l);
unsigned below(struct world *w, unsigned n); /* pseudo-random, the same in each run */
const char *name_of(unsigned i, char buf[64]);
const char *some_selectors(struct world *w, unsigned min, char buf[64]);

#endif
