/* SPDX-License-Identifier: Apache-2.0 */
#include "wlapi_kit.h"

#include "check.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "forge.h"

#include <unistd.h>

static void on_changed(void *arg)
{
	struct wlapi_kit *k = arg;
	if (k->w)
		writ_wlapi_changed(k->w);
}

static void on_hungry(void *arg)
{
	(void)arg;
}

void wlapi_kit_open(struct wlapi_kit *k, const char *dir)
{
	struct writ_err err = { 0 };
	*k = (struct wlapi_kit){ .path = writ_fs_join(dir, "pub/api.sock") };
	assert_ok(writ_loop_new(&k->loop, &err), err);
	const struct writ_cache_config cache = { .loop = k->loop,
		.td = WRIT_STR("td"),
		.key_slot = 256,
		.changed = on_changed,
		.hungry = on_hungry,
		.arg = k };
	k->cache = writ_cache_new(&cache);
	attestor_kit_open(&k->attestor, k->loop, &k->env, writ_attestors);
	k->decisions = writ_decisions_new(k->loop, NULL);
	const struct writ_wlapi_config cfg = { .loop = k->loop,
		.cache = k->cache,
		.env = &k->env,
		.decisions = k->decisions,
		.socket_path = k->path,
		.per_uid = 64,
		.per_process = 32 };
	assert_ok(writ_wlapi_start(&cfg, &k->w, &err), err);
}

static void set_flag(void *arg)
{
	*(bool *)arg = true;
}

void wlapi_kit_await(struct wlapi_kit *k, const bool *flag)
{
	assert_true(writ_loop_run_until(k->loop, flag, writ_mono_ms() + WLAPI_KIT_MS));
}

void wlapi_kit_stop(struct wlapi_kit *k)
{
	bool done = false;
	writ_wlapi_stop(k->w, 2000, set_flag, &done);
	wlapi_kit_await(k, &done);
	k->w = NULL;
}

void wlapi_kit_close(struct wlapi_kit *k)
{
	if (k->w)
		wlapi_kit_stop(k);
	writ_cache_free(k->cache);
	writ_decisions_free(k->decisions);
	attestor_kit_close(&k->attestor);
	writ_free(k->path);
	writ_loop_free(k->loop);
}

void wlapi_kit_put(struct wlapi_kit *k, const char *id, int64_t revision, const char *hint,
	const char *selector)
{
	struct writ_selectors s;
	struct writ_err err = { 0 };
	char spiffe_id[64], uid[64];
	writ_selectors_init(&s);
	snprintf(uid, sizeof(uid), "unix:uid:%u", (unsigned)getuid());
	snprintf(spiffe_id, sizeof(spiffe_id), "spiffe://td/%s", id);
	assert_ok(writ_selectors_add_text(&s, writ_cstr(uid), &err), err);
	if (selector)
		assert_ok(writ_selectors_add_text(&s, writ_cstr(selector), &err), err);
	const struct writ_entry_spec spec = { .id = writ_cstr(id),
		.spiffe_id = writ_cstr(spiffe_id),
		.hint = writ_cstr(hint),
		.revision = revision,
		.created_at = id[0],
		.selectors = &s };
	writ_cache_begin(k->cache, false);
	assert_ok(writ_cache_put(k->cache, &spec, &err), err);
	writ_cache_commit(k->cache);
	writ_selectors_done(&s);
}

void wlapi_kit_feed(struct wlapi_kit *k, const char *chain)
{
	struct writ_entry *e[8];
	size_t n = writ_cache_next(k->cache, e, 8);
	const struct writ_fetched got = { .key = (const uint8_t *)"the-key",
		.key_len = 7,
		.chain = (const uint8_t *)chain,
		.chain_len = strlen(chain),
		.not_before = writ_wall_s(),
		.not_after = writ_wall_s() + 1000 };
	for (size_t i = 0; i < n; i++)
		writ_cache_fetched(k->cache, e[i], &got);
}

void wlapi_kit_set_bundle(struct wlapi_kit *k)
{
	struct writ_key *key = forge_key(WRIT_KEY_P256);
	struct forge ca = forge_ca("ca", key);
	struct writ_cert *c = forge_cert(&ca);
	struct writ_bundle *b;
	struct writ_err err = { 0 };
	assert_ok(writ_bundle_new(WRIT_STR("td"), &c, NULL, 1, 1, 0, &b, &err), err);
	writ_cache_set_bundle(k->cache, b);
	writ_bundle_unref(b);
	writ_cert_unref(c);
	writ_key_unref(key);
}
