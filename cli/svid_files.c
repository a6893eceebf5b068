/* SPDX-License-Identifier: Apache-2.0 */
#include "svid_files.h"

#include "identity.h"

#include "base/fs.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CURRENT ".current"
#define PREFIX  ".generation-"

static const char *const names[] = { "svid.pem", "key.pem", "bundle.pem" };

struct writ_svid_files {
	char *dir;
	int fd;
	uint64_t generation;
};

/* One of our three names may be there as the link we make, as nothing else. */
static writ_rc check_name(const struct writ_svid_files *f, const char *name, struct writ_err *err)
{
	char to[128], want[128];
	snprintf(want, sizeof(want), "%s/%s", CURRENT, name);
	ssize_t n = readlinkat(f->fd, name, to, sizeof(to) - 1);
	if (n < 0 && errno == ENOENT)
		return WRIT_OK;
	if (n < 0)
		return writ_fail(err, WRIT_EEXIST,
			"%s/%s is there and was not made by this command: move it away", f->dir,
			name);
	to[n] = '\0';
	return strcmp(to, want) == 0
		? WRIT_OK
		: writ_fail(
			  err, WRIT_EEXIST, "%s/%s links to '%s': move it away", f->dir, name, to);
}

/* Calls fn for each generation that is there; name is that of its folder. */
static void each_generation(struct writ_svid_files *f,
	void (*fn)(struct writ_svid_files *f, const char *name, uint64_t number))
{
	int fd = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d)
		return;
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		struct writ_str s = writ_cstr(e->d_name);
		uint64_t g;
		if (writ_str_starts(s, WRIT_STR(PREFIX)) &&
			writ_parse_u64(
				writ_strn(s.p + sizeof(PREFIX) - 1, s.n - sizeof(PREFIX) + 1), 0,
				UINT32_MAX, &g, NULL) == WRIT_OK)
			fn(f, e->d_name, g);
	}
	closedir(d);
}

/* A restart goes on counting. */
static void count_on(struct writ_svid_files *f, const char *name, uint64_t number)
{
	(void)name;
	f->generation = number > f->generation ? number : f->generation;
}

writ_rc writ_svid_files_open(const char *dir, struct writ_svid_files **ret, struct writ_err *err)
{
	struct stat st;
	/* A folder that is there may be readable for others, never writable. */
	writ_rc rc = writ_fs_ensure_dir(dir, stat(dir, &st) == 0 ? 0755 : 0700, err);
	if (rc != WRIT_OK)
		return rc;
	struct writ_svid_files *f = writ_alloc(sizeof(*f));
	f->dir = writ_strdup(dir);
	f->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->fd < 0)
		rc = writ_fail_errno(err, errno, "open %s", dir);
	for (size_t i = 0; rc == WRIT_OK && i < WRIT_COUNT(names); i++)
		rc = check_name(f, names[i], err);
	if (rc != WRIT_OK) {
		writ_svid_files_close(f);
		return rc;
	}
	each_generation(f, count_on);
	*ret = f;
	return WRIT_OK;
}

/* A link that takes the place of another in one step. */
static writ_rc put_link(
	const struct writ_svid_files *f, const char *to, const char *name, struct writ_err *err)
{
	(void)unlinkat(f->fd, ".link", 0);
	if (symlinkat(to, f->fd, ".link") != 0 || renameat(f->fd, ".link", f->fd, name) != 0)
		return writ_fail_errno(err, errno, "link %s/%s", f->dir, name);
	return WRIT_OK;
}

static writ_rc write_generation(struct writ_svid_files *f, const char *folder,
	const struct writ_wl_update *u, const struct writ_svid *s, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf chain = WRIT_BUF(1u << 20);
	WRIT_AUTO(writ_buf_wipe) struct writ_buf key = WRIT_BUF(1u << 16);
	WRIT_AUTO(writ_buf_done) struct writ_buf bundle = WRIT_BUF(4u << 20);
	WRIT_AUTO(writ_freep) char *dir = writ_fs_join(f->dir, folder);
	writ_rc rc = writ_identity_pem(u, s, &chain, &key, &bundle, err);
	if (rc == WRIT_OK && mkdirat(f->fd, folder, 0755) != 0)
		rc = writ_fail_errno(err, errno, "make %s", dir);
	const struct {
		const struct writ_buf *bytes;
		mode_t mode;
	} files[] = { { &chain, 0644 }, { &key, 0600 }, { &bundle, 0644 } };
	for (size_t i = 0; rc == WRIT_OK && i < WRIT_COUNT(files); i++) {
		WRIT_AUTO(writ_freep) char *path = writ_fs_join(dir, names[i]);
		rc = writ_fs_write(path, files[i].bytes->p, files[i].bytes->n, files[i].mode, err);
	}
	return rc;
}

/* Generations before the last one: a reader that opened a file there a moment ago keeps it. */
static void drop_old(struct writ_svid_files *f, const char *name, uint64_t number)
{
	if (number + 1 >= f->generation)
		return;
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(f->dir, name);
	(void)!writ_fs_remove_tree(path, NULL);
}

writ_rc writ_svid_files_put(struct writ_svid_files *f, const struct writ_wl_update *u,
	const struct writ_svid *s, struct writ_err *err)
{
	char folder[64];
	/* A number is used once, also when what was begun under it failed. */
	snprintf(folder, sizeof(folder), PREFIX "%u", (unsigned)++f->generation);
	writ_rc rc = write_generation(f, folder, u, s, err);
	if (rc == WRIT_OK)
		rc = put_link(f, folder, CURRENT, err);
	for (size_t i = 0; rc == WRIT_OK && i < WRIT_COUNT(names); i++) {
		char to[64];
		snprintf(to, sizeof(to), "%s/%s", CURRENT, names[i]);
		if (faccessat(f->fd, names[i], F_OK, AT_SYMLINK_NOFOLLOW) != 0)
			rc = put_link(f, to, names[i], err);
	}
	if (rc != WRIT_OK)
		return writ_wrap(err, rc, "-write %s", f->dir);
	each_generation(f, drop_old);
	return WRIT_OK;
}

void writ_svid_files_close(struct writ_svid_files *f)
{
	if (!f)
		return;
	writ_closep(&f->fd);
	writ_free(f->dir);
	writ_free(f);
}
