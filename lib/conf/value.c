/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/value.h"

#include "base/mem.h"
#include "base/secret.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

typedef bool set_fn(
	const struct writ_conf_field *f, struct writ_str s, void *at, struct writ_buf *why);

static bool set_string(
	const struct writ_conf_field *f, struct writ_str s, void *at, struct writ_buf *why)
{
	if (s.n == 0 && (f->type == WRIT_CONF_PATH || f->flags & WRIT_CONF_REQUIRED)) {
		writ_buf_add_cstr(why, "is empty");
		return false;
	}
	if (f->max > 0 && s.n > (uint64_t)f->max) {
		writ_buf_addf(why, "is too long: %zu bytes, at most %" PRId64, s.n, f->max);
		return false;
	}
	*(char **)at = writ_strndup(s.p, s.n);
	return true;
}

/* Appends the start of a message: the text seen, unless it is secret. */
static void add_seen(const struct writ_conf_field *f, struct writ_str s, struct writ_buf *why)
{
	if (f->flags & WRIT_CONF_SECRET)
		writ_buf_add_cstr(why, "has a value that is not ");
	else
		writ_buf_addf(why, "is %s, not ", writ_conf_quote(s).text);
	writ__conf_describe(f, why);
}

static bool parse_int(struct writ_str s, int64_t min, int64_t max, int64_t *ret)
{
	bool is_negative = s.n > 0 && s.p[0] == '-';
	uint64_t v = 0;
	if (is_negative)
		s = writ_strn(s.p + 1, s.n - 1);
	if (writ_parse_u64(s, 0, INT64_MAX, &v, NULL) != WRIT_OK)
		return false;
	int64_t i = is_negative ? -(int64_t)v : (int64_t)v;
	if (i < min || i > max)
		return false;
	*ret = i;
	return true;
}

static bool set_int(
	const struct writ_conf_field *f, struct writ_str s, void *at, struct writ_buf *why)
{
	if (parse_int(s, f->min, f->max, at))
		return true;
	add_seen(f, s, why);
	return false;
}

static bool set_port(
	const struct writ_conf_field *f, struct writ_str s, void *at, struct writ_buf *why)
{
	int64_t v = 0;
	if (!parse_int(s, f->min, UINT16_MAX, &v)) {
		add_seen(f, s, why);
		return false;
	}
	*(uint16_t *)at = (uint16_t)v;
	return true;
}

static bool set_bool(
	const struct writ_conf_field *f, struct writ_str s, void *at, struct writ_buf *why)
{
	bool is_true = writ_str_eq(s, WRIT_STR("true"));
	if (!is_true && !writ_str_eq(s, WRIT_STR("false"))) {
		add_seen(f, s, why);
		return false;
	}
	*(bool *)at = is_true;
	return true;
}

static bool set_duration(
	const struct writ_conf_field *f, struct writ_str s, void *at, struct writ_buf *why)
{
	int64_t ms = 0;
	if (writ_parse_duration_ms(s, &ms, NULL) != WRIT_OK || ms < f->min || ms > f->max) {
		add_seen(f, s, why);
		return false;
	}
	*(int64_t *)at = ms;
	return true;
}

static bool set_enum(
	const struct writ_conf_field *f, struct writ_str s, void *at, struct writ_buf *why)
{
	for (const struct writ_conf_choice *c = f->choices; c->name != NULL; c++) {
		if (s.n == strlen(c->name) && strncasecmp(s.p, c->name, s.n) == 0) {
			*(int *)at = c->value;
			return true;
		}
	}
	add_seen(f, s, why);
	return false;
}

/* Of a default, or of the command line: parts with commas between. */
static bool set_strings(
	const struct writ_conf_field *f, struct writ_str s, void *at, struct writ_buf *why)
{
	struct writ_str part;
	(void)f;
	(void)why;
	for (bool more = s.n > 0; more;) {
		more = writ_str_cut(&s, ',', &part);
		writ__conf_add_string(at, writ_str_trim(part));
	}
	return true;
}

