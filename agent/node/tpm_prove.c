/* SPDX-License-Identifier: Apache-2.0 */
#include "node/tpm_impl.h"

#include "base/mem.h"
#include "crypto/cert.h"
#include "crypto/der.h"

#include <string.h>
#include <tss2/tss2_mu.h>

#define EK_CERT_INDEX 0x01c00002 /* RSA 2048: TCG TPM 2.0 Provisioning Guidance 7.8 */
#define NV_CHUNK      512        /* every TPM reads that much at once */

static writ_rc put_public(const TPM2B_PUBLIC *pub, struct writ_buf *out, struct writ_err *err)
{
	uint8_t text[sizeof(TPM2B_PUBLIC)];
	size_t n = 0;
	TSS2_RC rc = Tss2_MU_TPMT_PUBLIC_Marshal(&pub->publicArea, text, sizeof(text), &n);
	if (rc != TSS2_RC_SUCCESS)
		return writ__tpm_fail(err, rc, "print a public key");
	writ_buf_add(out, text, n);
	return writ_buf_check(out, "TPM: a public key", err);
}

static writ_rc read_index(
	struct writ_tpm *t, ESYS_TR index, struct writ_buf *out, struct writ_err *err)
{
	static const char doing[] = "read the endorsement certificate";
	TPM2B_NV_PUBLIC *pub = NULL;
	TSS2_RC rc = Esys_NV_ReadPublic(
		t->esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &pub, NULL);
	if (rc != TSS2_RC_SUCCESS)
		return writ__tpm_fail(err, rc, doing);
	UINT16 size = pub->nvPublic.dataSize;
	Esys_Free(pub);
	for (UINT16 at = 0; at < size;) {
		TPM2B_MAX_NV_BUFFER *piece = NULL;
		UINT16 n = size - at < NV_CHUNK ? (UINT16)(size - at) : NV_CHUNK;
		rc = Esys_NV_Read(t->esys, index, index, ESYS_TR_PASSWORD, ESYS_TR_NONE,
			ESYS_TR_NONE, n, at, &piece);
		if (rc != TSS2_RC_SUCCESS)
			return writ__tpm_fail(err, rc, doing);
		n = piece->size;
		writ_buf_add(out, piece->buffer, n);
		Esys_Free(piece);
		if (!n)
			break;
		at = (UINT16)(at + n);
	}
	return writ_buf_check(out, "TPM: the endorsement certificate", err);
}

/* Some TPMs fill the index up behind the certificate. */
static writ_rc read_ek_cert(struct writ_tpm *t, struct writ_buf *out, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf all = WRIT_BUF(WRIT_CERT_MAX);
	struct writ_der at, whole;
	uint8_t tag;
	ESYS_TR index = ESYS_TR_NONE;
	TSS2_RC trc = Esys_TR_FromTPMPublic(
		t->esys, EK_CERT_INDEX, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &index);
	if (trc != TSS2_RC_SUCCESS)
		return writ__tpm_fail(
			err, trc, "find the endorsement certificate (RSA 2048, index 0x01c00002)");
	writ_rc rc = read_index(t, index, &all, err);
	(void)Esys_TR_Close(t->esys, &index);
	if (rc != WRIT_OK)
		return rc;
	at = writ_der(all.p, all.n);
	if (!writ_der_any(&at, &tag, NULL, &whole))
		return writ_fail(
			err, WRIT_EINVAL, "TPM: its endorsement certificate is no certificate");
	writ_buf_add(out, whole.p, whole.n);
	return writ_buf_check(out, "TPM: the endorsement certificate", err);
}

static writ_rc certify(struct writ_tpm *t, struct writ_tpm_statement *out, struct writ_err *err)
{
	const TPM2B_DATA qualifying = { .size = 0 };
	const TPMT_SIG_SCHEME scheme = { .scheme = TPM2_ALG_RSASSA,
		.details.rsassa.hashAlg = TPM2_ALG_SHA256 };
	TPM2B_ATTEST *attest = NULL;
	TPMT_SIGNATURE *sig = NULL;
	uint8_t text[sizeof(TPMT_SIGNATURE)];
	size_t n = 0;
	TSS2_RC rc = Esys_Certify(t->esys, t->devid, t->ak, ESYS_TR_PASSWORD, ESYS_TR_PASSWORD,
		ESYS_TR_NONE, &qualifying, &scheme, &attest, &sig);
	if (rc == TSS2_RC_SUCCESS)
		rc = Tss2_MU_TPMT_SIGNATURE_Marshal(sig, text, sizeof(text), &n);
	if (rc == TSS2_RC_SUCCESS) {
		writ_buf_add(&out->attest, attest->attestationData, attest->size);
		writ_buf_add(&out->signature, text, n);
	}
	Esys_Free(attest);
	Esys_Free(sig);
	if (rc != TSS2_RC_SUCCESS)
		return writ__tpm_fail(err, rc, "certify the DevID key");
	rc = writ_buf_check(&out->attest, "TPM: a certification", err);
	return rc == WRIT_OK ? writ_buf_check(&out->signature, "TPM: a signature", err)
			     : (writ_rc)rc;
}

