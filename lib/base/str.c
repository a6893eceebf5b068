/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <string.h>

struct writ_str writ_cstr(const char *s)
{
	return (struct writ_str){ s ? s : "", s ? strlen(s) : 0 };
}

struct writ_str writ_strn(const void *p, size_t n)
{
	return (struct writ_str){ p ? p : "", p ? n : 0 };
}

bool writ_str_eq(struct writ_str a, struct writ_str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int writ_str_cmp(struct writ_str a, struct writ_str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;
	if (c)
		return c;
	return (a.n > b.n) - (a.n < b.n);
}

bool writ_str_starts(struct writ_str s, struct writ_str prefix)
{
	return s.n >= prefix.n && writ_str_eq(writ_strn(s.p, prefix.n), prefix);
}

bool writ_str_ends(struct writ_str s, struct writ_str suffix)
{
	return s.n >= suffix.n && writ_str_eq(writ_strn(s.p + s.n - suffix.n, suffix.n), suffix);
}

bool writ_str_cut(struct writ_str *s, char sep, struct writ_str *head)
{
	const char *at = s->n ? memchr(s->p, sep, s->n) : NULL;
	if (!at) {
		*head = *s;
		*s = writ_strn(s->p + s->n, 0);
		return false;
	}
	size_t n = (size_t)(at - s->p);
	*head = writ_strn(s->p, n);
	*s = writ_strn(at + 1, s->n - n - 1);
	return true;
}

bool writ_str_line(struct writ_str *s, struct writ_str *line)
{
	const char *lf = s->n ? memchr(s->p, '\n', s->n) : NULL;
	if (!lf)
		return false;
	size_t n = (size_t)(lf - s->p);
	*line = writ_strn(s->p, n && s->p[n - 1] == '\r' ? n - 1 : n);
	s->p += n + 1;
	s->n -= n + 1;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct writ_str writ_str_trim(struct writ_str s)
{
	while (s.n && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* Length of the UTF-8 sequence at p (RFC 3629: no overlong forms, no surrogates), 0 when there is
 * none. */
static size_t utf8_len(const uint8_t *p, size_t n)
{
	static const struct {
		uint8_t mask, lead, len, low, high; /* low..high: range of the second byte */
	} forms[] = {
		{ 0xff, 0xe0, 3, 0xa0, 0xbf },
		{ 0xff, 0xed, 3, 0x80, 0x9f },
		{ 0xff, 0xf0, 4, 0x90, 0xbf },
		{ 0xff, 0xf4, 4, 0x80, 0x8f },
		{ 0xe0, 0xc0, 2, 0x80, 0xbf },
		{ 0xf0, 0xe0, 3, 0x80, 0xbf },
		{ 0xfc, 0xf0, 4, 0x80, 0xbf },
	};
	if (p[0] < 0x80)
		return 1;
	if (p[0] == 0xc0 || p[0] == 0xc1)
		return 0;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if ((p[0] & forms[i].mask) != forms[i].lead)
			continue;
		if (n < forms[i].len || p[1] < forms[i].low || p[1] > forms[i].high)
			return 0;
		for (size_t k = 2; k < forms[i].len; k++) {
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		}
		return forms[i].len;
	}
	return 0;
}

bool writ_is_utf8(const void *s, size_t n)
{
	const uint8_t *p = s;
	while (n) {
		size_t k = utf8_len(p, n);
		if (!k)
			return false;
		p += k;
		n -= k;
	}
	return true;
}

#define NEAR_MAX 64

size_t writ_edit_distance(struct writ_str a, struct writ_str b)
{
	size_t row[NEAR_MAX + 1];
	if (a.n > NEAR_MAX || b.n > NEAR_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b.n; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			size_t above = row[j];
			size_t best = diagonal + (a.p[i - 1] != b.p[j - 1]);
			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diagonal = above;
		}
	}
	return row[b.n];
}

const char *writ_nearest(struct writ_str s, const char *const *candidates, size_t n)
{
	const char *best = NULL;
	size_t limit = s.n / 3 + 1; /* one slip for each three letters, and one to begin with */
	size_t best_distance = limit + 1;
	for (size_t i = 0; i < n; i++) {
		size_t d = writ_edit_distance(s, writ_cstr(candidates[i]));
		if (d < best_distance) {
			best_distance = d;
			best = candidates[i];
		}
	}
	return best;
}
