/* SPDX-License-Identifier: Apache-2.0 */
/* secret: key and token bytes. Own locked pages, not in core files, wiped at the end, no printf
 * form. */
#ifndef WRIT_BASE_SECRET_H
#define WRIT_BASE_SECRET_H

#include "base/str.h"

#define WRIT_SECRET_MAX (64 * 1024)

struct writ_secret {
	uint8_t *p; /* NULL when empty */
	size_t n;
};

/* Copies n bytes (at most WRIT_SECRET_MAX). The source is the caller's to wipe. */
WRIT_MUST writ_rc writ_secret_set(
	struct writ_secret *s, const void *p, size_t n, struct writ_err *err);
void writ_secret_done(struct writ_secret *s); /* wipes and frees; NULL-safe, idempotent */
bool writ_secret_eq(const struct writ_secret *s, const void *p, size_t n); /* in constant time */
void writ_wipe(void *p, size_t n); /* a memset that the compiler cannot drop */
bool writ_ct_eq(const void *a, const void *b, size_t n); /* in constant time */

/* The process as a keeper of secrets: no core file, not dumpable, SIGPIPE ignored. Call it first in
 * main(). A process that is not dumpable hides its /proc entries from others of its uid. */
void writ_process_harden(void);

#endif
