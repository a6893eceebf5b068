/* SPDX-License-Identifier: Apache-2.0 */
#include "spiffe/bundle.h"

#include "base/mem.h"
#include "crypto/digest.h"

#include <string.h>

/* Is an equal certificate among the first n? */
static bool is_known(struct writ_cert *const *cas, size_t n, const struct writ_cert *c)
{
	for (size_t i = 0; i < n; i++) {
		if (writ_str_eq(writ_cert_der(cas[i]), writ_cert_der(c)))
			return true;
	}
	return false;
}

static writ_rc concat(struct writ_bundle *b, struct writ_err *err)
{
	struct writ_buf der = WRIT_BUF(WRIT_BUNDLE_BYTES_MAX);
	for (size_t i = 0; i < b->n; i++)
		writ_buf_add_str(&der, writ_cert_der(b->cas[i]));
	writ_rc rc = writ_buf_check(&der, "trust bundle", err);
	size_t n = der.n;
	if (rc == WRIT_OK && n)
		b->der = writ_strn(writ_buf_steal(&der), n);
	writ_buf_done(&der);
	return rc;
}

writ_rc writ_bundle_new(struct writ_str td, struct writ_cert *const *cas, const bool *tainted,
	size_t n, uint64_t sequence, int64_t refresh_hint_s, struct writ_bundle **ret,
	struct writ_err *err)
{
	writ_rc rc = writ_td_check(td, err);
	if (rc == WRIT_OK && n > WRIT_BUNDLE_CAS_MAX)
		rc = writ_fail(err, WRIT_ELIMIT, "%zu certificates, at most %d are taken", n,
			WRIT_BUNDLE_CAS_MAX);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "trust bundle");
	WRIT_AUTO(writ_bundle_unrefp) struct writ_bundle *b = writ_alloc(sizeof(*b));
	b->refs = 1;
	b->td = writ_strndup(td.p, td.n);
	b->cas = writ_alloc_array(n + 1, sizeof(struct writ_cert *));
	b->tainted = writ_alloc_array(n + 1, sizeof(*b->tainted));
	b->sequence = sequence;
	b->refresh_hint_s = refresh_hint_s;
	for (size_t i = 0; i < n; i++) {
		if (is_known(b->cas, b->n, cas[i]))
			continue;
		b->tainted[b->n] = tainted && tainted[i];
		b->cas[b->n++] = writ_cert_ref(cas[i]);
	}
	rc = concat(b, err);
	if (rc == WRIT_OK)
		rc = writ_anchors_new(b->cas, b->n, &b->anchors, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "trust bundle of '" WRIT_FMT "'", WRIT_ARG(td));
	*ret = writ_steal(b);
	return WRIT_OK;
}

writ_rc writ_bundle_parse_der(struct writ_str td, const void *der, size_t n,
	struct writ_bundle **ret, struct writ_err *err)
{
	struct writ_cert *cas[WRIT_BUNDLE_CAS_MAX];
	size_t count = 0;
	writ_rc rc = n > WRIT_BUNDLE_BYTES_MAX
		? writ_fail(err, WRIT_ELIMIT, "%zu bytes, at most %d are taken", n,
			  WRIT_BUNDLE_BYTES_MAX)
		: WRIT_OK;
	if (rc == WRIT_OK && n)
		rc = writ_certs_parse(der, n, cas, WRIT_COUNT(cas), &count, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "trust bundle");
	rc = writ_bundle_new(td, cas, NULL, count, 0, 0, ret, err);
	writ_certs_unref(cas, count);
	return rc;
}

writ_rc writ_bundle_parse_pem(
	struct writ_str td, struct writ_str text, struct writ_bundle **ret, struct writ_err *err)
{
	struct writ_cert *cas[WRIT_BUNDLE_CAS_MAX];
	size_t count = 0;
	writ_rc rc = text.n > 2 * WRIT_BUNDLE_BYTES_MAX
		? writ_fail(err, WRIT_ELIMIT, "%zu bytes of PEM, at most %d are taken", text.n,
			  2 * WRIT_BUNDLE_BYTES_MAX)
		: writ_certs_parse_pem(text, cas, WRIT_COUNT(cas), &count, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "trust bundle");
	rc = writ_bundle_new(td, cas, NULL, count, 0, 0, ret, err);
	writ_certs_unref(cas, count);
	return rc;
}

