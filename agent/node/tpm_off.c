/* SPDX-License-Identifier: Apache-2.0 */
/* In place of tpm.c where the program is built without the TPM Software Stack. */
#include "node/tpm.h"

bool writ_tpm_is_built(void)
{
	return false;
}

static writ_rc absent(struct writ_err *err)
{
	return writ_fail(err, WRIT_EUNSUP, "this program is built without a TPM Software Stack");
}

writ_rc writ_tpm_open(
	const struct writ_tpm_config *cfg, struct writ_tpm **ret, struct writ_err *err)
{
	(void)cfg, (void)ret;
	return absent(err);
}

void writ_tpm_close(struct writ_tpm *t)
{
	(void)t;
}

writ_rc writ_tpm_state(struct writ_tpm *t, struct writ_tpm_statement *out, struct writ_err *err)
{
	(void)t, (void)out;
	return absent(err);
}

writ_rc writ_tpm_sign(
	struct writ_tpm *t, struct writ_str bytes, struct writ_buf *out, struct writ_err *err)
{
	(void)t, (void)bytes, (void)out;
	return absent(err);
}

writ_rc writ_tpm_activate(struct writ_tpm *t, struct writ_str credential, struct writ_str encrypted,
	struct writ_buf *out, struct writ_err *err)
{
	(void)t, (void)credential, (void)encrypted, (void)out;
	return absent(err);
}
