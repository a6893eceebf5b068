/* SPDX-License-Identifier: Apache-2.0 */
#include "state/state.h"

#include "base/fs.h"
#include "base/mem.h"
#include "crypto/digest.h"
#include "state/scan.h"

#include <errno.h>
#include <unistd.h>

enum { F_ID, F_SVID, F_KEY, F_BUNDLE, F_REATTESTABLE, F_COUNT };

void writ_state_done(struct writ_state *s)
{
	writ_svid_unref(writ_steal(s->svid));
	writ_bundle_unref(writ_steal(s->bundle));
}

static writ_rc parse_cert(struct writ_str b64, struct writ_cert **ret, struct writ_err *err)
{
	struct writ_buf der = WRIT_BUF(WRIT_CERT_MAX);
	writ_rc rc = writ_base64_decode(b64, &der, err);
	if (rc == WRIT_OK)
		rc = writ_cert_parse(der.p, der.n, ret, err);
	writ_buf_done(&der);
	return rc;
}

/* All of a list; on failure none is left. */
static writ_rc parse_certs(
	const struct writ_scan_field *f, struct writ_cert **ret, size_t max, struct writ_err *err)
{
	if (f->n > max)
		return writ_fail(
			err, WRIT_ELIMIT, "\"%s\" has more than %zu certificates", f->name, max);
	for (size_t i = 0; i < f->n; i++) {
		writ_rc rc = parse_cert(f->items[i], &ret[i], err);
		if (rc != WRIT_OK) {
			writ_certs_unref(ret, i);
			return writ_wrap(err, rc, "\"%s\"", f->name);
		}
	}
	return WRIT_OK;
}

static writ_rc parse_key(struct writ_str b64, struct writ_key **ret, struct writ_err *err)
{
	struct writ_buf der = WRIT_BUF(16 * 1024);
	writ_rc rc = writ_base64_decode(b64, &der, err);
	if (rc == WRIT_OK)
		rc = writ_key_from_pkcs8(der.p, der.n, ret, err);
	writ_buf_wipe(&der);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "\"key\"");
}

static writ_rc parse_svid(
	const struct writ_scan_field *f, struct writ_svid **ret, struct writ_err *err)
{
	struct writ_cert *chain[WRIT_CHAIN_MAX];
	WRIT_AUTO(writ_key_unrefp) struct writ_key *key = NULL;
	if (!f[F_SVID].n || !f[F_KEY].n)
		return writ_fail(err, WRIT_EINVAL, "the SVID has no key, or the key no SVID");
	writ_rc rc = parse_key(f[F_KEY].items[0], &key, err);
	if (rc != WRIT_OK)
		return rc;
	rc = parse_certs(&f[F_SVID], chain, WRIT_CHAIN_MAX, err);
	if (rc != WRIT_OK)
		return rc;
	rc = writ_svid_new(chain, f[F_SVID].n, key, NULL, ret, err);
	writ_certs_unref(chain, f[F_SVID].n);
	return rc;
}

static writ_rc parse_bundle(struct writ_str td, const struct writ_scan_field *f,
	struct writ_bundle **ret, struct writ_err *err)
{
	struct writ_cert *cas[WRIT_BUNDLE_CAS_MAX];
	writ_rc rc = parse_certs(f, cas, WRIT_BUNDLE_CAS_MAX, err);
	if (rc != WRIT_OK)
		return rc;
	rc = writ_bundle_new(td, cas, NULL, f->n, 0, 0, ret, err);
	writ_certs_unref(cas, f->n);
	return rc;
}

static writ_rc check_id(const struct writ_scan_field *f, const struct writ_state *s,
	struct writ_str td, struct writ_err *err)
{
	struct writ_id id;
	if (!s->svid)
		return f->seen ? writ_fail(err, WRIT_EINVAL, "an agent ID without its SVID")
			       : WRIT_OK;
	if (!f->seen || !writ_str_eq(f->items[0], writ_cstr(s->svid->spiffe_id)))
		return writ_fail(err, WRIT_EINVAL, "\"agent_id\" is not the ID of the SVID");
	writ_rc rc = writ_id_parse(f->items[0], &id, err);
	if (rc == WRIT_OK && !writ_str_eq(id.td, td))
		rc = writ_fail(err, WRIT_EINVAL,
			"it belongs to trust domain '" WRIT_FMT
			"', the configuration says '" WRIT_FMT "'",
			WRIT_ARG(id.td), WRIT_ARG(td));
	return rc;
}

