/* SPDX-License-Identifier: Apache-2.0 */
/* The half of fs.h that is about folders. */
#include "base/fs.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 64

static bool trusted_owner(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

/* Who owns a parent or can write to it can swap what is in it; only from the second of these does a
 * sticky bit keep them. A group that the owner let in is the owner's business. */
static writ_rc check_parent(int fd, const char *path, struct writ_err *err)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return writ_fail_errno(err, errno, "folder %s: look at its parents", path);
	if (!trusted_owner(&st))
		return writ_fail(err, WRIT_EDENIED,
			"folder %s: a folder above it belongs to user %u, who could swap it (we "
			"are user %u); chown that one or choose another place",
			path, st.st_uid, geteuid());
	if ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX))
		return writ_fail(err, WRIT_EDENIED,
			"folder %s: a folder above it has mode %04o and owner %u, so others could "
			"swap it; run chmod o-w on that one or choose another place",
			path, st.st_mode & 07777, st.st_uid);
	return WRIT_OK;
}

static writ_rc check_final(int fd, const char *path, mode_t mode, struct writ_err *err)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return writ_fail_errno(err, errno, "folder %s", path);
	if (!S_ISDIR(st.st_mode))
		return writ_fail(err, WRIT_EDENIED,
			"folder %s: there is something else of that name, a file or a symbolic "
			"link",
			path);
	if (!trusted_owner(&st))
		return writ_fail(err, WRIT_EDENIED,
			"folder %s: owned by user %u, not by us (user %u); chown it or choose "
			"another place",
			path, st.st_uid, geteuid());
	mode_t loose = st.st_mode & (mode & 077 ? 022 & ~mode : 077);
	if (loose)
		return writ_fail(err, WRIT_EDENIED,
			"folder %s: mode is %04o, at most %04o is safe here; run: chmod %o %s",
			path, st.st_mode & 07777, mode, mode, path);
	return WRIT_OK;
}

/* Makes one missing folder with its exact mode. One that appears in between is left to the checks.
 */
static writ_rc make(int dir, const char *name, const char *path, mode_t mode, struct writ_err *err)
{
	if (mkdirat(dir, name, 0700) != 0)
		return errno == EEXIST ? WRIT_OK
				       : writ_fail_errno(err, errno, "make folder %s", path);
	WRIT_AUTO(writ_closep)
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, mode) != 0)
		return writ_fail_errno(err, errno, "make folder %s", path);
	return WRIT_OK;
}

/* Goes from *dir into its child `name`, which is made when it is missing. Links are followed on the
 * way (/var/run is one on most systems), but not at the end. */
static writ_rc descend(
	int *dir, const char *name, bool last, const char *path, mode_t mode, struct writ_err *err)
{
	int flags = O_PATH | O_CLOEXEC | (last ? O_NOFOLLOW : O_DIRECTORY);
	writ_rc rc = check_parent(*dir, path, err);
	if (rc)
		return rc;
	int fd = openat(*dir, name, flags);
	if (fd < 0 && errno == ENOENT) {
		rc = make(*dir, name, path, mode, err);
		if (rc)
			return rc;
		fd = openat(*dir, name, flags);
	}
	if (fd < 0)
		return writ_fail_errno(err, errno, "folder %s: at its part '%s'", path, name);
	close(*dir);
	*dir = fd;
	return WRIT_OK;
}

