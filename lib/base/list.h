/* SPDX-License-Identifier: Apache-2.0 */
/* list: intrusive, circular, doubly linked. A node that is in no list points to itself. */
#ifndef WRIT_BASE_LIST_H
#define WRIT_BASE_LIST_H

#include "base/mem.h"

#include <stdbool.h>

struct writ_list {
	struct writ_list *prev, *next;
};

static inline void writ_list_init(struct writ_list *l)
{
	l->prev = l->next = l;
}

static inline bool writ_list_empty(const struct writ_list *l)
{
	return l->next == l;
}

static inline void writ_list_add_before(struct writ_list *node, struct writ_list *at)
{
	node->prev = at->prev;
	node->next = at;
	at->prev->next = node;
	at->prev = node;
}

static inline void writ_list_push(struct writ_list *l, struct writ_list *node) /* at the end */
{
	writ_list_add_before(node, l);
}

static inline void writ_list_remove(struct writ_list *node) /* fine when it is in no list */
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	writ_list_init(node);
}

static inline struct writ_list *writ_list_pop(struct writ_list *l) /* the first; NULL when empty */
{
	struct writ_list *n = l->next;
	if (n == l)
		return NULL;
	writ_list_remove(n);
	return n;
}

/* The body may remove `it`, and nothing else. */
#define WRIT_LIST_EACH(it, list)                                                                   \
	for (struct writ_list *it = (list)->next, *writ_next_ = it->next; it != (list);            \
		it = writ_next_, writ_next_ = it->next)

#endif
