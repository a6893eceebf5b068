/* SPDX-License-Identifier: Apache-2.0 */
/* op: one request on its way: staged against memory and against what is in flight, written,
 * applied, completed. Only for the request_*.c files. */
#ifndef WRIT_REGISTRY_OP_H
#define WRIT_REGISTRY_OP_H

#include "registry/impl.h"
#include "registry/request.h"

/* What in-flight requests hold, by kind and key. */
enum writ_lock_kind {
	WRIT_LOCK_ENTRY = 'e', /* by ID */
	WRIT_LOCK_KEY = 'k',   /* by uniqueness key */
	WRIT_LOCK_NODE = 'n',
	WRIT_LOCK_TOKEN = 't',
	WRIT_LOCK_TRUST = 'd',
};

struct writ_lock {
	struct writ_reg_op *owner;
	struct writ_list waiters; /* writ_reg_op.link */
	struct writ_lock *next;   /* of the same owner */
	bool staged;              /* the owner has staged a change of it: */
	struct writ_entry *entry; /* to this (borrowed from the change); NULL: gone */
	size_t len;
	char key[];
};

struct writ_reg_op;
/* Looks at memory and stages changes; false: it met a lock of another request (writ_op_lock said
 * so) and is called again later, from the start. Never fails: what is wrong goes into op->rc or
 * items. */
typedef bool writ_stage_fn(struct writ_reg_op *op);

struct writ_reg_op {
	struct writ_store_tx tx;
	struct writ_task posted;
	struct writ_list link;
	struct writ_registry *r;
	writ_stage_fn *stage;
	void (*free_payload)(struct writ_reg_op *op);
	void *payload;
	writ_outcome_fn *done;
	void *arg;

	struct writ_change *changes; /* entries and nodes in it are referenced */
	size_t n, cap;
	struct writ_lock *locks;

	struct writ_item *items; /* msg owned; entry referenced */
	size_t n_items;
	writ_rc rc;
	writ_rc after; /* what rc becomes once the changes are written; err says why */
	struct writ_err err;
	struct writ_node *node;         /* referenced; for the outcome */
	const struct writ_token *token; /* in the payload */
	const struct writ_trust *trust; /* in the payload */
};

struct writ_reg_op *writ_reg_op_new(struct writ_registry *r, writ_stage_fn *stage, void *payload,
	void (*free_payload)(struct writ_reg_op *op), writ_outcome_fn *done, void *arg);
void writ_reg_op_start(struct writ_reg_op *op);

/* The lock, made or held already; NULL: another request has it and op waits for it now. */
struct writ_lock *writ_op_lock(
	struct writ_reg_op *op, enum writ_lock_kind kind, struct writ_str key);
bool writ_op_is_locked(const struct writ_reg_op *op, enum writ_lock_kind kind, struct writ_str key);
/* Adds a change; takes the reference of an entry or node in it. */
void writ_op_stage(struct writ_reg_op *op, struct writ_change c);
void writ_op_fail_item(struct writ_reg_op *op, size_t i, writ_rc rc, const char *msg);

/* request_entry.c, for the others. Each locks what it touches; false: wait. */
/* The item is told what happened to it; one beyond n_items is nobody's. */
bool writ_stage_create(struct writ_reg_op *op, size_t item, struct writ_entry *candidate);
bool writ_stage_delete(struct writ_reg_op *op, size_t item, struct writ_str id);
/* A checked candidate without place in the order yet; NULL with err. */
struct writ_entry *writ_candidate(
	struct writ_registry *r, const struct writ_entry_request *q, struct writ_err *err);

#endif
