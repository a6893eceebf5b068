/* SPDX-License-Identifier: Apache-2.0 */
#include "signer/slot.h"

#include "base/mem.h"
#include "crypto/digest.h"

#include <inttypes.h>
#include <string.h>

#define FORM "writ-ca 1"

static const char *const state_names[] = { "prepared", "active", "old" };

void writ_slot_done(struct writ_slot *s)
{
	writ_key_unref(s->key);
	writ_cert_unref(s->cert);
	for (size_t i = 0; i < s->n_chain; i++)
		writ_cert_unref(s->chain[i]);
	for (size_t i = 0; i < s->n_roots; i++)
		writ_cert_unref(s->roots[i]);
	writ_anchors_unref(s->self);
	*s = (struct writ_slot){ 0 };
}

writ_rc writ_slot_seal(struct writ_slot *s, struct writ_err *err)
{
	struct writ_pubkey of_key, of_cert;
	writ_rc rc = writ_pubkey_of_key(s->key, &of_key, err);
	if (!rc)
		rc = writ_cert_pubkey(s->cert, &of_cert, err);
	if (rc)
		return rc;
	if (!writ_pubkey_eq(&of_key, &of_cert))
		return writ_fail(err, WRIT_ECRYPTO, "the key is not that of the certificate");
	if (!writ_cert_is_ca(s->cert))
		return writ_fail(err, WRIT_ECRYPTO, "the certificate is not that of a CA");
	const char *ski = writ_cert_ski_hex(s->cert);
	if (!*ski || strlen(ski) > WRIT_AUTHORITY_MAX)
		return writ_fail(
			err, WRIT_ECRYPTO, "the certificate has no usable subject key identifier");
	if (s->n_roots == 0)
		return writ_fail(err, WRIT_ECRYPTO, "no root certificate");
	memcpy(s->authority, ski, strlen(ski) + 1);
	return writ_anchors_new(&s->cert, 1, &s->self, err);
}

static void add_cert(struct writ_buf *out, const struct writ_cert *c)
{
	struct writ_str der = writ_cert_der(c);
	writ_pem_add(out, "CERTIFICATE", der.p, der.n);
}

writ_rc writ_slot_print(const struct writ_slot *s, struct writ_buf *out, struct writ_err *err)
{
	struct writ_secret der = { 0 };
	writ_rc rc = writ_key_to_pkcs8(s->key, &der, err);
	if (rc)
		return rc;
	writ_buf_addf(out, FORM "\nstate %s\nactivated %" PRId64 "\nchain %zu\n",
		state_names[s->state], s->activated, s->n_chain);
	writ_pem_add(out, "PRIVATE KEY", der.p, der.n);
	writ_secret_done(&der);
	add_cert(out, s->cert);
	for (size_t i = 0; i < s->n_chain; i++)
		add_cert(out, s->chain[i]);
	for (size_t i = 0; i < s->n_roots; i++)
		add_cert(out, s->roots[i]);
	return writ_buf_check(out, "a CA with its certificates", err);
}

/* The value of the line "name value" at the front of text, which moves behind it. */
static bool line(struct writ_str *text, const char *name, struct writ_str *value)
{
	struct writ_str word;
	if (!writ_str_cut(text, '\n', value) || !writ_str_cut(value, ' ', &word))
		return false;
	return writ_str_eq(word, writ_cstr(name));
}

static writ_rc parse_head(
	struct writ_str *text, struct writ_slot *s, size_t *n_chain, struct writ_err *err)
{
	struct writ_str version, state, activated, chain;
	if (!line(text, "writ-ca", &version) || !writ_str_eq(version, WRIT_STR("1")) ||
		!line(text, "state", &state) || !line(text, "activated", &activated) ||
		!line(text, "chain", &chain))
		return writ_fail(
			err, WRIT_EINVAL, "not a CA as this version of writ-signer writes it");
	size_t k = 0;
	while (k < WRIT_COUNT(state_names) && !writ_str_eq(state, writ_cstr(state_names[k])))
		k++;
	if (k == WRIT_COUNT(state_names))
		return writ_fail(
			err, WRIT_EINVAL, "state '" WRIT_FMT "' is not known", WRIT_ARG(state));
	uint64_t at = 0, n = 0;
	writ_rc rc = writ_parse_u64(activated, 0, INT64_MAX, &at, err);
	if (!rc)
		rc = writ_parse_u64(chain, 0, WRIT_CHAIN_MAX, &n, err);
	s->state = (enum writ_slot_state)k;
	s->activated = (int64_t)at;
	*n_chain = (size_t)n;
	return rc;
}

/* The certificates behind the key: our own, the chain, the roots. */
static writ_rc parse_certs(
	struct writ_str text, size_t n_chain, struct writ_slot *s, struct writ_err *err)
{
	struct writ_cert *all[1 + 2 * WRIT_CHAIN_MAX];
	size_t n = 0;
	writ_rc rc = writ_certs_parse_pem(text, all, WRIT_COUNT(all), &n, err);
	if (rc)
		return rc;
	if (n < n_chain + 2 || n - n_chain - 1 > WRIT_CHAIN_MAX) {
		writ_certs_unref(all, n);
		return writ_fail(err, WRIT_EINVAL,
			"%zu certificates, %zu of them a chain: does not fit", n, n_chain);
	}
	s->cert = all[0];
	s->n_chain = n_chain;
	memcpy(s->chain, all + 1, n_chain * sizeof(all[0]));
	s->n_roots = n - n_chain - 1;
	memcpy(s->roots, all + 1 + n_chain, s->n_roots * sizeof(all[0]));
	return WRIT_OK;
}

writ_rc writ_slot_parse(struct writ_str text, struct writ_slot *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_slot_done) struct writ_slot s = { 0 };
	size_t n_chain = 0;
	writ_rc rc = parse_head(&text, &s, &n_chain, err);
	if (!rc)
		rc = writ_key_from_pem(text, &s.key, err);
	if (!rc)
		rc = parse_certs(text, n_chain, &s, err);
	if (!rc)
		rc = writ_slot_seal(&s, err);
	if (rc)
		return rc;
	*ret = s;
	s = (struct writ_slot){ 0 };
	return WRIT_OK;
}