static writ_rc build(const struct writ_scan_field *f, struct writ_str td, struct writ_state *s,
	struct writ_err *err)
{
	writ_rc rc = WRIT_OK;
	if (f[F_SVID].seen || f[F_KEY].seen)
		rc = parse_svid(f, &s->svid, err);
	if (rc == WRIT_OK)
		rc = check_id(&f[F_ID], s, td, err);
	if (rc == WRIT_OK && f[F_BUNDLE].n)
		rc = parse_bundle(td, &f[F_BUNDLE], &s->bundle, err);
	s->reattestable = f[F_REATTESTABLE].yes;
	return rc;
}

writ_rc writ_state_parse(
	struct writ_str text, struct writ_str td, struct writ_state *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_freep)
	struct writ_scan_field *f = writ_alloc_array(F_COUNT, sizeof(*f));
	struct writ_state s = { .svid = NULL };
	f[F_ID] = (struct writ_scan_field){ .name = "agent_id", .kind = WRIT_SCAN_TEXT };
	f[F_SVID] = (struct writ_scan_field){ .name = "svid", .kind = WRIT_SCAN_LIST };
	f[F_KEY] = (struct writ_scan_field){ .name = "key", .kind = WRIT_SCAN_TEXT };
	f[F_BUNDLE] = (struct writ_scan_field){ .name = "bundle", .kind = WRIT_SCAN_LIST };
	f[F_REATTESTABLE] =
		(struct writ_scan_field){ .name = "reattestable", .kind = WRIT_SCAN_BOOL };
	writ_rc rc = writ_scan(text, f, F_COUNT, err);
	if (rc == WRIT_OK)
		rc = build(f, td, &s, err);
	if (rc != WRIT_OK) {
		writ_state_done(&s);
		return rc == WRIT_ELIMIT ? rc : (err ? (err->rc = WRIT_EINVAL) : WRIT_EINVAL);
	}
	*ret = s;
	return WRIT_OK;
}

static void add_list(
	struct writ_buf *out, const char *name, struct writ_cert *const *certs, size_t n)
{
	writ_buf_addf(out, "  \"%s\": [", name);
	for (size_t i = 0; i < n; i++) {
		struct writ_str der = writ_cert_der(certs[i]);
		writ_buf_add_cstr(out, i ? ",\n    \"" : "\n    \"");
		writ_base64_add(out, der.p, der.n);
		writ_buf_add_cstr(out, "\"");
	}
	writ_buf_add_cstr(out, "],\n");
}

writ_rc writ_state_print(const struct writ_state *s, struct writ_buf *out, struct writ_err *err)
{
	writ_buf_add_cstr(out, "{\n");
	if (s->svid) {
		struct writ_secret key = { 0 };
		writ_rc rc = writ_key_to_pkcs8(s->svid->key, &key, err);
		if (rc != WRIT_OK)
			return rc;
		writ_buf_addf(out, "  \"agent_id\": \"%s\",\n", s->svid->spiffe_id);
		add_list(out, "svid", s->svid->chain, s->svid->n_chain);
		writ_buf_add_cstr(out, "  \"key\": \"");
		writ_base64_add(out, key.p, key.n);
		writ_buf_add_cstr(out, "\",\n");
		writ_secret_done(&key);
	}
	if (s->bundle)
		add_list(out, "bundle", s->bundle->cas, s->bundle->n);
	writ_buf_addf(out, "  \"reattestable\": %s\n}\n", s->reattestable ? "true" : "false");
	return writ_buf_check(out, "agent state", err);
}

writ_rc writ_state_load(
	const char *path, struct writ_str td, struct writ_state *ret, struct writ_err *err)
{
	struct writ_buf text = WRIT_BUF(WRIT_STATE_MAX);
	writ_rc rc = writ_fs_read_private(path, &text, err);
	if (rc == WRIT_OK) {
		rc = writ_state_parse(writ_buf_str(&text), td, ret, err);
		if (rc != WRIT_OK)
			rc = writ_wrap(err, rc,
				"'%s' is damaged; restore it, or remove it and start with a new "
				"join token",
				path);
	}
	writ_buf_wipe(&text);
	return rc;
}

writ_rc writ_state_save(const char *path, const struct writ_state *s, struct writ_err *err)
{
	struct writ_buf text = WRIT_BUF(WRIT_STATE_MAX);
	/* Room for all of it at once: a buffer that grows leaves copies of the key behind. */
	(void)writ_buf_room(&text, 64 * 1024 + (s->bundle ? s->bundle->n * 4096 : 0));
	writ_rc rc = writ_state_print(s, &text, err);
	if (rc == WRIT_OK)
		rc = writ_fs_write(path, text.p, text.n, 0600, err);
	writ_buf_wipe(&text);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "save the agent's state");
}

writ_rc writ_state_delete(const char *path, struct writ_err *err)
{
	if (unlink(path) != 0 && errno != ENOENT)
		return writ_fail_errno(err, errno, "remove '%s'", path);
	return WRIT_OK;
}
