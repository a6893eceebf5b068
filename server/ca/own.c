/* SPDX-License-Identifier: Apache-2.0 */
/* The part of ca.h that keeps the server's own SVID fresh. Its key lives here: it is no CA key. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "ca/ca_impl.h"

static void failed(struct writ_ca *ca, const struct writ_err *err)
{
	ca->own.retry_at_ms = writ_mono_ms() + writ_backoff_next(&ca->own.backoff);
	WRIT_LOG_LIMITED(WARN, "server.svid.failed", WRIT_KV("error", (const char *)err->msg));
}

static writ_rc build(struct writ_ca *ca, const struct writ_ca_issued *out, struct writ_svid **ret,
	struct writ_err *err)
{
	struct writ_cert *chain[1 + WRIT_CHAIN_MAX];
	WRIT_AUTO(writ_cert_unrefp) struct writ_cert *leaf = NULL;
	writ_rc rc = writ_cert_parse(out->cert.p, out->cert.n, &leaf, err);
	if (rc)
		return rc;
	chain[0] = leaf;
	for (size_t i = 0; i < out->issuer->n_chain; i++)
		chain[1 + i] = out->issuer->chain[i];
	return writ_svid_new(chain, 1 + out->issuer->n_chain, ca->own.key, "", ret, err);
}

static void signed_one(struct writ_ca_item *i, writ_rc rc, const struct writ_ca_issued *out,
	const struct writ_err *why)
{
	struct writ_ca *ca = writ_container(i, struct writ_ca, own.item);
	struct writ_err err;
	struct writ_svid *svid = NULL;
	ca->own.asked = false;
	if (rc == WRIT_ECANCELED)
		return;
	if (rc)
		err = *why;
	else
		rc = build(ca, out, &svid, &err);
	if (rc) {
		failed(ca, &err);
		writ_ca_advance(ca);
		return;
	}
	writ_svid_unref(ca->own.svid);
	ca->own.svid = svid;
	writ_backoff_reset(&ca->own.backoff);
	ca->own.renew_at_ms = writ_svid_renew_at_ms(writ_svid_not_before(svid),
		writ_svid_not_after(svid), (unsigned)writ_rand_below(1000));
	WRIT_LOG(INFO, "server.svid.new", WRIT_KV("serial", writ_cert_serial_hex(svid->chain[0])),
		WRIT_KV("not_after", writ_svid_not_after(svid)));
	ca->hooks->server_svid(ca->arg, svid);
	writ_ca_tick(ca);
}

static writ_rc ask(struct writ_ca *ca, struct writ_err *err)
{
	struct writ_ca_own *o = &ca->own;
	WRIT_AUTO(writ_key_unrefp) struct writ_key *key = NULL;
	writ_rc rc = writ_key_generate(WRIT_KEY_P256, &key, err);
	if (!rc)
		rc = writ_pubkey_of_key(key, &o->pub, err);
	if (rc)
		return rc;
	writ_key_unref(o->key);
	o->key = writ_steal(key);
	o->item = (struct writ_ca_item){ .spiffe_id = o->id,
		.key = &o->pub,
		.ttl_s = ca->config.server_svid_ttl_s,
		.done = signed_one };
	return writ_ca_sign(ca, &o->item, err);
}

int64_t writ_ca_own_tick(struct writ_ca *ca, bool authority_changed)
{
	struct writ_ca_own *o = &ca->own;
	int64_t now = writ_mono_ms(), wall = writ_wall_ms();
	struct writ_err err;
	if (authority_changed)
		o->renew_at_ms = 0;
	if (o->asked || !writ_ca_ready(ca))
		return INT64_MAX; /* the end of either brings us back */
	if (o->renew_at_ms > wall)
		return now + (o->renew_at_ms - wall);
	if (o->retry_at_ms > now)
		return o->retry_at_ms;
	if (ask(ca, &err) == WRIT_OK)
		o->asked = true;
	else
		failed(ca, &err);
	return o->asked ? INT64_MAX : o->retry_at_ms;
}

void writ_ca_own_init(struct writ_ca *ca)
{
	ca->own.id = writ_asprintf("spiffe://%s/spire/server", ca->config.trust_domain);
	writ_backoff_init(&ca->own.backoff, 100, 10000);
}

void writ_ca_own_done(struct writ_ca *ca)
{
	writ_free(ca->own.id);
	writ_key_unref(ca->own.key);
	writ_svid_unref(ca->own.svid);
}

struct writ_svid *writ_ca_server_svid(const struct writ_ca *ca)
{
	return ca->own.svid;
}
