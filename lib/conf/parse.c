/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/parse.h"

#include "base/mem.h"
#include "conf/lex.h"
#include "conf/tree.h"

#include <string.h>

#define LABELS_MAX 2 /* `block "a" "b" {`: SPIRE's files have one */

struct parser {
	struct writ__conf_lex lx;
	unsigned depth;
	size_t nodes;
};

#define FAIL(ps, pos, ...)                                                                         \
	(writ_conf_diag_add((ps)->lx.diags, WRIT_CONF_ERROR, (pos), __VA_ARGS__), false)

static bool parse_value(struct parser *ps, struct writ_conf_node *n);

static bool add_node(struct parser *ps, struct writ_conf_node *parent, const char *key,
	struct writ_conf_pos pos, struct writ_conf_node **ret)
{
	if (++ps->nodes > WRIT_CONF_NODES_MAX)
		return FAIL(ps, pos, "the file has more than %d values", WRIT_CONF_NODES_MAX);
	if (parent->kind == WRIT_NODE_OBJECT && parent->n >= WRIT_CONF_KEYS_MAX)
		return FAIL(ps, pos, "more than %d keys in one block", WRIT_CONF_KEYS_MAX);
	*ret = writ__conf_add(parent, key, pos, WRIT_NODE_NULL);
	return true;
}

static bool enter(struct parser *ps)
{
	if (++ps->depth > WRIT_CONF_DEPTH_MAX)
		return FAIL(ps, ps->lx.pos, "more than %d blocks and lists in each other",
			WRIT_CONF_DEPTH_MAX);
	return true;
}

/* Adds a child for key; an error when there is one that cannot take a further label. */
static bool open_key(struct parser *ps, struct writ_conf_node *parent, const char *key,
	struct writ_conf_pos pos, bool is_labelled, struct writ_conf_node **ret)
{
	if (key[0] == '\0')
		return FAIL(ps, pos, "a key cannot be empty");
	struct writ_conf_node *old = writ__conf_find(parent, key);
	if (old != NULL && !(is_labelled && old->is_labelled))
		return FAIL(ps, pos, "%s is set twice: it was set in line %u already",
			WRIT_CONF_Q(key), old->key_pos.line);
	if (old != NULL) {
		*ret = old;
		return true;
	}
	if (!add_node(ps, parent, key, pos, ret))
		return false;
	if (is_labelled) {
		(*ret)->kind = WRIT_NODE_OBJECT;
		(*ret)->is_labelled = true;
	}
	return true;
}

static bool parse_key(struct parser *ps, char **ret)
{
	struct writ__conf_lex *lx = &ps->lx;
	bool is_key = lx->tok == TOK_STRING || (lx->tok == TOK_IDENT && !lx->is_json);
	if (!is_key)
		return FAIL(ps, lx->pos,
			lx->is_json ? "expected a key in quotes, found %s"
				    : "expected a key, found %s",
			writ__conf_lex_name(lx).text);
	*ret = writ_strdup(writ_buf_cstr(&lx->text));
	return true;
}

static bool parse_block(struct parser *ps, struct writ_conf_node *n);

/* After `key = ` or `key {` or `key "label" {`: n is where the value goes. */
static bool parse_hcl_rest(
	struct parser *ps, struct writ_conf_node *parent, const char *key, struct writ_conf_pos pos)
{
	struct writ__conf_lex *lx = &ps->lx;
	struct writ_conf_node *n = NULL;
	if (lx->tok == TOK_LBRACE)
		return open_key(ps, parent, key, pos, false, &n) && parse_block(ps, n);
	if (lx->tok == TOK_ASSIGN)
		return open_key(ps, parent, key, pos, false, &n) && writ__conf_lex_next(lx) &&
			parse_value(ps, n);
	return FAIL(ps, lx->pos, "expected \"=\" or \"{\" after %s, found %s", WRIT_CONF_Q(key),
		writ__conf_lex_name(lx).text);
}

