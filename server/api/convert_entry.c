/* SPDX-License-Identifier: Apache-2.0 */
#include "api/convert.h"

#include "base/mem.h"
#include "spire/api/types/entry.pb-c.h"
#include "spire/api/types/selector.pb-c.h"

#include <string.h>

/* In memory, a message takes about this more than its text. */
#define ENTRY_BASE_COST ((size_t)640)
#define TEXT_COST       ((size_t)4)

typedef Spire__Api__Types__Entry entry_msg;
typedef void put_fn(struct writ_call *c, const struct writ_entry *e, entry_msg *m);
typedef writ_rc take_fn(struct writ_call *c, const entry_msg *m, struct writ_entry_spec *spec,
	struct writ_err *err);

/* A list of strings, from a pack. */
static char **to_strings(struct writ_call *c, struct writ_str pack, size_t *n)
{
	size_t count = 0;
	struct writ_str item;
	(void)writ_pack_valid(pack, &count);
	char **list = writ_api_alloc(c, count * sizeof(*list));
	for (*n = 0; *n < count && writ_pack_next(&pack, &item); (*n)++)
		list[*n] = writ_api_dup(c, item);
	return list;
}

static void put_spiffe_id(struct writ_call *c, const struct writ_entry *e, entry_msg *m)
{
	m->spiffe_id = writ_to_id(c, writ_entry_get(e, WRIT_ENTRY_SPIFFE_ID));
}

static void put_parent_id(struct writ_call *c, const struct writ_entry *e, entry_msg *m)
{
	m->parent_id = writ_to_id(c, writ_entry_get(e, WRIT_ENTRY_PARENT_ID));
}

static void put_selectors(struct writ_call *c, const struct writ_entry *e, entry_msg *m)
{
	size_t count = 0;
	struct writ_str item, pack = writ_entry_get(e, WRIT_ENTRY_SELECTORS);
	(void)writ_pack_valid(pack, &count);
	m->selectors = writ_api_alloc(c, count * sizeof(Spire__Api__Types__Selector *));
	while (m->n_selectors < count && writ_pack_next(&pack, &item)) {
		struct writ_selector s = writ_selector_split(item);
		Spire__Api__Types__Selector *x =
			writ_api_new(c, &spire__api__types__selector__descriptor);
		x->type = writ_api_dup(c, s.type);
		x->value = writ_api_dup(c, s.value);
		m->selectors[m->n_selectors++] = x;
	}
}

static void put_federates_with(struct writ_call *c, const struct writ_entry *e, entry_msg *m)
{
	m->federates_with =
		to_strings(c, writ_entry_get(e, WRIT_ENTRY_FEDERATES_WITH), &m->n_federates_with);
}

static void put_dns_names(struct writ_call *c, const struct writ_entry *e, entry_msg *m)
{
	m->dns_names = to_strings(c, writ_entry_get(e, WRIT_ENTRY_DNS_NAMES), &m->n_dns_names);
}

static void put_hint(struct writ_call *c, const struct writ_entry *e, entry_msg *m)
{
	m->hint = writ_api_dup(c, writ_entry_get(e, WRIT_ENTRY_HINT));
}

static void put_attributes(struct writ_call *c, const struct writ_entry *e, entry_msg *m)
{
	if (!(e->meta.flags & (WRIT_ENTRY_NO_PREFETCH | WRIT_ENTRY_JWT_JTI)))
		return;
	Spire__Api__Types__Entry__AdditionalAttributes *a =
		writ_api_new(c, &spire__api__types__entry__additional_attributes__descriptor);
	a->disable_x509_svid_prefetch = (e->meta.flags & WRIT_ENTRY_NO_PREFETCH) != 0;
	a->jwt_svid_include_jti = (e->meta.flags & WRIT_ENTRY_JWT_JTI) != 0;
	m->additional_attributes = a;
}

static writ_rc take_spiffe_id(
	struct writ_call *c, const entry_msg *m, struct writ_entry_spec *spec, struct writ_err *err)
{
	writ_rc rc = writ_from_id(c, m->spiffe_id, &spec->text[WRIT_ENTRY_SPIFFE_ID], err);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "invalid spiffe ID");
}

