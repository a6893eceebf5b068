/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/trusted_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

#define ROOT 0

struct walk {
	const char *path; /* for messages */
	uid_t owner;
	bool is_public;  /* the socket may be open to all */
	int fd;          /* owned: where the walk is */
	struct statx st; /* of it */
};

/* Not by openat2: systemd's RestrictSUIDSGID= takes it away, since a filter cannot see its flags.
 */
static writ_rc look(struct walk *w, int fd, struct writ_err *err)
{
	if (fd < 0)
		return writ_fail_errno(err, errno, "open '%s'", w->path);
	writ_closep(&w->fd);
	w->fd = fd;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &w->st) != 0)
		return writ_fail_errno(err, errno, "look at '%s'", w->path);
	return WRIT_OK;
}

static bool is_theirs(const struct walk *w, uid_t uid)
{
	return uid == ROOT || uid == w->owner;
}

static writ_rc refuse(const struct walk *w, const char *why, struct writ_err *err)
{
	return writ_fail(err, WRIT_EDENIED, "'%s' is not used: %s", w->path, why);
}

static writ_rc check_folder(const struct walk *w, struct writ_err *err)
{
	if (!S_ISDIR(w->st.stx_mode) || !is_theirs(w, w->st.stx_uid))
		return refuse(w, "a folder on the way is somebody else's", err);
	if ((w->st.stx_mode & 022) && !(w->st.stx_mode & S_ISVTX))
		return refuse(w, "others may write to a folder on the way", err);
	return WRIT_OK;
}

static bool is_mounted_on(const struct statx *folder, const struct statx *inside)
{
	return !(folder->stx_mask & inside->stx_mask & STATX_MNT_ID) ||
		folder->stx_mnt_id != inside->stx_mnt_id;
}

/* One name: what is a link is neither a folder nor a socket. */
static writ_rc step(struct walk *w, const char *name, struct writ_err *err)
{
	const struct statx folder = w->st;
	if (strcmp(name, "..") == 0)
		return refuse(w, "it has '..' in it", err);
	writ_rc rc =
		look(w, openat(w->fd, *name ? name : ".", O_PATH | O_NOFOLLOW | O_CLOEXEC), err);
	if (rc != WRIT_OK)
		return rc;
	/* Whoever owns a folder may mount something in it (FUSE). */
	if (folder.stx_uid != ROOT && is_mounted_on(&folder, &w->st))
		return refuse(w, "it goes into a file system that a user may have mounted", err);
	return WRIT_OK;
}

static writ_rc walk_down(struct walk *w, char *path, struct writ_err *err)
{
	char *rest = path;
	for (;;) {
		writ_rc rc = check_folder(w, err);
		if (rc != WRIT_OK)
			return rc;
		while (*rest == '/')
			rest++;
		char *end = strchr(rest, '/');
		if (end)
			*end = '\0';
		rc = step(w, rest, err);
		if (rc != WRIT_OK || !end)
			return rc;
		rest = end + 1;
	}
}

static writ_rc check_socket(const struct walk *w, struct writ_err *err)
{
	if (!S_ISSOCK(w->st.stx_mode))
		return refuse(w, "it is no socket", err);
	if (w->st.stx_uid != w->owner)
		return refuse(w, "it is somebody else's", err);
	if (!w->is_public && (w->st.stx_mode & 02))
		return refuse(w, "it is open to all", err);
	return WRIT_OK;
}

static writ_rc check_listener(const struct walk *w, int fd, struct writ_err *err)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0)
		return writ_fail_errno(err, errno, "ask who listens at '%s'", w->path);
	if (peer.uid != w->owner)
		return refuse(w, "somebody else listens there", err);
	return WRIT_OK;
}

/* By the descriptor: what was looked at is what is connected to. */
static writ_rc connect_to(const struct walk *w, int *ret, struct writ_err *err)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d", w->fd);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return writ_fail_errno(err, errno, "make a socket for '%s'", w->path);
	writ_rc rc = WRIT_OK;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) != 0)
		rc = errno == EAGAIN
			? writ_fail(err, WRIT_EUNAVAIL, "'%s' takes no more connections", w->path)
			: writ_fail_errno(err, errno, "connect to '%s'", w->path);
	if (rc == WRIT_OK)
		rc = check_listener(w, fd, err);
	if (rc != WRIT_OK) {
		writ_closep(&fd);
		return rc;
	}
	*ret = fd;
	return WRIT_OK;
}

/* /var/run is a link to /run: what root linked, root may. */
static writ_rc resolve(const char *path, uid_t owner, char out[PATH_MAX], struct writ_err *err)
{
	if (path[0] != '/' || strlen(path) >= PATH_MAX)
		return writ_fail(err, WRIT_EINVAL, "'%s' is not an absolute path", path);
	if (owner != ROOT)
		(void)snprintf(out, PATH_MAX, "%s", path);
	else if (!realpath(path, out))
		return writ_fail_errno(err, errno, "open '%s'", path);
	return WRIT_OK;
}

static writ_rc trusted_connect(
	const char *path, uid_t owner, bool is_public, int *ret, struct writ_err *err)
{
	char real[PATH_MAX];
	struct walk w = { .path = path, .owner = owner, .is_public = is_public, .fd = -1 };
	writ_rc rc = resolve(path, owner, real, err);
	if (rc != WRIT_OK)
		return rc;
	rc = look(&w, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), err);
	if (rc == WRIT_OK)
		rc = walk_down(&w, real, err);
	if (rc == WRIT_OK)
		rc = check_socket(&w, err);
	if (rc == WRIT_OK)
		rc = connect_to(&w, ret, err);
	writ_closep(&w.fd);
	return rc;
}

writ_rc writ_trusted_connect(const char *path, uid_t owner, int *ret, struct writ_err *err)
{
	return trusted_connect(path, owner, false, ret, err);
}

writ_rc writ_trusted_connect_public(const char *path, uid_t owner, int *ret, struct writ_err *err)
{
	return trusted_connect(path, owner, true, ret, err);
}