static bool parse_labels(
	struct parser *ps, struct writ_conf_node **at, char **key, struct writ_conf_pos *pos)
{
	struct writ__conf_lex *lx = &ps->lx;
	unsigned labels = 0;
	while (lx->tok == TOK_STRING) {
		if (++labels > LABELS_MAX)
			return FAIL(ps, lx->pos, "a block has at most %d labels", LABELS_MAX);
		char *label = NULL;
		if (!open_key(ps, *at, *key, *pos, true, at) || !parse_key(ps, &label))
			return false;
		writ_free(*key);
		*key = label;
		*pos = lx->pos;
		if (!writ__conf_lex_next(lx))
			return false;
	}
	if (labels > 0 && lx->tok != TOK_LBRACE)
		return FAIL(ps, lx->pos, "expected \"{\" after the label %s, found %s",
			WRIT_CONF_Q(*key), writ__conf_lex_name(lx).text);
	/* Labels nest: each counts as a block that is open. */
	ps->depth += labels;
	return true;
}

static bool parse_hcl_item(struct parser *ps, struct writ_conf_node *parent)
{
	WRIT_AUTO(writ_freep) char *key = NULL;
	struct writ_conf_pos pos = ps->lx.pos;
	unsigned depth = ps->depth;
	bool ok = parse_key(ps, &key) && writ__conf_lex_next(&ps->lx) &&
		parse_labels(ps, &parent, &key, &pos) && parse_hcl_rest(ps, parent, key, pos);
	ps->depth = depth;
	if (ok && ps->lx.tok == TOK_COMMA)
		return writ__conf_lex_next(&ps->lx);
	return ok;
}

static bool parse_json_item(struct parser *ps, struct writ_conf_node *parent)
{
	WRIT_AUTO(writ_freep) char *key = NULL;
	struct writ__conf_lex *lx = &ps->lx;
	struct writ_conf_pos pos = lx->pos;
	struct writ_conf_node *n = NULL;
	if (!parse_key(ps, &key) || !writ__conf_lex_next(lx))
		return false;
	if (lx->tok != TOK_COLON)
		return FAIL(ps, lx->pos, "expected \":\" after %s, found %s", WRIT_CONF_Q(key),
			writ__conf_lex_name(lx).text);
	if (!open_key(ps, parent, key, pos, false, &n) || !writ__conf_lex_next(lx) ||
		!parse_value(ps, n))
		return false;
	if (lx->tok == TOK_RBRACE)
		return true;
	if (lx->tok != TOK_COMMA)
		return FAIL(ps, lx->pos, "expected \",\" or \"}\" after the value of %s, found %s",
			WRIT_CONF_Q(key), writ__conf_lex_name(lx).text);
	struct writ_conf_pos comma = lx->pos;
	if (!writ__conf_lex_next(lx))
		return false;
	return lx->tok != TOK_RBRACE ||
		FAIL(ps, comma, "JSON has no comma after the last value: remove it");
}

static bool parse_block(struct parser *ps, struct writ_conf_node *n)
{
	struct writ__conf_lex *lx = &ps->lx;
	struct writ_conf_pos start = lx->pos;
	n->kind = WRIT_NODE_OBJECT;
	n->value_pos = start;
	if (!enter(ps) || !writ__conf_lex_next(lx))
		return false;
	while (lx->tok != TOK_RBRACE) {
		if (lx->tok == TOK_END)
			return FAIL(ps, start, "the block that starts here is not closed: add }");
		if (!(lx->is_json ? parse_json_item(ps, n) : parse_hcl_item(ps, n)))
			return false;
	}
	ps->depth--;
	return writ__conf_lex_next(lx);
}

static bool parse_list(struct parser *ps, struct writ_conf_node *n)
{
	struct writ__conf_lex *lx = &ps->lx;
	struct writ_conf_pos start = lx->pos;
	n->kind = WRIT_NODE_LIST;
	if (!enter(ps) || !writ__conf_lex_next(lx))
		return false;
	while (lx->tok != TOK_RBRACKET) {
		struct writ_conf_node *item = NULL;
		if (lx->tok == TOK_END)
			return FAIL(ps, start, "the list that starts here is not closed: add ]");
		if (!add_node(ps, n, NULL, lx->pos, &item) || !parse_value(ps, item))
			return false;
		if (lx->tok == TOK_RBRACKET)
			break;
		if (lx->tok != TOK_COMMA)
			return FAIL(ps, lx->pos, "expected \",\" or \"]\" in a list, found %s",
				writ__conf_lex_name(lx).text);
		struct writ_conf_pos comma = lx->pos;
		if (!writ__conf_lex_next(lx))
			return false;
		if (lx->is_json && lx->tok == TOK_RBRACKET)
			return FAIL(ps, comma, "JSON has no comma after the last value: remove it");
	}
	ps->depth--;
	return writ__conf_lex_next(lx);
}

