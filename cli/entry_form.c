/* SPDX-License-Identifier: Apache-2.0 */
#include "entry_form.h"

#include "print.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (256u << 20)

static Spire__Api__Types__Entry *entry_new(struct writ_entry_forms *f)
{
	f->entries = writ_realloc(f->entries, (f->n + 1) * sizeof(*f->entries));
	Spire__Api__Types__Entry *e = writ_alloc(sizeof(*e));
	spire__api__types__entry__init(e);
	f->entries[f->n++] = e;
	return e;
}

static void free_strings(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		writ_free(list[i]);
	writ_free(list);
}

static void free_text(char *s)
{
	if (s != protobuf_c_empty_string)
		writ_free(s);
}

static void entry_free(Spire__Api__Types__Entry *e)
{
	Spire__Api__Types__SPIFFEID *ids[] = { e->spiffe_id, e->parent_id };
	for (size_t i = 0; i < WRIT_COUNT(ids); i++) {
		if (ids[i])
			writ_api_id_done(ids[i]);
		writ_free(ids[i]);
	}
	for (size_t i = 0; i < e->n_selectors; i++) {
		writ_api_selector_done(e->selectors[i]);
		writ_free(e->selectors[i]);
	}
	writ_free(e->selectors);
	free_strings(e->federates_with, e->n_federates_with);
	free_strings(e->dns_names, e->n_dns_names);
	free_text(e->id);
	free_text(e->hint);
	writ_free(e);
}

void writ_entry_forms_done(struct writ_entry_forms *f)
{
	for (size_t i = 0; i < f->n; i++)
		entry_free(f->entries[i]);
	writ_free(f->entries);
	*f = (struct writ_entry_forms){ 0 };
}

static writ_rc set_id(Spire__Api__Types__SPIFFEID **slot, const char *text, const char *what,
	struct writ_err *err)
{
	Spire__Api__Types__SPIFFEID id;
	writ_rc rc = writ_api_id(text, what, &id, err);
	if (rc == WRIT_OK)
		*slot = writ_memdup(&id, sizeof(id));
	return rc;
}

static writ_rc add_selector(Spire__Api__Types__Entry *e, const char *text, struct writ_err *err)
{
	Spire__Api__Types__Selector s;
	writ_rc rc = writ_api_selector(text, &s, err);
	if (rc != WRIT_OK)
		return rc;
	e->selectors = writ_realloc(e->selectors, (e->n_selectors + 1) * sizeof(*e->selectors));
	e->selectors[e->n_selectors++] = writ_memdup(&s, sizeof(s));
	return WRIT_OK;
}

static void add_string(char ***list, size_t *n, const char *s)
{
	*list = writ_realloc(*list, (*n + 1) * sizeof(**list));
	(*list)[(*n)++] = writ_strdup(s);
}

static writ_rc seconds(
	const char *flag, const char *text, uint64_t max, int64_t *ret, struct writ_err *err)
{
	uint64_t v;
	int64_t ms;
	if (!text)
		return WRIT_OK;
	if (writ_parse_u64(writ_cstr(text), 0, max, &v, NULL) == WRIT_OK) {
		*ret = (int64_t)v;
		return WRIT_OK;
	}
	writ_rc rc = writ_parse_duration_ms(writ_cstr(text), &ms, err);
	if (rc == WRIT_OK && ms / 1000 > (int64_t)max)
		rc = writ_fail(
			err, WRIT_EINVAL, "'%s' is longer than %" PRIu64 " seconds", text, max);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "-%s", flag);
	*ret = ms / 1000;
	return WRIT_OK;
}

static writ_rc check_ids(const struct writ_args *a, bool node, struct writ_err *err)
{
	const char *parent = writ_arg(a, "parentID");
	if (!writ_arg(a, "spiffeID"))
		return writ_fail(
			err, WRIT_EINVAL, "which identity? -spiffeID spiffe://TRUST-DOMAIN/path");
	if (node && parent)
		return writ_fail(
			err, WRIT_EINVAL, "-node makes the server the parent: leave -parentID out");
	if (!node && !parent)
		return writ_fail(err, WRIT_EINVAL,
			"under which agent? -parentID spiffe://TRUST-DOMAIN/spire/agent/... (`writ "
			"agent list`)");
	return WRIT_OK;
}

