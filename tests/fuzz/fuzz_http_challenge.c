/* SPDX-License-Identifier: Apache-2.0 */
/* http_challenge's messages: what is taken is within its bounds, and is the same when printed. */
#include "spiffe/http_challenge.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_http_claim a, b;
	char nonce[WRIT_HTTP_CHALLENGE_NONCE_MAX + 1], path[WRIT_HTTP_CHALLENGE_PATH_MAX];
	struct writ_buf out = WRIT_BUF(8192);
	if (writ_http_claim_parse(writ_strn(p, n), &a, NULL) == WRIT_OK) {
		writ_http_claim_print(&a, &out);
		assert(writ_http_claim_parse(writ_buf_str(&out), &b, NULL) == WRIT_OK);
		assert(!strcmp(a.host, b.host) && !strcmp(a.agent, b.agent) && a.port == b.port);
		writ_http_claim_path(a.agent, path);
		assert(!strstr(path, "..") && !strpbrk(path, "?#% "));
	}
	if (writ_http_nonce_parse(writ_strn(p, n), nonce, NULL) == WRIT_OK)
		assert(strlen(nonce) <= WRIT_HTTP_CHALLENGE_NONCE_MAX);
	writ_buf_done(&out);
	return 0;
}