static bool parse_word(struct parser *ps, struct writ_conf_node *n)
{
	struct writ__conf_lex *lx = &ps->lx;
	struct writ_str word = writ_buf_str(&lx->text);
	if (writ_str_eq(word, WRIT_STR("true")) || writ_str_eq(word, WRIT_STR("false")))
		n->kind = WRIT_NODE_BOOL;
	else if (lx->is_json && writ_str_eq(word, WRIT_STR("null")))
		return writ__conf_lex_next(lx);
	else
		return FAIL(ps, lx->pos, "%s is not a value: put quotes around a text",
			writ_conf_quote(word).text);
	n->text = writ_strdup(writ_buf_cstr(&lx->text));
	return writ__conf_lex_next(lx);
}

static bool parse_value(struct parser *ps, struct writ_conf_node *n)
{
	struct writ__conf_lex *lx = &ps->lx;
	n->value_pos = lx->pos;
	switch (lx->tok) {
	case TOK_LBRACE: return parse_block(ps, n);
	case TOK_LBRACKET: return parse_list(ps, n);
	case TOK_IDENT: return parse_word(ps, n);
	case TOK_STRING: n->kind = WRIT_NODE_STRING; break;
	case TOK_NUMBER: n->kind = WRIT_NODE_NUMBER; break;
	case TOK_BOOL: n->kind = WRIT_NODE_BOOL; break;
	case TOK_END:
	case TOK_RBRACE:
	case TOK_RBRACKET:
	case TOK_ASSIGN:
	case TOK_COLON:
	case TOK_COMMA:
		return FAIL(
			ps, lx->pos, "expected a value, found %s", writ__conf_lex_name(lx).text);
	}
	n->text = writ_strdup(writ_buf_cstr(&lx->text));
	return writ__conf_lex_next(lx);
}

static bool parse_file(struct parser *ps, struct writ_conf_node *root)
{
	struct writ__conf_lex *lx = &ps->lx;
	if (!writ__conf_lex_next(lx))
		return false;
	if (lx->tok == TOK_LBRACE) {
		lx->is_json = true;
		if (!parse_block(ps, root))
			return false;
		root->value_pos = root->key_pos;
		return lx->tok == TOK_END ||
			FAIL(ps, lx->pos,
				"expected the end of the file after the JSON object, found %s",
				writ__conf_lex_name(lx).text);
	}
	while (lx->tok != TOK_END)
		if (!parse_hcl_item(ps, root))
			return false;
	return true;
}

/* Where the first byte that is no UTF-8 stands. */
static struct writ_conf_pos bad_utf8_pos(struct writ_str text)
{
	struct writ_conf_pos pos = { 1, 1 };
	size_t line_start = 0;
	for (size_t i = 0; i <= text.n; i++) {
		if (i < text.n && text.p[i] != '\n')
			continue;
		if (!writ_is_utf8(text.p + line_start, i - line_start))
			break;
		pos.line++;
		line_start = i + 1;
	}
	return pos;
}

writ_rc writ_conf_parse(struct writ_str text, const struct writ_conf_source *source,
	struct writ_conf_diags *d, struct writ_conf_node **ret, struct writ_err *err)
{
	const struct writ_conf_pos start = { 1, 1 };
	if (text.n > WRIT_CONF_TEXT_MAX)
		writ_conf_diag_add(d, WRIT_CONF_ERROR, start, "the file is larger than %d bytes",
			WRIT_CONF_TEXT_MAX);
	else if (!writ_is_utf8(text.p, text.n))
		writ_conf_diag_add(d, WRIT_CONF_ERROR, bad_utf8_pos(text),
			"this line is not UTF-8: save the file as UTF-8");
	if (d->errors > 0)
		return writ_conf_diags_check(d, err);
	WRIT_AUTO(writ_conf_freep) struct writ_conf_node *root = writ_conf_new();
	struct parser ps = { .depth = 0 };
	writ__conf_lex_init(&ps.lx, text, source, d);
	bool ok = parse_file(&ps, root);
	writ__conf_lex_done(&ps.lx);
	if (!ok)
		return writ_conf_diags_check(d, err);
	*ret = writ_steal(root);
	return WRIT_OK;
}