static set_fn *const setters[] = {
	[WRIT_CONF_STRING] = set_string,
	[WRIT_CONF_PATH] = set_string,
	[WRIT_CONF_INT] = set_int,
	[WRIT_CONF_PORT] = set_port,
	[WRIT_CONF_BOOL] = set_bool,
	[WRIT_CONF_DURATION] = set_duration,
	[WRIT_CONF_ENUM] = set_enum,
	[WRIT_CONF_STRINGS] = set_strings,
	[WRIT_CONF_LABEL] = set_string,
};

bool writ__conf_set_text(
	const struct writ_conf_field *f, const char *text, void *at, struct writ_buf *why)
{
	return setters[f->type](f, writ_cstr(text), at, why);
}

static void describe_choices(const struct writ_conf_choice *c, struct writ_buf *out)
{
	for (size_t i = 0; c[i].name != NULL; i++) {
		bool is_last = c[i + 1].name == NULL;
		writ_buf_addf(out, "%s\"%s\"", i == 0 ? "" : is_last ? " or " : ", ", c[i].name);
	}
}

void writ__conf_describe(const struct writ_conf_field *f, struct writ_buf *out)
{
	static const char *const fixed[] = {
		[WRIT_CONF_STRING] = "a string",
		[WRIT_CONF_PATH] = "a path",
		[WRIT_CONF_BOOL] = "true or false",
		[WRIT_CONF_STRINGS] = "a list of strings",
		[WRIT_CONF_BLOCK] = "a block",
		[WRIT_CONF_NODE] = "a block",
		[WRIT_CONF_LABEL] = "a label",
	};
	char a[32], b[32];
	if (f->type == WRIT_CONF_INT)
		writ_buf_addf(out, "a number from %" PRId64 " to %" PRId64, f->min, f->max);
	else if (f->type == WRIT_CONF_PORT)
		writ_buf_addf(out, "a port from %" PRId64 " to 65535", f->min);
	else if (f->type == WRIT_CONF_DURATION)
		writ_buf_addf(out, "a duration from \"%s\" to \"%s\"",
			writ_format_duration(f->min, a, sizeof(a)),
			writ_format_duration(f->max, b, sizeof(b)));
	else if (f->type == WRIT_CONF_ENUM)
		describe_choices(f->choices, out);
	else
		writ_buf_add_cstr(out, fixed[f->type]);
}

bool writ__conf_takes(const struct writ_conf_field *f, enum writ_conf_kind kind)
{
	/* What HCL 1 takes: numbers and booleans may stand in quotes, and a number may be a text.
	 */
	static const unsigned kinds[] = {
		[WRIT_CONF_STRING] = 1u << WRIT_NODE_STRING | 1u << WRIT_NODE_NUMBER,
		[WRIT_CONF_PATH] = 1u << WRIT_NODE_STRING,
		[WRIT_CONF_INT] = 1u << WRIT_NODE_STRING | 1u << WRIT_NODE_NUMBER,
		[WRIT_CONF_PORT] = 1u << WRIT_NODE_STRING | 1u << WRIT_NODE_NUMBER,
		[WRIT_CONF_BOOL] = 1u << WRIT_NODE_STRING | 1u << WRIT_NODE_BOOL,
		[WRIT_CONF_DURATION] = 1u << WRIT_NODE_STRING,
		[WRIT_CONF_ENUM] = 1u << WRIT_NODE_STRING,
		[WRIT_CONF_STRINGS] = 1u << WRIT_NODE_LIST | 1u << WRIT_NODE_STRING,
		[WRIT_CONF_BLOCK] = 1u << WRIT_NODE_OBJECT | 1u << WRIT_NODE_LIST,
		[WRIT_CONF_NODE] = ~0u,
		[WRIT_CONF_PRESENT] = 0,
		[WRIT_CONF_LABEL] = 0,
	};
	return (kinds[f->type] & 1u << kind) != 0;
}

void writ__conf_free_text(const struct writ_conf_field *f, char *text)
{
	if (text != NULL && f->flags & WRIT_CONF_SECRET)
		writ_wipe(text, strlen(text));
	writ_free(text);
}

void writ__conf_add_string(struct writ_conf_strings *list, struct writ_str s)
{
	list->items = writ_realloc(list->items, (list->n + 1) * sizeof(*list->items));
	list->items[list->n++] = writ_strndup(s.p, s.n);
}
