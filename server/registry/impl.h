/* SPDX-License-Identifier: Apache-2.0 */
/* impl: the tables of the registry, shared by its parts. Rows are numbered; indexes and links hold
 * numbers, so that tables can grow and an entry costs little more than its text. */
#ifndef WRIT_REGISTRY_IMPL_H
#define WRIT_REGISTRY_IMPL_H

#include "base/list.h"
#include "base/map.h"
#include "registry/index.h"
#include "registry/registry.h"

#define WRIT_RING_MAX 16384 /* changes remembered for writ_registry_changes */

/* A growing array of pointers. */
struct writ_vec {
	void **v;
	uint32_t n, cap;
};
void writ_vec_add(struct writ_vec *vec, void *p);
void writ_vec_drop(
	struct writ_vec *vec, const void *p); /* the last takes its place; absent: fine */
void writ_vec_done(struct writ_vec *vec);

/* A SPIFFE ID that is a name, a parent or an agent: each text once. */
struct writ_idrec {
	char *text; /* NULL: a free row */
	uint32_t len, refs;
	uint32_t child_first, child_last, n_children; /* entries with this parent; slots */
	uint32_t name_first, name_last;               /* entries with this SPIFFE ID */
	uint32_t mark;                                /* of the walk that met it last */
	struct writ_vec views;                        /* of agents that reach this ID */
	struct writ_view *own;                        /* the view of the agent of this ID */
};

struct writ_slot {
	struct writ_entry *e; /* NULL: a hole */
	uint64_t seq;
	uint32_t name, parent; /* idrecs */
	uint32_t child_next, child_prev, name_next, name_prev;
};

struct writ_nslot {
	struct writ_node *n; /* NULL: a hole */
	uint64_t seq;
};

/* One selector: who has it, and which aliases have it as their first. */
struct writ_selrec {
	struct writ_vec views;   /* of agents that have it */
	struct writ_vec aliases; /* struct writ_entry */
	size_t len;
	char text[];
};

struct writ_view {
	struct writ_list dirty;   /* in registry.dirty */
	struct writ_list watches; /* struct writ_watch */
	uint32_t agent;           /* idrec */
	uint32_t *reached;        /* idrecs, ascending; each referenced */
	uint32_t n_reached;
	uint32_t mark;
	bool calling;           /* callbacks run: not to be freed now */
	struct writ_node *node; /* whose selectors it is hooked to; NULL: none */
	uint64_t revision;      /* of the newest change that concerns it */
	uint64_t full_since;    /* differences from before this cannot be told */
};

struct writ_change_record {
	uint64_t revision;
	char *id;                        /* of the entry, owned */
	uint32_t old_parent, new_parent; /* idrecs, referenced; WRIT_NONE: none */
};

struct writ_registry {
	struct writ_loop *loop;
	struct writ_store *store;
	char *td;
	char *server_id; /* parent of aliases */
	uint64_t revision, epoch, next_seq;

	struct writ_idrec *ids;
	uint32_t n_ids, cap_ids, free_id; /* free rows are linked by child_first */
	struct writ_index id_index;

	struct writ_slot *slots; /* ascending by seq */
	uint32_t n_slots, cap_slots, n_entries;
	struct writ_index by_entry_id, by_key;
	struct writ_map selectors; /* struct writ_selrec by text */

	struct writ_nslot *nslots;
	uint32_t n_nslots, cap_nslots, n_nodes;
	struct writ_index by_node_id, by_serial;

	struct writ_map tokens, trusts, values; /* owned copies by hash, name, name */
	struct writ_vec cas;                    /* struct writ_ca_slot, one block each */

	struct writ_change_record *ring;
	uint64_t ring_head, ring_floor; /* records ever; newest revision that was lost */

	struct writ_list dirty;         /* struct writ_view */
	struct writ_list trust_watches; /* struct writ_watch */
	struct writ_task flush;
	bool flush_posted, trust_dirty;
	uint32_t mark;
	size_t n_watches;

