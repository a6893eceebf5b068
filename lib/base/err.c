/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

writ_rc writ_vfail(struct writ_err *err, writ_rc rc, const char *fmt, va_list ap)
{
	if (err) {
		/* Into a copy first: the arguments may point into err->msg. */
		char msg[WRIT_ERR_MAX];
		vsnprintf(msg, sizeof(msg), fmt, ap);
		memcpy(err->msg, msg, sizeof(msg));
		err->rc = rc;
	}
	return rc;
}

writ_rc writ_fail(struct writ_err *err, writ_rc rc, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	writ_vfail(err, rc, fmt, ap);
	va_end(ap);
	return rc;
}

writ_rc writ_wrap(struct writ_err *err, writ_rc rc, const char *fmt, ...)
{
	if (!err)
		return rc;
	char msg[WRIT_ERR_MAX];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	/* Cutting a long text is meant here; the compiler only lets a checked result say so. */
	if ((size_t)n < sizeof(msg) &&
		snprintf(msg + n, sizeof(msg) - (size_t)n, ": %s", err->msg) < 0)
		msg[n] = '\0';
	memcpy(err->msg, msg, sizeof(msg));
	err->rc = rc;
	return rc;
}

static writ_rc from_errno(int errnum)
{
	switch (errnum) {
	case ENOENT: return WRIT_ENOENT;
	case EACCES:
	case EPERM: return WRIT_EDENIED;
	case EEXIST: return WRIT_EEXIST;
	case ENOMEM:
	case EMFILE:
	case ENFILE:
	case ENOSPC:
	case EDQUOT: return WRIT_ELIMIT;
	case ETIMEDOUT: return WRIT_ETIMEOUT;
	case ECONNREFUSED:
	case ECONNRESET:
	case ENETUNREACH:
	case EHOSTUNREACH:
	case EPIPE: return WRIT_EUNAVAIL;
	default: return WRIT_EIO;
	}
}

writ_rc writ_fail_errno(struct writ_err *err, int errnum, const char *fmt, ...)
{
	writ_rc rc = from_errno(errnum);
	if (!err)
		return rc;
	char what[WRIT_ERR_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	char text[128];
	return writ_fail(err, rc, "%s: %s", what, strerror_r(errnum, text, sizeof(text)));
}
