/* SPDX-License-Identifier: Apache-2.0 */
/* tpm_impl: what tpm.c and tpm_prove.c share. The only files with <tss2/...>. */
#ifndef WRIT_AGENT_NODE_TPM_IMPL_H
#define WRIT_AGENT_NODE_TPM_IMPL_H

#include "node/tpm.h"

#include <tss2/tss2_esys.h>

struct writ_tpm {
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys;
	ESYS_TR devid, ak, ek; /* ESYS_TR_NONE: not loaded */
	TPM2B_PUBLIC devid_pub, ak_pub, ek_pub;
};

/* Starts an error with what the TPM says. WRIT_EUNAVAIL: it is to be tried again. */
writ_rc writ__tpm_fail(struct writ_err *err, TSS2_RC rc, const char *doing);
/* Drops what is loaded, if anything. */
void writ__tpm_flush(struct writ_tpm *t, ESYS_TR *handle);

#endif
