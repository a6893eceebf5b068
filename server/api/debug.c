/* SPDX-License-Identifier: Apache-2.0 */
/* Debug: what the server says of itself. */
#include "api/convert.h"
#include "api/methods.h"
#include "base/clock.h"
#include "spire/api/server/debug/v1/debug.pb-c.h"

#define D(name) Spire__Api__Server__Debug__V1__##name

static void put_chain(struct writ_call *c, const struct writ_svid *svid, D(GetInfoResponse) * m)
{
	m->svid_chain = writ_api_alloc(c, svid->n_chain * sizeof(*m->svid_chain));
	for (size_t i = 0; i < svid->n_chain; i++) {
		D(GetInfoResponse__Cert) *x = writ_api_new(
			c, &spire__api__server__debug__v1__get_info_response__cert__descriptor);
		const struct writ_cert *cert = svid->chain[i];
		if (writ_cert_uri_count(cert) == 1)
			x->id = writ_to_id(c, writ_cert_uri(cert, 0));
		x->expires_at = writ_cert_not_after(cert);
		x->subject = writ_api_dup(c, writ_cstr(writ_cert_subject(cert)));
		m->svid_chain[m->n_svid_chain++] = x;
	}
}

void writ_h_debug_info(struct writ_call *c)
{
	const struct writ_api *api = writ_api_call(c)->api;
	const struct writ_entry_filter entries = { 0 };
	const struct writ_node_filter nodes = { 0 };
	const struct writ_svid *svid = writ_ca_server_svid(api->ca);
	D(GetInfoResponse) *m =
		writ_api_new(c, &spire__api__server__debug__v1__get_info_response__descriptor);
	size_t n_entries = 0, n_nodes = 0;
	size_t trusts = writ_registry_count_trusts(api->registry);
	struct writ_err err;
	writ_rc rc = writ_registry_count_entries(api->registry, &entries, &n_entries, &err);
	if (rc == WRIT_OK)
		rc = writ_registry_count_nodes(api->registry, &nodes, &n_nodes, &err);
	if (svid)
		put_chain(c, svid, m);
	m->uptime = (int32_t)(writ_wall_s() - api->started_s);
	m->agents_count = writ_to_count(n_nodes);
	m->entries_count = writ_to_count(n_entries);
	m->federated_bundles_count = writ_to_count(trusts ? trusts - 1 : 0);
	writ_api_end(c, rc, &m->base, &err);
}
