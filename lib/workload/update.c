/* SPDX-License-Identifier: Apache-2.0 */
#include "workload/update.h"

#include "base/mem.h"
#include "rpc/rpc.h"

#include "workloadapi.pb-c.h"

#include <string.h>

#define SVIDS_MAX 1024

struct writ_wl_update *writ_wl_update_ref(struct writ_wl_update *u)
{
	__atomic_add_fetch(&u->refs, 1, __ATOMIC_RELAXED);
	return u;
}

void writ_wl_update_unref(struct writ_wl_update *u)
{
	if (!u || __atomic_sub_fetch(&u->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (size_t i = 0; i < u->n; i++)
		writ_svid_unref(u->svids[i]);
	writ_free(u->svids);
	writ_bundles_unref(u->bundles);
	writ_free(u);
}

static void add_bundle(struct writ_wl_update *u, struct writ_bundle *b)
{
	struct writ_bundles *with = writ_bundles_with(u->bundles, b);
	writ_bundles_unref(u->bundles);
	u->bundles = with;
}

static writ_rc check_svid(const X509SVID *m, struct writ_cert *const *chain, size_t n,
	struct writ_bundle *b, int64_t now, struct writ_err *err)
{
	struct writ_id id;
	struct writ_bundles *own = writ_bundles_with(NULL, b);
	writ_rc rc = writ_svid_verify(chain, n, own, WRIT_PURPOSE_ANY, now, &id, err);
	if (rc == WRIT_OK && !writ_str_eq(id.uri, writ_cstr(m->spiffe_id)))
		rc = writ_fail(
			err, WRIT_EPROTO, "the certificate is for " WRIT_FMT, WRIT_ARG(id.uri));
	writ_bundles_unref(own);
	return rc;
}

static writ_rc one_svid(
	const X509SVID *m, int64_t now, struct writ_wl_update *u, struct writ_err *err)
{
	struct writ_id id;
	struct writ_cert *chain[WRIT_CHAIN_MAX];
	size_t n = 0;
	WRIT_AUTO(writ_bundle_unrefp) struct writ_bundle *b = NULL;
	WRIT_AUTO(writ_key_unrefp) struct writ_key *key = NULL;
	writ_rc rc = writ_id_parse_leaf(writ_cstr(m->spiffe_id), &id, err);
	if (rc == WRIT_OK)
		rc = writ_certs_parse(
			m->x509_svid.data, m->x509_svid.len, chain, WRIT_CHAIN_MAX, &n, err);
	if (rc == WRIT_OK)
		rc = writ_bundle_parse_der(id.td, m->bundle.data, m->bundle.len, &b, err);
	if (rc == WRIT_OK)
		rc = writ_key_from_pkcs8(m->x509_svid_key.data, m->x509_svid_key.len, &key, err);
	if (rc == WRIT_OK)
		rc = check_svid(m, chain, n, b, now, err);
	if (rc == WRIT_OK)
		rc = writ_svid_new(chain, n, key, m->hint, &u->svids[u->n], err);
	writ_certs_unref(chain, n);
	if (rc != WRIT_OK)
		return rc;
	u->n++;
	add_bundle(u, b);
	return WRIT_OK;
}

/* Keys are "spiffe://td"; a bundle of one of our own trust domains stays what the SVID said
 * (WL-16). */
static writ_rc federated(const X509SVIDResponse *m, struct writ_wl_update *u, struct writ_err *err)
{
	for (size_t i = 0; i < m->n_federated_bundles; i++) {
		const X509SVIDResponse__FederatedBundlesEntry *f = m->federated_bundles[i];
		struct writ_str td;
		WRIT_AUTO(writ_bundle_unrefp) struct writ_bundle *b = NULL;
		writ_rc rc = writ_td_parse(writ_cstr(f->key), &td, err);
		if (rc == WRIT_OK && writ_bundles_get(u->bundles, td))
			continue;
		if (rc == WRIT_OK)
			rc = writ_bundle_parse_der(td, f->value.data, f->value.len, &b, err);
		if (rc != WRIT_OK)
			return writ_wrap(err, rc, "federated bundle %zu", i);
		add_bundle(u, b);
	}
	return WRIT_OK;
}

writ_rc writ_wl_from_message(const ProtobufCMessage *base, int64_t now, struct writ_wl_update **ret,
	struct writ_err *err)
{
	const X509SVIDResponse *m = (const void *)base;
	if (!m->n_svids || m->n_svids > SVIDS_MAX)
		return writ_fail(err, WRIT_EPROTO, "the agent sent %zu SVIDs", m->n_svids);
	struct writ_wl_update *u = writ_alloc(sizeof(*u));
	u->refs = 1;
	u->svids = writ_alloc_array(m->n_svids, sizeof(*u->svids));
	writ_rc rc = WRIT_OK;
	for (size_t i = 0; rc == WRIT_OK && i < m->n_svids; i++) {
		rc = one_svid(m->svids[i], now, u, err);
		if (rc != WRIT_OK)
			writ_wrap(err, rc, "SVID %zu from the agent", i);
	}
	if (rc == WRIT_OK)
		rc = federated(m, u, err);
	if (rc != WRIT_OK) {
		writ_wl_update_unref(u);
		return rc;
	}
	*ret = u;
	return WRIT_OK;
}

writ_rc writ_wl_decode(
	const void *p, size_t n, int64_t now, struct writ_wl_update **ret, struct writ_err *err)
{
	ProtobufCMessage *m;
	writ_rc rc = writ_pb_unpack(&x509_svidresponse__descriptor, p, n, &m, err);
	if (rc != WRIT_OK)
		return rc;
	rc = writ_wl_from_message(m, now, ret, err);
	writ_pb_free(m);
	return rc;
}

/* As many as an error has room for. */
static void list_ids(const struct writ_wl_update *u, struct writ_buf *out)
{
	for (size_t i = 0; i < u->n; i++)
		writ_buf_addf(out, "%s%s", i ? ", " : "", u->svids[i]->spiffe_id);
}

writ_rc writ_wl_pick(const struct writ_wl_update *u, const char *spiffe_id, const char *hint,
	struct writ_svid **ret, struct writ_err *err)
{
	struct writ_svid *found = NULL;
	bool several = false;
	for (size_t i = 0; i < u->n; i++) {
		struct writ_svid *s = u->svids[i];
		if ((spiffe_id && strcmp(s->spiffe_id, spiffe_id) != 0) ||
			(hint && strcmp(s->hint, hint) != 0))
			continue;
		if (!found)
			found = s;
		several |= strcmp(s->spiffe_id, found->spiffe_id) != 0;
	}
	if (found && (!several || hint)) {
		*ret = found;
		return WRIT_OK;
	}
	WRIT_AUTO(writ_buf_done) struct writ_buf ids = WRIT_BUF(400);
	list_ids(u, &ids);
	if (found)
		return writ_fail(err, WRIT_EPRECOND,
			"this process has several identities, say which one: %s",
			writ_buf_cstr(&ids));
	return writ_fail(err, WRIT_ENOENT, "this process has no identity %s%s%s%s; it has %s",
		spiffe_id ? spiffe_id : "", spiffe_id && hint ? " " : "", hint ? "with hint " : "",
		hint ? hint : "", writ_buf_cstr(&ids));
}

writ_rc writ_wl_follow(const struct writ_wl_update *u, const char *spiffe_id, const char *hint,
	const char *in_use, struct writ_svid **ret, struct writ_err *err)
{
	writ_rc rc = writ_wl_pick(u, spiffe_id, hint, ret, err);
	if (rc == WRIT_EPRECOND && in_use && writ_wl_pick(u, in_use, NULL, ret, NULL) == WRIT_OK)
		return WRIT_OK;
	return rc;
}
