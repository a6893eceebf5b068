/* SPDX-License-Identifier: Apache-2.0 */
/* cert_file: certificates that an operator keeps in files. Blocking: from start-up code or a job.
 */
#ifndef WRIT_CRYPTO_CERT_FILE_H
#define WRIT_CRYPTO_CERT_FILE_H

#include "crypto/cert.h"

#define WRIT_CERT_FILE_MAX (1024 * 1024) /* bytes */

/* Appends all CERTIFICATE blocks of a PEM file, at least one, to the *n that an array of max has:
 * references, the caller's, also those that were there before an error. The text of an error begins
 * with `what 'path'`. */
WRIT_MUST writ_rc writ_certs_read(const char *what, const char *path, struct writ_cert **certs,
	size_t max, size_t *n, struct writ_err *err);

#endif
