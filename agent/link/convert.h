/* SPDX-License-Identifier: Apache-2.0 */
/* convert: between the server's messages and our values. Pure. */
#ifndef WRIT_AGENT_CONVERT_H
#define WRIT_AGENT_CONVERT_H

#include "cache/cache.h"
#include "rpc/channel.h"
#include "spiffe/svid.h"

#include "spire/api/types/bundle.pb-c.h"
#include "spire/api/types/entry.pb-c.h"
#include "spire/api/types/status.pb-c.h"
#include "spire/api/types/x509svid.pb-c.h"

/* Why the server refused, from the details of a status: spire.api.types.PermissionDeniedDetails.
 * UNKNOWN when there are none. */
Spire__Api__Types__PermissionDeniedDetails__Reason writ_denied_reason(
	const struct writ_rpc_status *s);

/* An SVID for key; its ID has to be the message's and of trust domain td. */
WRIT_MUST writ_rc writ_svid_from_message(const Spire__Api__Types__X509SVID *m, struct writ_str td,
	struct writ_key *key, struct writ_svid **ret, struct writ_err *err);
WRIT_MUST writ_rc writ_bundle_from_message(const Spire__Api__Types__Bundle *m, struct writ_str td,
	struct writ_bundle **ret, struct writ_err *err);
/* Into the cache. WRIT_EUNSUP: an entry that is not for workloads (an agent's alias, store_svid);
 * leave it out. */
WRIT_MUST writ_rc writ_entry_from_message(
	const Spire__Api__Types__Entry *m, struct writ_cache *cache, struct writ_err *err);

#endif
