/* SPDX-License-Identifier: Apache-2.0 */
/* place: where a caller runs, as far as a runtime can be asked about it; and what came of asking.
 * The kernel's word comes first: a runtime only adds to what the attestors found, about the very
 * container that the cgroup names. Pure. */
#ifndef WRIT_RUNTIME_PLACE_H
#define WRIT_RUNTIME_PLACE_H

#include "attest/wire.h"

#define WRIT_PLACE_ID_LEN     64
#define WRIT_PLACE_FOLDER_MAX 1024

struct writ_place {
	char container[WRIT_PLACE_ID_LEN + 1]; /* lower-case hex; "": not in a container */
	char pod[37];                          /* "": not in a pod */
	char runtime[16]; /* "docker", "podman", ...; "": the path does not say */
	bool rootless;    /* the container is of owner, who can name it as he likes */
	uint32_t owner;
	char unit[256]; /* "": in no unit of the system's */
	/* The cgroup of that unit; "": the hierarchies differ, or it is too long. */
	char unit_folder[WRIT_PLACE_FOLDER_MAX];
	bool in_users_unit; /* in one that a user's own manager made, below unit */
	uint64_t pid;
};

/* From the selectors that the attestors "container" and "systemd" give, and the text of
 * /proc/PID/cgroup that they found them in. */
void writ_place_of(const struct writ_selectors *found, struct writ_str cgroup, uint64_t pid,
	struct writ_place *ret);
/* Appends what tells places apart. Equal keys: the same answer holds. */
void writ_place_key(const struct writ_place *p, struct writ_buf *out);

#endif
