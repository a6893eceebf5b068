/* SPDX-License-Identifier: Apache-2.0 */
/* systemd: from which file a unit is, by the word of the service manager: systemd:fragment_path.
 * The manager is asked about the unit that the cgroup names, and is believed only when that very
 * cgroup is the unit's. Units of users' own managers are not its. */
#ifndef WRIT_RUNTIME_SYSTEMD_H
#define WRIT_RUNTIME_SYSTEMD_H

#include "runtime/runtime.h"

#define WRIT_SYSTEMD_TYPES "systemd:fragment_path"

struct writ_systemd {
	const char *socket; /* of the system bus; a path */
	uid_t owner;        /* of the socket, its listener, and the manager: 0 */
};

/* self: a struct writ_systemd. */
extern const struct writ_runtime_vt writ_runtime_systemd;

#endif
