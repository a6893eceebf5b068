/* SPDX-License-Identifier: Apache-2.0 */
/* health: grpc.health.v1 on the admin socket, and the readiness that the HTTP listener tells. */
#ifndef WRIT_API_HEALTH_H
#define WRIT_API_HEALTH_H

#include "api/api.h"

/* Store, signer and an active CA: certificates can be issued now. */
bool writ_api_is_ready(const struct writ_api *api);

struct writ_health_watchers *writ_health_new(struct writ_api *api);
void writ_health_free(struct writ_health_watchers *w); /* no stream is left; NULL is fine */

#endif
