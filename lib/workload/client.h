/* SPDX-License-Identifier: Apache-2.0 */
/* client: a FetchX509SVID stream that is always there. Reconnects with back-off (at once after a
 * stream that had delivered and lived for a second), checks every answer before it counts, keeps
 * the last good one. Loop thread. The SDK, the gate and the CLI stand on it. */
#ifndef WRIT_WORKLOAD_CLIENT_H
#define WRIT_WORKLOAD_CLIENT_H

#include "loop/loop.h"
#include "spiffe/svid.h"

/* One answer of the agent, checked. Immutable, shared by reference (atomic). */
struct writ_wl_update {
	int refs;
	struct writ_svid **svids; /* in the agent's order; the first is the default */
	size_t n;
	struct writ_bundles *bundles; /* own and federated trust domains */
};
struct writ_wl_update *writ_wl_update_ref(struct writ_wl_update *u);
void writ_wl_update_unref(struct writ_wl_update *u);

/* The SVID that is meant: by ID, by hint (of equal ones the first, WC-11), or the only one there
 * is. Several IDs and neither named: WRIT_EPRECOND, none: WRIT_ENOENT; the text lists what there
 * is. */
WRIT_MUST writ_rc writ_wl_pick(const struct writ_wl_update *u, const char *spiffe_id,
	const char *hint, struct writ_svid **ret, struct writ_err *err); /* borrowed from u */
/* The same for who has an identity in use (its ID, NULL: none yet): a further one that the agent
 * gives later does not take it away. */
WRIT_MUST writ_rc writ_wl_follow(const struct writ_wl_update *u, const char *spiffe_id,
	const char *hint, const char *in_use, struct writ_svid **ret, struct writ_err *err);

struct writ_wl_config {
	struct writ_loop *loop;
	const char *socket_path;
	void (*update)(void *arg, struct writ_wl_update *u); /* borrowed */
	/* A try failed or a stream ended; another follows by itself unless final (InvalidArgument,
	 * Unimplemented). denied: PermissionDenied after an identity was given, on that stream or a
	 * later one: it is gone, stop using it. May be NULL. */
	void (*failed)(void *arg, const struct writ_err *err, bool denied, bool final);
	void *arg;
};

struct writ_wl;
struct writ_wl *writ_wl_start(const struct writ_wl_config *cfg);
void writ_wl_stop(struct writ_wl *w, void (*done)(void *arg),
	void *arg); /* frees w; done after the last callback */

/* The bytes of an X509SVIDResponse to an update: every rule of SPIFFE_Workload_API.md 5.2.1 and
 * X509-SVID.md, the keys matching their leaves, nothing expired at `now`. */
WRIT_MUST writ_rc writ_wl_decode(
	const void *p, size_t n, int64_t now, struct writ_wl_update **ret, struct writ_err *err);

#endif
