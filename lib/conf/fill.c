/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/table.h"

#include "base/mem.h"
#include "conf/value.h"

#include <assert.h>
#include <string.h>

#define WHY_MAX    1024
#define KNOWN_MAX  128 /* keys of a table that a suggestion looks at */
#define LISTED_MAX 6   /* keys that a message lists */

static void *at(const struct writ_conf_field *f, void *target)
{
	return (char *)target + f->offset;
}

static bool has_key(const struct writ_conf_field *f)
{
	return f->type != WRIT_CONF_PRESENT && f->type != WRIT_CONF_LABEL;
}

static bool is_unsupported(const struct writ_conf_field *f)
{
	return (f->flags & (WRIT_CONF_UNSUPPORTED_ERROR | WRIT_CONF_UNSUPPORTED_WARN)) != 0;
}

static const struct writ_conf_field *find_field(const struct writ_conf_table *t, const char *key)
{
	for (size_t i = 0; i < t->n; i++)
		if (has_key(&t->fields[i]) && strcmp(t->fields[i].key, key) == 0)
			return &t->fields[i];
	return NULL;
}

void writ_conf_suggest(
	struct writ_str key, const char *const *known, size_t n, struct writ_buf *out)
{
	const char *near = writ_nearest(key, known, n);
	if (near != NULL)
		writ_buf_addf(out, ": did you mean \"%s\"?", near);
}

static const char *in_block(const struct writ_conf_table *t)
{
	return t->name[0] != '\0' ? t->name : "the file";
}

/* What to write instead: the nearest key, or those there are when they are few. */
static void add_hint(const struct writ_conf_table *t, const char *key, struct writ_buf *hint)
{
	const char *known[KNOWN_MAX], *listed[KNOWN_MAX];
	size_t n = 0, n_listed = 0;
	for (size_t i = 0; i < t->n && n < KNOWN_MAX; i++) {
		if (!has_key(&t->fields[i]))
			continue;
		known[n++] = t->fields[i].key;
		if (!is_unsupported(&t->fields[i]))
			listed[n_listed++] = t->fields[i].key;
	}
	writ_conf_suggest(writ_cstr(key), known, n, hint);
	bool is_near = hint->n > 0;
	for (size_t i = 0; !is_near && i < n_listed && n_listed <= LISTED_MAX; i++)
		writ_buf_addf(hint, "%s\"%s\"", i == 0 ? ": there is " : ", ", listed[i]);
	if (hint->n == 0)
		writ_buf_add_cstr(hint, ": remove it");
}

static void report_unknown(
	const struct writ_conf_table *t, const struct writ_conf_node *n, struct writ_conf_diags *d)
{
	struct writ_buf hint = WRIT_BUF(WHY_MAX);
	add_hint(t, writ_conf_key(n), &hint);
	writ_conf_diag_add(d, WRIT_CONF_ERROR, writ_conf_pos(n), "unknown key %s in %s%s",
		WRIT_CONF_Q(writ_conf_key(n)), in_block(t), writ_buf_cstr(&hint));
	writ_buf_done(&hint);
}

/* A value that says what we do anyway: no reason to complain. */
static bool is_harmless(const struct writ_conf_field *f, const struct writ_conf_node *n)
{
	const char *text = writ_conf_text(n);
	if (text == NULL)
		return writ_conf_count(n) == 0;
	return f->def != NULL && strcmp(text, f->def) == 0;
}

static void report_unsupported(const struct writ_conf_table *t, const struct writ_conf_field *f,
	const struct writ_conf_node *n, struct writ_conf_diags *d)
{
	if (is_harmless(f, n))
		return;
	bool is_error = (f->flags & WRIT_CONF_UNSUPPORTED_ERROR) != 0;
	writ_conf_diag_add(d, is_error ? WRIT_CONF_ERROR : WRIT_CONF_WARNING, writ_conf_pos(n),
		"\"%s\" in %s %s: %s", f->key, in_block(t),
		is_error ? "is not supported" : "has no effect", f->note);
}

