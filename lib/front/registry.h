/* SPDX-License-Identifier: Apache-2.0 */
/* registry: which peer is behind a backend descriptor. Descriptor numbers belong to the process, so
 * the table does too: a number that another front has been given since is no longer found through
 * the first. Inside lib/front only. */
#ifndef WRIT_FRONT_REGISTRY_H
#define WRIT_FRONT_REGISTRY_H

#include "front/peer.h"

struct writ_front;

void writ_registry_put(
	const struct writ_front *f, int fd, struct writ_peer *p); /* takes its own reference */
struct writ_peer *writ_registry_get(const struct writ_front *f, int fd); /* borrowed */
void writ_registry_forget(const struct writ_front *f);

#endif
