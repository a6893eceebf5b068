/* SPDX-License-Identifier: Apache-2.0 */
/* The script attestor: which file an interpreter runs, as its command line says. It narrows, it
 * does not prove: a process can write its command line, change its folder, and run other code than
 * its script's. Nobody else can, so next to a user, unit or container of the agent's own it tells
 * apart the honest programs in there.
 *
 * Reading a command line reads the caller's memory, which may lie on a file system that never
 * answers; so this attestor always wants a job, unless the caller is no interpreter. */
#include "attest/attestor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attest/cmdline.h"
#include "attest/emit.h"
#include "base/mem.h"

#define CMDLINE_MAX (16 * 1024)

struct run {
	const struct writ_attest_ctx *ctx;
	const struct writ_attest_call *call;
	const struct writ_snapshot *s;
	struct writ_answer *out;
};

static bool is_hidden(const struct writ_snapshot *s, struct writ_err *why)
{
	static const enum writ_ns needed[] = { WRIT_NS_USER, WRIT_NS_MNT };
	for (size_t i = 0; i < WRIT_COUNT(needed); i++)
		if (s->withheld[WRIT_PART_NS + needed[i]] || !s->ns_ours[needed[i]]) {
			(void)writ_fail(why, WRIT_EUNAUTH,
				"the caller is in another %s, or in one that cannot be read",
				writ_snapshot_part_name(
					(enum writ_snapshot_part)(WRIT_PART_NS + needed[i])));
			return true;
		}
	return false;
}

/* Whole arguments only: what was cut off at the end is dropped. */
static writ_rc read_cmdline(int dirfd, char *buf, struct writ_str *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_closep) int fd = openat(dirfd, "cmdline", O_RDONLY | O_CLOEXEC);
	size_t at = 0;
	if (fd < 0)
		return writ_fail_errno(err, errno, "open the caller's command line");
	while (at < CMDLINE_MAX) {
		ssize_t n = read(fd, buf + at, CMDLINE_MAX - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return writ_fail_errno(err, errno, "read the caller's command line");
		if (n == 0)
			break;
		at += (size_t)n;
	}
	const char *end = at > 0 ? memrchr(buf, '\0', at) : NULL;
	*ret = writ_strn(buf, end ? (size_t)(end - buf) + 1 : 0);
	return WRIT_OK;
}

static writ_rc check_root(int dirfd, struct writ_err *err)
{
	struct stat theirs, ours;
	if (fstatat(dirfd, "root", &theirs, 0) != 0)
		return writ_fail_errno(err, errno, "look at the caller's root folder");
	if (stat("/", &ours) != 0)
		return writ_fail_errno(err, errno, "look at the root folder");
	if (theirs.st_dev != ours.st_dev || theirs.st_ino != ours.st_ino)
		return writ_fail(err, WRIT_EUNAUTH,
			"the caller's root folder is another one, where a path names another file");
	return WRIT_OK;
}

/* As the caller wrote it, below its present folder when it is not absolute. */
static writ_rc join_cwd(
	int dirfd, struct writ_str script, struct writ_buf *ret, struct writ_err *err)
{
	char cwd[WRIT_SNAPSHOT_PATH_MAX];
	if (script.p[0] != '/') {
		ssize_t n = readlinkat(dirfd, "cwd", cwd, sizeof(cwd));
		if (n < 0)
			return writ_fail_errno(err, errno, "read the caller's present folder");
		writ_buf_add(ret, cwd, (size_t)n);
		writ_buf_add_byte(ret, '/');
	}
	writ_buf_add_str(ret, script);
	writ_rc rc = writ_buf_check(ret, "the script's path", err);
	if (rc == WRIT_OK && ret->p[0] != '/')
		rc = writ_fail(err, WRIT_EUNAUTH, "the caller's present folder has no path");
	return rc;
}

static int open_script(const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	if (fd < 0 && errno == ENOSYS) /* a sandbox that does not know openat2 */
		fd = open(path, O_PATH | O_CLOEXEC);
	return fd;
}

