/* SPDX-License-Identifier: Apache-2.0 */
/* err: what went wrong, as a value. No allocation, no thread-local: it travels inside operations.
 */
#ifndef WRIT_BASE_ERR_H
#define WRIT_BASE_ERR_H

#include "base/rc.h"

#include <stdarg.h>

#define WRIT_ERR_MAX 508

struct writ_err {
	writ_rc rc;
	char msg[WRIT_ERR_MAX]; /* NUL-terminated, cut when too long */
};

/* Starts an error: sets err (may be NULL) and returns rc, so that `return writ_fail(...)` reads
 * well. */
writ_rc writ_fail(struct writ_err *err, writ_rc rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
writ_rc writ_vfail(struct writ_err *err, writ_rc rc, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));
/* Puts context in front of an error that is already set: "context: earlier text". Keeps rc. */
writ_rc writ_wrap(struct writ_err *err, writ_rc rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Starts an error from errno: "what: Permission denied". ENOENT -> WRIT_ENOENT, EACCES/EPERM ->
 * WRIT_EDENIED, EEXIST -> WRIT_EEXIST, ENOMEM/EMFILE/ENOSPC -> WRIT_ELIMIT, ETIMEDOUT ->
 * WRIT_ETIMEOUT, ECONNREFUSED/ECONNRESET/EPIPE -> WRIT_EUNAVAIL, else WRIT_EIO. */
writ_rc writ_fail_errno(struct writ_err *err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