static writ_rc take_parent_id(
	struct writ_call *c, const entry_msg *m, struct writ_entry_spec *spec, struct writ_err *err)
{
	writ_rc rc = writ_from_id(c, m->parent_id, &spec->text[WRIT_ENTRY_PARENT_ID], err);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "invalid parent ID");
}

static writ_rc take_selectors(
	struct writ_call *c, const entry_msg *m, struct writ_entry_spec *spec, struct writ_err *err)
{
	return writ_from_selectors(
		c, m->selectors, m->n_selectors, &spec->text[WRIT_ENTRY_SELECTORS], err);
}

static writ_rc take_strings(struct writ_call *c, char *const *list, size_t n, size_t max,
	bool sorted, struct writ_str *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf pack = WRIT_BUF(WRIT_ROW_BYTES_MAX);
	if (n > max)
		return writ_fail(err, WRIT_EINVAL, "%zu names, at most %zu are allowed", n, max);
	struct writ_str *items = writ_api_alloc(c, n * sizeof(*items));
	for (size_t i = 0; i < n; i++)
		items[i] = writ_cstr(list[i]);
	if (sorted)
		writ_pack_set(&pack, items, n);
	else
		for (size_t i = 0; i < n; i++)
			writ_pack_add(&pack, items[i]);
	writ_rc rc = writ_buf_check(&pack, "names", err);
	if (rc != WRIT_OK)
		return writ_wrap(err, WRIT_EINVAL, "entry");
	ret->p = writ_api_dup(c, writ_buf_str(&pack));
	ret->n = pack.n;
	return WRIT_OK;
}

static writ_rc take_federates_with(
	struct writ_call *c, const entry_msg *m, struct writ_entry_spec *spec, struct writ_err *err)
{
	return take_strings(c, m->federates_with, m->n_federates_with, WRIT_FEDERATES_MAX, true,
		&spec->text[WRIT_ENTRY_FEDERATES_WITH], err);
}

static writ_rc take_dns_names(
	struct writ_call *c, const entry_msg *m, struct writ_entry_spec *spec, struct writ_err *err)
{
	return take_strings(c, m->dns_names, m->n_dns_names, WRIT_DNS_NAMES_MAX, false,
		&spec->text[WRIT_ENTRY_DNS_NAMES], err);
}

static writ_rc take_hint(
	struct writ_call *c, const entry_msg *m, struct writ_entry_spec *spec, struct writ_err *err)
{
	(void)c;
	(void)err;
	spec->text[WRIT_ENTRY_HINT] = writ_cstr(m->hint);
	return WRIT_OK;
}

static writ_rc take_attributes(
	struct writ_call *c, const entry_msg *m, struct writ_entry_spec *spec, struct writ_err *err)
{
	const Spire__Api__Types__Entry__AdditionalAttributes *a = m->additional_attributes;
	(void)c;
	(void)err;
	if (a && a->disable_x509_svid_prefetch)
		spec->meta.flags |= WRIT_ENTRY_NO_PREFETCH;
	if (a && a->jwt_svid_include_jti)
		spec->meta.flags |= WRIT_ENTRY_JWT_JTI;
	return WRIT_OK;
}

/* Fields of the message by number; bit: of the update's mask, 0 when it is not for the caller to
 * set. Plain numbers are copied between the offsets; the rest has functions. */