	struct writ_map locks; /* request.c */
	size_t n_ops;
	struct writ_timer *prune;
	int64_t next_expiry; /* of the entry or token that ends first; 0: none */
	bool pruning;
};

/* ids.c */
uint32_t writ_ids_find(const struct writ_registry *r, struct writ_str text); /* WRIT_NONE */
uint32_t writ_ids_take(struct writ_registry *r, struct writ_str text);       /* with a reference */
void writ_ids_ref(struct writ_registry *r, uint32_t id);
void writ_ids_unref(struct writ_registry *r, uint32_t id);
void writ_ids_done(struct writ_registry *r);

/* entries.c: put replaces the entry of the same ID; both keep the order of creation. */
uint32_t writ_entries_find(const struct writ_registry *r, struct writ_str id); /* slot */
struct writ_entry *writ_entries_by_key(const struct writ_registry *r, struct writ_str key);
void writ_entries_attach(struct writ_registry *r, struct writ_entry *e); /* takes the reference */
void writ_entries_replace(struct writ_registry *r, uint32_t slot, struct writ_entry *e);
void writ_entries_detach(struct writ_registry *r, uint32_t slot);
uint32_t writ_entries_after(const struct writ_registry *r, uint64_t seq); /* first slot above seq */
void writ_entries_done(struct writ_registry *r);
bool writ_is_alias(const struct writ_registry *r, const struct writ_entry *e);

/* nodes.c */
void writ_nodes_put(struct writ_registry *r, struct writ_node *n); /* takes the reference */
void writ_nodes_remove(struct writ_registry *r, struct writ_str id);
uint32_t writ_nodes_after(const struct writ_registry *r, uint64_t seq);
void writ_nodes_done(struct writ_registry *r);

/* selectors.c */
struct writ_selrec *writ_selectors_take(struct writ_registry *r, struct writ_str text);
struct writ_selrec *writ_selectors_find(const struct writ_registry *r, struct writ_str text);
void writ_selectors_give(struct writ_registry *r, struct writ_selrec *s); /* frees an empty one */
void writ_selectors_done(struct writ_registry *r);

/* view.c */
void writ_views_apply_entry(struct writ_registry *r, struct writ_str id, struct writ_entry *e,
	uint64_t revision); /* e: takes the reference; NULL: the entry goes */
void writ_views_apply_node(struct writ_registry *r, struct writ_str agent, uint64_t revision);
struct writ_view *writ_views_get(struct writ_registry *r, struct writ_str agent);
bool writ_view_reaches(const struct writ_view *v, uint32_t id);
void writ_view_drop_if_idle(struct writ_registry *r, struct writ_view *v);
void writ_views_done(struct writ_registry *r);

/* changes.c */
void writ_changes_record(struct writ_registry *r, const struct writ_entry *e, uint32_t old_parent,
	uint32_t new_parent, uint64_t revision);
void writ_changes_dirty(
	struct writ_registry *r, struct writ_view *v); /* its watches will be called */
void writ_changes_dirty_trust(struct writ_registry *r);
void writ_changes_finish(struct writ_registry *r);

/* rows.c: copies of the small rows. */
void writ_rows_put_token(struct writ_registry *r, const struct writ_token *t);
void writ_rows_remove_token(struct writ_registry *r, struct writ_str hash);
void writ_rows_put_trust(struct writ_registry *r, const struct writ_trust *t);
void writ_rows_remove_trust(struct writ_registry *r, struct writ_str td);
void writ_rows_put_ca(struct writ_registry *r, const struct writ_ca_slot *s);
void writ_rows_remove_ca(struct writ_registry *r, struct writ_str authority_id);
void writ_rows_put_value(struct writ_registry *r, const struct writ_pair *p);
void writ_rows_remove_value(struct writ_registry *r, struct writ_str name);
void writ_rows_done(struct writ_registry *r);

/* prune.c */
void writ_prune_expect(struct writ_registry *r, int64_t expires_at); /* 0: never */
void writ_prune_expect_token(struct writ_registry *r, const struct writ_token *t);
void writ_prune_arm(struct writ_registry *r);

#endif
