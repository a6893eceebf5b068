/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/plugin.h"

#include "base/mem.h"
#include "conf/tree.h"

#include <string.h>

#define HINT_MAX  512
#define KNOWN_MAX 64

struct wrapper {
	char *plugin_cmd, *plugin_checksum;
	bool enabled;
	const struct writ_conf_node *data;
};

#define AT(member) .offset = offsetof(struct wrapper, member)

static const struct writ_conf_field wrapper_fields[] = {
	{ .key = "plugin_cmd", .type = WRIT_CONF_STRING, AT(plugin_cmd) },
	{ .key = "plugin_checksum", .type = WRIT_CONF_STRING, AT(plugin_checksum) },
	{ .key = "enabled", .type = WRIT_CONF_BOOL, .def = "true", AT(enabled) },
	{ .key = "plugin_data", .type = WRIT_CONF_NODE, AT(data) },
	WRIT_CONF_REFUSE("plugin_data_file", "", "put what is in that file into plugin_data { }"),
};
static const struct writ_conf_table wrapper_table = { "the plugin", wrapper_fields,
	WRIT_COUNT(wrapper_fields), sizeof(struct wrapper) };

struct collector {
	struct writ_conf_plugin *out;
	size_t n, max;
	struct writ_conf_diags *d;
};

typedef void visit_fn(struct collector *c, const char *type, const struct writ_conf_node *n);

/* Calls visit for the members of an object, or of each object in a list: JSON has both forms. */
static void each_member(
	struct collector *c, const char *type, const struct writ_conf_node *n, visit_fn *visit)
{
	if (writ_conf_kind(n) == WRIT_NODE_OBJECT) {
		for (const struct writ_conf_node *m = NULL; (m = writ_conf_next(n, m)) != NULL;)
			visit(c, type, m);
		return;
	}
	const struct writ_conf_node *m = NULL;
	bool is_list = writ_conf_kind(n) == WRIT_NODE_LIST;
	while (is_list && (m = writ_conf_next(n, m)) != NULL)
		if (writ_conf_kind(m) == WRIT_NODE_OBJECT)
			each_member(c, type, m, visit);
		else
			is_list = false;
	if (!is_list)
		writ_conf_diag_add(c->d, WRIT_CONF_ERROR, writ_conf_value_pos(n),
			"expected a plugin as %s \"name\" { plugin_data { } }",
			type != NULL ? type : "Type");
}

static const struct writ_conf_node *unwrap(const struct writ_conf_node *n)
{
	if (n != NULL && writ_conf_kind(n) == WRIT_NODE_LIST && writ_conf_count(n) == 1)
		return writ_conf_next(n, NULL);
	return n;
}

static void visit_plugin(struct collector *c, const char *type, const struct writ_conf_node *n)
{
	const struct writ_conf_node *body = unwrap(n);
	struct wrapper w = { 0 };
	if (writ_conf_kind(body) != WRIT_NODE_OBJECT) {
		writ_conf_diag_add(c->d, WRIT_CONF_ERROR, writ_conf_value_pos(n),
			"%s %s is %s: write %s \"name\" { plugin_data { } }", type,
			WRIT_CONF_Q(writ_conf_key(n)), writ_conf_kind_name(writ_conf_kind(body)),
			type);
		return;
	}
	writ_conf_fill(&wrapper_table, body, &w, c->d);
	w.data = unwrap(w.data);
	if (w.data != NULL && writ_conf_kind(w.data) != WRIT_NODE_OBJECT) {
		writ_conf_diag_add(c->d, WRIT_CONF_ERROR, writ_conf_value_pos(w.data),
			"plugin_data is %s, not a block",
			writ_conf_kind_name(writ_conf_kind(w.data)));
		w.enabled = false;
	}
	if (w.enabled && c->n == c->max)
		writ_conf_diag_add(
			c->d, WRIT_CONF_ERROR, writ_conf_pos(n), "more than %zu plugins", c->max);
	else if (w.enabled)
		c->out[c->n++] = (struct writ_conf_plugin){ type, writ_conf_key(n), w.data,
			writ_conf_pos(n), w.plugin_cmd != NULL && w.plugin_cmd[0] != '\0' };
	writ_conf_done(&wrapper_table, &w);
}

static void visit_type(struct collector *c, const char *type, const struct writ_conf_node *n)
{
	(void)type;
	each_member(c, writ_conf_key(n), n, visit_plugin);
}

size_t writ_conf_plugins(const struct writ_conf_node *n, struct writ_conf_plugin *out, size_t max,
	struct writ_conf_diags *d)
{
	struct collector c = { out, 0, max, d };
	if (n != NULL)
		each_member(&c, NULL, n, visit_type);
	return c.n;
}

