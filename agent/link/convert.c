/* SPDX-License-Identifier: Apache-2.0 */
#include "link/convert.h"

#include "base/mem.h"
#include "rpc/rpc.h"

#include "google/rpc/status.pb-c.h"

#define DENIED_TYPE "spire.api.types.PermissionDeniedDetails"
#define HINT_MAX    1024

Spire__Api__Types__PermissionDeniedDetails__Reason writ_denied_reason(
	const struct writ_rpc_status *s)
{
	Spire__Api__Types__PermissionDeniedDetails__Reason reason =
		SPIRE__API__TYPES__PERMISSION_DENIED_DETAILS__REASON__UNKNOWN;
	ProtobufCMessage *m = NULL, *d = NULL;
	if (s->rc == WRIT_OK || !s->n_details ||
		writ_pb_unpack(&google__rpc__status__descriptor, s->details, s->n_details, &m,
			NULL) != WRIT_OK)
		return reason;
	const Google__Rpc__Status *status = (const void *)m;
	for (size_t i = 0; i < status->n_details && !d; i++) {
		const Google__Protobuf__Any *any = status->details[i];
		if (writ_str_ends(writ_cstr(any->type_url), WRIT_STR("/" DENIED_TYPE)) &&
			writ_pb_unpack(&spire__api__types__permission_denied_details__descriptor,
				any->value.data, any->value.len, &d, NULL) == WRIT_OK)
			reason = ((const Spire__Api__Types__PermissionDeniedDetails *)(const void *)
					  d)
					 ->reason;
	}
	writ_pb_free(d);
	writ_pb_free(m);
	return reason;
}

static writ_rc take_chain(
	const Spire__Api__Types__X509SVID *m, struct writ_cert **chain, struct writ_err *err)
{
	if (m->n_cert_chain < 1 || m->n_cert_chain > WRIT_CHAIN_MAX)
		return writ_fail(
			err, WRIT_EPROTO, "an SVID with %zu certificates", m->n_cert_chain);
	for (size_t i = 0; i < m->n_cert_chain; i++) {
		writ_rc rc = writ_cert_parse(
			m->cert_chain[i].data, m->cert_chain[i].len, &chain[i], err);
		if (rc != WRIT_OK) {
			writ_certs_unref(chain, i);
			return rc;
		}
	}
	return WRIT_OK;
}

static writ_rc check_id(const Spire__Api__Types__X509SVID *m, const struct writ_svid *s,
	struct writ_str td, struct writ_err *err)
{
	struct writ_id id;
	writ_rc rc = writ_id_parse(writ_cstr(s->spiffe_id), &id, err);
	if (rc != WRIT_OK)
		return rc;
	bool same = writ_str_eq(id.td, td) &&
		(!m->id ||
			(writ_str_eq(writ_cstr(m->id->trust_domain), id.td) &&
				writ_str_eq(writ_cstr(m->id->path), id.path)));
	if (!same)
		return writ_fail(err, WRIT_EPROTO,
			"the certificate is for %s, which is not what the server says it is",
			s->spiffe_id);
	return WRIT_OK;
}

writ_rc writ_svid_from_message(const Spire__Api__Types__X509SVID *m, struct writ_str td,
	struct writ_key *key, struct writ_svid **ret, struct writ_err *err)
{
	struct writ_cert *chain[WRIT_CHAIN_MAX];
	WRIT_AUTO(writ_svid_unrefp) struct writ_svid *s = NULL;
	if (!m)
		return writ_fail(err, WRIT_EPROTO, "the server's answer has no SVID");
	writ_rc rc = take_chain(m, chain, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "the server's answer");
	rc = writ_svid_new(chain, m->n_cert_chain, key, NULL, &s, err);
	writ_certs_unref(chain, m->n_cert_chain);
	if (rc == WRIT_OK)
		rc = check_id(m, s, td, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "the server's answer");
	*ret = writ_steal(s);
	return WRIT_OK;
}

writ_rc writ_bundle_from_message(const Spire__Api__Types__Bundle *m, struct writ_str td,
	struct writ_bundle **ret, struct writ_err *err)
{
	struct writ_cert *cas[WRIT_BUNDLE_CAS_MAX];
	bool tainted[WRIT_BUNDLE_CAS_MAX];
	size_t n = 0;
	writ_rc rc = WRIT_OK;
	if (!m->n_x509_authorities || m->n_x509_authorities > WRIT_BUNDLE_CAS_MAX)
		return writ_fail(
			err, WRIT_EPROTO, "the server's bundle has %zu CAs", m->n_x509_authorities);
	while (rc == WRIT_OK && n < m->n_x509_authorities) {
		const Spire__Api__Types__X509Certificate *c = m->x509_authorities[n];
		tainted[n] = c->tainted;
		rc = writ_cert_parse(c->asn1.data, c->asn1.len, &cas[n], err);
		n += rc == WRIT_OK;
	}
	if (rc == WRIT_OK)
		rc = writ_bundle_new(
			td, cas, tainted, n, m->sequence_number, m->refresh_hint, ret, err);
	writ_certs_unref(cas, n);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "the server's bundle");
}

static writ_rc take_selectors(
	const Spire__Api__Types__Entry *m, struct writ_selectors *out, struct writ_err *err)
{
	writ_rc rc = WRIT_OK;
	for (size_t i = 0; i < m->n_selectors && rc == WRIT_OK; i++)
		rc = writ_selectors_add(out, writ_cstr(m->selectors[i]->type),
			writ_cstr(m->selectors[i]->value), err);
	return rc;
}

writ_rc writ_entry_from_message(
	const Spire__Api__Types__Entry *m, struct writ_cache *cache, struct writ_err *err)
{
	struct writ_selectors selectors;
	if (m->store_svid)
		return writ_fail(err, WRIT_EUNSUP, "entry '%s' is for a secret store", m->id);
	if (!m->spiffe_id || writ_cstr(m->hint).n > HINT_MAX)
		return writ_fail(
			err, WRIT_EPROTO, "entry '%s' has no SPIFFE ID, or a long hint", m->id);
	WRIT_AUTO(writ_freep)
	char *id = writ_asprintf("spiffe://%s%s", m->spiffe_id->trust_domain, m->spiffe_id->path);
	const struct writ_entry_spec spec = {
		.id = writ_cstr(m->id),
		.spiffe_id = writ_cstr(id),
		.hint = writ_cstr(m->hint),
		.revision = m->revision_number,
		.created_at = m->created_at,
		.on_demand = m->additional_attributes &&
			m->additional_attributes->disable_x509_svid_prefetch,
		.selectors = &selectors,
	};
	writ_selectors_init(&selectors);
	writ_rc rc = take_selectors(m, &selectors, err);
	if (rc == WRIT_OK)
		rc = writ_cache_put(cache, &spec, err);
	writ_selectors_done(&selectors);
	return rc;
}
