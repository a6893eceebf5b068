/* SPDX-License-Identifier: Apache-2.0 */
/* Bundle: our own trust domain's. */
#include "api/convert.h"
#include "api/methods.h"
#include "base/mem.h"
#include "spire/api/server/bundle/v1/bundle.pb-c.h"

#include <string.h>

#define B(name) Spire__Api__Server__Bundle__V1__##name

void writ_h_bundle_get(struct writ_call *c)
{
	const B(GetBundleRequest) *q = (const void *)writ_call_request(c);
	const struct writ_bundle *b = writ_api_call(c)->api->bundle;
	if (!b)
		writ_api_fail(c, WRIT_EUNAVAIL, "the first CA is not ready yet");
	else
		writ_api_reply(c,
			&writ_to_bundle(c, b, writ_mask_bits((const void *)q->output_mask))->base);
}

void writ_h_bundle_count(struct writ_call *c)
{
	B(CountBundlesResponse) m = SPIRE__API__SERVER__BUNDLE__V1__COUNT_BUNDLES_RESPONSE__INIT;
	m.count = (int32_t)writ_registry_count_trusts(writ_api_call(c)->api->registry);
	writ_api_reply(c, &m.base);
}

static void appended(void *arg, const struct writ_outcome *out)
{
	struct writ_call *c = arg;
	const B(AppendBundleRequest) *q = (const void *)writ_call_request(c);
	const struct writ_api *api = writ_api_call(c)->api;
	if (out->rc != WRIT_OK)
		writ_api_fail(c, out->rc, "%s", out->msg);
	else if (!api->bundle)
		writ_api_fail(c, WRIT_EUNAVAIL, "the first CA is not ready yet");
	else
		writ_api_reply(c,
			&writ_to_bundle(
				c, api->bundle, writ_mask_bits((const void *)q->output_mask))
				 ->base);
}

/* One element may hold several certificates back to back. */
static writ_rc read_cas(
	const B(AppendBundleRequest) * q, struct writ_cert **cas, size_t *n, struct writ_err *err)
{
	for (size_t i = 0; i < q->n_x509_authorities; i++) {
		const ProtobufCBinaryData *der = &q->x509_authorities[i]->asn1;
		size_t got = 0;
		writ_rc rc = writ_certs_parse(
			der->data, der->len, cas + *n, WRIT_BUNDLE_CAS_MAX - *n, &got, err);
		if (rc != WRIT_OK)
			return writ_wrap(err, WRIT_EINVAL, "failed to convert X.509 authority");
		for (size_t k = *n; k < *n + got; k++)
			if (!writ_cert_is_ca(cas[k]))
				rc = writ_fail(err, WRIT_EINVAL,
					"failed to convert X.509 authority: %s is not a CA "
					"certificate",
					writ_cert_subject(cas[k]));
		*n += got;
		if (rc != WRIT_OK)
			return rc;
	}
	return WRIT_OK;
}

void writ_h_bundle_append(struct writ_call *c)
{
	const B(AppendBundleRequest) *q = (const void *)writ_call_request(c);
	const struct writ_api *api = writ_api_call(c)->api;
	struct writ_cert *cas[WRIT_BUNDLE_CAS_MAX];
	struct writ_str der[WRIT_BUNDLE_CAS_MAX];
	struct writ_err err;
	size_t n = 0;
	if (q->n_jwt_authorities || q->n_wit_authorities) {
		writ_api_fail(c, WRIT_EUNSUP, "JWT and WIT authorities are not supported yet");
		return;
	}
	if (!q->n_x509_authorities) {
		writ_api_fail(c, WRIT_EINVAL, "no authorities to append");
		return;
	}
	writ_rc rc = read_cas(q, cas, &n, &err);
	for (size_t i = 0; i < n; i++)
		der[i] = writ_cert_der(cas[i]);
	const struct writ_trust_edit edit = { .td = api->td, .add = der, .n_add = n };
	if (rc == WRIT_OK)
		writ_registry_edit_trust(api->registry, &edit, appended, c); /* copies */
	else
		writ_call_fail(c, &err);
	writ_certs_unref(cas, n);
}
