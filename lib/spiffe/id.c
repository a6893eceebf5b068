/* SPDX-License-Identifier: Apache-2.0 */
#include "spiffe/id.h"

#include "base/mem.h"

#include <string.h>

#define SCHEME    "spiffe://"
#define RULES_MAX 1024

static bool is_td_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

static bool is_path_char(uint8_t c)
{
	return is_td_char(c) || (c >= 'A' && c <= 'Z');
}

/* A byte as an error may show it: itself when printable, else its number. */
static const char *show_byte(uint8_t c, char buf[8])
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;
	if (c > 0x20 && c < 0x7f) {
		buf[n++] = '\'';
		buf[n++] = (char)c;
		buf[n++] = '\'';
	} else {
		buf[n++] = '0';
		buf[n++] = 'x';
		buf[n++] = hex[c >> 4];
		buf[n++] = hex[c & 15];
	}
	buf[n] = '\0';
	return buf;
}

writ_rc writ_td_check(struct writ_str td, struct writ_err *err)
{
	char buf[8];
	if (!td.n)
		return writ_fail(err, WRIT_EINVAL, "the trust domain is empty");
	if (td.n > WRIT_TD_MAX)
		return writ_fail(err, WRIT_EINVAL,
			"the trust domain has %zu bytes, at most %d are allowed", td.n,
			WRIT_TD_MAX);
	for (size_t i = 0; i < td.n; i++) {
		if (!is_td_char((uint8_t)td.p[i]))
			return writ_fail(err, WRIT_EINVAL,
				"the trust domain holds %s at position %zu; allowed are a-z 0-9 . "
				"- _",
				show_byte((uint8_t)td.p[i], buf), i);
	}
	return WRIT_OK;
}

static writ_rc check_segment(struct writ_str seg, size_t at, struct writ_err *err)
{
	char buf[8];
	if (!seg.n)
		return writ_fail(err, WRIT_EINVAL,
			"the path has an empty segment or a trailing slash at position %zu", at);
	if (writ_str_eq(seg, WRIT_STR(".")) || writ_str_eq(seg, WRIT_STR("..")))
		return writ_fail(err, WRIT_EINVAL,
			"the path has a '" WRIT_FMT "' segment at position %zu", WRIT_ARG(seg), at);
	for (size_t i = 0; i < seg.n; i++) {
		if (!is_path_char((uint8_t)seg.p[i]))
			return writ_fail(err, WRIT_EINVAL,
				"the path holds %s at position %zu; allowed are a-z A-Z 0-9 . - _ "
				"and /",
				show_byte((uint8_t)seg.p[i], buf), at + i);
	}
	return WRIT_OK;
}

writ_rc writ_path_check(struct writ_str path, struct writ_err *err)
{
	if (!path.n)
		return WRIT_OK;
	if (path.n > WRIT_ID_MAX)
		return writ_fail(err, WRIT_EINVAL, "the path has %zu bytes, at most %d are allowed",
			path.n, WRIT_ID_MAX);
	if (path.p[0] != '/')
		return writ_fail(err, WRIT_EINVAL, "the path does not begin with a slash");
	struct writ_str rest = writ_strn(path.p + 1, path.n - 1), seg;
	bool more;
	do {
		more = writ_str_cut(&rest, '/', &seg);
		writ_rc rc = check_segment(seg, (size_t)(seg.p - path.p), err);
		if (rc != WRIT_OK)
			return rc;
	} while (more);
	return WRIT_OK;
}

writ_rc writ_id_parse(struct writ_str s, struct writ_id *ret, struct writ_err *err)
{
	struct writ_id id = { .uri = s };
	if (s.n > WRIT_ID_MAX)
		return writ_fail(err, WRIT_EINVAL, "SPIFFE ID: %zu bytes, at most %d are allowed",
			s.n, WRIT_ID_MAX);
	if (!writ_str_starts(s, WRIT_STR(SCHEME)))
		return writ_fail(err, WRIT_EINVAL, "SPIFFE ID: does not begin with " SCHEME);
	struct writ_str rest = writ_strn(s.p + strlen(SCHEME), s.n - strlen(SCHEME));
	const char *slash = rest.n ? memchr(rest.p, '/', rest.n) : NULL;
	id.td = writ_strn(rest.p, slash ? (size_t)(slash - rest.p) : rest.n);
	id.path = writ_strn(rest.p + id.td.n, rest.n - id.td.n);
	writ_rc rc = writ_td_check(id.td, err);
	if (rc == WRIT_OK)
		rc = writ_path_check(id.path, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "SPIFFE ID");
	*ret = id;
	return WRIT_OK;
}

