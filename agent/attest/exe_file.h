/* SPDX-License-Identifier: Apache-2.0 */
/* exe_file: is the path of a program still the file that runs, and what is the hash of that file.
 * Both can wait for a disk, so both have a form that answers only what is known. */
#ifndef WRIT_ATTEST_EXE_FILE_H
#define WRIT_ATTEST_EXE_FILE_H

#include "attest/snapshot.h"

#define WRIT_EXE_HASH_LEN   32
#define WRIT_EXE_SIZE_LIMIT (256ull * 1024 * 1024) /* default of workload_size_limit */

/* Hashes a whole file of at most max bytes. */
typedef writ_rc (*writ_sha256_file_fn)(
	int fd, uint64_t max, uint8_t out[WRIT_EXE_HASH_LEN], struct writ_err *err);

/* Does path (absolute, no symbolic link as its last part) name that very file? WRIT_OK: yes.
 * WRIT_EUNAUTH: no. WRIT_EBUSY: that would need a look at the disk, and may_block is false. */
WRIT_MUST writ_rc writ_exe_path_check(
	struct writ_str path, const struct writ_exe *exe, bool may_block, struct writ_err *err);

/* Hashes by file and time of change. Any thread; the lock inside is never held while hashing. */
struct writ_exe_hashes; /* opaque; bounded */

struct writ_exe_hashes *writ_exe_hashes_new(void);
void writ_exe_hashes_free(struct writ_exe_hashes *h);
/* The SHA-256 of dirfd's name ("exe") when that is still the file that was looked at. WRIT_EBUSY:
 * not known and may_block is false. WRIT_ELIMIT: larger than limit bytes. WRIT_EUNAUTH: another
 * file, or one in a FUSE file system. */
WRIT_MUST writ_rc writ_exe_hashes_get(struct writ_exe_hashes *h, const struct writ_exe *exe,
	int dirfd, const char *name, writ_sha256_file_fn sha256_file, uint64_t limit,
	bool may_block, uint8_t out[WRIT_EXE_HASH_LEN], struct writ_err *err);

/* dev, ino, nlink, size and times of dirfd's name, or of dirfd itself where name is "". 0 or errno.
 */
int writ_exe_stat(int dirfd, const char *name, struct writ_exe *ret);

#endif
