/* SPDX-License-Identifier: Apache-2.0 */
/* store_kit: a store in a throw-away folder, transactions to their end, and what is in it as text.
 */
#ifndef WRIT_TEST_STORE_KIT_H
#define WRIT_TEST_STORE_KIT_H

#include "base/buf.h"
#include "store/store.h"

struct store_world {
	char dir[64];
	struct writ_loop *loop;
	struct writ_store *store;
	int pending;
	bool idle;
};

int store_enter(void **state); /* setup and teardown: *state is a struct store_world */
int store_leave(void **state);

/* What load found, as one line a row in the order given. */
struct store_dump {
	struct writ_buf text;
	int entries;
	uint64_t revision;
};
extern const struct writ_store_sink store_dump_sink; /* its argument is a struct store_dump */

void store_open(struct store_world *w);
void store_open_and_dump(struct store_world *w, struct store_dump *d); /* text is the caller's */
void store_close(struct store_world *w);                               /* idempotent */

struct store_request {
	struct writ_store_tx tx;
	struct store_world *w;
};
void store_submit(
	struct store_world *w, struct store_request *r, const struct writ_change *c, size_t n);
void store_settle(struct store_world *w); /* until all that was submitted is done */
/* One transaction to its end: its result. */
writ_rc store_apply(
	struct store_world *w, const struct writ_change *c, size_t n, struct store_request *r);
struct writ_entry *store_entry(uint64_t seq, const char *id, const char *name); /* owned */

#endif
