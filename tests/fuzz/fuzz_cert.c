/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate keeps its bytes; one that passes as a leaf has a SPIFFE ID with a path and is no
 * CA. */
#include "spiffe/svid.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_cert *c = NULL;
	struct writ_id id;
	struct writ_pubkey k;
	if (writ_cert_parse(p, n, &c, NULL) != WRIT_OK)
		return 0;
	assert(writ_str_eq(writ_cert_der(c), writ_strn(p, n)));
	assert(writ_cert_subject(c) != NULL && writ_cert_pubkey(c, &k, NULL) != WRIT_EINTERNAL);
	if (writ_svid_check_leaf(c, &id, NULL) == WRIT_OK) {
		assert(id.path.n > 1 && !writ_cert_is_ca(c) && writ_cert_uri_count(c) == 1);
		assert(writ_svid_verify(&c, 1, NULL, WRIT_PURPOSE_ANY, 0, &id, NULL) ==
			WRIT_EUNAUTH);
	}
	(void)writ_cert_x509(c);
	writ_cert_unref(c);
	return 0;
}
