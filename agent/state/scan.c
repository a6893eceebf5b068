/* SPDX-License-Identifier: Apache-2.0 */
#include "state/scan.h"

#include "base/mem.h"

#include <string.h>

static void skip_blanks(struct writ_str *s)
{
	while (s->n && strchr(" \t\r\n", s->p[0])) {
		if (!s->p[0])
			return;
		s->p++;
		s->n--;
	}
}

/* The next character that is not blank, taken when it is c. */
static bool take(struct writ_str *s, char c)
{
	skip_blanks(s);
	if (!s->n || s->p[0] != c)
		return false;
	s->p++;
	s->n--;
	return true;
}

static bool take_word(struct writ_str *s, struct writ_str word)
{
	skip_blanks(s);
	if (!writ_str_starts(*s, word))
		return false;
	s->p += word.n;
	s->n -= word.n;
	return true;
}

static writ_rc take_string(struct writ_str *s, struct writ_str *ret, struct writ_err *err)
{
	if (!take(s, '"'))
		return writ_fail(err, WRIT_EINVAL, "a string is missing");
	for (size_t i = 0; i < s->n; i++) {
		unsigned char c = (unsigned char)s->p[i];
		if (c == '"') {
			*ret = writ_strn(s->p, i);
			s->p += i + 1;
			s->n -= i + 1;
			return WRIT_OK;
		}
		if (c == '\\' || c < 0x20 || c > 0x7e)
			break;
	}
	return writ_fail(err, WRIT_EINVAL,
		"a string does not end, or has a character that never stands there");
}

static writ_rc take_list(struct writ_str *s, struct writ_scan_field *f, struct writ_err *err)
{
	if (!take(s, '['))
		return writ_fail(err, WRIT_EINVAL, "\"%s\" is no list", f->name);
	if (take(s, ']'))
		return WRIT_OK;
	for (;;) {
		if (f->n == WRIT_SCAN_ITEMS)
			return writ_fail(err, WRIT_ELIMIT, "\"%s\" has more than %d items", f->name,
				WRIT_SCAN_ITEMS);
		writ_rc rc = take_string(s, &f->items[f->n], err);
		if (rc != WRIT_OK)
			return writ_wrap(err, rc, "\"%s\"", f->name);
		f->n++;
		if (take(s, ']'))
			return WRIT_OK;
		if (!take(s, ','))
			return writ_fail(err, WRIT_EINVAL, "\"%s\" does not end", f->name);
	}
}

static writ_rc take_value(struct writ_str *s, struct writ_scan_field *f, struct writ_err *err)
{
	if (f->kind == WRIT_SCAN_LIST)
		return take_list(s, f, err);
	if (f->kind == WRIT_SCAN_TEXT) {
		writ_rc rc = take_string(s, &f->items[0], err);
		f->n = 1;
		return rc == WRIT_OK ? rc : writ_wrap(err, rc, "\"%s\"", f->name);
	}
	f->yes = take_word(s, WRIT_STR("true"));
	if (!f->yes && !take_word(s, WRIT_STR("false")))
		return writ_fail(err, WRIT_EINVAL, "\"%s\" is neither true nor false", f->name);
	return WRIT_OK;
}

static writ_rc take_member(
	struct writ_str *s, struct writ_scan_field *fields, size_t n, struct writ_err *err)
{
	struct writ_str name;
	writ_rc rc = take_string(s, &name, err);
	if (rc != WRIT_OK)
		return rc;
	if (!take(s, ':'))
		return writ_fail(err, WRIT_EINVAL, "a ':' is missing");
	for (size_t i = 0; i < n; i++) {
		if (!writ_str_eq(name, writ_cstr(fields[i].name)))
			continue;
		if (fields[i].seen)
			return writ_fail(err, WRIT_EINVAL, "\"%s\" is there twice", fields[i].name);
		fields[i].seen = true;
		return take_value(s, &fields[i], err);
	}
	return writ_fail(err, WRIT_EINVAL, "a member that this version does not know");
}

writ_rc writ_scan(
	struct writ_str text, struct writ_scan_field *fields, size_t n, struct writ_err *err)
{
	if (!take(&text, '{'))
		return writ_fail(err, WRIT_EINVAL, "no JSON object");
	if (!take(&text, '}')) {
		for (;;) {
			writ_rc rc = take_member(&text, fields, n, err);
			if (rc != WRIT_OK)
				return rc;
			if (take(&text, '}'))
				break;
			if (!take(&text, ','))
				return writ_fail(err, WRIT_EINVAL, "the object does not end");
		}
	}
	skip_blanks(&text);
	if (text.n)
		return writ_fail(err, WRIT_EINVAL, "%zu bytes behind the object", text.n);
	return WRIT_OK;
}
