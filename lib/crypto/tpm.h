/* SPDX-License-Identifier: Apache-2.0 */
/* tpm: what a verifier has to know of TPM 2.0 (TCG "TPM 2.0 Library", parts 1 and 2, revision 1.59)
 * to tell that a key is in the TPM of a given endorsement key: public areas, certifications,
 * credentials. No TPM is needed here. Pure but for randomness; any thread. */
#ifndef WRIT_CRYPTO_TPM_H
#define WRIT_CRYPTO_TPM_H

#include "crypto/key.h"

#define WRIT_TPM_PUBLIC_MAX    1024 /* bytes of a TPMT_PUBLIC; RSA 4096 has under 600 */
#define WRIT_TPM_ATTEST_MAX    1024 /* of a TPMS_ATTEST; one of TPM2_Certify has about 150 */
#define WRIT_TPM_SIGNATURE_MAX 1024
#define WRIT_TPM_NAME_LEN      34 /* TPM_ALG_SHA256, then the hash */
#define WRIT_TPM_SECRET_LEN    32
#define WRIT_TPM_BLOB_MAX      512 /* of either half of a credential */

/* objectAttributes (part 2, 8.3). */
enum {
	WRIT_TPM_FIXED_TPM = 1 << 1,
	WRIT_TPM_FIXED_PARENT = 1 << 4,
	WRIT_TPM_SENSITIVE_ORIGIN = 1 << 5, /* the TPM made the key */
	WRIT_TPM_RESTRICTED = 1 << 16,      /* signs, or opens, only what TPMs make */
	WRIT_TPM_DECRYPT = 1 << 17,
	WRIT_TPM_SIGN = 1 << 18,
};

struct writ_tpm_public {
	uint32_t attributes;
	uint16_t aes_bits; /* of a storage key; 0: none */
	struct writ_pubkey key;
	uint8_t name[WRIT_TPM_NAME_LEN];
};

/* A TPMT_PUBLIC (without the size that a TPM2B_PUBLIC has in front): RSA or ECC, its name by
 * SHA-256. WRIT_EINVAL: malformed, or of another kind. */
WRIT_MUST writ_rc writ_tpm_public_parse(
	struct writ_str tpmt, struct writ_tpm_public *ret, struct writ_err *err);

/* Does this TPMS_ATTEST say, signed by ak (a TPMT_SIGNATURE, RSASSA with SHA-256), that key is in
 * the same TPM? One verification. WRIT_ECRYPTO: no. ak's attributes are the caller's to check. */
WRIT_MUST writ_rc writ_tpm_certify_check(const struct writ_tpm_public *ak,
	const struct writ_tpm_public *key, struct writ_str attest, struct writ_str signature,
	struct writ_err *err);

/* SHA-256 of the bytes, signed by that key (PKCS#1 v1.5, or ECDSA in DER, on any curve). */
WRIT_MUST writ_rc writ_tpm_signature_check(const struct writ_tpm_public *key, const void *p,
	size_t n, const void *sig, size_t sig_len, struct writ_err *err);

/* TPM2_MakeCredential in software: only the TPM that holds ek (RSA, with AES-128) gives the secret
 * out, and only when a key of this name is in it too. credential: a TPMS_ID_OBJECT, encrypted: the
 * bytes of a TPM2B_ENCRYPTED_SECRET, both without a size in front; appended. */
WRIT_MUST writ_rc writ_tpm_credential_make(const struct writ_tpm_public *ek,
	const uint8_t name[WRIT_TPM_NAME_LEN], const uint8_t secret[WRIT_TPM_SECRET_LEN],
	struct writ_buf *credential, struct writ_buf *encrypted, struct writ_err *err);

#endif
