/* SPDX-License-Identifier: Apache-2.0 */
/* authorize: may this peer call a method? The order of the questions, the texts and the reasons are
 * what SPIRE's agents act upon. */
#ifndef WRIT_API_AUTHORIZE_H
#define WRIT_API_AUTHORIZE_H

#include "api/api.h"

#define WRIT_REASON_NONE (-1) /* no PermissionDeniedDetails go along */

struct writ_verdict {
	unsigned as;     /* the right that lets it in; 0: refused */
	int reason;      /* PermissionDeniedDetails.Reason, or WRIT_REASON_NONE */
	bool promote;    /* an agent's new certificate, seen for the first time */
	const char *why; /* for audit and log; static */
};

/* who: of the method. Reads the registry, changes nothing. */
struct writ_verdict writ_authorize(const struct writ_api *api, unsigned who, bool local,
	const struct writ_peer *p, int64_t now);

#endif
