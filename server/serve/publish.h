/* SPDX-License-Identifier: Apache-2.0 */
/* publish: what the CA decides becomes durable and is handed out: its slots and roots go to the
 * store, the trust domain's bundle and the server's TLS context follow. Loop thread. */
#ifndef WRIT_SERVE_PUBLISH_H
#define WRIT_SERVE_PUBLISH_H

#include "api/api.h"

struct writ_publish;

/* api: borrowed; its bundle is kept here. */
struct writ_publish *writ_publish_new(struct writ_api *api);
void writ_publish_free(struct writ_publish *p); /* nothing is busy; NULL is fine */
/* Changes that are at the store. */
size_t writ_publish_busy(const struct writ_publish *p);
/* The bundle as the registry has it now, into api->bundle. */
void writ_publish_bundle(struct writ_publish *p);
/* The hook of the CA. */
void writ_publish_commit(struct writ_publish *p, struct writ_ca_change *c);
/* The server's own SVID changed: a new TLS context. */
void writ_publish_svid(struct writ_publish *p, struct writ_svid *svid);
/* For the front; borrowed, NULL: there is none yet. */
struct writ_tls_ctx *writ_publish_tls(const struct writ_publish *p);

#endif
