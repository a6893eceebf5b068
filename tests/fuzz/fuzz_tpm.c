/* SPDX-License-Identifier: Apache-2.0 */
/* tpm_devid's messages, and a TPM's structures in them. The first byte chooses. */
#include "spiffe/tpm_devid.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void fuzz_request(struct writ_str s)
{
	struct writ_tpm_request q;
	writ_tpm_request_init(&q);
	if (writ_tpm_request_parse(s, &q, NULL) == WRIT_OK)
		assert(q.n_devid && q.ek_cert && q.attest.n && q.signature.n);
	writ_tpm_request_done(&q);
}

static void fuzz_challenge(struct writ_str s)
{
	struct writ_tpm_challenge c;
	writ_tpm_challenge_init(&c);
	if (writ_tpm_challenge_parse(s, &c, NULL) == WRIT_OK)
		assert(c.credential.n && c.encrypted.n <= WRIT_TPM_BLOB_MAX);
	writ_tpm_challenge_done(&c);
}

static void fuzz_answer(struct writ_str s)
{
	struct writ_tpm_answer a;
	if (writ_tpm_answer_parse(s, &a, NULL) == WRIT_OK)
		assert(a.n_signature && a.n_signature <= sizeof(a.signature));
}

static void fuzz_public(struct writ_str s)
{
	struct writ_tpm_public pub;
	if (writ_tpm_public_parse(s, &pub, NULL) == WRIT_OK)
		assert(writ_tpm_certify_check(&pub, &pub, s, s, NULL) != WRIT_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static void (*const all[])(
		struct writ_str s) = { fuzz_request, fuzz_challenge, fuzz_answer, fuzz_public };
	if (n)
		all[*p % 4](writ_strn(p + 1, n - 1));
	return 0;
}