static void report_kind(const struct writ_conf_field *f, const char *what,
	const struct writ_conf_node *n, struct writ_conf_diags *d)
{
	struct writ_buf want = WRIT_BUF(WHY_MAX);
	writ__conf_describe(f, &want);
	bool needs_unit = f->type == WRIT_CONF_DURATION && writ_conf_kind(n) == WRIT_NODE_NUMBER;
	writ_conf_diag_add(d, WRIT_CONF_ERROR, writ_conf_value_pos(n), "%s is %s, not %s%s", what,
		writ_conf_kind_name(writ_conf_kind(n)), writ_buf_cstr(&want),
		needs_unit ? ": write it in quotes, with a unit" : "");
	writ_buf_done(&want);
}

static void fill_scalar(const struct writ_conf_field *f, const struct writ_conf_node *n,
	void *target, struct writ_conf_diags *d)
{
	struct writ_buf why = WRIT_BUF(WHY_MAX);
	if (!writ__conf_set_text(f, writ_conf_text(n), at(f, target), &why))
		writ_conf_diag_add(d, WRIT_CONF_ERROR, writ_conf_value_pos(n), "%s %s", f->key,
			writ_buf_cstr(&why));
	writ_buf_done(&why);
}

static void fill_strings(const struct writ_conf_field *f, const struct writ_conf_node *n,
	void *target, struct writ_conf_diags *d)
{
	if (writ_conf_kind(n) == WRIT_NODE_STRING && writ_conf_pos(n).line != 0) {
		writ__conf_add_string(at(f, target), writ_cstr(writ_conf_text(n)));
		return;
	}
	if (writ_conf_kind(n) == WRIT_NODE_STRING) {
		fill_scalar(f, n, target, d);
		return;
	}
	for (const struct writ_conf_node *c = NULL; (c = writ_conf_next(n, c)) != NULL;) {
		if (writ_conf_kind(c) == WRIT_NODE_STRING)
			writ__conf_add_string(at(f, target), writ_cstr(writ_conf_text(c)));
		else
			writ_conf_diag_add(d, WRIT_CONF_ERROR, writ_conf_value_pos(c),
				"%s has %s in its list: expected strings only", f->key,
				writ_conf_kind_name(writ_conf_kind(c)));
	}
	if (f->flags & WRIT_CONF_REQUIRED && writ_conf_count(n) == 0)
		writ_conf_diag_add(
			d, WRIT_CONF_ERROR, writ_conf_value_pos(n), "%s is empty", f->key);
}

static const struct writ_conf_field *find_type(
	const struct writ_conf_table *t, enum writ_conf_type type)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->fields[i].type == type)
			return &t->fields[i];
	return NULL;
}

static void fill_item(const struct writ_conf_field *f, const struct writ_conf_node *n,
	const char *label, struct writ_conf_list *list, struct writ_conf_diags *d)
{
	if (writ_conf_kind(n) != WRIT_NODE_OBJECT) {
		report_kind(f, f->key, n, d);
		return;
	}
	size_t size = f->block->size;
	list->items = writ_realloc(list->items, (list->n + 1) * size);
	void *item = (char *)list->items + list->n++ * size;
	memset(item, 0, size);
	writ_conf_fill(f->block, n, item, d);
	const struct writ_conf_field *l = find_type(f->block, WRIT_CONF_LABEL);
	if (l != NULL)
		*(char **)at(l, item) = writ_strdup(label);
}

static void fill_repeated(const struct writ_conf_field *f, const struct writ_conf_node *n,
	void *target, struct writ_conf_diags *d)
{
	bool is_labelled = find_type(f->block, WRIT_CONF_LABEL) != NULL;
	if (writ_conf_kind(n) == WRIT_NODE_OBJECT && !is_labelled) {
		fill_item(f, n, NULL, at(f, target), d);
		return;
	}
	for (const struct writ_conf_node *c = NULL; (c = writ_conf_next(n, c)) != NULL;) {
		if (writ_conf_kind(n) == WRIT_NODE_LIST && is_labelled &&
			writ_conf_kind(c) == WRIT_NODE_OBJECT)
			fill_repeated(f, c, target, d); /* JSON: [{"label": {}}] */
		else
			fill_item(f, c, writ_conf_key(c), at(f, target), d);
	}
}

