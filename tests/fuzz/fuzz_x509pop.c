/* SPDX-License-Identifier: Apache-2.0 */
/* What is read as a message of x509pop is written as one that reads the same. */
#include "spiffe/x509pop.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_cert *certs[WRIT_X509POP_CERTS_MAX];
	struct writ_x509pop_answer a, b;
	struct writ_x509pop_challenge c;
	struct writ_buf out = WRIT_BUF(2 * WRIT_X509POP_PAYLOAD_MAX);
	size_t count = 0;
	if (writ_x509pop_parse(writ_strn(p, n), 2, certs, &count, NULL) == WRIT_OK) {
		assert(count == 1 || count == 2);
		assert(writ_x509pop_print(certs, count, &out, NULL) == WRIT_OK);
		writ_certs_unref(certs, count);
	}
	writ_buf_reset(&out);
	if (writ_x509pop_challenge_parse(writ_strn(p, n), &c, NULL) == WRIT_OK)
		writ_x509pop_challenge_print(&c, &out);
	if (writ_x509pop_answer_parse(writ_strn(p, n), &a, NULL) == WRIT_OK) {
		writ_buf_reset(&out);
		writ_x509pop_answer_print(&a, &out);
		assert(writ_x509pop_answer_parse(writ_buf_str(&out), &b, NULL) == WRIT_OK);
		assert(a.sig.is_rsa == b.sig.is_rsa && a.sig.n_a == b.sig.n_a);
	}
	writ_buf_done(&out);
	return 0;
}
