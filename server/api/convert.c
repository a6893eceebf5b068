/* SPDX-License-Identifier: Apache-2.0 */
#include "api/convert.h"

#include "base/mem.h"
#include "spiffe/id.h"
#include "spire/api/types/agent.pb-c.h"
#include "spire/api/types/bundle.pb-c.h"
#include "spire/api/types/selector.pb-c.h"
#include "spire/api/types/spiffeid.pb-c.h"
#include "spire/api/types/status.pb-c.h"
#include "spire/api/types/x509svid.pb-c.h"

#include <string.h>

#define SCHEME "spiffe://"

Spire__Api__Types__SPIFFEID *writ_to_id(struct writ_call *c, struct writ_str uri)
{
	Spire__Api__Types__SPIFFEID *m = writ_api_new(c, &spire__api__types__spiffeid__descriptor);
	struct writ_str rest = { uri.p + sizeof(SCHEME) - 1, uri.n - (sizeof(SCHEME) - 1) };
	const char *slash = memchr(rest.p, '/', rest.n);
	size_t n = slash ? (size_t)(slash - rest.p) : rest.n;
	m->trust_domain = writ_api_dup(c, writ_strn(rest.p, n));
	m->path = writ_api_dup(c, writ_strn(rest.p + n, rest.n - n));
	return m;
}

writ_rc writ_from_id(struct writ_call *c, const Spire__Api__Types__SPIFFEID *id,
	struct writ_str *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *uri = NULL;
	struct writ_str td = writ_api_call(c)->api->td;
	if (!id)
		return writ_fail(err, WRIT_EINVAL, "request must specify SPIFFE ID");
	writ_rc rc = writ_id_make(writ_cstr(id->trust_domain), writ_cstr(id->path), &uri, err);
	if (rc != WRIT_OK)
		return rc;
	if (!writ_str_eq(writ_cstr(id->trust_domain), td))
		return writ_fail(err, WRIT_EINVAL,
			"\"%s\" is not a member of trust domain \"" WRIT_FMT "\"", uri,
			WRIT_ARG(td));
	ret->p = writ_api_dup(c, writ_cstr(uri));
	ret->n = strlen(ret->p);
	return WRIT_OK;
}

Spire__Api__Types__Status *writ_to_status(
	struct writ_call *c, writ_rc rc, const char *what, const char *text)
{
	Spire__Api__Types__Status *s = writ_api_new(c, &spire__api__types__status__descriptor);
	s->code = writ_rc_grpc(rc);
	if (rc == WRIT_OK)
		s->message = writ_api_dup(c, WRIT_STR("OK"));
	else if (!writ_rc_is_public(rc))
		s->message =
			writ_api_dup(c, WRIT_STR("failed inside the server; its log says why"));
	else
		s->message = what ? writ_api_printf(c, "%s: %s", what, text)
				  : writ_api_dup(c, writ_cstr(text));
	return s;
}

static Spire__Api__Types__Selector **to_selectors(
	struct writ_call *c, struct writ_str pack, size_t *n)
{
	size_t count = 0;
	struct writ_str item;
	(void)writ_pack_valid(pack, &count);
	Spire__Api__Types__Selector **list = writ_api_alloc(c, count * sizeof(*list));
	*n = 0;
	while (*n < count && writ_pack_next(&pack, &item)) {
		struct writ_selector s = writ_selector_split(item);
		Spire__Api__Types__Selector *m =
			writ_api_new(c, &spire__api__types__selector__descriptor);
		m->type = writ_api_dup(c, s.type);
		m->value = writ_api_dup(c, s.value);
		list[(*n)++] = m;
	}
	return list;
}

Spire__Api__Types__Agent *writ_to_agent(
	struct writ_call *c, const struct writ_node *n, uint32_t bits)
{
	Spire__Api__Types__Agent *m = writ_api_new(c, &spire__api__types__agent__descriptor);
	m->id = writ_to_id(c, writ_node_get(n, WRIT_NODE_ID));
	if (writ_mask_has(bits, 2))
		m->attestation_type = writ_api_dup(c, writ_node_get(n, WRIT_NODE_TYPE));
	if (writ_mask_has(bits, 3))
		m->x509svid_serial_number = writ_api_dup(c, writ_node_get(n, WRIT_NODE_SERIAL));
	if (writ_mask_has(bits, 4))
		m->x509svid_expires_at = n->meta.not_after;
	if (writ_mask_has(bits, 5))
		m->selectors =
			to_selectors(c, writ_node_get(n, WRIT_NODE_SELECTORS), &m->n_selectors);
	if (writ_mask_has(bits, 6))
		m->banned = n->meta.banned;
	if (writ_mask_has(bits, 7))
		m->can_reattest = n->meta.can_reattest;
	if (writ_mask_has(bits, 8))
		m->agent_version = writ_api_dup(c, writ_node_get(n, WRIT_NODE_VERSION));
	return m;
}

