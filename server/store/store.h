/* SPDX-License-Identifier: Apache-2.0 */
/* store: what outlives the process. A backend is a vtable that one thread at a time calls; this
 * module owns that thread and the group commit: all transactions that wait share one commit of the
 * database, each stands or falls by itself, and each that stands gets the next revision of one
 * gap-free sequence. When done() says WRIT_OK the change is on disk. docs/adr/0010 has the reasons.
 */
#ifndef WRIT_STORE_STORE_H
#define WRIT_STORE_STORE_H

#include "loop/loop.h"
#include "store/rows.h"

#define WRIT_STORE_GROUP_MAX 4096 /* changes in one commit */

enum writ_change_kind {
	WRIT_CHANGE_ENTRY_INSERT, /* entry; WRIT_EEXIST when the ID or the uniqueness key is there
				   */
	WRIT_CHANGE_ENTRY_UPDATE, /* entry; WRIT_EPRECOND when it is not there */
	WRIT_CHANGE_ENTRY_DELETE, /* key: its ID; WRIT_EPRECOND when it is not there */
	WRIT_CHANGE_NODE_PUT,     /* node */
	WRIT_CHANGE_NODE_DELETE,  /* key: its ID; WRIT_EPRECOND when it is not there */
	WRIT_CHANGE_TOKEN_INSERT, /* token; WRIT_EEXIST */
	WRIT_CHANGE_TOKEN_TAKE,   /* key: its hash; WRIT_EPRECOND unless this takes exactly one */
	WRIT_CHANGE_TRUST_PUT,    /* trust */
	WRIT_CHANGE_TRUST_DELETE, /* key: the trust domain */
	WRIT_CHANGE_CA_PUT,       /* ca */
	WRIT_CHANGE_CA_DELETE,    /* key: the authority ID */
	WRIT_CHANGE_ISSUED_ADD,   /* issued; a serial that is there already is passed over */
	WRIT_CHANGE_ISSUED_PRUNE, /* before: at most 1,000 whose not_after is earlier */
	WRIT_CHANGE_PAIR_PUT,     /* pair */
	WRIT_CHANGE_PAIR_DELETE,  /* key: its name */
	WRIT_CHANGE_KINDS
};

/* One change; what it points to belongs to the submitter and stays until done(). */
struct writ_change {
	enum writ_change_kind kind;
	union {
		struct writ_entry *entry;
		struct writ_node *node;
		const struct writ_token *token;
		const struct writ_trust *trust;
		const struct writ_ca_slot *ca;
		const struct writ_issued *issued;
		const struct writ_pair *pair;
		struct writ_str key;
		int64_t before;
	} u;
};

/* Rows of the issuance index, newest first. Give a serial, or a SPIFFE ID. */
struct writ_issued_query {
	struct writ_str serial, spiffe_id; /* the one that is not wanted is empty */
	size_t limit;                      /* at most 1,000 */
	struct writ_issued *rows;          /* result; writ_issued_query_done */
	size_t n;
};

/* A transaction; the memory is the submitter's, and untouchable until done(). */
struct writ_store_tx {
	struct writ_task task;  /* the store's */
	struct writ_loop *loop; /* where done() runs */
	const struct writ_change *changes;
	size_t n;
	struct writ_issued_query *query; /* a read after the changes; NULL: none. With n == 0 there
					    is no new revision */
	void (*done)(struct writ_store_tx *tx); /* once; may free tx */
	writ_rc rc;                             /* results */
	struct writ_err err;
	uint64_t revision;
};

/* Where load puts rows. Each function owns the object it gets (entry, node), and borrows the rest.
 */
struct writ_store_sink {
	writ_rc (*entry)(void *arg, struct writ_entry *e, struct writ_err *err);
	writ_rc (*node)(void *arg, struct writ_node *n, struct writ_err *err);
	writ_rc (*token)(void *arg, const struct writ_token *t, struct writ_err *err);
	writ_rc (*trust)(void *arg, const struct writ_trust *t, struct writ_err *err);
	writ_rc (*ca)(void *arg, const struct writ_ca_slot *s, struct writ_err *err);
	writ_rc (*pair)(void *arg, const struct writ_pair *p, struct writ_err *err);
};

/* First member of a backend's object. */
struct writ_db {
	const struct writ_store_vt *vt;
};

/* What a backend does. Calls come from one thread at a time, and in the order begin, (mark,
 * apply..., keep or drop)..., commit or rollback. Of apply, WRIT_EEXIST and WRIT_EPRECOND concern
 * this one transaction; every other failure ends the whole group. */
struct writ_store_vt {
	const char *name;
	writ_rc (*open)(const char *dir, struct writ_db **ret, struct writ_err *err);
	writ_rc (*load)(struct writ_db *db, const struct writ_store_sink *sink, void *arg,
		uint64_t *revision, struct writ_err *err);
	writ_rc (*begin)(struct writ_db *db, uint64_t *revision, struct writ_err *err);
	writ_rc (*mark)(struct writ_db *db, struct writ_err *err);
	writ_rc (*apply)(struct writ_db *db, const struct writ_change *c, uint64_t revision,
		struct writ_err *err);
	writ_rc (*keep)(struct writ_db *db, struct writ_err *err);
	writ_rc (*drop)(struct writ_db *db, struct writ_err *err);
	writ_rc (*commit)(struct writ_db *db, uint64_t revision, struct writ_err *err);
	void (*rollback)(struct writ_db *db);
	writ_rc (*find_issued)(
		struct writ_db *db, struct writ_issued_query *q, struct writ_err *err);
	void (*close)(struct writ_db *db);
};

extern const struct writ_store_vt
	writ_store_sqlite; /* where: a folder, with the file "writ.db" in it; or file:PATH */

struct writ_store;
struct writ_store_stats {
	uint64_t commits, transactions, changes,
		failures; /* failures: groups that did not commit */
};

/* Opens, checks and migrates. A database of a newer version is refused. */
WRIT_MUST writ_rc writ_store_open(const struct writ_store_vt *vt, const char *dir,
	struct writ_store **ret, struct writ_err *err);
/* All rows, in the order of their creation; *revision gets the newest. Before start, by the same
 * thread as open. A failure of the sink ends it and is returned. */
WRIT_MUST writ_rc writ_store_load(struct writ_store *s, const struct writ_store_sink *sink,
	void *arg, uint64_t *revision, struct writ_err *err);
WRIT_MUST writ_rc writ_store_start(struct writ_store *s, struct writ_err *err); /* the thread */
void writ_store_submit(struct writ_store *s, struct writ_store_tx *tx);         /* any thread */
void writ_store_stats_get(const struct writ_store *s, struct writ_store_stats *ret);
/* Finishes what was submitted, then closes. The done() calls are posted to their loops: those must
 * run once more. NULL is fine. */
void writ_store_close(struct writ_store *s);
void writ_issued_query_done(struct writ_issued_query *q);

#endif
