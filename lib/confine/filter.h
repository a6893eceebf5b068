/* SPDX-License-Identifier: Apache-2.0 */
/* filter: the system calls that a process keeps, as a table. Linux only. */
#ifndef WRIT_CONFINE_FILTER_H
#define WRIT_CONFINE_FILTER_H

#include "base/err.h"

#include <stdint.h>

/* A call that is allowed while (argument & mask) == value. Arguments count from 0. Of several rows
 * with one call any may hold. */
struct writ_filter_when {
	const char *call;
	unsigned arg;
	uint64_t mask, value;
};

/* The lists end with NULL, `when` with a row whose call is NULL; an absent one is empty. Calls are
 * named as in the manual's section 2; one that this machine's architecture does not have is passed
 * over. mmap and mprotect are not for the lists: every filter allows them, and no executable
 * memory. */
struct writ_filter {
	bool kills; /* what is not allowed ends the process by SIGSYS; else it fails with EPERM */
	const char *const *allowed;
	const struct writ_filter_when *when;
	const char *const *deadly; /* ends the process where others fail */
	bool own_memory;           /* no mapping is shared, so none writes to a file */
	bool all_threads;          /* else of this thread, and those that it starts */
};

/* From here on the filter holds; it sets no_new_privs, and there is no way back. WRIT_EINTERNAL: a
 * name that is no call's. */
WRIT_MUST writ_rc writ_filter_load(const struct writ_filter *f, struct writ_err *err);

#endif
