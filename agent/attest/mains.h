/* SPDX-License-Identifier: Apache-2.0 */
/* mains: which process is the main one of a unit, container or login: the one that was put into its
 * cgroup from outside, and is the oldest there.
 *
 * What a main process leaves behind when it ends is adopted by a process outside as well, and may
 * become the oldest. So the first that was found is remembered for as long as that very cgroup
 * exists, and nobody else becomes its main. Any thread: locks for itself. */
#ifndef WRIT_ATTEST_MAINS_H
#define WRIT_ATTEST_MAINS_H

#include "attest/cgroup_path.h"
#include "attest/kin.h"

/* Processes and folders of one cgroup that are looked at; of a larger one no main is found. */
#define WRIT_MAINS_PROCS_MAX 4096
#define WRIT_MAINS_DIRS_MAX  256

/* The cgroup folder that carries the name of a unit, container or login. Borrowed from the text. */
struct writ_scope {
	struct writ_str hierarchy, path;
};

/* The one of a process whose /proc/PID/cgroup is text. WRIT_ENOENT: it is in none. WRIT_EUNAUTH:
 * do not guess, or its user moves processes there as he likes. WRIT_EPROTO: not what Linux writes.
 */
WRIT_MUST writ_rc writ_scope_of(struct writ_str text, const struct writ_cgroup_trust *trust,
	struct writ_scope *ret, struct writ_err *err);
/* Is the process whose /proc/PID/cgroup is text in that folder, or below it? */
bool writ_scope_has(const struct writ_scope *s, struct writ_str text);

struct writ_mains; /* opaque; bounded */
struct writ_mains *writ_mains_new(void);
void writ_mains_free(struct writ_mains *m);
/* Is k, whose parent is outside of the scope, its main process? WRIT_EUNAUTH: no, or one cannot
 * tell. WRIT_EBUSY: the scope's main is not known yet; to find it all processes in there are looked
 * at, thousands where a user wants it so, and may_search is false. */
WRIT_MUST writ_rc writ_mains_check(struct writ_mains *m, const struct writ_cgroup_trust *trust,
	const struct writ_scope *scope, const struct writ_kin *k, bool may_search,
	struct writ_err *err);

#endif
