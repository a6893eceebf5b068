/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/publish.h"

#include "base/mem.h"

#include <assert.h>

#define HINT_MAX_S 300

struct writ_publish {
	struct writ_api *api;
	struct writ_watch *watch;
	struct writ_svid *svid;
	struct writ_tls_ctx *tls;
	size_t busy;
};

/* A change on its way: first the roots, then the slot, so that nothing signs that is not trusted.
 */
struct change {
	struct writ_publish *owner;
	struct writ_ca_change *ca;
};

static writ_rc make_tls(struct writ_publish *p, struct writ_err *err)
{
	struct writ_tls_ctx *tls;
	struct writ_bundles *bundles = writ_bundles_with(NULL, p->api->bundle);
	const struct writ_tls_config cfg = { .server = true,
		.peer = WRIT_TLS_PEER_OPTIONAL,
		.h2 = true,
		.svid = p->svid,
		.bundles = bundles };
	writ_rc rc = writ_tls_ctx_new(&cfg, &tls, err);
	if (rc == WRIT_OK) {
		writ_tls_ctx_unref(p->tls);
		p->tls = tls;
		if (p->api->remote) {
			size_t cut =
				writ_front_reverify(writ_rpc_server_front(p->api->remote), bundles);
			if (cut)
				WRIT_LOG(WARN, "api.cut", WRIT_KV("connections", cut),
					WRIT_KV("reason", "their authority is gone"));
		}
	}
	writ_bundles_unref(bundles);
	return rc;
}

static void renew_tls(struct writ_publish *p)
{
	struct writ_err err;
	if (!p->svid || !p->api->bundle)
		return;
	if (make_tls(p, &err) != WRIT_OK)
		WRIT_LOG(ERROR, "api.tls", WRIT_KV("error", (const char *)err.msg));
}

static writ_rc parse_trust(
	const struct writ_trust *t, struct writ_bundle **ret, struct writ_err *err)
{
	struct writ_cert *cas[WRIT_BUNDLE_CAS_MAX];
	bool tainted[WRIT_BUNDLE_CAS_MAX];
	struct writ_str pack = t->cas, item;
	size_t n = 0;
	writ_rc rc = WRIT_OK;
	while (rc == WRIT_OK && n < WRIT_BUNDLE_CAS_MAX && writ_pack_next(&pack, &item)) {
		tainted[n] = item.n > 0 && item.p[0] == '1';
		rc = item.n ? writ_cert_parse(item.p + 1, item.n - 1, &cas[n], err)
			    : writ_fail(err, WRIT_EINTERNAL, "an empty CA in the store");
		n += rc == WRIT_OK;
	}
	if (rc == WRIT_OK)
		rc = writ_bundle_new(
			t->td, cas, tainted, n, t->sequence, t->refresh_hint_s, ret, err);
	writ_certs_unref(cas, n);
	return rc;
}

void writ_publish_bundle(struct writ_publish *p)
{
	struct writ_api *api = p->api;
	const struct writ_trust *t = writ_registry_trust(api->registry, api->td);
	struct writ_bundle *b;
	struct writ_err err;
	if (!t || (api->bundle && api->bundle->sequence == t->sequence))
		return;
	if (parse_trust(t, &b, &err) != WRIT_OK) {
		WRIT_LOG(ERROR, "bundle.broken", WRIT_KV("error", (const char *)err.msg));
		return;
	}
	writ_bundle_unref(api->bundle);
	api->bundle = b;
	WRIT_LOG(INFO, "bundle.changed", WRIT_KV("sequence", b->sequence), WRIT_KV("cas", b->n));
	renew_tls(p);
}

static void on_trust(void *arg)
{
	writ_publish_bundle(arg);
}

struct writ_publish *writ_publish_new(struct writ_api *api)
{
	struct writ_publish *p = writ_alloc(sizeof(*p));
	p->api = api;
	p->watch = writ_registry_watch_trust(api->registry, on_trust, p);
	writ_publish_bundle(p);
	return p;
}

void writ_publish_free(struct writ_publish *p)
{
	if (!p)
		return;
	assert(p->busy == 0);
	writ_registry_unwatch(p->watch);
	writ_tls_ctx_unref(p->tls);
	writ_svid_unref(p->svid);
	writ_bundle_unrefp(&p->api->bundle);
	writ_free(p);
}

size_t writ_publish_busy(const struct writ_publish *p)
{
	return p->busy;
}

struct writ_tls_ctx *writ_publish_tls(const struct writ_publish *p)
{
	return p->tls;
}

void writ_publish_svid(struct writ_publish *p, struct writ_svid *svid)
{
	writ_svid_unref(p->svid);
	p->svid = writ_svid_ref(svid);
	renew_tls(p);
}

static void finish(struct change *k, const struct writ_outcome *out)
{
	struct writ_err err = { 0 };
	struct writ_ca_change *c = k->ca;
	if (out->rc != WRIT_OK)
		(void)writ_fail(&err, out->rc, "%s", out->msg);
	k->owner->busy--;
	writ_free(k);
	c->done(c, out->rc, &err);
}

static void noted(void *arg, const struct writ_outcome *out)
{
	finish(arg, out);
}

static void note_slot(struct change *k)
{
	const struct writ_ca_change *c = k->ca;
	const struct writ_ca_slot slot = { .authority_id = writ_cstr(c->authority),
		.state = writ_cstr(c->state),
		.cert = c->cert,
		.issued_at = c->issued_at,
		.not_after = c->not_after };
	writ_registry_put_ca(k->owner->api->registry, &slot, noted, k);
}

static void published(void *arg, const struct writ_outcome *out)
{
	struct change *k = arg;
	writ_publish_bundle(k->owner);
	if (out->rc != WRIT_OK || !k->ca->authority)
		finish(k, out);
	else
		note_slot(k);
}

/* Those of the bundle that ended long enough ago; borrowed from the bundle. */
static size_t find_ended(
	const struct writ_bundle *b, int64_t before, struct writ_str out[WRIT_BUNDLE_CAS_MAX])
{
	size_t n = 0;
	for (size_t i = 0; b && before && i < b->n && n < WRIT_BUNDLE_CAS_MAX; i++)
		if (writ_cert_not_after(b->cas[i]) < before)
			out[n++] = writ_cert_der(b->cas[i]);
	return n;
}

void writ_publish_commit(struct writ_publish *p, struct writ_ca_change *c)
{
	const struct writ_api *api = p->api;
	struct writ_str add[WRIT_CHAIN_MAX], ended[WRIT_BUNDLE_CAS_MAX];
	struct change *k = writ_alloc(sizeof(*k));
	int64_t hint = api->config->ca_ttl_ms / 1000 / 10;
	k->owner = p;
	k->ca = c;
	p->busy++;
	struct writ_trust_edit edit = { .td = api->td,
		.add = add,
		.remove = ended,
		.n_remove = find_ended(api->bundle, c->prune_before, ended),
		.set_hint = !api->bundle,
		.refresh_hint_s = hint > HINT_MAX_S ? HINT_MAX_S
			: hint < 1                  ? 1
						    : hint };
	for (; edit.n_add < c->n_roots && edit.n_add < WRIT_CHAIN_MAX; edit.n_add++)
		add[edit.n_add] = writ_cert_der(c->roots[edit.n_add]);
	if (edit.n_add || edit.n_remove || !c->authority)
		writ_registry_edit_trust(api->registry, &edit, published, k);
	else
		note_slot(k);
}