static void fill_block(const struct writ_conf_field *f, const struct writ_conf_node *n,
	void *target, struct writ_conf_diags *d)
{
	if (f->flags & WRIT_CONF_REPEATED) {
		fill_repeated(f, n, target, d);
		return;
	}
	/* JSON may wrap a block in a list of one. */
	if (writ_conf_kind(n) == WRIT_NODE_LIST && writ_conf_count(n) == 1)
		n = writ_conf_next(n, NULL);
	if (writ_conf_kind(n) != WRIT_NODE_OBJECT)
		report_kind(f, f->key, n, d);
	else
		writ_conf_fill(f->block, n, at(f, target), d);
}

static void fill_field(const struct writ_conf_field *f, const struct writ_conf_node *n,
	void *target, struct writ_conf_diags *d)
{
	if (!writ__conf_takes(f, writ_conf_kind(n)))
		report_kind(f, f->key, n, d);
	else if (f->type == WRIT_CONF_BLOCK)
		fill_block(f, n, target, d);
	else if (f->type == WRIT_CONF_NODE)
		*(const struct writ_conf_node **)at(f, target) = n;
	else if (f->type == WRIT_CONF_STRINGS)
		fill_strings(f, n, target, d);
	else
		fill_scalar(f, n, target, d);
}

static void set_default(const struct writ_conf_field *f, void *place)
{
	struct writ_buf why = WRIT_BUF(WHY_MAX);
	bool ok = writ__conf_set_text(f, f->def, place, &why);
	writ_buf_done(&why);
	assert(ok); /* else the table is wrong */
}

static void fill_default(const struct writ_conf_table *t, const struct writ_conf_field *f,
	const struct writ_conf_node *n, void *target, struct writ_conf_diags *d)
{
	if (n != NULL && f->flags & WRIT_CONF_REQUIRED)
		writ_conf_diag_add(d, WRIT_CONF_ERROR, writ_conf_pos(n), "%s is missing in %s: %s",
			f->key, in_block(t), f->help);
	if (f->type == WRIT_CONF_BLOCK && !(f->flags & WRIT_CONF_REPEATED))
		writ_conf_fill(f->block, NULL, at(f, target), d);
	else if (f->def != NULL)
		set_default(f, at(f, target));
}

void writ_conf_fill(const struct writ_conf_table *t, const struct writ_conf_node *n, void *target,
	struct writ_conf_diags *d)
{
	for (const struct writ_conf_node *c = NULL;
		n != NULL && (c = writ_conf_next(n, c)) != NULL;) {
		const struct writ_conf_field *f = find_field(t, writ_conf_key(c));
		if (f == NULL)
			report_unknown(t, c, d);
		else if (is_unsupported(f))
			report_unsupported(t, f, c, d);
	}
	for (size_t i = 0; i < t->n; i++) {
		const struct writ_conf_field *f = &t->fields[i];
		if (f->type == WRIT_CONF_PRESENT)
			*(bool *)at(f, target) = n != NULL;
		if (!has_key(f) || is_unsupported(f))
			continue;
		const struct writ_conf_node *c = writ_conf_get(n, f->key);
		if (c != NULL)
			fill_field(f, c, target, d);
		else
			fill_default(t, f, n, target, d);
	}
}

static void done_strings(struct writ_conf_strings *list)
{
	for (size_t i = 0; i < list->n; i++)
		writ_free(list->items[i]);
	writ_free(list->items);
	*list = (struct writ_conf_strings){ 0 };
}

static void done_block(const struct writ_conf_field *f, void *target)
{
	if (!(f->flags & WRIT_CONF_REPEATED)) {
		writ_conf_done(f->block, at(f, target));
		return;
	}
	struct writ_conf_list *list = at(f, target);
	for (size_t i = 0; i < list->n; i++)
		writ_conf_done(f->block, (char *)list->items + i * f->block->size);
	writ_free(list->items);
	*list = (struct writ_conf_list){ 0 };
}

void writ_conf_done(const struct writ_conf_table *t, void *target)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct writ_conf_field *f = &t->fields[i];
		bool is_text = f->type == WRIT_CONF_STRING || f->type == WRIT_CONF_PATH ||
			f->type == WRIT_CONF_LABEL;
		if (is_unsupported(f))
			continue;
		if (is_text) {
			writ__conf_free_text(f, *(char **)at(f, target));
			*(char **)at(f, target) = NULL;
		} else if (f->type == WRIT_CONF_STRINGS) {
			done_strings(at(f, target));
		} else if (f->type == WRIT_CONF_BLOCK) {
			done_block(f, target);
		}
	}
}
