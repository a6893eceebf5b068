/* SPDX-License-Identifier: Apache-2.0 */
#include "registry/validate.h"

#include "base/mem.h"
#include "spiffe/id.h"

#include <string.h>

#define DNS_NAME_MAX  253
#define DNS_LABEL_MAX 63

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Text that a log, a terminal and the database can carry. */
static bool is_text(struct writ_str s)
{
	return writ_is_utf8(s.p, s.n) && !memchr(s.p, '\0', s.n);
}

static writ_rc check_selector(const struct writ_selector *s, struct writ_err *err)
{
	if (!s->type.n)
		return writ_fail(err, WRIT_EINVAL, "missing selector type");
	if (memchr(s->type.p, ':', s->type.n))
		return writ_fail(err, WRIT_EINVAL, "selector type contains ':'");
	if (!s->value.n)
		return writ_fail(err, WRIT_EINVAL, "missing selector value");
	if (s->type.n > WRIT_SELECTOR_MAX || s->value.n > WRIT_SELECTOR_MAX ||
		s->type.n + s->value.n + 1 > WRIT_SELECTOR_MAX)
		return writ_fail(
			err, WRIT_EINVAL, "a selector is longer than %d bytes", WRIT_SELECTOR_MAX);
	if (!is_text(s->type) || !is_text(s->value))
		return writ_fail(err, WRIT_EINVAL, "a selector is not UTF-8 text");
	return WRIT_OK;
}

writ_rc writ_selectors_pack(
	const struct writ_selector *list, size_t n, struct writ_buf *out, struct writ_err *err)
{
	if (n > WRIT_SELECTORS_MAX)
		return writ_fail(err, WRIT_EINVAL, "%zu selectors, at most %d are allowed", n,
			WRIT_SELECTORS_MAX);
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(WRIT_ROW_BYTES_MAX);
	struct writ_str items[WRIT_SELECTORS_MAX];
	for (size_t i = 0; i < n; i++) {
		writ_rc rc = check_selector(&list[i], err);
		if (rc)
			return rc;
		writ_buf_add_str(&text, list[i].type);
		writ_buf_add_byte(&text, ':');
		writ_buf_add_str(&text, list[i].value);
		items[i].n = list[i].type.n + list[i].value.n + 1;
	}
	writ_rc rc = writ_buf_check(&text, "selectors", err);
	if (rc)
		return writ_wrap(err, WRIT_EINVAL, "selectors");
	for (size_t i = 0, at = 0; i < n; at += items[i++].n)
		items[i].p = (const char *)text.p + at;
	writ_pack_set(out, items, n);
	return WRIT_OK;
}

struct writ_selector writ_selector_split(struct writ_str packed_item)
{
	struct writ_selector s = { .value = packed_item };
	(void)writ_str_cut(&s.value, ':', &s.type);
	return s;
}

static writ_rc check_label(struct writ_str label, struct writ_str name, struct writ_err *err)
{
	bool ok = label.n > 0 && label.n <= DNS_LABEL_MAX && label.p[0] != '-' &&
		label.p[label.n - 1] != '-';
	for (size_t i = 0; ok && i < label.n; i++)
		ok = is_alnum(label.p[i]) || label.p[i] == '-';
	if (ok)
		return WRIT_OK;
	return writ_fail(err, WRIT_EINVAL,
		"'" WRIT_FMT "' in '" WRIT_FMT "' is not a DNS label: 1 to %d letters, digits and "
		"inner hyphens",
		(int)(label.n > DNS_LABEL_MAX ? DNS_LABEL_MAX + 1 : label.n), label.p,
		WRIT_ARG(name), DNS_LABEL_MAX);
}

writ_rc writ_dns_name_check(struct writ_str name, struct writ_err *err)
{
	if (!name.n || name.n > DNS_NAME_MAX)
		return writ_fail(err, WRIT_EINVAL, "%zu bytes long, 1 to %d are allowed", name.n,
			DNS_NAME_MAX);
	struct writ_str rest = name, label;
	if (writ_str_starts(rest, WRIT_STR("*.")))
		rest = (struct writ_str){ name.p + 2, name.n - 2 };
	bool more;
	do {
		more = writ_str_cut(&rest, '.', &label);
		writ_rc rc = check_label(label, name, err);
		if (rc)
			return rc;
	} while (more);
	return WRIT_OK;
}

/* An ID with a path in our own trust domain. */
static writ_rc check_own_id(
	struct writ_str uri, struct writ_str td, struct writ_id *id, struct writ_err *err)
{
	writ_rc rc = writ_id_parse(uri, id, err);
	if (rc)
		return WRIT_EINVAL;
	if (!writ_str_eq(id->td, td))
		return writ_fail(err, WRIT_EINVAL,
			"\"" WRIT_FMT "\" is not a member of trust domain \"" WRIT_FMT "\"",
			WRIT_ARG(uri), WRIT_ARG(td));
	if (!id->path.n)
		return writ_fail(err, WRIT_EINVAL,
			"\"" WRIT_FMT "\" has an empty path: it names the trust domain, not a "
			"member of it",
			WRIT_ARG(uri));
	return WRIT_OK;
}