static writ_rc read_ids(const struct writ_args *a, bool for_update, Spire__Api__Types__Entry *e,
	struct writ_err *err)
{
	const char *spiffe = writ_arg(a, "spiffeID"), *parent = writ_arg(a, "parentID"),
		   *id = writ_arg(a, "entryID");
	bool node = !for_update && writ_arg_flag(a, "node");
	if (for_update && !id)
		return writ_fail(err, WRIT_EINVAL,
			"which entry? -entryID ID (`writ entry show` lists them)");
	if (id)
		e->id = writ_strdup(id);
	if (for_update && !spiffe && !parent) /* only what is given changes */
		return WRIT_OK;
	writ_rc rc = check_ids(a, node, err);
	if (rc == WRIT_OK)
		rc = set_id(&e->spiffe_id, spiffe, "spiffeID", err);
	if (rc != WRIT_OK)
		return rc;
	WRIT_AUTO(writ_freep)
	char *server =
		node ? writ_asprintf("spiffe://%s/spire/server", e->spiffe_id->trust_domain) : NULL;
	return set_id(&e->parent_id, node ? server : parent, "parentID", err);
}

writ_rc writ_entry_from_flags(const struct writ_args *a, bool for_update,
	struct writ_entry_forms *ret, struct writ_err *err)
{
	struct writ_entry_forms f = { 0 };
	Spire__Api__Types__Entry *e = entry_new(&f);
	int64_t x509 = 0, jwt = 0;
	writ_rc rc = read_ids(a, for_update, e, err);
	const char *text;
	for (size_t i = 0; rc == WRIT_OK && (text = writ_arg_at(a, "selector", i)) != NULL; i++)
		rc = add_selector(e, text, err);
	if (rc == WRIT_OK && !e->n_selectors && e->spiffe_id)
		rc = writ_fail(err, WRIT_EINVAL,
			"which processes? at least one -selector, like -selector unix:uid:1000");
	for (size_t i = 0; (text = writ_arg_at(a, "federatesWith", i)) != NULL; i++)
		add_string(&e->federates_with, &e->n_federates_with,
			strncmp(text, "spiffe://", 9) == 0 ? text + 9 : text);
	for (size_t i = 0; (text = writ_arg_at(a, "dns", i)) != NULL; i++)
		add_string(&e->dns_names, &e->n_dns_names, text);
	if (rc == WRIT_OK)
		rc = seconds("x509SVIDTTL", writ_arg(a, "x509SVIDTTL"), INT32_MAX, &x509, err);
	if (rc == WRIT_OK)
		rc = seconds("jwtSVIDTTL", writ_arg(a, "jwtSVIDTTL"), INT32_MAX, &jwt, err);
	if (rc == WRIT_OK)
		rc = seconds("entryExpiry", writ_arg(a, "entryExpiry"), INT64_MAX / 1000,
			&e->expires_at, err);
	if (rc != WRIT_OK) {
		writ_entry_forms_done(&f);
		return rc;
	}
	e->x509_svid_ttl = (int32_t)x509;
	e->jwt_svid_ttl = (int32_t)jwt;
	if ((text = writ_arg(a, "hint")) != NULL)
		e->hint = writ_strdup(text);
	e->admin = writ_arg_flag(a, "admin");
	e->downstream = writ_arg_flag(a, "downstream");
	e->store_svid = writ_arg_flag(a, "storeSVID");
	*ret = f;
	return WRIT_OK;
}

