/* SPDX-License-Identifier: Apache-2.0 */
/* soft_tpm: what a TPM would say, from keys that are in none: for tests of who must not be
 * believed. Its credentials are opened with HMACs by hand, so that two derivations check each
 * other. Tests only; link OpenSSL and add soft_tpm.c. */
#ifndef WRIT_TEST_SOFT_TPM_H
#define WRIT_TEST_SOFT_TPM_H

#include "crypto/tpm.h"

#define SOFT_RESIDENT (WRIT_TPM_FIXED_TPM | WRIT_TPM_FIXED_PARENT | WRIT_TPM_SENSITIVE_ORIGIN)
#define SOFT_EK       (SOFT_RESIDENT | WRIT_TPM_RESTRICTED | WRIT_TPM_DECRYPT)
#define SOFT_AK       (SOFT_RESIDENT | WRIT_TPM_RESTRICTED | WRIT_TPM_SIGN)
#define SOFT_DEVID    (SOFT_RESIDENT | WRIT_TPM_SIGN)

/* A TPMT_PUBLIC of an RSA 2048 or P-256 key; appended. */
void soft_tpm_public(const struct writ_key *k, uint32_t attributes, struct writ_buf *out);
/* TPM2_Certify of a key of that name: TPMS_ATTEST, and ak's TPMT_SIGNATURE. */
void soft_tpm_certify(const struct writ_key *ak, const uint8_t name[WRIT_TPM_NAME_LEN],
	struct writ_buf *attest, struct writ_buf *signature);
/* TPM2_ActivateCredential. False: the credential is for another name or key. */
bool soft_tpm_activate(const struct writ_key *ek, const uint8_t name[WRIT_TPM_NAME_LEN],
	struct writ_str credential, struct writ_str encrypted, uint8_t secret[WRIT_TPM_SECRET_LEN]);

#endif