writ_rc writ_id_parse_leaf(struct writ_str s, struct writ_id *ret, struct writ_err *err)
{
	struct writ_id id;
	writ_rc rc = writ_id_parse(s, &id, err);
	if (rc != WRIT_OK)
		return rc;
	if (!id.path.n)
		return writ_fail(err, WRIT_EINVAL,
			"SPIFFE ID: '" WRIT_FMT "' names a trust domain; a path must follow",
			WRIT_ARG(s));
	*ret = id;
	return WRIT_OK;
}

writ_rc writ_td_parse(struct writ_str s, struct writ_str *ret, struct writ_err *err)
{
	struct writ_id id;
	writ_rc rc;
	if (writ_str_starts(s, WRIT_STR(SCHEME))) {
		rc = writ_id_parse(s, &id, err);
		if (rc == WRIT_OK)
			*ret = id.td;
		return rc;
	}
	rc = writ_td_check(s, err);
	if (rc == WRIT_OK)
		*ret = s;
	return rc;
}

writ_rc writ_id_make(struct writ_str td, struct writ_str path, char **ret, struct writ_err *err)
{
	writ_rc rc = writ_td_check(td, err);
	if (rc == WRIT_OK)
		rc = writ_path_check(path, err);
	if (rc == WRIT_OK && strlen(SCHEME) + td.n + path.n > WRIT_ID_MAX)
		rc = writ_fail(err, WRIT_EINVAL, "%zu bytes, at most %d are allowed",
			strlen(SCHEME) + td.n + path.n, WRIT_ID_MAX);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "SPIFFE ID");
	*ret = writ_asprintf(SCHEME WRIT_FMT WRIT_FMT, WRIT_ARG(td), WRIT_ARG(path));
	return WRIT_OK;
}

bool writ_id_is_reserved(const struct writ_id *id)
{
	return writ_str_eq(id->path, WRIT_STR("/spire")) ||
		writ_str_starts(id->path, WRIT_STR("/spire/"));
}

writ_rc writ_allow_add(struct writ_allow *a, struct writ_str rule, struct writ_err *err)
{
	struct writ_id id;
	struct writ_str seen = rule;
	if (a->n >= RULES_MAX)
		return writ_fail(err, WRIT_ELIMIT, "more than %d rules", RULES_MAX);
	if (writ_str_ends(rule, WRIT_STR("/*")))
		rule.n--;
	bool prefix = writ_str_ends(rule, WRIT_STR("/")) && rule.n > strlen(SCHEME);
	if (prefix)
		rule.n--;
	writ_rc rc = prefix ? writ_id_parse(rule, &id, err) : writ_id_parse_leaf(rule, &id, err);
	if (rc != WRIT_OK)
		return writ_wrap(
			err, rc, "rule '" WRIT_FMT "'", (int)(seen.n < 200 ? seen.n : 200), seen.p);
	if (!(a->n & (a->n - 1)))
		a->rules = writ_realloc(a->rules, (a->n ? 2 * a->n : 1) * sizeof(*a->rules));
	a->rules[a->n++] = writ_strndup(rule.p, rule.n + (prefix ? 1 : 0));
	return WRIT_OK;
}

bool writ_allow_match(const struct writ_allow *a, struct writ_str uri, const char **rule)
{
	for (size_t i = 0; i < a->n; i++) {
		struct writ_str r = writ_cstr(a->rules[i]);
		bool prefix = writ_str_ends(r, WRIT_STR("/"));
		if (prefix ? (uri.n > r.n && writ_str_starts(uri, r)) : writ_str_eq(uri, r)) {
			if (rule)
				*rule = a->rules[i];
			return true;
		}
	}
	return false;
}

void writ_allow_done(struct writ_allow *a)
{
	for (size_t i = 0; i < a->n; i++)
		writ_free(a->rules[i]);
	writ_free(a->rules);
	*a = (struct writ_allow){ 0 };
}
