/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/selectors.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"

#define FIRST_SLOTS 16

void writ_selectors_init(struct writ_selectors *s)
{
	*s = (struct writ_selectors){ .bytes = WRIT_BUF(WRIT_SELECTORS_BYTES) };
}

void writ_selectors_done(struct writ_selectors *s)
{
	writ_buf_done(&s->bytes);
	writ_free(s->slot);
	writ_selectors_init(s);
}

static struct writ_str text_of(const struct writ_selectors *s, const struct writ_selector_slot *t)
{
	return writ_strn(s->bytes.p + t->at, t->len);
}

struct writ_selector writ_selectors_at(const struct writ_selectors *s, size_t i)
{
	assert(i < s->n);
	const struct writ_selector_slot *t = &s->slot[i];
	struct writ_str text = text_of(s, t);
	return (struct writ_selector){
		.text = text,
		.type = writ_strn(text.p, t->type_len),
		.value = writ_strn(text.p + t->type_len + 1, text.n - t->type_len - 1),
	};
}

static bool has_control(struct writ_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

static writ_rc check(struct writ_str type, struct writ_str value, struct writ_err *err)
{
	if (type.n == 0 || value.n == 0)
		return writ_fail(err, WRIT_EINVAL,
			"a selector is written type:value, and neither part may be empty");
	if (type.n > WRIT_SELECTOR_TYPE_MAX || memchr(type.p, ':', type.n))
		return writ_fail(err, WRIT_EINVAL,
			"a selector's type has at most %d bytes and no ':'",
			WRIT_SELECTOR_TYPE_MAX);
	if (value.n > WRIT_SELECTOR_VALUE_MAX)
		return writ_fail(err, WRIT_EINVAL, "a selector's value has at most %d bytes",
			WRIT_SELECTOR_VALUE_MAX);
	if (has_control(type) || has_control(value) || !writ_is_utf8(type.p, type.n) ||
		!writ_is_utf8(value.p, value.n))
		return writ_fail(
			err, WRIT_EINVAL, "a selector is UTF-8 text without control characters");
	return WRIT_OK;
}

writ_rc writ_selectors_add(
	struct writ_selectors *s, struct writ_str type, struct writ_str value, struct writ_err *err)
{
	assert(!s->sealed);
	writ_rc rc = check(type, value, err);
	if (rc != WRIT_OK)
		return rc;
	if (s->n == WRIT_SELECTORS_MAX)
		return writ_fail(err, WRIT_ELIMIT, "more than %d selectors", WRIT_SELECTORS_MAX);
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : FIRST_SLOTS;
		s->slot = writ_realloc(s->slot, s->cap * sizeof(*s->slot));
	}
	size_t at = s->bytes.n;
	if (!writ_buf_room(&s->bytes, type.n + 1 + value.n))
		return writ_fail(err, WRIT_ELIMIT, "selectors of more than %d bytes in all",
			WRIT_SELECTORS_BYTES);
	writ_buf_add_str(&s->bytes, type);
	writ_buf_add_byte(&s->bytes, ':');
	writ_buf_add_str(&s->bytes, value);
	s->slot[s->n++] = (struct writ_selector_slot){
		.at = (uint32_t)at,
		.len = (uint16_t)(type.n + 1 + value.n),
		.type_len = (uint16_t)type.n,
	};
	return WRIT_OK;
}

writ_rc writ_selectors_add_text(
	struct writ_selectors *s, struct writ_str text, struct writ_err *err)
{
	struct writ_str value = text;
	struct writ_str type;
	if (!writ_str_cut(&value, ':', &type))
		return writ_fail(err, WRIT_EINVAL,
			"'" WRIT_FMT
			"' is no selector: it is written type:value, as in unix:uid:1000",
			WRIT_ARG(text));
	return writ_selectors_add(s, type, value, err);
}

static int by_text(const void *a, const void *b, void *arg)
{
	const struct writ_selectors *s = arg;
	return writ_str_cmp(text_of(s, a), text_of(s, b));
}

void writ_selectors_seal(struct writ_selectors *s)
{
	if (s->n > 1)
		qsort_r(s->slot, s->n, sizeof(*s->slot), by_text, s);
	size_t kept = 0;
	for (size_t i = 0; i < s->n; i++)
		if (kept == 0 ||
			!writ_str_eq(text_of(s, &s->slot[kept - 1]), text_of(s, &s->slot[i])))
			s->slot[kept++] = s->slot[i];
	s->n = kept;
	s->sealed = true;
}

bool writ_selectors_match(const struct writ_selectors *entry, const struct writ_selectors *caller)
{
	assert((entry->sealed || entry->n == 0) && (caller->sealed || caller->n == 0));
	if (entry->n == 0 || entry->n > caller->n)
		return false;
	size_t have = 0;
	for (size_t i = 0; i < entry->n; i++) {
		struct writ_str want = text_of(entry, &entry->slot[i]);
		int order = -1;
		while (have < caller->n && order < 0)
			order = writ_str_cmp(text_of(caller, &caller->slot[have++]), want);
		if (order != 0)
			return false;
	}
	return true;
}

bool writ_selectors_eq(const struct writ_selectors *a, const struct writ_selectors *b)
{
	return a->n == b->n && (a->n == 0 || writ_selectors_match(a, b));
}

uint64_t writ_selectors_hash(const struct writ_selectors *s)
{
	uint64_t all[2] = { s->n, 0 };
	for (size_t i = 0; i < s->n; i++) {
		struct writ_str t = text_of(s, &s->slot[i]);
		all[1] = writ_hash(t.p, t.n);
		all[0] = writ_hash(all, sizeof(all));
	}
	return all[0];
}

void writ_selectors_print(const struct writ_selectors *s, struct writ_buf *out)
{
	for (size_t i = 0; i < s->n; i++) {
		if (i > 0)
			writ_buf_add_cstr(out, ", ");
		writ_buf_add_str(out, text_of(s, &s->slot[i]));
	}
}
