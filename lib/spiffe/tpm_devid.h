/* SPDX-License-Identifier: Apache-2.0 */
/* tpm_devid: the messages of SPIRE's node attestor of that name, both ways. Source of the format:
 * SPIRE 1.15, JSON with bytes in base64:
 *   payload    {"DevIDCert":[leaf, intermediates...],"DevIDPub","EKCert","EKPub","AKPub",
 *               "CertifiedDevID","CertificationSignature"}   certificates DER, publics TPMT_PUBLIC,
 *                                                            then TPMS_ATTEST, TPMT_SIGNATURE
 *   challenge  {"DevID":nonce,"CredActivation":{"Credential":TPMS_ID_OBJECT,"Secret"}}
 *   answer     {"DevID":signature,"CredActivation":secret}
 * What it means is crypto/tpm.h's. Errors are WRIT_EINVAL. Pure. */
#ifndef WRIT_SPIFFE_TPM_DEVID_H
#define WRIT_SPIFFE_TPM_DEVID_H

#include "crypto/cert.h"
#include "crypto/tpm.h"

#define WRIT_TPM_DEVID_CERTS_MAX     5
#define WRIT_TPM_DEVID_PAYLOAD_MAX   (56 * 1024) /* see server/node/attestor.h */
#define WRIT_TPM_DEVID_CHALLENGE_MAX 4096
#define WRIT_TPM_DEVID_ANSWER_MAX    4096
#define WRIT_TPM_DEVID_NONCE         32

struct writ_tpm_request {
	struct writ_cert *devid[WRIT_TPM_DEVID_CERTS_MAX]; /* references; the leaf first */
	size_t n_devid;
	struct writ_cert *ek_cert;
	struct writ_buf devid_pub, ek_pub, ak_pub, attest, signature;
};
void writ_tpm_request_init(struct writ_tpm_request *q);
void writ_tpm_request_done(struct writ_tpm_request *q);
/* Into one that is initialised; the caller's to be done with, also after a failure. */
WRIT_MUST writ_rc writ_tpm_request_parse(
	struct writ_str payload, struct writ_tpm_request *q, struct writ_err *err);
void writ_tpm_request_print(const struct writ_tpm_request *q, struct writ_buf *out);

struct writ_tpm_challenge {
	uint8_t nonce[WRIT_TPM_DEVID_NONCE];
	struct writ_buf credential, encrypted; /* of WRIT_TPM_BLOB_MAX */
};
void writ_tpm_challenge_init(struct writ_tpm_challenge *c);
void writ_tpm_challenge_done(struct writ_tpm_challenge *c);
WRIT_MUST writ_rc writ_tpm_challenge_parse(
	struct writ_str text, struct writ_tpm_challenge *c, struct writ_err *err);
void writ_tpm_challenge_print(const struct writ_tpm_challenge *c, struct writ_buf *out);

struct writ_tpm_answer {
	uint8_t signature[WRIT_SIG_MAX], secret[WRIT_TPM_SECRET_LEN];
	size_t n_signature;
};
WRIT_MUST writ_rc writ_tpm_answer_parse(
	struct writ_str text, struct writ_tpm_answer *ret, struct writ_err *err);
void writ_tpm_answer_print(const struct writ_tpm_answer *a, struct writ_buf *out);

#endif
