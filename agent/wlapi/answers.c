/* SPDX-License-Identifier: Apache-2.0 */
/* What the streams send. Private keys go from their locked slot straight into the message. */
#include "wlapi/wlapi_impl.h"

#include "base/clock.h"
#include "base/mem.h"

#include "workloadapi.pb-c.h"

static ProtobufCBinaryData bytes(const void *p, size_t n)
{
	union {
		const void *in;
		uint8_t *out;
	} u = { .in = p };
	return (ProtobufCBinaryData){ n, u.out };
}

static bool svid_is_news(const struct stream *s)
{
	if (!s->sent || s->n != s->n_versions || s->bundle != writ_cache_bundle(s->w->cfg.cache))
		return true;
	for (size_t i = 0; i < s->n; i++) {
		if (s->entries[i]->version != s->versions[i])
			return true;
	}
	return false;
}

static writ_rc send_svids(struct stream *s, struct writ_err *err)
{
	X509SVIDResponse m = X509_SVIDRESPONSE__INIT;
	const struct writ_bundle *b = writ_cache_bundle(s->w->cfg.cache);
	int64_t now = writ_wall_s();
	WRIT_AUTO(writ_freep) X509SVID *svids = writ_alloc_array(s->n, sizeof(*svids));
	WRIT_AUTO(writ_freep) X509SVID **refs = writ_alloc_array(s->n, sizeof(*refs));
	for (size_t i = 0; i < s->n; i++) {
		const struct writ_entry *e = s->entries[i];
		if (!writ_entry_is_ready(e, now)) /* it took too long; the others go out */
			continue;
		X509SVID *v = &svids[m.n_svids];
		*v = (X509SVID)X509_SVID__INIT;
		v->spiffe_id = e->spiffe_id;
		v->hint = e->hint;
		v->x509_svid = bytes(e->chain, e->chain_len);
		v->x509_svid_key = bytes(e->key, e->key_len);
		v->bundle = bytes(b->der.p, b->der.n);
		refs[m.n_svids++] = v;
	}
	m.svids = refs;
	if (!m.n_svids)
		return writ_fail(err, WRIT_EUNAVAIL, "no identity is ready");
	return writ_call_send(s->call, &m.base, err);
}

static bool bundle_is_news(const struct stream *s)
{
	const struct writ_bundle *b = writ_cache_bundle(s->w->cfg.cache);
	return !s->sent || !s->bundle || !writ_bundle_same_cas(s->bundle, b);
}

static writ_rc send_bundles(struct stream *s, struct writ_err *err)
{
	X509BundlesResponse m = X509_BUNDLES_RESPONSE__INIT;
	X509BundlesResponse__BundlesEntry own = X509_BUNDLES_RESPONSE__BUNDLES_ENTRY__INIT;
	X509BundlesResponse__BundlesEntry *refs[] = { &own };
	const struct writ_bundle *b = writ_cache_bundle(s->w->cfg.cache);
	WRIT_AUTO(writ_freep) char *td = writ_asprintf("spiffe://%s", b->td);
	own.key = td;
	own.value = bytes(b->der.p, b->der.n);
	m.n_bundles = 1;
	m.bundles = refs;
	return writ_call_send(s->call, &m.base, err);
}

const struct stream_kind writ__stream_x509_svid = { "x509_svid", true, svid_is_news, send_svids };
const struct stream_kind writ__stream_x509_bundles = { "x509_bundles", false, bundle_is_news,
	send_bundles };
