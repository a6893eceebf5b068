/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_kit.h"

#include "check.h"
#include "forge.h"

#include "base/clock.h"

static const struct {
	const char *name, *td, *uri;
} domains[KIT_CAS] = {
	[KIT_A] = { "ca-a", "a.test", "spiffe://a.test" },
	[KIT_B] = { "ca-b", "b.test", "spiffe://b.test" },
	[KIT_ROGUE] = { "ca-a", "a.test", "spiffe://a.test" },
};

static struct {
	struct writ_key *key;
	struct writ_cert *cert;
} cas[KIT_CAS];

void kit_open(void)
{
	writ_clock_set_wall_ms(FORGE_NOW * 1000);
	for (int i = 0; i < KIT_CAS; i++) {
		cas[i].key = forge_key(WRIT_KEY_P256);
		struct forge c = forge_ca(domains[i].name, cas[i].key);
		c.san[0].tag = FORGE_URI;
		c.san[0].p = domains[i].uri;
		cas[i].cert = forge_cert(&c);
		assert_non_null(cas[i].cert);
	}
}

void kit_close(void)
{
	writ_clock_set_wall_ms(-1);
	for (int i = 0; i < KIT_CAS; i++) {
		writ_key_unref(cas[i].key);
		writ_cert_unref(cas[i].cert);
	}
}

int kit_set_up(void **state)
{
	(void)state;
	kit_open();
	return 0;
}

int kit_tear_down(void **state)
{
	(void)state;
	kit_close();
	return 0;
}

struct writ_svid *kit_svid(int ca, const char *id, int64_t not_after)
{
	struct writ_err err;
	struct writ_svid *s = NULL;
	struct writ_key *key = forge_key(WRIT_KEY_P256);
	struct forge l = forge_leaf(id, key, domains[ca].name, cas[ca].key);
	l.not_before = FORGE_NOW - 3600;
	l.not_after = not_after ? not_after : FORGE_NOW + 3600;
	struct writ_cert *c = forge_cert(&l);
	assert_non_null(c);
	assert_ok(writ_svid_new(&c, 1, key, "", &s, &err), err);
	writ_cert_unref(c);
	writ_key_unref(key);
	return s;
}

struct writ_bundles *kit_bundles(int ca)
{
	struct writ_err err;
	struct writ_bundle *b = NULL;
	assert_ok(
		writ_bundle_new(writ_cstr(domains[ca].td), &cas[ca].cert, NULL, 1, 1, 0, &b, &err),
		err);
	struct writ_bundles *s = writ_bundles_with(NULL, b);
	writ_bundle_unref(b);
	return s;
}

struct writ_tls_ctx *kit_ctx(const struct kit_ctx *k)
{
	struct writ_err err;
	struct writ_tls_ctx *c = NULL;
	struct writ_svid *svid = k->id ? kit_svid(k->ca, k->id, k->not_after) : NULL;
	struct writ_bundles *bundles = kit_bundles(k->trust);
	struct writ_tls_config cfg = { .server = k->server,
		.peer = k->peer,
		.h2 = k->h2,
		.svid = svid,
		.bundles = bundles,
		.authorize = k->authorize,
		.arg = k->arg };
	assert_ok(writ_tls_ctx_new(&cfg, &c, &err), err);
	writ_svid_unref(svid);
	writ_bundles_unref(bundles);
	return c;
}
