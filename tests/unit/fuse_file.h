/* SPDX-License-Identifier: Apache-2.0 */
/* fuse_file: a file system with one program in it, that can stop answering. Speaks to /dev/fuse
 * itself (linux/fuse.h). Root only. */
#ifndef TEST_FUSE_FILE_H
#define TEST_FUSE_FILE_H

#include <stdbool.h>
#include <sys/types.h>

struct fuse_file {
	pid_t server;
	volatile bool *mute; /* shared memory */
};

/* Mounts on dir; the file is dir/program and has the bytes of `like`. False: cannot be had here. */
bool fuse_file_start(struct fuse_file *f, const char *dir, const char *like);
/* The same; but whoever opens it after the first, who runs it, reads the bytes of `shows`. */
bool fuse_file_start_false(
	struct fuse_file *f, const char *dir, const char *like, const char *shows);
/* From now on every question waits for ever. */
void fuse_file_mute(struct fuse_file *f);
/* Ends the server: all who wait get an error. */
void fuse_file_stop(struct fuse_file *f, const char *dir);

#endif
