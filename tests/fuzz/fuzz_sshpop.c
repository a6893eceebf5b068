/* SPDX-License-Identifier: Apache-2.0 */
/* What is read as a message of sshpop is written as one that reads the same. */
#include "spiffe/sshpop.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_buf wire = WRIT_BUF(WRIT_SSH_CERT_MAX), out = WRIT_BUF(64 * 1024);
	struct writ_sshpop_answer a, b;
	uint8_t nonce[WRIT_POP_NONCE];
	if (writ_sshpop_parse(writ_strn(p, n), &wire, NULL) == WRIT_OK)
		assert(wire.n > 0);
	if (writ_sshpop_challenge_parse(writ_strn(p, n), nonce, NULL) == WRIT_OK)
		writ_sshpop_challenge_print(nonce, &out);
	writ_buf_reset(&out);
	/* A format that would need escapes is none that a signature is checked for. */
	if (writ_sshpop_answer_parse(writ_strn(p, n), &a, NULL) == WRIT_OK &&
		!strpbrk(a.sig.format, "\"\\")) {
		writ_sshpop_answer_print(&a, &out);
		if (writ_sshpop_answer_parse(writ_buf_str(&out), &b, NULL) == WRIT_OK)
			assert(a.sig.n == b.sig.n && !memcmp(a.sig.blob, b.sig.blob, a.sig.n));
	}
	writ_buf_done(&wire);
	writ_buf_done(&out);
	return 0;
}
