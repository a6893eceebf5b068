/* SPDX-License-Identifier: Apache-2.0 */
/* tree: the inside of a node, for the parser. Private to lib/conf. */
#ifndef WRIT_CONF_TREE_H
#define WRIT_CONF_TREE_H

#include "conf/node.h"

struct writ_conf_node {
	enum writ_conf_kind kind;
	bool is_labelled; /* made by `key "label" {`: more labels may follow under the same key */
	struct writ_conf_pos key_pos, value_pos;
	char *key;                                  /* owned, NULL for none */
	char *text;                                 /* owned, NULL unless scalar */
	struct writ_conf_node *first, *last, *next; /* children owned by the parent */
	size_t n;                                   /* children */
};

/* Appends a child; key may be NULL. Borrowed. */
struct writ_conf_node *writ__conf_add(struct writ_conf_node *parent, const char *key,
	struct writ_conf_pos pos, enum writ_conf_kind kind);
/* The child with this key, null included. */
struct writ_conf_node *writ__conf_find(const struct writ_conf_node *parent, const char *key);

#endif