static const char *member(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static writ_rc json_ttl(const json_t *o, const char *key, int32_t *ret, struct writ_err *err)
{
	json_int_t v = json_integer_value(json_object_get(o, key));
	if (v < 0 || v > INT32_MAX)
		return writ_fail(err, WRIT_EINVAL, "%s: out of range", key);
	*ret = (int32_t)v;
	return WRIT_OK;
}

static writ_rc json_selectors(const json_t *o, Spire__Api__Types__Entry *e, struct writ_err *err)
{
	size_t i;
	json_t *s;
	json_array_foreach(json_object_get(o, "selectors"), i, s)
	{
		const char *type = member(s, "type"), *value = member(s, "value");
		if (!type || !value)
			return writ_fail(err, WRIT_EINVAL,
				"selectors[%zu]: needs \"type\" and \"value\"", i);
		WRIT_AUTO(writ_freep) char *text = writ_asprintf("%s:%s", type, value);
		writ_rc rc = add_selector(e, text, err);
		if (rc != WRIT_OK)
			return rc;
	}
	return WRIT_OK;
}

static void json_strings(const json_t *o, const char *key, char ***list, size_t *n)
{
	size_t i;
	json_t *s;
	json_array_foreach(json_object_get(o, key), i, s)
	{
		if (json_is_string(s))
			add_string(list, n, json_string_value(s));
	}
}

/* What an entry may have, as SPIRE's files have it. A wrong type would be a wrong entry. */
static const struct {
	const char *key;
	char kind; /* text, number, flag, list of texts, selectors, ignored */
} members[] = {
	{ "entry_id", 't' },
	{ "spiffe_id", 't' },
	{ "parent_id", 't' },
	{ "selectors", 's' },
	{ "x509_svid_ttl", 'n' },
	{ "jwt_svid_ttl", 'n' },
	{ "federates_with", 'l' },
	{ "dns_names", 'l' },
	{ "entry_expiry", 'n' },
	{ "hint", 't' },
	{ "admin", 'f' },
	{ "downstream", 'f' },
	{ "store_svid", 'f' },
	{ "revision_number", 'i' },
	{ "created_at", 'i' },
};

static bool fits(const json_t *v, char kind)
{
	switch (kind) {
	case 't': return json_is_string(v);
	case 'n': return json_is_integer(v) && json_integer_value(v) >= 0;
	case 'f': return json_is_boolean(v);
	case 's':
	case 'l': break;
	default: return true;
	}
	bool good = json_is_array(v);
	for (size_t i = 0; good && i < json_array_size(v); i++)
		good = kind == 's' ? json_is_object(json_array_get(v, i))
				   : json_is_string(json_array_get(v, i));
	return good;
}

static const char *kind_name(char kind)
{
	static const struct {
		char kind;
		const char *name;
	} names[] = { { 't', "text" }, { 'n', "a number from 0 up" }, { 'f', "true or false" },
		{ 'l', "a list of texts" }, { 's', "a list of {\"type\", \"value\"}" } };
	for (size_t i = 0; i < WRIT_COUNT(names); i++) {
		if (names[i].kind == kind)
			return names[i].name;
	}
	return "something else";
}

static writ_rc check_member(const char *key, const json_t *v, struct writ_err *err)
{
	const char *all[WRIT_COUNT(members)];
	for (size_t i = 0; i < WRIT_COUNT(members); i++) {
		all[i] = members[i].key;
		if (strcmp(key, members[i].key) != 0)
			continue;
		return fits(v, members[i].kind) || json_is_null(v)
			? WRIT_OK
			: writ_fail(err, WRIT_EINVAL, "'%s' must be %s", key,
				  kind_name(members[i].kind));
	}
	const char *near = writ_nearest(writ_cstr(key), all, WRIT_COUNT(all));
	return near
		? writ_fail(err, WRIT_EINVAL, "'%s' is not known: did you mean '%s'?", key, near)
		: writ_fail(err, WRIT_EINVAL, "'%s' is not known", key);
}

static writ_rc check_members(json_t *o, struct writ_err *err)
{
	const char *key;
	json_t *v;
	if (!json_is_object(o))
		return writ_fail(err, WRIT_EINVAL, "is not an object");
	json_object_foreach(o, key, v)
	{
		writ_rc rc = check_member(key, v, err);
		if (rc != WRIT_OK)
			return rc;
	}
	return WRIT_OK;
}

static writ_rc json_entry(json_t *o, Spire__Api__Types__Entry *e, struct writ_err *err)
{
	writ_rc rc = check_members(o, err);
	if (rc != WRIT_OK)
		return rc;
	const char *spiffe = member(o, "spiffe_id"), *parent = member(o, "parent_id");
	if (!spiffe || !parent)
		return writ_fail(err, WRIT_EINVAL, "needs \"spiffe_id\" and \"parent_id\"");
	rc = set_id(&e->spiffe_id, spiffe, "spiffe_id", err);
	if (rc == WRIT_OK)
		rc = set_id(&e->parent_id, parent, "parent_id", err);
	if (rc == WRIT_OK)
		rc = json_selectors(o, e, err);
	if (rc == WRIT_OK)
		rc = json_ttl(o, "x509_svid_ttl", &e->x509_svid_ttl, err);
	if (rc == WRIT_OK)
		rc = json_ttl(o, "jwt_svid_ttl", &e->jwt_svid_ttl, err);
	json_strings(o, "federates_with", &e->federates_with, &e->n_federates_with);
	json_strings(o, "dns_names", &e->dns_names, &e->n_dns_names);
	if (member(o, "entry_id"))
		e->id = writ_strdup(member(o, "entry_id"));
	if (member(o, "hint"))
		e->hint = writ_strdup(member(o, "hint"));
	e->expires_at = json_integer_value(json_object_get(o, "entry_expiry"));
	e->admin = json_is_true(json_object_get(o, "admin"));
	e->downstream = json_is_true(json_object_get(o, "downstream"));
	e->store_svid = json_is_true(json_object_get(o, "store_svid"));
	return rc;
}

static writ_rc read_input(const char *path, struct writ_buf *text, struct writ_err *err)
{
	if (strcmp(path, "-") != 0)
		return writ_fs_read(path, text, err);
	for (;;) {
		uint8_t *at = writ_buf_room(text, 65536);
		if (!at)
			return writ_buf_check(text, "standard input", err);
		ssize_t n = read(STDIN_FILENO, at, 65536);
		if (n < 0)
			return writ_fail(err, WRIT_EIO, "standard input cannot be read");
		if (n == 0)
			return WRIT_OK;
		writ_buf_grew(text, (size_t)n);
	}
}

writ_rc writ_entry_from_json(const char *path, struct writ_entry_forms *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(FILE_MAX);
	struct writ_entry_forms f = { 0 };
	json_error_t je;
	writ_rc rc = read_input(path, &text, err);
	if (rc != WRIT_OK)
		return rc;
	json_t *root = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &je);
	if (!root)
		return writ_fail(
			err, WRIT_EINVAL, "%s:%d:%d: %s", path, je.line, je.column, je.text);
	const json_t *list = json_object_get(root, "entries");
	if (!json_array_size(list))
		rc = writ_fail(err, WRIT_EINVAL, "%s: no {\"entries\": [...]} in it", path);
	size_t i;
	json_t *o;
	json_array_foreach(list, i, o)
	{
		if (rc == WRIT_OK) {
			rc = json_entry(o, entry_new(&f), err);
			if (rc != WRIT_OK)
				writ_wrap(err, rc, "%s: entries[%zu]", path, i);
		}
	}
	json_decref(root);
	if (rc == WRIT_OK)
		*ret = f;
	else
		writ_entry_forms_done(&f);
	return rc;
}

