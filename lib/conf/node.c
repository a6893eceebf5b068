/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/tree.h"

#include "base/mem.h"
#include "base/secret.h"

#include <string.h>

struct writ_conf_node *writ_conf_new(void)
{
	struct writ_conf_node *n = writ_alloc(sizeof(*n));
	n->kind = WRIT_NODE_OBJECT;
	n->key_pos = n->value_pos = (struct writ_conf_pos){ 1, 1 };
	return n;
}

static void free_text(char *s)
{
	if (s != NULL)
		writ_wipe(s, strlen(s));
	writ_free(s);
}

void writ_conf_free(struct writ_conf_node *root)
{
	if (root == NULL)
		return;
	for (struct writ_conf_node *c = root->first; c != NULL;) {
		struct writ_conf_node *next = c->next;
		writ_conf_free(c);
		c = next;
	}
	writ_free(root->key);
	free_text(root->text);
	writ_free(root);
}

void writ_conf_freep(struct writ_conf_node **root)
{
	writ_conf_free(*root);
	*root = NULL;
}

enum writ_conf_kind writ_conf_kind(const struct writ_conf_node *n)
{
	return n->kind;
}

const char *writ_conf_kind_name(enum writ_conf_kind kind)
{
	static const char *const names[] = {
		[WRIT_NODE_OBJECT] = "a block",
		[WRIT_NODE_LIST] = "a list",
		[WRIT_NODE_STRING] = "a string",
		[WRIT_NODE_NUMBER] = "a number",
		[WRIT_NODE_BOOL] = "true or false",
		[WRIT_NODE_NULL] = "null",
	};
	return names[kind];
}

const char *writ_conf_key(const struct writ_conf_node *n)
{
	return n->key != NULL ? n->key : "";
}

const char *writ_conf_text(const struct writ_conf_node *n)
{
	return n->text;
}

struct writ_conf_pos writ_conf_pos(const struct writ_conf_node *n)
{
	return n->key_pos;
}

struct writ_conf_pos writ_conf_value_pos(const struct writ_conf_node *n)
{
	return n->value_pos;
}

struct writ_conf_node *writ__conf_find(const struct writ_conf_node *parent, const char *key)
{
	for (struct writ_conf_node *c = parent->first; c != NULL; c = c->next)
		if (c->key != NULL && strcmp(c->key, key) == 0)
			return c;
	return NULL;
}

const struct writ_conf_node *writ_conf_get(const struct writ_conf_node *n, const char *key)
{
	if (n == NULL || n->kind != WRIT_NODE_OBJECT)
		return NULL;
	const struct writ_conf_node *c = writ__conf_find(n, key);
	return c != NULL && c->kind != WRIT_NODE_NULL ? c : NULL;
}

const struct writ_conf_node *writ_conf_next(
	const struct writ_conf_node *n, const struct writ_conf_node *prev)
{
	const struct writ_conf_node *c = prev != NULL ? prev->next : n->first;
	while (c != NULL && c->kind == WRIT_NODE_NULL)
		c = c->next;
	return c;
}

size_t writ_conf_count(const struct writ_conf_node *n)
{
	size_t count = 0;
	for (const struct writ_conf_node *c = NULL; (c = writ_conf_next(n, c)) != NULL;)
		count++;
	return count;
}

struct writ_conf_node *writ__conf_add(struct writ_conf_node *parent, const char *key,
	struct writ_conf_pos pos, enum writ_conf_kind kind)
{
	struct writ_conf_node *c = writ_alloc(sizeof(*c));
	c->kind = kind;
	c->key = writ_strdup(key);
	c->key_pos = c->value_pos = pos;
	if (parent->last != NULL)
		parent->last->next = c;
	else
		parent->first = c;
	parent->last = c;
	parent->n++;
	return c;
}

static void clear(struct writ_conf_node *n)
{
	while (n->first != NULL) {
		struct writ_conf_node *c = n->first;
		n->first = c->next;
		writ_conf_free(c);
	}
	free_text(n->text);
	n->text = NULL;
	n->last = NULL;
	n->n = 0;
}

void writ_conf_set(
	struct writ_conf_node *root, const char *block, const char *key, const char *value)
{
	const struct writ_conf_pos command_line = { 0, 0 };
	struct writ_conf_node *b = writ__conf_find(root, block);
	/* JSON may wrap the block in a list. */
	if (b != NULL && b->kind == WRIT_NODE_LIST && b->n == 1)
		b = b->first;
	if (b == NULL)
		b = writ__conf_add(root, block, root->key_pos, WRIT_NODE_OBJECT);
	if (b->kind != WRIT_NODE_OBJECT)
		return; /* the schema refuses such a file anyway */
	struct writ_conf_node *n = writ__conf_find(b, key);
	if (n == NULL)
		n = writ__conf_add(b, key, command_line, WRIT_NODE_STRING);
	clear(n);
	n->kind = WRIT_NODE_STRING;
	n->key_pos = n->value_pos = command_line;
	n->text = writ_strdup(value);
}
