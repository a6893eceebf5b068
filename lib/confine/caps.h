/* SPDX-License-Identifier: Apache-2.0 */
/* caps: the rights of root that a process keeps. Linux only; before the first thread. */
#ifndef WRIT_CONFINE_CAPS_H
#define WRIT_CONFINE_CAPS_H

#include "base/err.h"

#include <stdint.h>

#define WRIT_CAP(number) (1ULL << (number)) /* of <linux/capability.h> */

/* Of the capabilities that the process has, those in the mask stay and are in effect, in it and in
 * what it runs; none can come back (bounding, ambient and inheritable set, no_new_privs).
 * WRIT_EUNSUP: a system call filter forbids capset while the process has too many. The bounding and
 * the ambient set are reduced then, so that for a user that is not root they end with the next
 * exec; no_new_privs is not set. */
WRIT_MUST writ_rc writ_caps_keep(uint64_t mask, struct writ_err *err);

#endif
