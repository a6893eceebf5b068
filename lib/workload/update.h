/* SPDX-License-Identifier: Apache-2.0 */
/* update: from the Workload API's message to checked values. */
#ifndef WRIT_WORKLOAD_UPDATE_H
#define WRIT_WORKLOAD_UPDATE_H

#include "workload/client.h"

#include <protobuf-c/protobuf-c.h>

/* As writ_wl_decode, of an unpacked X509SVIDResponse. */
WRIT_MUST writ_rc writ_wl_from_message(
	const ProtobufCMessage *m, int64_t now, struct writ_wl_update **ret, struct writ_err *err);

#endif