static void put_authorities(
	struct writ_call *c, const struct writ_bundle *b, Spire__Api__Types__Bundle *m)
{
	m->x509_authorities = writ_api_alloc(c, b->n * sizeof(struct writ_cert *));
	for (size_t i = 0; i < b->n; i++) {
		Spire__Api__Types__X509Certificate *x =
			writ_api_new(c, &spire__api__types__x509_certificate__descriptor);
		struct writ_str der = writ_cert_der(b->cas[i]);
		x->asn1.data = (uint8_t *)writ_api_dup(c, der);
		x->asn1.len = der.n;
		x->tainted = b->tainted[i];
		m->x509_authorities[m->n_x509_authorities++] = x;
	}
}

Spire__Api__Types__Bundle *writ_to_bundle(
	struct writ_call *c, const struct writ_bundle *b, uint32_t bits)
{
	Spire__Api__Types__Bundle *m = writ_api_new(c, &spire__api__types__bundle__descriptor);
	m->trust_domain = writ_api_dup(c, writ_cstr(b->td));
	if (writ_mask_has(bits, 2))
		put_authorities(c, b, m);
	if (writ_mask_has(bits, 4))
		m->refresh_hint = b->refresh_hint_s;
	if (writ_mask_has(bits, 5))
		m->sequence_number = b->sequence;
	return m;
}

static ProtobufCBinaryData to_bytes(struct writ_call *c, struct writ_str s)
{
	return (ProtobufCBinaryData){ s.n, (uint8_t *)writ_api_dup(c, s) };
}

Spire__Api__Types__X509SVID *writ_to_svid(struct writ_call *c, struct writ_str uri,
	struct writ_str leaf, int64_t not_after, const struct writ_authority *issuer)
{
	Spire__Api__Types__X509SVID *m = writ_api_new(c, &spire__api__types__x509_svid__descriptor);
	m->id = writ_to_id(c, uri);
	m->expires_at = not_after;
	m->cert_chain = writ_api_alloc(c, (issuer->n_chain + 1) * sizeof(*m->cert_chain));
	m->cert_chain[m->n_cert_chain++] = to_bytes(c, leaf);
	for (size_t i = 0; i < issuer->n_chain; i++)
		m->cert_chain[m->n_cert_chain++] = to_bytes(c, writ_cert_der(issuer->chain[i]));
	return m;
}

writ_rc writ_from_selectors(struct writ_call *c, Spire__Api__Types__Selector *const *list, size_t n,
	struct writ_str *ret, struct writ_err *err)
{
	struct writ_selector in[WRIT_SELECTORS_MAX];
	WRIT_AUTO(writ_buf_done) struct writ_buf pack = WRIT_BUF(WRIT_ROW_BYTES_MAX);
	if (n > WRIT_SELECTORS_MAX)
		return writ_fail(err, WRIT_EINVAL, "%zu selectors, at most %d are allowed", n,
			WRIT_SELECTORS_MAX);
	for (size_t i = 0; i < n; i++)
		in[i] = (struct writ_selector){ writ_cstr(list[i]->type),
			writ_cstr(list[i]->value) };
	writ_rc rc = writ_selectors_pack(in, n, &pack, err);
	if (rc != WRIT_OK)
		return rc;
	ret->p = writ_api_dup(c, writ_buf_str(&pack));
	ret->n = pack.n;
	return WRIT_OK;
}

writ_rc writ_from_selector_match(struct writ_call *c, const Spire__Api__Types__SelectorMatch *m,
	struct writ_match_filter *ret, struct writ_err *err)
{
	*ret = (struct writ_match_filter){ 0 };
	if (!m)
		return WRIT_OK;
	if (m->n_selectors == 0)
		return writ_fail(
			err, WRIT_EINVAL, "malformed selectors filter: empty selector set");
	if ((unsigned)m->match > WRIT_MATCH_ANY)
		return writ_fail(err, WRIT_EINVAL,
			"malformed selectors filter: unknown match behavior %d", (int)m->match);
	ret->on = true;
	ret->match = (enum writ_match)m->match;
	writ_rc rc = writ_from_selectors(c, m->selectors, m->n_selectors, &ret->set, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "malformed selectors filter");
}

int32_t writ_to_count(size_t n)
{
	return n > INT32_MAX ? INT32_MAX : (int32_t)n;
}

writ_rc writ_from_page_size(int32_t n, size_t *ret, struct writ_err *err)
{
	if (n < 0)
		return writ_fail(err, WRIT_EINVAL, "page size %d is negative", n);
	*ret = n > WRIT_PAGE_MAX ? WRIT_PAGE_MAX : (size_t)n;
	return WRIT_OK;
}
