/* SPDX-License-Identifier: Apache-2.0 */
#include "spiffe/tpm_devid.h"

#include "base/mem.h"
#include "spiffe/json.h"

#include <jansson.h>

void writ_tpm_request_init(struct writ_tpm_request *q)
{
	*q = (struct writ_tpm_request){ .devid_pub = WRIT_BUF(WRIT_TPM_PUBLIC_MAX),
		.ek_pub = WRIT_BUF(WRIT_TPM_PUBLIC_MAX),
		.ak_pub = WRIT_BUF(WRIT_TPM_PUBLIC_MAX),
		.attest = WRIT_BUF(WRIT_TPM_ATTEST_MAX),
		.signature = WRIT_BUF(WRIT_TPM_SIGNATURE_MAX) };
}

void writ_tpm_request_done(struct writ_tpm_request *q)
{
	writ_certs_unref(q->devid, q->n_devid);
	writ_cert_unref(q->ek_cert);
	writ_buf_done(&q->devid_pub);
	writ_buf_done(&q->ek_pub);
	writ_buf_done(&q->ak_pub);
	writ_buf_done(&q->attest);
	writ_buf_done(&q->signature);
	writ_tpm_request_init(q);
}

static writ_rc read_certs(
	const struct json_t *doc, struct writ_tpm_request *q, struct writ_err *err)
{
	size_t n = writ_json_count(doc, "DevIDCert");
	writ_rc rc = WRIT_OK;
	if (!n)
		return writ_fail(err, WRIT_EINVAL, "no DevID certificate to attest");
	if (n > WRIT_TPM_DEVID_CERTS_MAX)
		return writ_fail(err, WRIT_EINVAL, "%zu DevID certificates, at most %d are taken",
			n, WRIT_TPM_DEVID_CERTS_MAX);
	for (size_t i = 0; rc == WRIT_OK && i < n; i++) {
		WRIT_AUTO(writ_buf_done) struct writ_buf der = WRIT_BUF(WRIT_CERT_MAX);
		rc = writ_json_add_item(doc, "DevIDCert", i, &der, err);
		if (rc == WRIT_OK)
			rc = writ_cert_parse(der.p, der.n, &q->devid[i], err);
		q->n_devid += rc == WRIT_OK;
	}
	return rc == WRIT_OK ? rc : writ_wrap(err, WRIT_EINVAL, "DevID certificate");
}

static writ_rc read_ek_cert(
	const struct json_t *doc, struct writ_tpm_request *q, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf der = WRIT_BUF(WRIT_CERT_MAX);
	writ_rc rc = writ_json_add_bytes(doc, "EKCert", &der, err);
	if (rc == WRIT_OK)
		rc = writ_cert_parse(der.p, der.n, &q->ek_cert, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, WRIT_EINVAL, "endorsement certificate");
}

writ_rc writ_tpm_request_parse(
	struct writ_str payload, struct writ_tpm_request *q, struct writ_err *err)
{
	WRIT_AUTO(writ_json_freep) struct json_t *doc = NULL;
	const struct {
		const char *name;
		struct writ_buf *to;
	} rows[] = { { "DevIDPub", &q->devid_pub }, { "EKPub", &q->ek_pub },
		{ "AKPub", &q->ak_pub }, { "CertifiedDevID", &q->attest },
		{ "CertificationSignature", &q->signature } };
	writ_rc rc = writ_json_parse(payload, &doc, err);
	if (rc == WRIT_OK)
		rc = read_certs(doc, q, err);
	if (rc == WRIT_OK)
		rc = read_ek_cert(doc, q, err);
	for (size_t i = 0; rc == WRIT_OK && i < WRIT_COUNT(rows); i++)
		rc = writ_json_add_bytes(doc, rows[i].name, rows[i].to, err);
	return rc;
}

static void put(struct writ_buf *out, const char *name, const void *p, size_t n)
{
	writ_buf_addf(out, "\"%s\":", name);
	writ_json_put_bytes(out, p, n);
}

