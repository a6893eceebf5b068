/* SPDX-License-Identifier: Apache-2.0 */
#include "spiffe/svid.h"

#include "base/mem.h"

#include <string.h>

#define SHORT_LIFE_S 60

writ_rc writ_svid_check_leaf(const struct writ_cert *c, struct writ_id *id, struct writ_err *err)
{
	struct writ_id found;
	unsigned ku = writ_cert_key_usage(c);
	size_t uris = writ_cert_uri_count(c);
	if (uris != 1)
		return writ_fail(err, WRIT_ECRYPTO,
			"X509-SVID: %zu URI names, exactly one is allowed", uris);
	writ_rc rc = writ_id_parse_leaf(writ_cert_uri(c, 0), &found, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, WRIT_ECRYPTO, "X509-SVID");
	if (writ_cert_is_ca(c))
		return writ_fail(err, WRIT_ECRYPTO,
			"X509-SVID: the leaf is a CA (basicConstraints cA is true)");
	if (!(ku & WRIT_KU_PRESENT))
		return writ_fail(err, WRIT_ECRYPTO, "X509-SVID: the leaf has no keyUsage");
	if (ku & (WRIT_KU_KEY_CERT_SIGN | WRIT_KU_CRL_SIGN))
		return writ_fail(err, WRIT_ECRYPTO, "X509-SVID: the leaf's keyUsage has %s",
			ku & WRIT_KU_KEY_CERT_SIGN ? "keyCertSign" : "cRLSign");
	if (!(ku & WRIT_KU_DIGITAL_SIGNATURE))
		return writ_fail(
			err, WRIT_ECRYPTO, "X509-SVID: the leaf's keyUsage lacks digitalSignature");
	if (!strcmp(writ_cert_serial_dec(c), "0"))
		return writ_fail(err, WRIT_ECRYPTO, "X509-SVID: the serial number is 0");
	*id = found;
	return WRIT_OK;
}

/* A certificate behind the leaf must be fit to sign, whether or not the path goes through it: a
 * leaf there has come to the wrong place. */
static writ_rc check_helpers(struct writ_cert *const *chain, size_t n, struct writ_err *err)
{
	for (size_t i = 1; i < n; i++) {
		unsigned ku = writ_cert_key_usage(chain[i]);
		if (!writ_cert_is_ca(chain[i]))
			return writ_fail(err, WRIT_ECRYPTO,
				"X509-SVID: certificate %zu of the chain is no CA", i + 1);
		if (!(ku & WRIT_KU_KEY_CERT_SIGN))
			return writ_fail(err, WRIT_ECRYPTO,
				"X509-SVID: certificate %zu of the chain lacks keyUsage "
				"keyCertSign",
				i + 1);
	}
	return WRIT_OK;
}

writ_rc writ_svid_verify(struct writ_cert *const *chain, size_t n,
	const struct writ_bundles *bundles, enum writ_purpose purpose, int64_t now,
	struct writ_id *id, struct writ_err *err)
{
	struct writ_id found;
	if (n < 1 || n > WRIT_CHAIN_MAX)
		return writ_fail(err, WRIT_ECRYPTO,
			"X509-SVID: a chain of %zu certificates, 1 to %d are taken", n,
			WRIT_CHAIN_MAX);
	writ_rc rc = writ_svid_check_leaf(chain[0], &found, err);
	if (rc == WRIT_OK)
		rc = check_helpers(chain, n, err);
	if (rc != WRIT_OK)
		return rc;
	const struct writ_bundle *b = writ_bundles_get(bundles, found.td);
	if (!b)
		return writ_fail(err, WRIT_EUNAUTH,
			"X509-SVID of '" WRIT_FMT
			"': no trust bundle is here for trust domain '" WRIT_FMT "'",
			(int)(found.uri.n < 200 ? found.uri.n : 200), found.uri.p,
			WRIT_ARG(found.td));
	rc = writ_chain_verify(b->anchors, chain, n, purpose, now, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "X509-SVID of '" WRIT_FMT "'",
			(int)(found.uri.n < 200 ? found.uri.n : 200), found.uri.p);
	*id = found;
	return WRIT_OK;
}

writ_rc writ_svid_new(struct writ_cert *const *chain, size_t n, struct writ_key *key,
	const char *hint, struct writ_svid **ret, struct writ_err *err)
{
	struct writ_id id;
	struct writ_pubkey pub;
	if (n < 1 || n > WRIT_CHAIN_MAX)
		return writ_fail(err, WRIT_EINVAL,
			"X509-SVID: a chain of %zu certificates, 1 to %d are taken", n,
			WRIT_CHAIN_MAX);
	writ_rc rc = writ_svid_check_leaf(chain[0], &id, err);
	if (rc == WRIT_OK)
		rc = check_helpers(chain, n, err);
	if (rc == WRIT_OK)
		rc = writ_pubkey_of_key(key, &pub, err);
	if (rc != WRIT_OK)
		return rc;
	if (!writ_str_eq(writ_cert_spki(chain[0]), writ_strn(pub.spki, pub.spki_len)))
		return writ_fail(
			err, WRIT_ECRYPTO, "X509-SVID: the private key is not the certificate's");
	struct writ_svid *s = writ_alloc(sizeof(*s));
	s->refs = 1;
	s->spiffe_id = writ_strndup(id.uri.p, id.uri.n);
	s->hint = writ_strdup(hint ? hint : "");
	for (size_t i = 0; i < n; i++)
		s->chain[i] = writ_cert_ref(chain[i]);
	s->n_chain = n;
	s->key = writ_key_ref(key);
	*ret = s;
	return WRIT_OK;
}

struct writ_svid *writ_svid_ref(struct writ_svid *s)
{
	if (s)
		__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void writ_svid_unref(struct writ_svid *s)
{
	if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL))
		return;
	writ_certs_unref(s->chain, s->n_chain);
	writ_key_unref(s->key);
	writ_free(s->spiffe_id);
	writ_free(s->hint);
	writ_free(s);
}

void writ_svid_unrefp(struct writ_svid **s)
{
	writ_svid_unref(*s);
}

int64_t writ_svid_not_after(const struct writ_svid *s)
{
	return writ_cert_not_after(s->chain[0]);
}

int64_t writ_svid_not_before(const struct writ_svid *s)
{
	return writ_cert_not_before(s->chain[0]);
}

int64_t writ_svid_renew_at_ms(int64_t not_before_s, int64_t not_after_s, unsigned random_0_to_999)
{
	/* 30 % to 40 %, in units of a hundredth of a percent */
	int64_t share = 3000 + (int64_t)(random_0_to_999 % 1000);
	int64_t life = not_after_s - not_before_s;
	/* Issuers date certificates back. In a short life that is so much of it that a certificate
	 * would be due before it was there. */
	if (life > WRIT_SVID_BACKDATED_S && life < SHORT_LIFE_S) {
		not_before_s += WRIT_SVID_BACKDATED_S;
		life -= WRIT_SVID_BACKDATED_S;
	}
	return not_before_s * 1000 + life * share / 10;
}
