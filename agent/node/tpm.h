/* SPDX-License-Identifier: Apache-2.0 */
/* tpm: what the agent asks of this machine's TPM 2.0 to prove that its DevID key is in there.
 * Blocking, for seconds on a slow TPM; one thread at a time, which may change. */
#ifndef WRIT_AGENT_NODE_TPM_H
#define WRIT_AGENT_NODE_TPM_H

#include "base/buf.h"

#define WRIT_TPM_KEY_FILE_MAX 4096 /* a TPM2B_PUBLIC or TPM2B_PRIVATE */

struct writ_tpm;

struct writ_tpm_config {  /* all borrowed for the call, passwords NULL for empty ones */
	const char *tcti; /* "device:/dev/tpmrm0", "swtpm:port=2321": tss2-tctildr(3) */
	const char *owner_password, *endorsement_password, *devid_password;
	struct writ_str devid_public, devid_private; /* as tpm2_create(1) or SPIRE write them: with
							or without a size in front */
};

/* Is there a TPM Software Stack in this program? Else all below is WRIT_EUNSUP. */
bool writ_tpm_is_built(void);

/* Loads the DevID key, and makes an attestation key and the endorsement key. */
WRIT_MUST writ_rc writ_tpm_open(
	const struct writ_tpm_config *cfg, struct writ_tpm **ret, struct writ_err *err);
void writ_tpm_close(struct writ_tpm *t); /* NULL is fine */

/* What the server gets: public areas (TPMT_PUBLIC), the endorsement certificate (DER), and the
 * attestation key's word that the DevID key is in the same TPM (TPMS_ATTEST, TPMT_SIGNATURE). Each
 * buffer has its maximum; appended. */
struct writ_tpm_statement {
	struct writ_buf devid_pub, ek_cert, ek_pub, ak_pub, attest, signature;
};
WRIT_MUST writ_rc writ_tpm_state(
	struct writ_tpm *t, struct writ_tpm_statement *out, struct writ_err *err);

/* Signs SHA-256 of the bytes with the DevID key: PKCS#1 v1.5, or ECDSA in DER. */
WRIT_MUST writ_rc writ_tpm_sign(
	struct writ_tpm *t, struct writ_str bytes, struct writ_buf *out, struct writ_err *err);
/* Opens a credential for the attestation key. */
WRIT_MUST writ_rc writ_tpm_activate(struct writ_tpm *t, struct writ_str credential,
	struct writ_str encrypted, struct writ_buf *out, struct writ_err *err);

#endif
