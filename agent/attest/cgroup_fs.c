/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/cgroup_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/mem.h"

#define PATH_CAP 4352 /* a path of the kernel and the name of a hierarchy */

/* Where a folder of a hierarchy is, relative to fs->fd. */
static bool path_of(const struct writ_cgroup_fs *fs, struct writ_str hierarchy, struct writ_str dir,
	char path[PATH_CAP])
{
	struct writ_str mount = hierarchy;
	if (hierarchy.n == 0)
		mount = fs->pure_v2 ? WRIT_STR(".") : WRIT_STR("unified");
	else if (writ_str_starts(hierarchy, WRIT_STR("name=")))
		mount = writ_strn(hierarchy.p + 5, hierarchy.n - 5);
	bool outside = mount.n == 0 || memchr(mount.p, '/', mount.n) ||
		writ_str_eq(mount, WRIT_STR("..")) ||
		(hierarchy.n > 0 && writ_str_eq(mount, WRIT_STR(".")));
	if (outside || mount.n + dir.n >= PATH_CAP)
		return false;
	(void)snprintf(path, PATH_CAP, WRIT_FMT WRIT_FMT, WRIT_ARG(mount), WRIT_ARG(dir));
	return true;
}

static int open_dir(
	const struct writ_cgroup_trust *t, struct writ_str hierarchy, struct writ_str dir)
{
	const struct writ_cgroup_fs *fs = (const struct writ_cgroup_fs *)(const void *)t;
	char path[PATH_CAP];
	if (!path_of(fs, hierarchy, dir, path))
		return -1;
	return openat(fs->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static bool trusted(
	const struct writ_cgroup_trust *t, struct writ_str hierarchy, struct writ_str dir)
{
	const struct writ_cgroup_fs *fs = (const struct writ_cgroup_fs *)(const void *)t;
	char path[PATH_CAP];
	struct stat st;
	if (!path_of(fs, hierarchy, dir, path))
		return false;
	if (fstatat(fs->fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return false;
	return S_ISDIR(st.st_mode) && st.st_uid == fs->owner && (st.st_mode & 022) == 0;
}

writ_rc writ_cgroup_fs_open(const char *root, struct writ_cgroup_fs *ret, struct writ_err *err)
{
	struct writ_cgroup_fs fs = { .base = { .trusted = trusted, .open = open_dir } };
	fs.fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fs.fd < 0)
		return writ_fail_errno(err, errno, "open '%s'", root);
	struct statfs sf;
	if (fstatfs(fs.fd, &sf) != 0) {
		writ_rc rc = writ_fail_errno(err, errno, "look at '%s'", root);
		writ_closep(&fs.fd);
		return rc;
	}
	fs.pure_v2 = sf.f_type == CGROUP2_SUPER_MAGIC;
	*ret = fs;
	return WRIT_OK;
}

void writ_cgroup_fs_close(struct writ_cgroup_fs *fs)
{
	writ_closep(&fs->fd);
	fs->fd = -1;
}
