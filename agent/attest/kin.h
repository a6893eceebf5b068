/* SPDX-License-Identifier: Apache-2.0 */
/* kin: from a process to its parent, without ever taking another process for it. A parent is held
 * by its /proc folder while it is looked at, and asked for again after that: a pid is not given out
 * anew while its process is somebody's parent. Any thread; one owner. */
#ifndef WRIT_ATTEST_KIN_H
#define WRIT_ATTEST_KIN_H

#include "attest/pin.h"

struct writ_kin {
	uint64_t pid, ppid;  /* whose child it was when it was read; writ_kin_check confirms */
	uint64_t start_time; /* clock ticks since boot */
	int dirfd;           /* owned: its folder in /proc */
};

void writ_kin_close(struct writ_kin *k); /* idempotent */
/* Holds the process that child->ppid names. WRIT_ENOENT: none, the child is the first one.
 * WRIT_EUNAUTH: one of the two has ended, or /proc shows something else than a parent and its
 * child. WRIT_EDENIED: /proc hides it. *ret needs writ_kin_close after WRIT_OK. */
WRIT_MUST writ_rc writ_kin_parent(
	const struct writ_kin *child, struct writ_kin *ret, struct writ_err *err);
/* After all that was read of the parent: is it the child's parent still? WRIT_EUNAUTH: no. */
WRIT_MUST writ_rc writ_kin_check(
	const struct writ_kin *child, const struct writ_kin *parent, struct writ_err *err);

#endif