writ_rc writ_fs_ensure_dir(const char *path, mode_t mode, struct writ_err *err)
{
	if (!*path)
		return writ_fail(err, WRIT_EINVAL, "the path of a folder is empty");
	WRIT_AUTO(writ_closep)
	int dir = open(*path == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return writ_fail_errno(err, errno, "folder %s", path);
	WRIT_AUTO(writ_freep) char *copy = writ_strdup(path);
	char *rest = copy + strspn(copy, "/");
	while (*rest) {
		char *name = rest;
		rest += strcspn(rest, "/");
		size_t slashes = strspn(rest, "/");
		memset(rest, 0, slashes);
		rest += slashes;
		writ_rc rc = descend(&dir, name, !*rest, path, mode, err);
		if (rc)
			return rc;
	}
	return check_final(dir, path, mode, err);
}

/* 0755 is what mkdir makes, and keys may be in there soon. Who could write may have put something
 * in it already: that is for a human to look at. */
static bool close_own(const char *path)
{
	WRIT_AUTO(writ_closep)
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	return fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 055) &&
		!(st.st_mode & 022) && fchmod(fd, 0700) == 0;
}

writ_rc writ_fs_claim_dir(const char *path, bool *closed, struct writ_err *err)
{
	*closed = close_own(path);
	return writ_fs_ensure_dir(path, 0700, err);
}

/* One folder on the way down. An explicit stack: the depth is bounded, and is no recursion. */
struct level {
	DIR *d;
	char *name;
};

struct walk {
	struct level levels[DEPTH_MAX];
	size_t depth;
	dev_t dev;
	const char *path;
};

static void leave(struct walk *w)
{
	struct level *l = &w->levels[--w->depth];
	closedir(l->d);
	writ_free(l->name);
}

static void walk_done(struct walk *w)
{
	while (w->depth)
		leave(w);
}

static writ_rc enter(struct walk *w, int at, const char *name, struct writ_err *err)
{
	struct stat st;
	if (w->depth == DEPTH_MAX)
		return writ_fail(
			err, WRIT_ELIMIT, "remove %s: folders deeper than %d", w->path, DEPTH_MAX);
	WRIT_AUTO(writ_closep)
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return writ_fail_errno(err, errno, "remove %s: at '%s'", w->path, name);
	if (!w->depth)
		w->dev = st.st_dev;
	if (st.st_dev != w->dev)
		return writ_fail(err, WRIT_EDENIED, "remove %s: '%s' in it is another file system",
			w->path, name);
	DIR *d = fdopendir(fd);
	if (!d)
		return writ_fail_errno(err, errno, "remove %s: at '%s'", w->path, name);
	fd = -1;
	w->levels[w->depth++] = (struct level){ d, writ_strdup(name) };
	return WRIT_OK;
}

static writ_rc remove_one(struct walk *w, DIR *d, const char *name, struct writ_err *err)
{
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return WRIT_OK;
	if (unlinkat(dirfd(d), name, 0) == 0 || errno == ENOENT)
		return WRIT_OK;
	if (errno == EISDIR || errno == EPERM)
		return enter(w, dirfd(d), name, err);
	return writ_fail_errno(err, errno, "remove %s: at '%s'", w->path, name);
}

/* The folder on top is empty: removes it from the one above. */
static writ_rc remove_top(struct walk *w, struct writ_err *err)
{
	const struct level *top = &w->levels[w->depth - 1];
	int at = w->depth > 1 ? dirfd(w->levels[w->depth - 2].d) : AT_FDCWD;
	int e = unlinkat(at, top->name, AT_REMOVEDIR) == 0 ? 0 : errno;
	leave(w);
	return e && e != ENOENT ? writ_fail_errno(err, e, "remove %s", w->path) : WRIT_OK;
}

writ_rc writ_fs_remove_tree(const char *path, struct writ_err *err)
{
	WRIT_AUTO(walk_done) struct walk w = { .path = path };
	struct stat st;
	if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		return WRIT_OK;
	writ_rc rc = enter(&w, AT_FDCWD, path, err);
	while (!rc && w.depth) {
		DIR *d = w.levels[w.depth - 1].d;
		errno = 0;
		const struct dirent *e = readdir(d); /* d is ours alone */
		if (e)
			rc = remove_one(&w, d, e->d_name, err);
		else if (errno)
			rc = writ_fail_errno(err, errno, "remove %s", path);
		else
			rc = remove_top(&w, err);
	}
	return rc;
}
