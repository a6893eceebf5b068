/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_form: the table of path forms that container runtimes and systemd use, and its matcher. */
#ifndef WRIT_ATTEST_CGROUP_FORM_H
#define WRIT_ATTEST_CGROUP_FORM_H

#include "attest/cgroup_path.h"

/* Matches one absolute path without empty or dot components. On a match fills kind, runtime and
 * names of *ret and gives in *anchor how many bytes of the path carry them: each folder above the
 * last component of path[0..anchor) has to be trusted. No form: kind is WRIT_CGROUP_NONE, *anchor
 * is 0. */
void writ_cgroup_form_match(struct writ_str path, struct writ_cgroup *ret, size_t *anchor);

#endif