static const struct row {
	unsigned field, bit;
	enum { BY_CODE, INT32, INT64, FLAG } kind;
	size_t in_msg, in_meta; /* FLAG: in_meta is the flag itself */
	put_fn *put;
	take_fn *take;
} rows[] = {
#define NUMBER(number, mask, type, msg, meta)                                                      \
	{                                                                                          \
		.field = number, .bit = mask, .kind = type, .in_msg = offsetof(entry_msg, msg),    \
		.in_meta = offsetof(struct writ_entry_meta, meta)                                  \
	}
#define SWITCH(number, mask, msg, value)                                                           \
	{                                                                                          \
		.field = number, .bit = mask, .kind = FLAG, .in_msg = offsetof(entry_msg, msg),    \
		.in_meta = value                                                                   \
	}
	{ .field = 2,
		.bit = 1u << WRIT_ENTRY_SPIFFE_ID,
		.put = put_spiffe_id,
		.take = take_spiffe_id },
	{ .field = 3,
		.bit = 1u << WRIT_ENTRY_PARENT_ID,
		.put = put_parent_id,
		.take = take_parent_id },
	{ .field = 4,
		.bit = 1u << WRIT_ENTRY_SELECTORS,
		.put = put_selectors,
		.take = take_selectors },
	NUMBER(5, WRIT_MASK_X509_TTL, INT32, x509_svid_ttl, x509_ttl_s),
	{ .field = 6,
		.bit = 1u << WRIT_ENTRY_FEDERATES_WITH,
		.put = put_federates_with,
		.take = take_federates_with },
	SWITCH(7, WRIT_MASK_ADMIN, admin, WRIT_ENTRY_ADMIN),
	SWITCH(8, WRIT_MASK_DOWNSTREAM, downstream, WRIT_ENTRY_DOWNSTREAM),
	NUMBER(9, WRIT_MASK_EXPIRES_AT, INT64, expires_at, expires_at),
	{ .field = 10,
		.bit = 1u << WRIT_ENTRY_DNS_NAMES,
		.put = put_dns_names,
		.take = take_dns_names },
	NUMBER(11, 0, INT64, revision_number, revision_number),
	SWITCH(12, WRIT_MASK_STORE_SVID, store_svid, WRIT_ENTRY_STORE_SVID),
	NUMBER(13, WRIT_MASK_JWT_TTL, INT32, jwt_svid_ttl, jwt_ttl_s),
	{ .field = 14, .bit = 1u << WRIT_ENTRY_HINT, .put = put_hint, .take = take_hint },
	NUMBER(15, 0, INT64, created_at, created_at),
	{ .field = 16,
		.bit = WRIT_MASK_ATTRIBUTES,
		.put = put_attributes,
		.take = take_attributes },
};

static void put_row(
	struct writ_call *c, const struct row *r, const struct writ_entry *e, entry_msg *m)
{
	char *to = (char *)m + r->in_msg;
	const char *from = (const char *)&e->meta + r->in_meta;
	if (r->kind == BY_CODE)
		r->put(c, e, m);
	else if (r->kind == FLAG)
		*(protobuf_c_boolean *)(void *)to = (e->meta.flags & r->in_meta) != 0;
	else
		memcpy(to, from, r->kind == INT32 ? sizeof(int32_t) : sizeof(int64_t));
}

Spire__Api__Types__Entry *writ_to_entry(
	struct writ_call *c, const struct writ_entry *e, uint32_t bits)
{
	entry_msg *m = writ_api_new(c, &spire__api__types__entry__descriptor);
	m->id = writ_api_dup(c, writ_entry_get(e, WRIT_ENTRY_ID));
	for (size_t i = 0; i < WRIT_COUNT(rows); i++)
		if (writ_mask_has(bits, rows[i].field))
			put_row(c, &rows[i], e, m);
	return m;
}

static writ_rc take_row(struct writ_call *c, const struct row *r, const entry_msg *m,
	struct writ_entry_spec *spec, struct writ_err *err)
{
	const char *from = (const char *)m + r->in_msg;
	char *to = (char *)&spec->meta + r->in_meta;
	if (r->kind == BY_CODE)
		return r->take(c, m, spec, err);
	if (r->kind == FLAG) {
		if (*(const protobuf_c_boolean *)(const void *)from)
			spec->meta.flags |= (uint8_t)r->in_meta;
	} else {
		memcpy(to, from, r->kind == INT32 ? sizeof(int32_t) : sizeof(int64_t));
	}
	return WRIT_OK;
}

void writ_from_entry(struct writ_call *c, const Spire__Api__Types__Entry *m, uint32_t bits,
	struct writ_entry_request *ret)
{
	struct writ_err err;
	*ret = (struct writ_entry_request){ 0 };
	ret->spec.text[WRIT_ENTRY_ID] = writ_cstr(m->id);
	for (size_t i = 0; i < WRIT_COUNT(rows) && !ret->problem; i++) {
		if (!rows[i].bit || !writ_mask_has(bits, rows[i].field))
			continue;
		ret->mask |= rows[i].bit;
		if (take_row(c, &rows[i], m, &ret->spec, &err) != WRIT_OK)
			ret->problem = writ_api_dup(c, writ_cstr(err.msg));
	}
}

size_t writ_entry_cost(const struct writ_entry *e)
{
	return ENTRY_BASE_COST + TEXT_COST * e->end[WRIT_ENTRY_FIELDS - 1];
}
