/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_fs: who owns the folders of the cgroup file system. The trust that cgroup_path.h asks for.
 */
#ifndef WRIT_ATTEST_CGROUP_FS_H
#define WRIT_ATTEST_CGROUP_FS_H

#include "attest/cgroup_path.h"

#include <sys/types.h>

struct writ_cgroup_fs {
	struct writ_cgroup_trust base;
	int fd;       /* owned */
	bool pure_v2; /* v2 is mounted at the root itself; else in "unified" */
	uid_t owner;  /* 0; tests set their own */
};

/* root: "/sys/fs/cgroup". *ret needs writ_cgroup_fs_close after WRIT_OK. */
WRIT_MUST writ_rc writ_cgroup_fs_open(
	const char *root, struct writ_cgroup_fs *ret, struct writ_err *err);
void writ_cgroup_fs_close(struct writ_cgroup_fs *fs); /* idempotent */

#endif
