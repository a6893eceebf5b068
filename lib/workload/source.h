/* SPDX-License-Identifier: Apache-2.0 */
/* source: what the SDK's files share. The public contract is writ/source.h and writ/tls.h. */
#ifndef WRIT_WORKLOAD_SOURCE_H
#define WRIT_WORKLOAD_SOURCE_H

#include "workload/client.h"

#include "writ/source.h"
#include "writ/tls.h"

/* A reference to what is in force, from any thread; the SVID is borrowed from it. */
WRIT_MUST writ_rc writ_source_current(struct writ_x509_source *s, struct writ_wl_update **update,
	struct writ_svid **svid, struct writ_err *err);
/* Sets error (may be NULL) from err and returns its public code. */
int writ_source_error(struct writ_error *error, const struct writ_err *err);
int writ_source_forked(
	const struct writ_x509_source *s, struct writ_error *error); /* 0, or WRIT_ERROR_FORKED */
/* writ/tls.h's contexts, for an SSL_CTX that somebody else made (libcurl). */
WRIT_MUST writ_rc writ_source_apply(struct writ_x509_source *s, const struct writ_authorize *a,
	bool server, struct ssl_ctx_st *ctx, struct writ_err *err);

#endif
