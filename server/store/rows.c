/* SPDX-License-Identifier: Apache-2.0 */
#include "store/rows.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

/* Bytes that n texts take with a NUL behind each; 0 when they are too many. */
static size_t measure(const struct writ_str *text, size_t n)
{
	size_t all = 0;
	for (size_t i = 0; i < n; i++) {
		if (text[i].n > WRIT_ROW_BYTES_MAX)
			return 0;
		all += text[i].n + 1;
	}
	return all > WRIT_ROW_BYTES_MAX ? 0 : all;
}

static void lay_out(const struct writ_str *text, size_t n, uint32_t *end, char *bytes)
{
	uint32_t at = 0;
	for (size_t i = 0; i < n; i++) {
		if (text[i].n)
			memcpy(bytes + at, text[i].p, text[i].n);
		at += (uint32_t)text[i].n;
		end[i] = at;
		bytes[at++] = '\0';
	}
}

static struct writ_str slice(const uint32_t *end, const char *bytes, unsigned i)
{
	uint32_t from = i ? end[i - 1] + 1 : 0;
	return (struct writ_str){ bytes + from, end[i] - from };
}

writ_rc writ_entry_new(
	const struct writ_entry_spec *spec, struct writ_entry **ret, struct writ_err *err)
{
	size_t n = measure(spec->text, WRIT_ENTRY_FIELDS);
	if (!n)
		return writ_fail(
			err, WRIT_ELIMIT, "entry: more than %u bytes of text", WRIT_ROW_BYTES_MAX);
	struct writ_entry *e = writ_alloc(sizeof(*e) + n);
	e->refs = 1;
	e->meta = spec->meta;
	lay_out(spec->text, WRIT_ENTRY_FIELDS, e->end, e->bytes);
	*ret = e;
	return WRIT_OK;
}

struct writ_entry *writ_entry_ref(struct writ_entry *e)
{
	if (e)
		e->refs++;
	return e;
}

void writ_entry_unref(struct writ_entry *e)
{
	if (e && --e->refs == 0)
		writ_free(e);
}

void writ_entry_unrefp(struct writ_entry **e)
{
	writ_entry_unref(*e);
}

struct writ_str writ_entry_get(const struct writ_entry *e, enum writ_entry_field f)
{
	return slice(e->end, e->bytes, f);
}

struct writ_str writ_entry_key(const struct writ_entry *e)
{
	return (struct writ_str){ e->bytes, e->end[WRIT_ENTRY_SELECTORS] };
}

void writ_entry_describe(const struct writ_entry *e, struct writ_entry_spec *spec)
{
	for (unsigned f = 0; f < WRIT_ENTRY_FIELDS; f++)
		spec->text[f] = writ_entry_get(e, f);
	spec->meta = e->meta;
}

writ_rc writ_node_new(
	const struct writ_node_spec *spec, struct writ_node **ret, struct writ_err *err)
{
	size_t n = measure(spec->text, WRIT_NODE_FIELDS);
	if (!n)
		return writ_fail(
			err, WRIT_ELIMIT, "agent: more than %u bytes of text", WRIT_ROW_BYTES_MAX);
	struct writ_node *node = writ_alloc(sizeof(*node) + n);
	node->refs = 1;
	node->meta = spec->meta;
	lay_out(spec->text, WRIT_NODE_FIELDS, node->end, node->bytes);
	*ret = node;
	return WRIT_OK;
}

struct writ_node *writ_node_ref(struct writ_node *n)
{
	if (n)
		n->refs++;
	return n;
}

void writ_node_unref(struct writ_node *n)
{
	if (n && --n->refs == 0)
		writ_free(n);
}

void writ_node_unrefp(struct writ_node **n)
{
	writ_node_unref(*n);
}

struct writ_str writ_node_get(const struct writ_node *n, enum writ_node_field f)
{
	return slice(n->end, n->bytes, f);
}

void writ_node_describe(const struct writ_node *n, struct writ_node_spec *spec)
{
	for (unsigned f = 0; f < WRIT_NODE_FIELDS; f++)
		spec->text[f] = writ_node_get(n, f);
	spec->meta = n->meta;
}
