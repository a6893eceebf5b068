/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/keystore.h"

#include "base/fs.h"
#include "base/mem.h"
#include "signer/vault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define SUFFIX ".pem"

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* "abc.pem" -> "abc" when it is a name of ours. */
static bool key_name(const char *file, struct writ_str *name)
{
	struct writ_str s = writ_cstr(file);
	if (!writ_str_ends(s, WRIT_STR(SUFFIX)))
		return false;
	*name = writ_strn(s.p, s.n - sizeof(SUFFIX) + 1);
	return writ_vault_name_ok(*name);
}

/* writ_fs_write names its temporary files like this. */
static bool is_leftover(const char *file)
{
	struct writ_str s = writ_cstr(file);
	return writ_str_starts(s, WRIT_STR(".writ-")) && writ_str_ends(s, WRIT_STR(".tmp"));
}

writ_rc writ_keystore_open(struct writ_keystore *k, const char *data_dir, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *dir = writ_fs_join(data_dir, "keys");
	return writ_keystore_open_at(k, dir, err);
}

writ_rc writ_keystore_open_at(struct writ_keystore *k, const char *dir, struct writ_err *err)
{
	writ_rc rc = writ_fs_ensure_dir(dir, 0700, err);
	if (rc)
		return rc;
	WRIT_AUTO(closedirp) DIR *d = opendir(dir);
	if (!d)
		return writ_fail_errno(err, errno, "read folder %s", dir);
	for (const struct dirent *e; (e = readdir(d));)
		if (is_leftover(e->d_name))
			(void)unlinkat(dirfd(d), e->d_name, 0);
	k->dir = writ_strdup(dir);
	return WRIT_OK;
}

void writ_keystore_done(struct writ_keystore *k)
{
	writ_free(k->dir);
	k->dir = NULL;
}

static char *path_of(const struct writ_keystore *k, struct writ_str name)
{
	return writ_asprintf("%s/" WRIT_FMT SUFFIX, k->dir, WRIT_ARG(name));
}

writ_rc writ_keystore_load(struct writ_keystore *k,
	writ_rc (*each)(
		void *arg, struct writ_str name, struct writ_str data, struct writ_err *err),
	void *arg, struct writ_err *err)
{
	WRIT_AUTO(closedirp) DIR *d = opendir(k->dir);
	if (!d)
		return writ_fail_errno(err, errno, "read folder %s", k->dir);
	size_t n = 0;
	for (const struct dirent *e; (e = readdir(d));) {
		struct writ_str name;
		if (!key_name(e->d_name, &name))
			continue;
		if (n++ == WRIT_VAULT_KEYS_MAX)
			return writ_fail(err, WRIT_ELIMIT, "folder %s: more than %d keys", k->dir,
				WRIT_VAULT_KEYS_MAX);
		WRIT_AUTO(writ_freep) char *path = path_of(k, name);
		WRIT_AUTO(writ_buf_wipe) struct writ_buf data = WRIT_BUF(WRIT_VAULT_MAX);
		writ_rc rc = writ_fs_read_private(path, &data, err);
		if (!rc)
			rc = each(arg, name, writ_buf_str(&data), err);
		if (rc)
			return rc;
	}
	return WRIT_OK;
}

static writ_rc check_name(struct writ_str name, struct writ_err *err)
{
	return writ_vault_name_ok(name)
		? WRIT_OK
		: writ_fail(err, WRIT_EINVAL, "'" WRIT_FMT "' is no name of a key", WRIT_ARG(name));
}

writ_rc writ_keystore_save(
	struct writ_keystore *k, struct writ_str name, struct writ_str data, struct writ_err *err)
{
	writ_rc rc = check_name(name, err);
	if (rc)
		return rc;
	WRIT_AUTO(writ_freep) char *path = path_of(k, name);
	return writ_fs_write(path, data.p, data.n, 0600, err);
}

writ_rc writ_keystore_remove(struct writ_keystore *k, struct writ_str name, struct writ_err *err)
{
	writ_rc rc = check_name(name, err);
	if (rc)
		return rc;
	WRIT_AUTO(writ_freep) char *path = path_of(k, name);
	if (unlink(path) != 0 && errno != ENOENT)
		return writ_fail_errno(err, errno, "remove %s", path);
	WRIT_AUTO(writ_closep) int dir = open(k->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || (fsync(dir) != 0 && errno != EINVAL))
		return writ_fail_errno(err, errno, "remove %s: make it last", path);
	return WRIT_OK;
}
