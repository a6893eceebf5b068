/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/cert_file.h"

#include "base/fs.h"
#include "base/mem.h"

writ_rc writ_certs_read(const char *what, const char *path, struct writ_cert **certs, size_t max,
	size_t *n, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(WRIT_CERT_FILE_MAX);
	size_t got = 0;
	writ_rc rc = writ_fs_read(path, &text, err);
	if (rc == WRIT_OK)
		rc = writ_certs_parse_pem(writ_buf_str(&text), certs + *n, max - *n, &got, err);
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "%s '%s'", what, path);
	*n += got;
	return WRIT_OK;
}
