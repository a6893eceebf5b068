/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/plugin.h"
#include "conf/value.h"

#define PATH_MAX_ 256

static bool is_unsupported(const struct writ_conf_field *f)
{
	return (f->flags & (WRIT_CONF_UNSUPPORTED_ERROR | WRIT_CONF_UNSUPPORTED_WARN)) != 0;
}

static bool is_listed(const struct writ_conf_field *f)
{
	return f->type != WRIT_CONF_PRESENT && f->type != WRIT_CONF_LABEL;
}

static bool is_labelled(const struct writ_conf_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->fields[i].type == WRIT_CONF_LABEL)
			return true;
	return false;
}

static void add_path(const char *path, const struct writ_conf_field *f, struct writ_buf *out)
{
	writ_buf_addf(out, "%s%s%s", path, path[0] != '\0' ? "." : "", f->key);
}

static void print_field(const char *path, const struct writ_conf_field *f, struct writ_buf *out)
{
	add_path(path, f, out);
	writ_buf_add_cstr(out, " (");
	writ__conf_describe(f, out);
	if (f->flags & WRIT_CONF_REQUIRED)
		writ_buf_add_cstr(out, "; required");
	else if (f->def != NULL)
		writ_buf_addf(out, "; default %s", f->def[0] != '\0' ? f->def : "\"\"");
	writ_buf_addf(out, ")\n    %s\n", f->help != NULL ? f->help : "");
}

typedef void print_fn(const char *path, const struct writ_conf_field *f, struct writ_buf *out);

static void each(const char *path, const struct writ_conf_table *t, bool unsupported,
	print_fn *print, struct writ_buf *out)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct writ_conf_field *f = &t->fields[i];
		if (!is_listed(f))
			continue;
		if (is_unsupported(f) == unsupported && f->type != WRIT_CONF_BLOCK)
			print(path, f, out);
		if (f->type != WRIT_CONF_BLOCK || is_unsupported(f))
			continue;
		struct writ_buf below = WRIT_BUF(PATH_MAX_);
		add_path(path, f, &below);
		if (f->flags & WRIT_CONF_REPEATED)
			writ_buf_add_cstr(&below, is_labelled(f->block) ? " \"...\"" : "[]");
		each(writ_buf_cstr(&below), f->block, unsupported, print, out);
		writ_buf_done(&below);
	}
}

static void print_unsupported(
	const char *path, const struct writ_conf_field *f, struct writ_buf *out)
{
	add_path(path, f, out);
	bool is_error = (f->flags & WRIT_CONF_UNSUPPORTED_ERROR) != 0;
	writ_buf_addf(out, " (%s)\n    %s\n", is_error ? "refused" : "ignored", f->note);
}

void writ_conf_print_help(const struct writ_conf_table *t, struct writ_buf *out)
{
	struct writ_buf rest = WRIT_BUF(out->max);
	each("", t, false, print_field, out);
	each("", t, true, print_unsupported, &rest);
	if (rest.n > 0) {
		writ_buf_add_cstr(out, "\nKeys of SPIRE that are not there:\n\n");
		writ_buf_add_str(out, writ_buf_str(&rest));
	}
	writ_buf_done(&rest);
}

void writ_conf_print_plugins(const struct writ_conf_plugin_set *set, struct writ_buf *out)
{
	writ_buf_add_cstr(out, "\nPlugins:\n");
	for (size_t i = 0; i < set->n_rows; i++) {
		const struct writ_conf_plugin_row *row = &set->rows[i];
		writ_buf_addf(out, "\n%s \"%s\"\n\n", row->type, row->name);
		writ_conf_print_help(row->table, out);
	}
}
