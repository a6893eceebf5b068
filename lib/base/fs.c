/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"

#include "base/mem.h"
#include "base/rand.h"
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP 16384

char *writ_fs_dirname(const char *path)
{
	const char *slash = strrchr(path, '/');
	while (slash && slash > path && slash[-1] == '/')
		slash--;
	if (!slash)
		return writ_strdup(".");
	return slash == path ? writ_strdup("/") : writ_strndup(path, (size_t)(slash - path));
}

char *writ_fs_join(const char *dir, const char *name)
{
	size_t n = strlen(dir);
	return writ_asprintf("%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name);
}

static bool trusted_owner(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? errno : EIO;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

/* Fills a new file that only we can open, and gives it its mode last: 0, or errno. */
static int fill(int dir, const char *name, const void *p, size_t n, mode_t mode)
{
	WRIT_AUTO(writ_closep)
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	int e = write_all(fd, p, n);
	if (!e && fchmod(fd, mode) != 0)
		e = errno;
	if (!e && fsync(fd) != 0)
		e = errno;
	return e;
}

static int replace(int dir, const char *name, const void *p, size_t n, mode_t mode)
{
	char temp[40];
	snprintf(temp, sizeof(temp), ".writ-%016" PRIx64 ".tmp", writ_rand_u64());
	int e = fill(dir, temp, p, n, mode);
	if (!e && renameat(dir, temp, dir, name) != 0)
		e = errno;
	if (e) {
		(void)unlinkat(dir, temp, 0);
		return e;
	}
	/* EINVAL: a file system whose folders cannot be synced. */
	return fsync(dir) == 0 || errno == EINVAL ? 0 : errno;
}

writ_rc writ_fs_write(const char *path, const void *p, size_t n, mode_t mode, struct writ_err *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return writ_fail(
			err, WRIT_EINVAL, "write '%s': that names a folder, not a file", path);
	WRIT_AUTO(writ_freep) char *folder = writ_fs_dirname(path);
	WRIT_AUTO(writ_closep) int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return writ_fail_errno(err, errno, "write %s: open the folder %s", path, folder);
	int e = replace(dir, name, p, n, mode);
	return e ? writ_fail_errno(err, e, "write %s", path) : WRIT_OK;
}

/* A regular file, opened for reading without waiting for anything. follow: 0 or O_NOFOLLOW. */
static writ_rc open_regular(
	const char *path, int follow, int *ret, struct stat *st, struct writ_err *err)
{
	WRIT_AUTO(writ_closep)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | follow);
	if (fd < 0 && errno == ELOOP)
		return writ_fail(err, WRIT_EDENIED,
			"read %s: a symbolic link is not followed here; name the file it points to",
			path);
	if (fd < 0 || fstat(fd, st) != 0)
		return writ_fail_errno(err, errno, "read %s", path);
	if (!S_ISREG(st->st_mode))
		return writ_fail(err, WRIT_EINVAL, "read %s: not a regular file", path);
	*ret = writ_steal_fd(fd);
	return WRIT_OK;
}

/* The next part of the file into buf: bytes read, 0 at the end, or -errno. EFBIG: does not fit. */
static ssize_t read_part(int fd, struct writ_buf *buf)
{
	size_t room = buf->max - buf->n;
	char probe;
	size_t want = room < READ_STEP ? room : READ_STEP;
	uint8_t *at = want ? writ_buf_room(buf, want) : NULL;
	ssize_t k;
	do {
		k = at ? read(fd, at, want) : read(fd, &probe, 1);
	} while (k < 0 && errno == EINTR);
	if (k < 0)
		return -errno;
	if (k > 0 && !at)
		return -EFBIG;
	if (k > 0)
		writ_buf_grew(buf, (size_t)k);
	return k;
}

static writ_rc read_fd(int fd, const char *path, struct writ_buf *buf, struct writ_err *err)
{
	size_t before = buf->n;
	ssize_t k;
	do {
		k = read_part(fd, buf);
	} while (k > 0);
	if (k == 0)
		return WRIT_OK;
	if (buf->p) {
		writ_wipe(buf->p + before, buf->cap - before);
		buf->n = before;
	}
	if (k == -EFBIG)
		return writ_fail(
			err, WRIT_ELIMIT, "read %s: larger than %zu bytes", path, buf->max);
	return writ_fail_errno(err, (int)-k, "read %s", path);
}

writ_rc writ_fs_read(const char *path, struct writ_buf *buf, struct writ_err *err)
{
	struct stat st;
	WRIT_AUTO(writ_closep) int fd = -1;
	writ_rc rc = open_regular(path, O_NOFOLLOW, &fd, &st, err);
	return rc ? rc : read_fd(fd, path, buf, err);
}

writ_rc writ_fs_read_linked(const char *path, struct writ_buf *buf, struct writ_err *err)
{
	struct stat st;
	WRIT_AUTO(writ_closep) int fd = -1;
	writ_rc rc = open_regular(path, 0, &fd, &st, err);
	return rc ? rc : read_fd(fd, path, buf, err);
}

writ_rc writ_fs_check_single(int fd, const char *path, struct writ_err *err)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return writ_fail_errno(err, errno, "look at %s", path);
	if (st.st_nlink > 1)
		return writ_fail(err, WRIT_EDENIED,
			"%s: the file has %lu names (hard links); remove this one, or the others",
			path, (unsigned long)st.st_nlink);
	return WRIT_OK;
}

writ_rc writ_fs_read_private(const char *path, struct writ_buf *buf, struct writ_err *err)
{
	struct stat st;
	WRIT_AUTO(writ_closep) int fd = -1;
	writ_rc rc = open_regular(path, O_NOFOLLOW, &fd, &st, err);
	if (rc)
		return rc;
	if (!trusted_owner(&st))
		return writ_fail(err, WRIT_EDENIED,
			"read %s: owned by user %u, not by us (user %u); chown it or remove it",
			path, st.st_uid, geteuid());
	if (st.st_mode & 077)
		return writ_fail(err, WRIT_EDENIED,
			"read %s: mode is %04o, so others can get at it; run: chmod 600 %s", path,
			st.st_mode & 07777, path);
	rc = writ_fs_check_single(fd, path, err);
	return rc ? rc : read_fd(fd, path, buf, err);
}
