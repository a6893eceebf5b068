/* SPDX-License-Identifier: Apache-2.0 */
/* node: a configuration file as a tree. Every node knows where it stood. The root owns all: what
 * the functions return is borrowed from it. Freed trees are wiped, for a file may hold a join
 * token. */
#ifndef WRIT_CONF_NODE_H
#define WRIT_CONF_NODE_H

#include "conf/diag.h"

enum writ_conf_kind {
	WRIT_NODE_OBJECT, /* a block, whichever way it was written */
	WRIT_NODE_LIST,
	WRIT_NODE_STRING,
	WRIT_NODE_NUMBER,
	WRIT_NODE_BOOL,
	WRIT_NODE_NULL, /* JSON only */
};

struct writ_conf_node;

struct writ_conf_node *writ_conf_new(void);         /* an empty root */
void writ_conf_free(struct writ_conf_node *root);   /* NULL is fine */
void writ_conf_freep(struct writ_conf_node **root); /* for WRIT_AUTO */

enum writ_conf_kind writ_conf_kind(const struct writ_conf_node *n);
const char *writ_conf_kind_name(enum writ_conf_kind kind); /* "a list"; static */
const char *writ_conf_key(const struct writ_conf_node *n); /* "" for the root and in a list */
/* A scalar's value, escapes undone; a number or bool as it was written. NULL for the others. */
const char *writ_conf_text(const struct writ_conf_node *n);
struct writ_conf_pos writ_conf_pos(const struct writ_conf_node *n); /* of the key, if any */
struct writ_conf_pos writ_conf_value_pos(const struct writ_conf_node *n);

/* The child with this key; NULL when there is none, when it is null, or when n is NULL or no
 * object. */
const struct writ_conf_node *writ_conf_get(const struct writ_conf_node *n, const char *key);
/* Children in the file's order: prev NULL gives the first, the last is followed by NULL. Nulls of
 * JSON are left out. A labelled block `a "b" {}` is an object a with a child b. */
const struct writ_conf_node *writ_conf_next(
	const struct writ_conf_node *n, const struct writ_conf_node *prev);
size_t writ_conf_count(const struct writ_conf_node *n);

/* Sets block.key to a string from the command line, over what the file says. */
void writ_conf_set(
	struct writ_conf_node *root, const char *block, const char *key, const char *value);

#endif
