/* SPDX-License-Identifier: Apache-2.0 */
/* fs: files that hold state. Never follows a symbolic link in the last component, never leaves half
 * a file, never loosens a mode. Blocking: call from start-up code or from a job. */
#ifndef WRIT_BASE_FS_H
#define WRIT_BASE_FS_H

#include "base/buf.h"

#include <sys/types.h>

/* Replaces path by these bytes: temporary file beside it, fsync, rename, fsync of the folder. mode
 * is exact whatever the umask says. */
WRIT_MUST writ_rc writ_fs_write(
	const char *path, const void *p, size_t n, mode_t mode, struct writ_err *err);
/* Appends the whole file (a regular one, at most buf->max) to buf. WRIT_ENOENT when there is none.
 */
WRIT_MUST writ_rc writ_fs_read(const char *path, struct writ_buf *buf, struct writ_err *err);
/* As read, and follows links: for what an orchestrator mounts, which are links to links. */
WRIT_MUST writ_rc writ_fs_read_linked(const char *path, struct writ_buf *buf, struct writ_err *err);
/* As read, and refuses a file that another user owns or that anybody else can read or write (mode &
 * 077): the message says the mode seen and the chmod that would mend it. For keys and tokens. */
WRIT_MUST writ_rc writ_fs_read_private(
	const char *path, struct writ_buf *buf, struct writ_err *err);
/* WRIT_EDENIED when the open file has a second name (a hard link): what we write would change, and
 * what we keep private would be, where somebody else put that name. */
WRIT_MUST writ_rc writ_fs_check_single(int fd, const char *path, struct writ_err *err);
/* Makes the folder and missing parents with mode exactly, or checks one that is there: a folder,
 * ours (or root's) as are all above it, none writable for others but sticky ones above. `private`
 * (mode 0700) also refuses one that others may read. */
WRIT_MUST writ_rc writ_fs_ensure_dir(const char *path, mode_t mode, struct writ_err *err);
/* As ensure_dir with 0700 for a folder of state, but one of ours that others may only look into is
 * closed to them: *closed says so, for the log. */
WRIT_MUST writ_rc writ_fs_claim_dir(const char *path, bool *closed, struct writ_err *err);
/* Removes a folder and all in it, staying on its file system and following no link. For our own
 * throw-away folders. */
WRIT_MUST writ_rc writ_fs_remove_tree(const char *path, struct writ_err *err);
/* The folder part of path: "/a/b" -> "/a", "x" -> ".". Owned by the caller. */
char *writ_fs_dirname(const char *path);
char *writ_fs_join(const char *dir, const char *name); /* owned */

#endif
