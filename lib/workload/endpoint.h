/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint: addresses of the Workload API (SPIFFE_Workload_Endpoint.md 4). Pure. */
#ifndef WRIT_WORKLOAD_ENDPOINT_H
#define WRIT_WORKLOAD_ENDPOINT_H

#include "base/str.h"

/* "unix:///abs", "unix:/abs" or a bare "/abs" to the path, owned. TCP addresses are refused:
 * identity there would rest on an address. The message says what was meant where that can be
 * guessed. */
WRIT_MUST writ_rc writ_endpoint_parse(const char *text, char **path, struct writ_err *err);

#endif
