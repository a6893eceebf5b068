/* SPDX-License-Identifier: Apache-2.0 */
/* The head of an HTTP request: a verdict does not change with what follows, and paths are clean. */
#include "front/httpd.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_httpd_request req, part;
	bool decided = false;
	writ_rc rc = writ_httpd_parse(writ_strn(p, n), &req, NULL);
	for (size_t i = 0; i < n && n < 512; i++) {
		writ_rc early = writ_httpd_parse(writ_strn(p, i), &part, NULL);
		assert(!decided || early == rc);
		decided = decided || early != WRIT_EBUSY;
	}
	if (rc == WRIT_OK)
		assert(req.path.n && req.path.p[0] == '/' && !memchr(req.path.p, '\n', req.path.n));
	return 0;
}
