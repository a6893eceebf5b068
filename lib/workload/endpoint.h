/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint: addresses of the Workload API (SPIFFE_Workload_Endpoint.md 4). Pure. */
#ifndef WRIT_WORKLOAD_ENDPOINT_H
#define WRIT_WORKLOAD_ENDPOINT_H

#include "base/str.h"

/* "unix:///abs" or "unix:/abs" to the path, owned, percent-decoded. TCP addresses are refused:
 * identity there would rest on an address. The message says what was meant where that can be
 * guessed. */
WRIT_MUST writ_rc writ_endpoint_parse(const char *text, char **path, struct writ_err *err);
/* The same for what is no SPIFFE_ENDPOINT_SOCKET, flags and configuration: also a bare "/abs". */
WRIT_MUST writ_rc writ_endpoint_or_path(const char *text, char **path, struct writ_err *err);

#endif
