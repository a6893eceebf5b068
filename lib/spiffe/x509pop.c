/* SPDX-License-Identifier: Apache-2.0 */
#include "spiffe/x509pop.h"

#include "base/mem.h"
#include "spiffe/json.h"

#define CERTIFICATES "certificates"
#define RSA          "rsa_signature"
#define ECDSA        "ecdsa_signature"

static writ_rc parse_cert(
	const struct json_t *doc, size_t i, struct writ_cert **ret, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf der = WRIT_BUF(WRIT_CERT_MAX);
	writ_rc rc = writ_json_add_item(doc, CERTIFICATES, i, &der, err);
	if (rc == WRIT_OK)
		rc = writ_cert_parse(der.p, der.n, ret, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, WRIT_EINVAL, "certificate %zu", i + 1);
}

writ_rc writ_x509pop_parse(struct writ_str payload, size_t max, struct writ_cert **certs, size_t *n,
	struct writ_err *err)
{
	WRIT_AUTO(writ_json_freep) struct json_t *doc = NULL;
	if (payload.n > WRIT_X509POP_PAYLOAD_MAX)
		return writ_fail(err, WRIT_EINVAL, "a payload of %zu bytes, at most %d are taken",
			payload.n, WRIT_X509POP_PAYLOAD_MAX);
	writ_rc rc = writ_json_parse(payload, &doc, err);
	if (rc != WRIT_OK)
		return rc;
	size_t count = writ_json_count(doc, CERTIFICATES);
	if (count == 0)
		return writ_fail(err, WRIT_EINVAL, "no certificate to attest");
	if (count > max)
		return writ_fail(err, WRIT_EINVAL,
			"too many intermediate certificates: %zu, at most %zu are taken", count - 1,
			max - 1);
	for (size_t i = 0; i < count; i++) {
		rc = parse_cert(doc, i, &certs[i], err);
		if (rc != WRIT_OK) {
			writ_certs_unref(certs, i);
			return rc;
		}
	}
	*n = count;
	return WRIT_OK;
}

writ_rc writ_x509pop_print(
	struct writ_cert *const *certs, size_t n, struct writ_buf *out, struct writ_err *err)
{
	writ_buf_add_cstr(out, "{\"" CERTIFICATES "\":[");
	for (size_t i = 0; i < n; i++) {
		struct writ_str der = writ_cert_der(certs[i]);
		if (i)
			writ_buf_add_byte(out, ',');
		writ_json_put_bytes(out, der.p, der.n);
	}
	writ_buf_add_cstr(out, "]}");
	return writ_buf_check(out, "x509pop payload", err);
}

/* The one of the two members that is there. */
static const struct json_t *pick(const struct json_t *doc, bool *is_rsa, struct writ_err *err)
{
	const struct json_t *rsa = writ_json_object(doc, RSA);
	const struct json_t *ecdsa = writ_json_object(doc, ECDSA);
	*is_rsa = rsa != NULL;
	if (!rsa == !ecdsa)
		(void)writ_fail(err, WRIT_EINVAL, "%s \"" RSA "\" and \"" ECDSA "\"",
			rsa ? "both" : "neither");
	return !rsa == !ecdsa ? NULL : rsa ? rsa : ecdsa;
}

writ_rc writ_x509pop_challenge_parse(
	struct writ_str text, struct writ_x509pop_challenge *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_json_freep) struct json_t *doc = NULL;
	struct writ_x509pop_challenge c;
	writ_rc rc = writ_json_parse(text, &doc, err);
	if (rc != WRIT_OK)
		return rc;
	const struct json_t *m = pick(doc, &c.is_rsa, err);
	rc = m ? writ_json_exact(m, "nonce", c.nonce, sizeof(c.nonce), err) : WRIT_EINVAL;
	if (rc == WRIT_OK)
		*ret = c;
	return rc;
}

void writ_x509pop_challenge_print(const struct writ_x509pop_challenge *c, struct writ_buf *out)
{
	writ_buf_add_cstr(out,
		c->is_rsa ? "{\"" RSA "\":{\"nonce\":"
			  : "{\"" RSA "\":null,\"" ECDSA "\":{\"nonce\":");
	writ_json_put_bytes(out, c->nonce, sizeof(c->nonce));
	writ_buf_add_cstr(out, c->is_rsa ? "},\"" ECDSA "\":null}" : "}}");
}

writ_rc writ_x509pop_answer_parse(
	struct writ_str text, struct writ_x509pop_answer *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_json_freep) struct json_t *doc = NULL;
	struct writ_x509pop_answer a = { .sig = { .n_a = 0 } };
	struct writ_pop_sig *s = &a.sig;
	writ_rc rc = writ_json_parse(text, &doc, err);
	if (rc != WRIT_OK)
		return rc;
	const struct json_t *m = pick(doc, &s->is_rsa, err);
	rc = m ? writ_json_exact(m, "nonce", a.nonce, sizeof(a.nonce), err) : WRIT_EINVAL;
	if (rc == WRIT_OK && s->is_rsa)
		rc = writ_json_bytes(m, "signature", s->a, sizeof(s->a), &s->n_a, err);
	if (rc == WRIT_OK && !s->is_rsa)
		rc = writ_json_bytes(m, "r", s->a, WRIT_POP_NUMBER, &s->n_a, err);
	if (rc == WRIT_OK && !s->is_rsa)
		rc = writ_json_bytes(m, "s", s->b, WRIT_POP_NUMBER, &s->n_b, err);
	if (rc == WRIT_OK)
		*ret = a;
	return rc;
}

void writ_x509pop_answer_print(const struct writ_x509pop_answer *a, struct writ_buf *out)
{
	const struct writ_pop_sig *s = &a->sig;
	writ_buf_add_cstr(out,
		s->is_rsa ? "{\"" RSA "\":{\"nonce\":"
			  : "{\"" RSA "\":null,\"" ECDSA "\":{\"nonce\":");
	writ_json_put_bytes(out, a->nonce, sizeof(a->nonce));
	writ_buf_add_cstr(out, s->is_rsa ? ",\"signature\":" : ",\"r\":");
	writ_json_put_bytes(out, s->a, s->n_a);
	if (!s->is_rsa) {
		writ_buf_add_cstr(out, ",\"s\":");
		writ_json_put_bytes(out, s->b, s->n_b);
	}
	writ_buf_add_cstr(out, s->is_rsa ? "},\"" ECDSA "\":null}" : "}}");
}
