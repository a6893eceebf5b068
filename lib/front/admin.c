/* SPDX-License-Identifier: Apache-2.0 */
#include "front/admin.h"

#include "base/fs.h"
#include "base/mem.h"
#include "front/front.h"

#include <errno.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

/* The socket's folder, made when it is missing; operators of the group may pass through it. */
static writ_rc prepare_folder(const char *socket, const struct group *g, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *dir = writ_fs_dirname(socket);
	struct stat st;
	bool there = stat(dir, &st) == 0;
	writ_rc rc = writ_fs_ensure_dir(dir, 0750, err);
	if (rc == WRIT_OK && !there && g && chown(dir, (uid_t)-1, g->gr_gid) != 0 && errno != EPERM)
		return writ_fail_errno(err, errno, "give %s to group %s", dir, g->gr_name);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "folder of the admin socket");
}

static bool is_of_group(const char *path, gid_t group)
{
	struct stat st;
	return lstat(path, &st) == 0 && st.st_gid == group;
}

writ_rc writ_listen_admin(const char *path, struct writ_admin_socket *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_closep) int fd = -1;
	const struct group *g = getgrnam(WRIT_ADMIN_GROUP);
	struct writ_admin_socket s = { .has_group = g != NULL, .group = g ? g->gr_gid : 0 };
	writ_rc rc = prepare_folder(path, g, err);
	if (rc == WRIT_OK)
		rc = writ_listen_unix(path, 0600, &fd, err);
	if (rc != WRIT_OK)
		return rc;
	/* First the group, then the mode: never open to another group for a moment. */
	if (g && (is_of_group(path, s.group) || lchown(path, (uid_t)-1, s.group) == 0)) {
		if (chmod(path, 0660) != 0)
			return writ_fail_errno(err, errno, "open %s to its group", path);
	} else {
		s.not_given = g != NULL;
	}
	s.fd = writ_steal_fd(fd);
	*ret = s;
	return WRIT_OK;
}