void writ_bundle_print_pem(const struct writ_bundle *b, struct writ_buf *out)
{
	for (size_t i = 0; i < b->n; i++) {
		struct writ_str der = writ_cert_der(b->cas[i]);
		writ_pem_add(out, "CERTIFICATE", der.p, der.n);
	}
}

struct writ_bundle *writ_bundle_ref(struct writ_bundle *b)
{
	if (b)
		__atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

void writ_bundle_unref(struct writ_bundle *b)
{
	if (!b || __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL))
		return;
	writ_anchors_unref(b->anchors);
	writ_certs_unref(b->cas, b->n);
	writ_free(b->cas);
	writ_free(b->tainted);
	writ_free(b->td);
	if (b->der.n)
		writ_free((void *)(uintptr_t)b->der.p);
	writ_free(b);
}

void writ_bundle_unrefp(struct writ_bundle **b)
{
	writ_bundle_unref(*b);
}

bool writ_bundle_same_cas(const struct writ_bundle *a, const struct writ_bundle *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (!is_known(b->cas, b->n, a->cas[i]))
			return false;
	}
	return true;
}

/* By key: an authority may be there with two certificates. */
static bool is_tainted_key(const struct writ_bundle *b, const char *key_id)
{
	for (size_t i = 0; i < b->n && *key_id; i++)
		if (b->tainted[i] && strcmp(writ_cert_ski_hex(b->cas[i]), key_id) == 0)
			return true;
	return false;
}

static bool has_taint_of(const struct writ_bundle *a, const struct writ_bundle *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->tainted[i] && !is_tainted_key(a, writ_cert_ski_hex(b->cas[i])))
			return false;
	return true;
}

bool writ_bundle_same_taint(const struct writ_bundle *a, const struct writ_bundle *b)
{
	return has_taint_of(a, b) && has_taint_of(b, a);
}

bool writ_bundle_has_taint(const struct writ_bundle *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->tainted[i])
			return true;
	return false;
}

bool writ_bundle_taints(const struct writ_bundle *b, struct writ_cert *const *chain, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_tainted_key(b, writ_cert_aki_hex(chain[i])))
			return true;
	return false;
}

struct writ_bundles *writ_bundles_new(void)
{
	struct writ_bundles *s = writ_alloc(sizeof(*s));
	s->refs = 1;
	return s;
}

struct writ_bundles *writ_bundles_without(const struct writ_bundles *s, struct writ_str td)
{
	struct writ_bundles *copy = writ_bundles_new();
	struct writ_bundle *each;
	size_t i = 0;
	while (s && (each = writ_map_next(&s->by_td, &i, NULL))) {
		if (!writ_str_eq(writ_cstr(each->td), td))
			writ_map_put(&copy->by_td, writ_cstr(each->td), writ_bundle_ref(each));
	}
	return copy;
}

struct writ_bundles *writ_bundles_with(const struct writ_bundles *s, struct writ_bundle *b)
{
	struct writ_bundles *copy = writ_bundles_without(s, writ_cstr(b->td));
	writ_map_put(&copy->by_td, writ_cstr(b->td), writ_bundle_ref(b));
	return copy;
}

const struct writ_bundle *writ_bundles_get(const struct writ_bundles *s, struct writ_str td)
{
	return s ? writ_map_get(&s->by_td, td) : NULL;
}

struct writ_bundles *writ_bundles_ref(struct writ_bundles *s)
{
	if (s)
		__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void writ_bundles_unref(struct writ_bundles *s)
{
	struct writ_bundle *each;
	size_t i = 0;
	if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL))
		return;
	while ((each = writ_map_next(&s->by_td, &i, NULL)))
		writ_bundle_unref(each);
	writ_map_done(&s->by_td);
	writ_free(s);
}

void writ_bundles_unrefp(struct writ_bundles **s)
{
	writ_bundles_unref(*s);
}
