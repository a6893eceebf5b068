/* SPDX-License-Identifier: Apache-2.0 */
#include "config/path_template.h"

#include "base/mem.h"
#include "conf/diag.h"

#include <string.h>

#define OPEN  WRIT_STR("{{")
#define CLOSE WRIT_STR("}}")

static bool is_segment_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '.' || c == '-' || c == '_';
}

static size_t find(struct writ_str s, struct writ_str what)
{
	const char *p = s.n ? memmem(s.p, s.n, what.p, what.n) : NULL;
	return p ? (size_t)(p - s.p) : s.n;
}

struct piece {
	struct writ_str text;  /* in front of the field */
	struct writ_str field; /* ".Name" without blanks; p NULL: the end of the template */
	bool is_open;          /* the field has no end */
};

static bool next_piece(struct writ_str *rest, struct piece *ret)
{
	if (!rest->n)
		return false;
	size_t at = find(*rest, OPEN);
	*ret = (struct piece){ .text = { rest->p, at } };
	rest->p += at;
	rest->n -= at;
	if (!rest->n)
		return true;
	rest->p += OPEN.n;
	rest->n -= OPEN.n;
	at = find(*rest, CLOSE);
	ret->is_open = at == rest->n;
	ret->field = writ_str_trim((struct writ_str){ rest->p, at });
	at = ret->is_open ? at : at + CLOSE.n;
	rest->p += at;
	rest->n -= at;
	return true;
}

static bool is_known(struct writ_str name, const char *const *fields)
{
	for (; *fields; fields++) {
		struct writ_str f = writ_cstr(*fields);
		if (writ_str_eq(name, f) ||
			(writ_str_ends(f, WRIT_STR(".")) && name.n > f.n &&
				writ_str_starts(name, f)))
			return true;
	}
	return false;
}

static writ_rc refuse_field(struct writ_str field, const char *const *fields, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf all = WRIT_BUF(512);
	for (; *fields; fields++)
		writ_buf_addf(&all, "%s.%s%s", all.n ? ", " : "", *fields,
			writ_str_ends(writ_cstr(*fields), WRIT_STR(".")) ? "NAME" : "");
	return writ_fail(err, WRIT_EINVAL, "%s is not a field: there are %s (no functions)",
		writ_conf_quote(field).text, writ_buf_cstr(&all));
}

static writ_rc check_text(struct writ_str s, size_t *wrong, struct writ_err *err)
{
	for (size_t i = 0; i < s.n; i++) {
		*wrong = i;
		if (!is_segment_char(s.p[i]) && s.p[i] != '/')
			return writ_fail(err, WRIT_EINVAL,
				"%s cannot stand in a SPIFFE ID: letters, digits, '.', '-', '_' "
				"and '/' can",
				writ_conf_quote(writ_strn(s.p + i, 1)).text);
	}
	return WRIT_OK;
}

writ_rc writ_path_template_check(
	struct writ_str text, const char *const *fields, size_t *at, struct writ_err *err)
{
	struct writ_str rest = text;
	struct piece p;
	*at = 0;
	if (!text.n || text.n > WRIT_PATH_TEMPLATE_MAX)
		return writ_fail(err, WRIT_EINVAL, "%zu bytes, 1 to %d are taken", text.n,
			WRIT_PATH_TEMPLATE_MAX);
	while (next_piece(&rest, &p)) {
		size_t wrong = 0;
		writ_rc rc = check_text(p.text, &wrong, err);
		if (rc != WRIT_OK) {
			*at = (size_t)(p.text.p - text.p) + wrong;
			return rc;
		}
		if (!p.field.p)
			continue;
		*at = (size_t)(p.field.p - text.p);
		if (p.is_open)
			return writ_fail(err, WRIT_EINVAL, "\"{{\" without \"}}\"");
		struct writ_str name = p.field;
		if (name.n && *name.p == '.') {
			name.p++;
			name.n--;
		} else {
			name.n = 0;
		}
		if (!is_known(name, fields))
			return refuse_field(p.field, fields, err);
	}
	return WRIT_OK;
}

static writ_rc add_value(struct writ_str field, const struct writ_path_value *v,
	struct writ_buf *path, struct writ_err *err)
{
	if (!v || !v->value.n)
		return writ_fail(err, WRIT_EDENIED,
			"agent_path_template needs {{ " WRIT_FMT " }}, and there is none",
			WRIT_ARG(field));
	for (size_t i = 0; i < v->value.n; i++)
		if (!is_segment_char(v->value.p[i]) && !(v->is_path && v->value.p[i] == '/'))
			return writ_fail(err, WRIT_EDENIED,
				"{{ " WRIT_FMT " }} is %s, which cannot be a segment of a SPIFFE "
				"ID",
				WRIT_ARG(field), writ_conf_quote(v->value).text);
	writ_buf_add_str(path, v->value);
	return WRIT_OK;
}

writ_rc writ_path_template_fill(struct writ_str text, const struct writ_path_value *values,
	size_t n, struct writ_buf *path, struct writ_err *err)
{
	struct piece p;
	if (!writ_str_starts(text, WRIT_STR("/")))
		writ_buf_add_byte(path, '/');
	while (next_piece(&text, &p)) {
		const struct writ_path_value *v = NULL;
		writ_buf_add_str(path, p.text);
		if (!p.field.n)
			continue;
		struct writ_str name = { p.field.p + 1, p.field.n - 1 };
		for (size_t i = 0; !v && i < n; i++)
			v = writ_str_eq(name, writ_cstr(values[i].name)) ? &values[i] : NULL;
		writ_rc rc = add_value(p.field, v, path, err);
		if (rc != WRIT_OK)
			return rc;
	}
	return writ_buf_check(path, "the agent's path", err);
}
