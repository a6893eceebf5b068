/* SPDX-License-Identifier: Apache-2.0 */
#include "signer/upstream.h"

#include "base/mem.h"

void writ_upstream_done(struct writ_upstream *u)
{
	writ_key_unref(u->key);
	for (size_t i = 0; i < u->n_chain; i++)
		writ_cert_unref(u->chain[i]);
	for (size_t i = 0; i < u->n_roots; i++)
		writ_cert_unref(u->roots[i]);
	*u = (struct writ_upstream){ 0 };
}

static writ_rc check_key(const struct writ_upstream *u, struct writ_err *err)
{
	struct writ_pubkey of_key, of_cert;
	writ_rc rc = writ_pubkey_of_key(u->key, &of_key, err);
	if (!rc)
		rc = writ_cert_pubkey(u->chain[0], &of_cert, err);
	if (rc)
		return rc;
	if (!writ_pubkey_eq(&of_key, &of_cert))
		return writ_fail(err, WRIT_EINVAL,
			"key_file_path: the key does not belong to the first certificate of "
			"cert_file_path");
	if (!writ_cert_is_ca(u->chain[0]) ||
		!(writ_cert_key_usage(u->chain[0]) & WRIT_KU_KEY_CERT_SIGN))
		return writ_fail(err, WRIT_EINVAL,
			"cert_file_path: '%s' is not a CA that may sign certificates",
			writ_cert_subject(u->chain[0]));
	return WRIT_OK;
}

static void unref_anchors(struct writ_anchors **a)
{
	writ_anchors_unref(*a);
}

static writ_rc check_chain(const struct writ_upstream *u, int64_t now, struct writ_err *err)
{
	WRIT_AUTO(unref_anchors) struct writ_anchors *anchors = NULL;
	writ_rc rc = writ_anchors_new(u->roots, u->n_roots, &anchors, err);
	if (!rc)
		rc = writ_chain_verify(anchors, u->chain, u->n_chain, WRIT_PURPOSE_ANY, now, err);
	return rc ? writ_wrap(err, rc, "cert_file_path does not lead to a root") : WRIT_OK;
}

writ_rc writ_upstream_open(struct writ_upstream *ret, struct writ_str cert, struct writ_str key,
	struct writ_str bundle, int64_t now, struct writ_err *err)
{
	WRIT_AUTO(writ_upstream_done) struct writ_upstream u = { .bundled = bundle.n > 0 };
	writ_rc rc = writ_certs_parse_pem(cert, u.chain, WRIT_CHAIN_MAX, &u.n_chain, err);
	if (!rc && !u.n_chain)
		rc = writ_fail(err, WRIT_EINVAL, "no certificate in it");
	if (rc)
		return writ_wrap(err, rc, "cert_file_path");
	rc = writ_key_from_pem(key, &u.key, err);
	if (rc)
		return writ_wrap(err, rc, "key_file_path");
	if (u.bundled) {
		rc = writ_certs_parse_pem(bundle, u.roots, WRIT_CHAIN_MAX, &u.n_roots, err);
		if (rc)
			return writ_wrap(err, rc, "bundle_file_path");
	} else if (u.n_chain > 1 || !writ_cert_self_signed(u.chain[0])) {
		return writ_fail(err, WRIT_EINVAL,
			"cert_file_path: without bundle_file_path it must hold one self-signed CA "
			"certificate");
	} else {
		u.roots[u.n_roots++] = writ_cert_ref(u.chain[0]);
	}
	rc = check_key(&u, err);
	if (!rc)
		rc = check_chain(&u, now, err);
	if (rc)
		return rc;
	*ret = u;
	u = (struct writ_upstream){ 0 };
	return WRIT_OK;
}
