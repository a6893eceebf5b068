/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/record_file.h"

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NUMBER_MAX 999999999
#define FLAGS      (O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)

static writ_rc sync_dir(const struct writ_record_file *f, struct writ_err *err)
{
	WRIT_AUTO(writ_closep) int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		return writ_fail_errno(err, errno, "issuance record: sync %s", f->dir);
	return WRIT_OK;
}

static writ_rc check(int fd, const char *path, struct stat *st, struct writ_err *err)
{
	if (fstat(fd, st) != 0)
		return writ_fail_errno(err, errno, "issuance record %s", path);
	if (!S_ISREG(st->st_mode) || st->st_uid != geteuid() || (st->st_mode & 077))
		return writ_fail(err, WRIT_EDENIED,
			"issuance record %s: must be a file of ours (user %u) with mode 0600; mode "
			"%04o, user %u seen",
			path, geteuid(), st->st_mode & 07777, st->st_uid);
	return writ_fs_check_single(fd, path, err);
}

/* A line that was cut short is ended: the next one is whole. */
static writ_rc end_line(int fd, const char *path, off_t size, struct writ_err *err)
{
	char last = '\n';
	if (size > 0 && pread(fd, &last, 1, size - 1) != 1)
		return writ_fail_errno(err, errno, "issuance record %s: look at its end", path);
	if (last != '\n' && write(fd, "\n", 1) != 1)
		return writ_fail_errno(err, errno, "issuance record %s", path);
	return WRIT_OK;
}

writ_rc writ_record_file_open(struct writ_record_file *f, int *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(f->dir, WRIT_RECORD_NAME);
	WRIT_AUTO(writ_closep) int fd = open(path, FLAGS);
	bool is_new = fd < 0 && errno == ENOENT;
	if (is_new)
		fd = open(path, FLAGS | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return writ_fail_errno(err, errno, "issuance record %s", path);
	struct stat st;
	writ_rc rc = check(fd, path, &st, err);
	if (!rc && is_new)
		rc = sync_dir(f, err);
	if (!rc)
		rc = end_line(fd, path, st.st_size, err);
	if (rc)
		return rc;
	f->dev = st.st_dev;
	f->ino = st.st_ino;
	*ret = writ_steal_fd(fd);
	return WRIT_OK;
}

bool writ_record_file_moved(const struct writ_record_file *f)
{
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(f->dir, WRIT_RECORD_NAME);
	struct stat st;
	return lstat(path, &st) != 0 || st.st_dev != f->dev || st.st_ino != f->ino;
}

/* --- numbers --- */

static uint64_t number_of(const char *name)
{
	struct writ_str rest = writ_cstr(name);
	uint64_t number = 0;
	if (!writ_str_starts(rest, WRIT_STR(WRIT_RECORD_NAME ".")))
		return 0;
	rest = writ_strn(name + sizeof(WRIT_RECORD_NAME), rest.n - sizeof(WRIT_RECORD_NAME));
	return writ_parse_u64(rest, 1, NUMBER_MAX, &number, NULL) == WRIT_OK ? number : 0;
}

/* Removes the file of this number if it is one that the rules give up. */
static void give_up(const struct writ_record_file *f, DIR *d, const char *name, int64_t now_s)
{
	struct stat st;
	if (fstatat(dirfd(d), name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) ||
		st.st_mtime > now_s - f->rules.hold_s)
		return;
	if (unlinkat(dirfd(d), name, 0) == 0)
		WRIT_LOG(INFO, "record.removed", WRIT_KV("file", name),
			WRIT_KV("kept", f->rules.keep));
	else
		WRIT_LOG(WARN, "record.not_removed", WRIT_KV("file", name),
			WRIT_KV("error", strerror(errno)));
}

/* The highest number; with `newest` it also removes those that are too far below. */
static writ_rc scan(const struct writ_record_file *f, uint64_t newest, int64_t now_s, uint64_t *ret,
	struct writ_err *err)
{
	uint64_t highest = 0;
	DIR *d = opendir(f->dir);
	if (!d)
		return writ_fail_errno(err, errno, "issuance record: list %s", f->dir);
	for (const struct dirent *e; (e = readdir(d)) != NULL;) {
		uint64_t n = number_of(e->d_name);
		if (n > highest)
			highest = n;
		if (n && n + (uint64_t)f->rules.keep <= newest)
			give_up(f, d, e->d_name, now_s);
	}
	closedir(d);
	*ret = highest;
	return WRIT_OK;
}

static writ_rc number_it(
	const struct writ_record_file *f, const char *path, int64_t now_s, struct writ_err *err)
{
	uint64_t newest = 0;
	writ_rc rc = scan(f, 0, now_s, &newest, err);
	if (rc)
		return rc;
	if (newest >= NUMBER_MAX)
		return writ_fail(err, WRIT_ELIMIT,
			"issuance record: %s.%d is there; remove files with such numbers", path,
			NUMBER_MAX);
	/* The folder is ours, and nobody else gives numbers: there is none of this name. */
	WRIT_AUTO(writ_freep) char *to = writ_asprintf("%s.%06u", path, (unsigned)newest + 1);
	if (rename(path, to) != 0)
		return writ_fail_errno(err, errno, "issuance record: rename %s to %s", path, to);
	WRIT_LOG(INFO, "record.full", WRIT_KV("file", (const char *)to));
	if (f->rules.keep)
		rc = scan(f, newest + 1, now_s, &newest, err);
	return rc;
}

writ_rc writ_record_file_rotate(
	struct writ_record_file *f, int64_t now_s, int *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(f->dir, WRIT_RECORD_NAME);
	struct stat st;
	/* Not the file that the signer has: a renamed one, or what a failure has left. */
	if (writ_record_file_moved(f))
		return writ_record_file_open(f, ret, err);
	if (lstat(path, &st) != 0 || !f->rules.max || st.st_size < f->rules.max)
		return writ_fail(err, WRIT_EBUSY, "issuance record: it is not full");
	writ_rc rc = number_it(f, path, now_s, err);
	/* Also makes the new name durable: one sync of the folder for both. */
	return rc ? rc : writ_record_file_open(f, ret, err);
}
