/* SPDX-License-Identifier: Apache-2.0 */
/* SSH certificates, public keys, lines and private keys: all parts lie inside what was given, and
 * nobody's certificate is by the CA "x". */
#include "crypto/ssh.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static bool is_in(struct writ_str part, const uint8_t *p, size_t n)
{
	return !part.n ||
		((const uint8_t *)part.p >= p && (const uint8_t *)part.p + part.n <= p + n);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct writ_str cas[] = { { "x", 1 } };
	struct writ_buf wire = WRIT_BUF(WRIT_SSH_CERT_MAX);
	struct writ_ssh_key *key = NULL;
	struct writ_ssh_cert c;
	if (writ_ssh_cert_parse(writ_strn(p, n), &c, NULL) == WRIT_OK) {
		assert(is_in(c.key, p, n) && is_in(c.host, p, n) && is_in(c.sig, p, n));
		assert(is_in(c.ca, p, n) && is_in(c.body, p, n) && is_in(c.key_id, p, n));
		assert(writ_ssh_cert_check(&c, cas, 1, 1800000000, NULL) != WRIT_OK);
		(void)!writ_ssh_cert_verify(&c, NULL);
	}
	(void)!writ_ssh_key_check(writ_strn(p, n), NULL);
	(void)!writ_ssh_read_line(writ_strn(p, n), &wire, NULL);
	if (writ_ssh_key_parse(writ_strn(p, n), &key, NULL) == WRIT_OK)
		writ_ssh_key_free(key);
	writ_buf_done(&wire);
	return 0;
}