static const struct writ_conf_plugin_type *find_type(const struct writ_conf_plugin_set *set,
	const struct writ_conf_plugin *p, struct writ_conf_diags *d)
{
	const char *known[KNOWN_MAX];
	size_t n = 0;
	for (size_t i = 0; i < set->n_types && n < KNOWN_MAX; i++) {
		if (strcmp(set->types[i].type, p->type) == 0)
			return &set->types[i];
		known[n++] = set->types[i].type;
	}
	struct writ_buf hint = WRIT_BUF(HINT_MAX);
	writ_conf_suggest(writ_cstr(p->type), known, n, &hint);
	writ_conf_diag_add(d, WRIT_CONF_ERROR, p->pos, "unknown plugin type %s%s",
		WRIT_CONF_Q(p->type), writ_buf_cstr(&hint));
	writ_buf_done(&hint);
	return NULL;
}

static const struct writ_conf_plugin_row *find_row(
	const struct writ_conf_plugin_set *set, const struct writ_conf_plugin *p)
{
	for (size_t i = 0; i < set->n_rows; i++)
		if (strcmp(set->rows[i].type, p->type) == 0 &&
			strcmp(set->rows[i].name, p->name) == 0)
			return &set->rows[i];
	return NULL;
}

static void report_absent(const struct writ_conf_plugin_set *set,
	const struct writ_conf_plugin_type *t, const struct writ_conf_plugin *p,
	struct writ_conf_diags *d)
{
	const char *known[KNOWN_MAX];
	size_t n = 0;
	struct writ_buf hint = WRIT_BUF(HINT_MAX);
	for (size_t i = 0; i < set->n_rows && n < KNOWN_MAX; i++)
		if (strcmp(set->rows[i].type, p->type) == 0)
			known[n++] = set->rows[i].name;
	for (size_t i = 0; i < n; i++)
		writ_buf_addf(&hint, "%s\"%s\"", i == 0 ? "; there is " : ", ", known[i]);
	writ_conf_diag_add(d, t->severity, p->pos, "%s %s is %s: %s%s", p->type,
		WRIT_CONF_Q(p->name),
		p->is_external ? "an external plugin, and those are not supported"
			       : "not supported",
		t->note, writ_buf_cstr(&hint));
	writ_buf_done(&hint);
}

static void check_counts(const struct writ_conf_plugin_set *set, const struct writ_conf_plugin *all,
	size_t n, struct writ_conf_pos pos, struct writ_conf_diags *d)
{
	for (size_t i = 0; i < set->n_types; i++) {
		const struct writ_conf_plugin_type *t = &set->types[i];
		unsigned count = 0;
		for (size_t j = 0; j < n; j++) {
			if (strcmp(all[j].type, t->type) != 0)
				continue;
			bool is_known = find_row(set, &all[j]) != NULL && !all[j].is_external;
			if (++count > t->max && t->max > 0 && is_known)
				writ_conf_diag_add(d, WRIT_CONF_ERROR, all[j].pos,
					"%s \"%s\" is one too many: at most %u of this type, "
					"remove it or set enabled = false",
					t->type, all[j].name, t->max);
		}
		if (count < t->min)
			writ_conf_diag_add(
				d, t->missing_severity, pos, "no %s: %s", t->type, t->missing);
	}
}

void writ_conf_fill_plugins(const struct writ_conf_plugin_set *set,
	const struct writ_conf_node *root, void *target, struct writ_conf_diags *d)
{
	struct writ_conf_plugin all[WRIT_CONF_PLUGINS_MAX];
	bool is_filled[WRIT_CONF_PLUGINS_MAX] = { false };
	const struct writ_conf_node *block = writ_conf_get(root, "plugins");
	size_t n = writ_conf_plugins(block, all, WRIT_COUNT(all), d);
	struct writ_conf_node *empty = writ_conf_new();
	for (size_t i = 0; i < n; i++) {
		const struct writ_conf_plugin_type *t = find_type(set, &all[i], d);
		const struct writ_conf_plugin_row *row = find_row(set, &all[i]);
		if (t == NULL)
			continue;
		size_t at = row != NULL ? (size_t)(row - set->rows) : 0;
		if (row == NULL || all[i].is_external) {
			report_absent(set, t, &all[i], d);
		} else if (is_filled[at]) {
			writ_conf_diag_add(d, WRIT_CONF_ERROR, all[i].pos,
				"%s \"%s\" is there twice: remove one", t->type, row->name);
		} else {
			empty->key_pos = all[i].pos;
			writ_conf_fill(row->table, all[i].data != NULL ? all[i].data : empty,
				(char *)target + row->offset, d);
			is_filled[at] = true;
		}
	}
	for (size_t i = 0; i < set->n_rows; i++)
		if (!is_filled[i])
			writ_conf_fill(
				set->rows[i].table, NULL, (char *)target + set->rows[i].offset, d);
	check_counts(set, all, n, writ_conf_pos(block != NULL ? block : root), d);
	writ_conf_free(empty);
}

void writ_conf_done_plugins(const struct writ_conf_plugin_set *set, void *target)
{
	for (size_t i = 0; i < set->n_rows; i++)
		writ_conf_done(set->rows[i].table, (char *)target + set->rows[i].offset);
}