static writ_rc check_ids(
	const struct writ_entry_spec *spec, struct writ_str td, struct writ_err *err)
{
	struct writ_id id;
	struct writ_str name = spec->text[WRIT_ENTRY_SPIFFE_ID];
	writ_rc rc = check_own_id(spec->text[WRIT_ENTRY_PARENT_ID], td, &id, err);
	if (rc)
		return writ_wrap(err, rc, "invalid parent ID");
	rc = check_own_id(name, td, &id, err);
	if (rc == WRIT_OK && writ_id_is_reserved(&id))
		rc = writ_fail(err, WRIT_EINVAL,
			"\"" WRIT_FMT "\" is not a workload in trust domain \"" WRIT_FMT
			"\"; path is in the reserved namespace",
			WRIT_ARG(name), WRIT_ARG(td));
	if (rc)
		return writ_wrap(err, rc, "invalid spiffe ID");
	struct writ_str own = spec->text[WRIT_ENTRY_ID];
	bool ok = own.n <= WRIT_ENTRY_ID_MAX;
	for (size_t i = 0; ok && i < own.n; i++)
		ok = is_alnum(own.p[i]) || strchr("._-", own.p[i]);
	if (!ok || memchr(own.p ? own.p : "", '\0', own.n))
		return writ_fail(err, WRIT_EINVAL,
			"invalid entry ID: at most %d letters, digits, '.', '_' and '-'",
			WRIT_ENTRY_ID_MAX);
	return WRIT_OK;
}

static writ_rc check_selectors(const struct writ_entry_spec *spec, struct writ_err *err)
{
	struct writ_str rest = spec->text[WRIT_ENTRY_SELECTORS], item, type = { NULL, 0 };
	size_t n = 0;
	if (!rest.n)
		return writ_fail(err, WRIT_EINVAL, "selector list is empty");
	if (!writ_pack_is_set(rest))
		return writ_fail(err, WRIT_EINVAL, "selector list is malformed");
	while (writ_pack_next(&rest, &item)) {
		struct writ_selector s = writ_selector_split(item);
		writ_rc rc = check_selector(&s, err);
		if (rc)
			return rc;
		if ((spec->meta.flags & WRIT_ENTRY_STORE_SVID) && type.p &&
			!writ_str_eq(type, s.type))
			return writ_fail(err, WRIT_EINVAL,
				"selector types must be the same when store SVID is enabled");
		type = s.type;
		if (++n > WRIT_SELECTORS_MAX)
			return writ_fail(
				err, WRIT_EINVAL, "more than %d selectors", WRIT_SELECTORS_MAX);
	}
	return WRIT_OK;
}

static writ_rc check_federates(struct writ_str list, struct writ_str td, struct writ_err *err)
{
	struct writ_str item;
	size_t n = 0;
	if (!writ_pack_is_set(list))
		return writ_fail(err, WRIT_EINVAL, "list of federated trust domains is malformed");
	while (writ_pack_next(&list, &item)) {
		if (writ_td_check(item, err))
			return writ_wrap(err, WRIT_EINVAL, "invalid federated trust domain");
		if (writ_str_eq(item, td))
			return writ_fail(err, WRIT_EINVAL,
				"invalid federated trust domain: \"" WRIT_FMT
				"\" is the server's own",
				WRIT_ARG(td));
		if (++n > WRIT_FEDERATES_MAX)
			return writ_fail(err, WRIT_EINVAL, "more than %d federated trust domains",
				WRIT_FEDERATES_MAX);
	}
	return WRIT_OK;
}

static writ_rc check_dns(struct writ_str list, struct writ_err *err)
{
	struct writ_str item;
	size_t n = 0;
	if (!writ_pack_valid(list, NULL))
		return writ_fail(err, WRIT_EINVAL, "list of DNS names is malformed");
	while (writ_pack_next(&list, &item)) {
		if (writ_dns_name_check(item, err))
			return writ_wrap(err, WRIT_EINVAL, "invalid DNS name");
		if (++n > WRIT_DNS_NAMES_MAX)
			return writ_fail(
				err, WRIT_EINVAL, "more than %d DNS names", WRIT_DNS_NAMES_MAX);
	}
	return WRIT_OK;
}

static writ_rc check_ttl(const char *what, int32_t ttl, int32_t min, struct writ_err *err)
{
	if (ttl == 0 || (ttl >= min && ttl <= WRIT_TTL_MAX_S))
		return WRIT_OK;
	return writ_fail(err, WRIT_EINVAL,
		"%s is %d s: %d to %d are allowed, or 0 for the server's default", what, ttl, min,
		WRIT_TTL_MAX_S);
}

writ_rc writ_entry_check(
	const struct writ_entry_spec *spec, struct writ_str td, struct writ_err *err)
{
	struct writ_str hint = spec->text[WRIT_ENTRY_HINT];
	writ_rc rc = check_ids(spec, td, err);
	if (rc == WRIT_OK)
		rc = check_selectors(spec, err);
	if (rc == WRIT_OK)
		rc = check_federates(spec->text[WRIT_ENTRY_FEDERATES_WITH], td, err);
	if (rc == WRIT_OK)
		rc = check_dns(spec->text[WRIT_ENTRY_DNS_NAMES], err);
	if (rc == WRIT_OK)
		rc = check_ttl("X509-SVID TTL", spec->meta.x509_ttl_s, WRIT_TTL_MIN_S, err);
	if (rc == WRIT_OK)
		rc = check_ttl("JWT-SVID TTL", spec->meta.jwt_ttl_s, 1, err);
	if (rc)
		return rc;
	if (hint.n > WRIT_ENTRY_HINT_MAX)
		return writ_fail(err, WRIT_EINVAL, "hint is too long, max length is %d characters",
			WRIT_ENTRY_HINT_MAX);
	if (hint.n && !is_text(hint))
		return writ_fail(err, WRIT_EINVAL, "hint is not UTF-8 text");
	if (spec->meta.expires_at < 0)
		return writ_fail(err, WRIT_EINVAL, "expiry is negative");
	return WRIT_OK;
}
