/* SPDX-License-Identifier: Apache-2.0 */
/* wants: which of the selectors that cost something does an entry ask for. Pure. */
#ifndef WRIT_ATTEST_WANTS_H
#define WRIT_ATTEST_WANTS_H

#include "attest/selectors.h"

/* How a caller is to be looked at. All but the first: made only when an entry asks for such a
 * selector, or the configuration names the attestor. */
enum writ_attest_flag {
	/* The call may look up names, walk paths and hash: run it in a job. Without it what is not
	 * known yet is WRIT_EBUSY, and the same call with it, in a job, gives the answer. */
	WRIT_ATTEST_MAY_BLOCK = 1,
	WRIT_ATTEST_SHA256 = 2,         /* unix:sha256 */
	WRIT_ATTEST_PROCESS = 4,        /* caps, seccomp, nnp, ns */
	WRIT_ATTEST_SCRIPT = 8,         /* script:path */
	WRIT_ATTEST_SCRIPT_SHA256 = 16, /* script:sha256; comes with the one above */
	WRIT_ATTEST_LINEAGE = 32,       /* proc */
	WRIT_ATTEST_AGAIN = 64,         /* not the first look: see writ_attest_again */
	/* Not the attestors' but the runtimes': runtime/asks.h. */
	WRIT_ATTEST_DOCKER = 128,    /* docker */
	WRIT_ATTEST_ROOTLESS = 256,  /* podman-rootless, but for its id */
	WRIT_ATTEST_K8S = 512,       /* k8s */
	WRIT_ATTEST_FRAGMENT = 1024, /* systemd:fragment_path */
};

/* How many selectors there are of each kind; add and remove entries with writ_wants_count. */
#define WRIT_WANTS_KINDS 16
struct writ_wants {
	size_t n[WRIT_WANTS_KINDS];
};

/* Counts the selectors of one entry more (by 1) or less (by -1). */
void writ_wants_count(struct writ_wants *w, const struct writ_selectors *entry, int by);
/* enum writ_attest_flag that one selector needs; 0: it costs nothing. */
unsigned writ_wants_of(struct writ_str selector);
/* enum writ_attest_flag of all that are counted. */
unsigned writ_wants_flags(const struct writ_wants *w);

#endif