static void print_ttl(FILE *f, const char *label, int32_t ttl)
{
	if (ttl)
		writ_print_pair(f, label, "%d", ttl);
	else
		writ_print_pair(f, label, "default");
}

void writ_entry_print(FILE *f, const Spire__Api__Types__Entry *e)
{
	char when[32];
	writ_print_pair(f, "Entry ID", "%s", e->id[0] ? writ_safe(e->id) : "(none)");
	writ_print_pair(f, "SPIFFE ID", "%s", writ_api_id_text(e->spiffe_id));
	writ_print_pair(f, "Parent ID", "%s", writ_api_id_text(e->parent_id));
	writ_print_pair(f, "Revision", "%" PRId64, e->revision_number);
	print_ttl(f, "X509-SVID TTL", e->x509_svid_ttl);
	print_ttl(f, "JWT-SVID TTL", e->jwt_svid_ttl);
	if (e->expires_at)
		writ_print_pair(f, "Expiration time", "%s",
			writ_format_time(e->expires_at, when, sizeof(when)));
	for (size_t i = 0; i < e->n_selectors; i++)
		writ_print_pair(f, "Selector", "%s:%s", writ_safe(e->selectors[i]->type),
			writ_safe(e->selectors[i]->value));
	for (size_t i = 0; i < e->n_federates_with; i++)
		writ_print_pair(f, "FederatesWith", "%s", writ_safe(e->federates_with[i]));
	for (size_t i = 0; i < e->n_dns_names; i++)
		writ_print_pair(f, "DNS name", "%s", writ_safe(e->dns_names[i]));
	const struct {
		const char *label;
		bool on;
	} flags[] = { { "Admin", e->admin }, { "Downstream", e->downstream },
		{ "StoreSvid", e->store_svid } };
	for (size_t i = 0; i < WRIT_COUNT(flags); i++) {
		if (flags[i].on)
			writ_print_pair(f, flags[i].label, "true");
	}
	if (e->hint[0])
		writ_print_pair(f, "Hint", "%s", writ_safe(e->hint));
	putc('\n', f);
}