writ_rc writ_tpm_state(struct writ_tpm *t, struct writ_tpm_statement *out, struct writ_err *err)
{
	writ_rc rc = put_public(&t->devid_pub, &out->devid_pub, err);
	if (rc == WRIT_OK)
		rc = put_public(&t->ak_pub, &out->ak_pub, err);
	if (rc == WRIT_OK)
		rc = put_public(&t->ek_pub, &out->ek_pub, err);
	if (rc == WRIT_OK)
		rc = read_ek_cert(t, &out->ek_cert, err);
	return rc == WRIT_OK ? certify(t, out, err) : rc;
}

static void put_ecdsa(const TPMS_SIGNATURE_ECC *s, struct writ_buf *out)
{
	size_t seq = writ_der_open(out, WRIT_DER_SEQ);
	writ_der_add_uint(out, s->signatureR.buffer, s->signatureR.size);
	writ_der_add_uint(out, s->signatureS.buffer, s->signatureS.size);
	writ_der_close(out, seq);
}

writ_rc writ_tpm_sign(
	struct writ_tpm *t, struct writ_str bytes, struct writ_buf *out, struct writ_err *err)
{
	TPM2B_MAX_BUFFER data = { .size = (UINT16)bytes.n };
	const TPMT_SIG_SCHEME scheme = t->devid_pub.publicArea.type == TPM2_ALG_ECC
		? (TPMT_SIG_SCHEME){ .scheme = TPM2_ALG_ECDSA,
			  .details.ecdsa.hashAlg = TPM2_ALG_SHA256 }
		: (TPMT_SIG_SCHEME){ .scheme = TPM2_ALG_RSASSA,
			  .details.rsassa.hashAlg = TPM2_ALG_SHA256 };
	TPM2B_DIGEST *digest = NULL;
	TPMT_TK_HASHCHECK *ticket = NULL;
	TPMT_SIGNATURE *sig = NULL;
	if (bytes.n > sizeof(data.buffer))
		return writ_fail(err, WRIT_ELIMIT, "TPM: too much to sign at once");
	memcpy(data.buffer, bytes.p, bytes.n);
	/* By the TPM itself: a restricted key signs nothing else. */
	TSS2_RC rc = Esys_Hash(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &data,
		TPM2_ALG_SHA256, ESYS_TR_RH_OWNER, &digest, &ticket);
	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_Sign(t->esys, t->devid, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
			digest, &scheme, ticket, &sig);
	if (rc == TSS2_RC_SUCCESS && sig->sigAlg == TPM2_ALG_ECDSA)
		put_ecdsa(&sig->signature.ecdsa, out);
	else if (rc == TSS2_RC_SUCCESS)
		writ_buf_add(out, sig->signature.rsassa.sig.buffer, sig->signature.rsassa.sig.size);
	Esys_Free(digest);
	Esys_Free(ticket);
	Esys_Free(sig);
	return rc == TSS2_RC_SUCCESS ? writ_buf_check(out, "TPM: a signature", err)
				     : writ__tpm_fail(err, rc, "sign with the DevID key");
}

/* The endorsement key opens nothing without its policy: the endorsement hierarchy's password. */
static TSS2_RC start_policy(struct writ_tpm *t, ESYS_TR *session)
{
	const TPMT_SYM_DEF none = { .algorithm = TPM2_ALG_NULL };
	TSS2_RC rc = Esys_StartAuthSession(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
		ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_POLICY, &none, TPM2_ALG_SHA256, session);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	return Esys_PolicySecret(t->esys, ESYS_TR_RH_ENDORSEMENT, *session, ESYS_TR_PASSWORD,
		ESYS_TR_NONE, ESYS_TR_NONE, NULL, NULL, NULL, 0, NULL, NULL);
}

writ_rc writ_tpm_activate(struct writ_tpm *t, struct writ_str credential, struct writ_str encrypted,
	struct writ_buf *out, struct writ_err *err)
{
	TPM2B_ID_OBJECT object = { .size = (UINT16)credential.n };
	TPM2B_ENCRYPTED_SECRET secret = { .size = (UINT16)encrypted.n };
	TPM2B_DIGEST *got = NULL;
	ESYS_TR session = ESYS_TR_NONE;
	if (credential.n > sizeof(object.credential) || encrypted.n > sizeof(secret.secret))
		return writ_fail(err, WRIT_EPROTO, "the server's credential is too long");
	memcpy(object.credential, credential.p, credential.n);
	memcpy(secret.secret, encrypted.p, encrypted.n);
	TSS2_RC rc = start_policy(t, &session);
	if (rc == TSS2_RC_SUCCESS)
		rc = Esys_ActivateCredential(t->esys, t->ak, t->ek, ESYS_TR_PASSWORD, session,
			ESYS_TR_NONE, &object, &secret, &got);
	if (rc == TSS2_RC_SUCCESS)
		writ_buf_add(out, got->buffer, got->size);
	Esys_Free(got);
	writ__tpm_flush(t, &session);
	return rc == TSS2_RC_SUCCESS ? writ_buf_check(out, "TPM: a secret", err)
				     : writ__tpm_fail(err, rc, "open the server's credential");
}