void writ_tpm_request_print(const struct writ_tpm_request *q, struct writ_buf *out)
{
	const struct {
		const char *name;
		const struct writ_buf *from;
	} rows[] = { { "DevIDPub", &q->devid_pub }, { "EKPub", &q->ek_pub },
		{ "AKPub", &q->ak_pub }, { "CertifiedDevID", &q->attest },
		{ "CertificationSignature", &q->signature } };
	writ_buf_add_cstr(out, "{\"DevIDCert\":[");
	for (size_t i = 0; i < q->n_devid; i++) {
		struct writ_str der = writ_cert_der(q->devid[i]);
		if (i)
			writ_buf_add_byte(out, ',');
		writ_json_put_bytes(out, der.p, der.n);
	}
	writ_buf_add_cstr(out, "],");
	put(out, "EKCert", writ_cert_der(q->ek_cert).p, writ_cert_der(q->ek_cert).n);
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		writ_buf_add_byte(out, ',');
		put(out, rows[i].name, rows[i].from->p, rows[i].from->n);
	}
	writ_buf_add_byte(out, '}');
}

/* --- challenge and answer --- */

void writ_tpm_challenge_init(struct writ_tpm_challenge *c)
{
	*c = (struct writ_tpm_challenge){ .credential = WRIT_BUF(WRIT_TPM_BLOB_MAX),
		.encrypted = WRIT_BUF(WRIT_TPM_BLOB_MAX) };
}

void writ_tpm_challenge_done(struct writ_tpm_challenge *c)
{
	writ_buf_done(&c->credential);
	writ_buf_done(&c->encrypted);
}

writ_rc writ_tpm_challenge_parse(
	struct writ_str text, struct writ_tpm_challenge *c, struct writ_err *err)
{
	WRIT_AUTO(writ_json_freep) struct json_t *doc = NULL;
	writ_rc rc = writ_json_parse(text, &doc, err);
	if (rc == WRIT_OK)
		rc = writ_json_exact(doc, "DevID", c->nonce, sizeof(c->nonce), err);
	if (rc != WRIT_OK)
		return rc;
	const struct json_t *act = writ_json_object(doc, "CredActivation");
	if (!act)
		return writ_fail(err, WRIT_EINVAL, "no \"CredActivation\" in it");
	rc = writ_json_add_bytes(act, "Credential", &c->credential, err);
	return rc == WRIT_OK ? writ_json_add_bytes(act, "Secret", &c->encrypted, err) : rc;
}

void writ_tpm_challenge_print(const struct writ_tpm_challenge *c, struct writ_buf *out)
{
	writ_buf_add_byte(out, '{');
	put(out, "DevID", c->nonce, sizeof(c->nonce));
	writ_buf_add_cstr(out, ",\"CredActivation\":{");
	put(out, "Credential", c->credential.p, c->credential.n);
	writ_buf_add_byte(out, ',');
	put(out, "Secret", c->encrypted.p, c->encrypted.n);
	writ_buf_add_cstr(out, "}}");
}

writ_rc writ_tpm_answer_parse(
	struct writ_str text, struct writ_tpm_answer *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_json_freep) struct json_t *doc = NULL;
	struct writ_tpm_answer a = { .n_signature = 0 };
	writ_rc rc = writ_json_parse(text, &doc, err);
	if (rc == WRIT_OK)
		rc = writ_json_bytes(
			doc, "DevID", a.signature, sizeof(a.signature), &a.n_signature, err);
	if (rc == WRIT_OK)
		rc = writ_json_exact(doc, "CredActivation", a.secret, sizeof(a.secret), err);
	if (rc == WRIT_OK)
		*ret = a;
	return rc;
}

void writ_tpm_answer_print(const struct writ_tpm_answer *a, struct writ_buf *out)
{
	writ_buf_add_byte(out, '{');
	put(out, "DevID", a->signature, a->n_signature);
	writ_buf_add_byte(out, ',');
	put(out, "CredActivation", a->secret, sizeof(a->secret));
	writ_buf_add_byte(out, '}');
}