static writ_rc find_script(
	const struct run *r, enum writ_interp kind, int *ret, struct writ_err *err)
{
	char buf[CMDLINE_MAX];
	struct writ_str text, script;
	WRIT_AUTO(writ_buf_done) struct writ_buf path = WRIT_BUF(2 * WRIT_SNAPSHOT_PATH_MAX);
	writ_rc rc = check_root(r->call->dirfd, err);
	if (rc == WRIT_OK)
		rc = read_cmdline(r->call->dirfd, buf, &text, err);
	if (rc == WRIT_OK)
		rc = writ_cmdline_script(kind, text, &script, err);
	if (rc == WRIT_OK)
		rc = join_cwd(r->call->dirfd, script, &path, err);
	if (rc != WRIT_OK)
		return rc;
	WRIT_AUTO(writ_closep) int fd = open_script(writ_buf_cstr(&path));
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0)
		return writ_fail_errno(err, errno, "open '%s'", writ_buf_cstr(&path));
	if (!S_ISREG(st.st_mode) || st.st_nlink == 0)
		return writ_fail(
			err, WRIT_EUNAUTH, "'%s' is no file with a name", writ_buf_cstr(&path));
	*ret = fd;
	fd = -1;
	return WRIT_OK;
}

static void emit_hash(struct run *r, int fd, const char *self)
{
	uint8_t hash[WRIT_EXE_HASH_LEN];
	char hex[2 * WRIT_EXE_HASH_LEN + 1];
	uint64_t limit = r->ctx->workload_size_limit;
	struct writ_exe exe;
	struct writ_err why;
	int e = writ_exe_stat(fd, "", &exe);
	writ_rc rc = e != 0
		? writ_fail_errno(&why, e, "look at the script")
		: writ_exe_hashes_get(r->ctx->hashes, &exe, AT_FDCWD, self, r->ctx->sha256_file,
			  limit ? limit : WRIT_EXE_SIZE_LIMIT, true, hash, &why);
	if (rc != WRIT_OK) {
		writ_answer_note(r->out, "script:sha256 withheld: %s", why.msg);
		return;
	}
	writ_hex(hash, sizeof(hash), hex);
	writ_emit(r->out, "script", "sha256", writ_cstr(hex));
}

static void emit_script(struct run *r, int fd)
{
	char self[40];
	char path[WRIT_SNAPSHOT_PATH_MAX];
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	/* Without symbolic links: one file, one name. */
	ssize_t n = readlink(self, path, sizeof(path));
	if (n <= 0 || (size_t)n == sizeof(path) || path[0] != '/') {
		writ_answer_note(r->out, "script:path withheld: the script has no path");
		return;
	}
	writ_emit(r->out, "script", "path", writ_strn(path, (size_t)n));
	if ((r->call->flags & WRIT_ATTEST_SCRIPT_SHA256) && r->ctx->sha256_file)
		emit_hash(r, fd, self);
}

static writ_rc collect(struct run *r, struct writ_err *err)
{
	struct writ_err why;
	if (r->s->withheld[WRIT_PART_EXE] || r->s->withheld[WRIT_PART_AUXV]) {
		writ_answer_note(r->out,
			"script withheld: the caller's program cannot be read, or not be told from "
			"one that was run in between (see unix:path)");
		return WRIT_OK;
	}
	enum writ_interp kind = writ_interp_of(r->s->exe_path);
	if (kind == WRIT_INTERP_NONE)
		return WRIT_OK;
	if (is_hidden(r->s, &why)) {
		writ_answer_note(r->out, "script withheld: %s", why.msg);
		return WRIT_OK;
	}
	if (!(r->call->flags & WRIT_ATTEST_MAY_BLOCK))
		return writ_fail(err, WRIT_EBUSY, "the script has to be looked for first");
	WRIT_AUTO(writ_closep) int fd = -1;
	if (find_script(r, kind, &fd, &why) == WRIT_OK)
		emit_script(r, fd);
	else
		writ_answer_note(r->out, "script withheld: %s", why.msg);
	return WRIT_OK;
}

static writ_rc attest(const struct writ_attest_ctx *ctx, const struct writ_attest_call *call,
	const struct writ_snapshot *s, struct writ_answer *out, struct writ_err *err)
{
	struct run r = { .ctx = ctx, .call = call, .s = s, .out = out };
	return collect(&r, err);
}

const struct writ_attestor_vt writ_attestor_script = {
	.name = "script",
	.types = "script:path script:sha256",
	.wanted = WRIT_ATTEST_SCRIPT,
	.attest = attest,
};
