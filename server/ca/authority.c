/* SPDX-License-Identifier: Apache-2.0 */
#include "ca/authority.h"

#include "base/mem.h"
#include "ca/ca.h"
#include "writ/signer/v1/signer.pb-c.h"

#include <string.h>

void writ_authority_done(struct writ_authority *a)
{
	writ_free(a->id);
	writ_cert_unref(a->cert);
	writ_certs_unref(a->chain, a->n_chain);
	writ_certs_unref(a->roots, a->n_roots);
	*a = (struct writ_authority){ 0 };
}

const char *writ_ca_state_name(enum writ_ca_state s)
{
	static const char *const names[] = { "prepared", "active", "old" };
	return names[s];
}

static writ_rc parse_chain(
	const Writ__Signer__V1__Ca *ca, struct writ_authority *a, struct writ_err *err)
{
	/* A root that hangs below nothing is in everybody's bundle: no use behind a leaf. */
	if (a->n_roots == 1 && writ_str_eq(writ_cert_der(a->roots[0]), writ_cert_der(a->cert)))
		return WRIT_OK;
	if (ca->n_chain > WRIT_CHAIN_MAX - 2)
		return writ_fail(err, WRIT_ELIMIT, "a chain of %zu certificates", ca->n_chain + 1);
	a->chain[a->n_chain++] = writ_cert_ref(a->cert);
	for (size_t i = 0; i < ca->n_chain; i++) {
		writ_rc rc = writ_cert_parse(
			ca->chain[i].data, ca->chain[i].len, &a->chain[a->n_chain], err);
		if (rc)
			return rc;
		a->n_chain++;
	}
	return WRIT_OK;
}

writ_rc writ_authority_parse(
	const Writ__Signer__V1__Ca *ca, struct writ_authority *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_authority_done)
	struct writ_authority a = { .id = writ_strdup(ca->authority_id) };
	writ_rc rc = writ_cert_parse(ca->cert.data, ca->cert.len, &a.cert, err);
	if (!rc)
		rc = writ_certs_parse(
			ca->root.data, ca->root.len, a.roots, WRIT_CHAIN_MAX, &a.n_roots, err);
	if (!rc)
		rc = parse_chain(ca, &a, err);
	if (!rc && strcmp(a.id, writ_cert_ski_hex(a.cert)) != 0)
		rc = writ_fail(err, WRIT_EPROTO, "the name is not that of the certificate");
	if (rc)
		return writ_wrap(err, rc, "CA %.40s, as the signer tells it", ca->authority_id);
	a.fact.state = ca->active ? WRIT_CA_ACTIVE : ca->old ? WRIT_CA_OLD : WRIT_CA_PREPARED;
	a.fact.begin = writ_cert_not_before(a.cert) + WRIT_CA_BACKDATE_S;
	a.fact.end = writ_cert_not_after(a.cert);
	*ret = a;
	a = (struct writ_authority){ 0 };
	return WRIT_OK;
}
