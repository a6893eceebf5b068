/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot: what the kernel says of a pinned process at one moment. Taken before a challenge and
 * checked after it: equal means that no other program slipped in. What cannot be read is marked
 * with its errno, and whatever rests on it is withheld. Costs no more than tens of micro-seconds.
 */
#ifndef WRIT_ATTEST_SNAPSHOT_H
#define WRIT_ATTEST_SNAPSHOT_H

#include "attest/pin.h"
#include "base/str.h"

#define WRIT_SNAPSHOT_PATH_MAX   4096
#define WRIT_SNAPSHOT_CGROUP_MAX 8192
#define WRIT_SNAPSHOT_AUXV_MAX   4096

enum writ_ns { WRIT_NS_USER, WRIT_NS_MNT, WRIT_NS_CGROUP, WRIT_NS_PID, WRIT_NS_COUNT };

enum writ_snapshot_part {
	WRIT_PART_CGROUP,
	WRIT_PART_EXE,
	WRIT_PART_AUXV,
	WRIT_PART_NS, /* this and the next: WRIT_PART_NS + enum writ_ns */
	WRIT_PART_COUNT = WRIT_PART_NS + WRIT_NS_COUNT
};

/* withheld[WRIT_PART_AUXV] of a process whose addresses the kernel does not choose: auxv would be
 * read, and say nothing. */
#define WRIT_AUXV_FIXED 4096 /* no errno is that large */

/* The file a process runs. dev as makedev() gives it. */
struct writ_exe {
	uint64_t dev, ino, nlink, size;
	uint64_t mtime_ns, ctime_ns; /* since the epoch, modulo 2^64 */
};

/* The agent's own namespaces, read once at its start; 0: could not be read, equal to none. */
struct writ_ns_self {
	uint64_t ns[WRIT_NS_COUNT];
	uint64_t host_mnt; /* the mount namespace of process 1, which counts as the agent's own */
};

struct writ_snapshot {
	uint64_t pid, uid, gid;    /* SO_PEERCRED's word, which status had to confirm */
	uint64_t ppid, start_time; /* clock ticks since boot */
	uint64_t state;            /* a letter, as in proc(5) */
	uint64_t groups_cut;       /* 0 or 1: struct writ_pin's */
	struct writ_exe exe;
	uint64_t ns[WRIT_NS_COUNT];      /* inode numbers */
	uint64_t ns_ours[WRIT_NS_COUNT]; /* 1: the agent's own, see host_mnt; 0: another, or unknown
					  */
	uint64_t withheld[WRIT_PART_COUNT];     /* 0: was read; else an errno, or WRIT_AUXV_FIXED */
	struct writ_str exe_path, cgroup, auxv; /* in bytes */
	const uint32_t *groups;                 /* in bytes */
	size_t ngroups;
	uint8_t *bytes; /* owned, one allocation */
};

void writ_ns_self_read(struct writ_ns_self *ret);
/* Is that namespace the agent's own, or counts as it? */
bool writ_ns_is_ours(const struct writ_ns_self *self, enum writ_ns which, uint64_t ns);
/* The network namespace of process 1; 0: it cannot be read. */
uint64_t writ_ns_host_net(void);
/* The number of a namespace, from dirfd's "ns/NAME". 0, or an errno. */
int writ_ns_read(int dirfd, const char *name, uint64_t *ret);

/* Takes a snapshot. WRIT_EUNAUTH: the process has ended (zombies too), or its user or group IDs are
 * not what they were at connect(); WRIT_EDENIED: stat or status cannot be read. */
WRIT_MUST writ_rc writ_snapshot_take(const struct writ_pin *pin, const struct writ_ns_self *self,
	struct writ_snapshot *ret, struct writ_err *err);
void writ_snapshot_done(struct writ_snapshot *s); /* idempotent */
/* WRIT_OK: a and b show the same program of the same process. WRIT_EUNAUTH: they do not, and the
 * message says what changed. */
WRIT_MUST writ_rc writ_snapshot_same(
	const struct writ_snapshot *a, const struct writ_snapshot *b, struct writ_err *err);
/* Reads IDs, exe and auxv again (and the state where exe cannot tell it), without allocating, and
 * compares them with s; last of all asks whether the process still runs. The check to make directly
 * before keys are handed out. WRIT_EEXPIRED: it is that program, but of its file not all is as it
 * was (somebody made a link to it, an upgrade removed it); who wants to know looks again. */
WRIT_MUST writ_rc writ_snapshot_recheck(
	const struct writ_pin *pin, const struct writ_snapshot *s, struct writ_err *err);
/* The same for where it runs, its namespaces and cgroup, on which selectors of unit, container and
 * path rest. To be made before the other one when s is not of this very moment. */
WRIT_MUST writ_rc writ_snapshot_recheck_place(
	const struct writ_pin *pin, const struct writ_snapshot *s, struct writ_err *err);
/* "exe", "auxv", "user namespace": for messages. Static. */
const char *writ_snapshot_part_name(enum writ_snapshot_part part);

#endif
