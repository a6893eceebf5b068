/* SPDX-License-Identifier: Apache-2.0 */
/* host_pattern: names of hosts that strangers claim, and the regular expressions that say which of
 * them may. POSIX extended expressions, matched against the whole name whatever their anchors say;
 * case does not matter. Pure; any thread. */
#ifndef WRIT_SERVER_HOST_PATTERN_H
#define WRIT_SERVER_HOST_PATTERN_H

#include "base/str.h"

#define WRIT_HOST_MAX         253 /* RFC 1035 2.3.4 */
#define WRIT_HOST_PATTERN_MAX 512

struct writ_host_pattern;

/* WRIT_EINVAL: no expression, or one that means something else in SPIRE's dialect (RE2). */
WRIT_MUST writ_rc writ_host_pattern_new(
	const char *text, struct writ_host_pattern **ret, struct writ_err *err);
void writ_host_pattern_free(struct writ_host_pattern *p); /* NULL is fine */
bool writ_host_pattern_match(const struct writ_host_pattern *p, const char *host);

/* A DNS name or an IPv4 address in four decimal parts, to lower case: one spelling for one host, or
 * it would get one identity for each. WRIT_EINVAL: neither. */
WRIT_MUST writ_rc writ_host_fold(
	struct writ_str name, char out[WRIT_HOST_MAX + 1], struct writ_err *err);

#endif
