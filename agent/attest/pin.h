/* SPDX-License-Identifier: Apache-2.0 */
/* pin: one process behind one connection, held so that its pid cannot come to mean another one.
 * Taken from what the kernel says of a connected Unix socket, right after accept. Any thread; one
 * owner. */
#ifndef WRIT_ATTEST_PIN_H
#define WRIT_ATTEST_PIN_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/types.h>

/* Debian 12's headers are older than these two (Linux 6.5 and 5.3). */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define WRIT_PIN_GROUPS_MAX 256 /* further supplementary groups give no selector */
#define WRIT_PIN_OVERFLOW_UID                                                                      \
	65534 /* what the kernel shows for an ID it cannot map; /proc/sys/kernel */

/* SO_PEERCRED, SO_PEERGROUPS and SO_PEERPIDFD of one socket. All borrowed. */
struct writ_pin_facts {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* may be NULL when ngroups is 0 */
	size_t ngroups;
	int pidfd; /* -1: none, a pin opens one by pid */
};

struct writ_pin {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* owned */
	size_t ngroups;
	bool groups_cut; /* there were more than WRIT_PIN_GROUPS_MAX */
	int pidfd;       /* owned */
	int dirfd;       /* owned: /proc/PID of this very process; -1 while it rests */
	int cgroupfd;    /* owned: its file "cgroup", open along with the folder; -1: not */
};

/* Uid 65534 stands for every user that is not mapped where the agent runs, so it is refused. On a
 * host where services do run as "nobody" an operator may allow it. */
struct writ_pin_rules {
	bool allow_overflow_uid;
};

/* Pins the peer, whose pidfd is the pin's from WRIT_OK on; rules NULL: the strict ones.
 * WRIT_EUNAUTH: no pid, an unmapped uid, or the process is gone. WRIT_EDENIED: /proc hides it. *ret
 * needs writ_pin_close after WRIT_OK only. */
WRIT_MUST writ_rc writ_pin_open(const struct writ_pin_facts *peer,
	const struct writ_pin_rules *rules, struct writ_pin *ret, struct writ_err *err);
/* A pin that rests holds two descriptors less; wake opens the folder again, as at first, and says
 * when the process has ended. Both are fine when it already is so, and do nothing then. */
void writ_pin_rest(struct writ_pin *pin);
WRIT_MUST writ_rc writ_pin_wake(struct writ_pin *pin, struct writ_err *err);
/* WRIT_OK while the process runs; WRIT_EUNAUTH once it ended (a zombie has ended). */
WRIT_MUST writ_rc writ_pin_alive(const struct writ_pin *pin, struct writ_err *err);
/* The IDs it has now: real, effective, saved. Over the pidfd where the kernel can (6.13), else from
 * status. WRIT_EUNAUTH: it has ended; WRIT_EDENIED: status cannot be read. */
struct writ_pin_ids {
	uint32_t uid[3], gid[3];
};
/* The ioctl(2) that asks a pidfd (linux/pidfd.h): for who filters system calls. */
#define WRIT_PIN_GET_INFO _IOWR(0xFF, 11, uint64_t[8])
WRIT_MUST writ_rc writ_pin_ids(
	const struct writ_pin *pin, struct writ_pin_ids *ret, struct writ_err *err);
/* Reads /proc/PID/NAME through the pinned folder: *n bytes, fewer than cap, and a NUL. For files
 * that the kernel makes in one piece (stat, status, auxv, cgroup): it gives them whole to one
 * read(2) that has the room, so a second one could only find the end. Returns 0, or the errno of
 * the failure; E2BIG when the file is cap or longer. */
int writ_pin_read(const struct writ_pin *pin, const char *name, char *buf, size_t cap, size_t *n);
/* The same for the file "cgroup" as it is now, which a pin that is awake has open. */
int writ_pin_read_cgroup(const struct writ_pin *pin, char *buf, size_t cap, size_t *n);
void writ_pin_close(struct writ_pin *pin); /* idempotent */

#endif
