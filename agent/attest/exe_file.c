/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/exe_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define SLOTS 512 /* power of two */
/* A file changed twice within one tick of a coarse clock keeps its ctime: before this has passed,
 * the times do not tell two contents apart, and nothing is remembered. */
#define SETTLED_MS 2000

static uint64_t stamp_ns(const struct statx_timestamp *t)
{
	return (uint64_t)t->tv_sec * 1000000000u + t->tv_nsec;
}

int writ_exe_stat(int dirfd, const char *name, struct writ_exe *ret)
{
	struct statx st;
	/* DONT_SYNC: a file on a network or FUSE file system must not make the agent wait for it.
	 */
	int flags = AT_STATX_DONT_SYNC | (*name ? 0 : AT_EMPTY_PATH);
	if (statx(dirfd, name, flags, STATX_BASIC_STATS, &st) != 0)
		return errno;
	*ret = (struct writ_exe){
		.dev = makedev(st.stx_dev_major, st.stx_dev_minor),
		.ino = st.stx_ino,
		.nlink = st.stx_nlink,
		.size = st.stx_size,
		.mtime_ns = stamp_ns(&st.stx_mtime),
		.ctime_ns = stamp_ns(&st.stx_ctime),
	};
	return 0;
}

/* RESOLVE_CACHED never waits: a running program's path is in the kernel's cache as a rule. */
static int open_path(const char *name, bool may_block)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_MAGICLINKS | (may_block ? 0 : RESOLVE_CACHED),
	};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, name, &how, sizeof(how));
	if (fd < 0 && may_block && errno == ENOSYS) /* a sandbox that does not know openat2 */
		fd = open(name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd;
}

writ_rc writ_exe_path_check(
	struct writ_str path, const struct writ_exe *exe, bool may_block, struct writ_err *err)
{
	char name[WRIT_SNAPSHOT_PATH_MAX + 1];
	if (path.n == 0 || path.n > WRIT_SNAPSHOT_PATH_MAX || path.p[0] != '/' ||
		memchr(path.p, '\0', path.n))
		return writ_fail(err, WRIT_EUNAUTH, "the program has no path in the agent's view");
	memcpy(name, path.p, path.n);
	name[path.n] = '\0';
	WRIT_AUTO(writ_closep) int fd = open_path(name, may_block);
	if (fd < 0 && !may_block && errno != ENOENT && errno != EACCES)
		return writ_fail(err, WRIT_EBUSY, "the path has to be looked up first");
	if (fd < 0)
		return writ_fail(
			err, WRIT_EUNAUTH, "'%s' cannot be opened: %s", name, strerror(errno));
	struct writ_exe there;
	int e = writ_exe_stat(fd, "", &there);
	if (e != 0)
		return writ_fail(err, WRIT_EUNAUTH, "'%s' cannot be read: %s", name, strerror(e));
	if (there.dev != exe->dev || there.ino != exe->ino)
		return writ_fail(
			err, WRIT_EUNAUTH, "'%s' is another file than the one that runs", name);
	return WRIT_OK;
}

struct slot {
	uint64_t dev, ino, size, mtime_ns, ctime_ns;
	uint8_t hash[WRIT_EXE_HASH_LEN];
	bool used;
};

struct writ_exe_hashes {
	pthread_mutex_t lock; /* jobs fill what the loop reads */
	struct slot slots[SLOTS];
};

struct writ_exe_hashes *writ_exe_hashes_new(void)
{
	struct writ_exe_hashes *h = writ_alloc(sizeof(*h));
	(void)pthread_mutex_init(&h->lock, NULL);
	return h;
}

void writ_exe_hashes_free(struct writ_exe_hashes *h)
{
	if (!h)
		return;
	(void)pthread_mutex_destroy(&h->lock);
	writ_free(h);
}

static bool same_file(const struct writ_exe *a, const struct writ_exe *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
		a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static bool is_for(const struct slot *s, const struct writ_exe *x)
{
	return s->used && s->dev == x->dev && s->ino == x->ino && s->size == x->size &&
		s->mtime_ns == x->mtime_ns && s->ctime_ns == x->ctime_ns;
}

static struct slot *slot_of(struct writ_exe_hashes *h, const struct writ_exe *x)
{
	uint64_t k = x->ino * 0x9e3779b97f4a7c15u + x->dev;
	return &h->slots[(k >> 40) & (SLOTS - 1)];
}

static bool recall(struct writ_exe_hashes *h, const struct writ_exe *exe, uint8_t *out)
{
	(void)pthread_mutex_lock(&h->lock);
	const struct slot *s = slot_of(h, exe);
	bool known = is_for(s, exe);
	if (known)
		memcpy(out, s->hash, WRIT_EXE_HASH_LEN);
	(void)pthread_mutex_unlock(&h->lock);
	return known;
}

static void remember(struct writ_exe_hashes *h, const struct writ_exe *exe, const uint8_t *hash)
{
	int64_t changed_ms = (int64_t)(exe->ctime_ns / 1000000);
	if (writ_wall_ms() - changed_ms < SETTLED_MS)
		return;
	(void)pthread_mutex_lock(&h->lock);
	struct slot *s = slot_of(h, exe);
	*s = (struct slot){ exe->dev, exe->ino, exe->size, exe->mtime_ns, exe->ctime_ns, { 0 },
		true };
	memcpy(s->hash, hash, WRIT_EXE_HASH_LEN);
	(void)pthread_mutex_unlock(&h->lock);
}

static writ_rc check_open_file(int fd, const struct writ_exe *exe, struct writ_err *err)
{
	struct writ_exe now;
	int e = writ_exe_stat(fd, "", &now);
	if (e != 0)
		return writ_fail_errno(err, e, "look at the program's file");
	if (!same_file(&now, exe))
		return writ_fail(err, WRIT_EUNAUTH, "the process runs another file by now");
	return WRIT_OK;
}

/* A user's own program, which shows each reader the bytes that it likes, and any time and number.
 */
static writ_rc refuse_fuse(int fd, struct writ_err *err)
{
	struct statfs fs;
	if (fstatfs(fd, &fs) != 0)
		return writ_fail_errno(err, errno, "look at the file system of the program's file");
	if (fs.f_type == FUSE_SUPER_MAGIC)
		return writ_fail(err, WRIT_EUNAUTH,
			"the file is in a FUSE file system, which may show others than those that "
			"run");
	return WRIT_OK;
}

/* Such file systems are on no device. Whether that is one has to be asked, and may take long. */
static bool may_be_fuse(const struct writ_exe *exe)
{
	return major(exe->dev) == 0;
}

static writ_rc hash_file(struct writ_exe_hashes *h, const struct writ_exe *exe, int dirfd,
	const char *name, writ_sha256_file_fn sha256_file, uint64_t limit, uint8_t *out,
	struct writ_err *err)
{
	WRIT_AUTO(writ_closep) int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return writ_fail_errno(err, errno, "open the program's file");
	writ_rc rc = check_open_file(fd, exe, err);
	if (rc == WRIT_OK)
		rc = refuse_fuse(fd, err);
	if (rc == WRIT_OK && may_be_fuse(exe) && recall(h, exe, out))
		return WRIT_OK;
	if (rc == WRIT_OK)
		rc = sha256_file(fd, limit, out, err);
	/* And not changed under the hand that read it: the process may have ended meanwhile. */
	if (rc == WRIT_OK)
		rc = check_open_file(fd, exe, err);
	return rc;
}

writ_rc writ_exe_hashes_get(struct writ_exe_hashes *h, const struct writ_exe *exe, int dirfd,
	const char *name, writ_sha256_file_fn sha256_file, uint64_t limit, bool may_block,
	uint8_t out[WRIT_EXE_HASH_LEN], struct writ_err *err)
{
	if (exe->size > limit)
		return writ_fail(err, WRIT_ELIMIT,
			"the program has %llu bytes, more than workload_size_limit (%llu)",
			(unsigned long long)exe->size, (unsigned long long)limit);
	if (!may_be_fuse(exe) && recall(h, exe, out))
		return WRIT_OK;
	if (!may_block)
		return writ_fail(err, WRIT_EBUSY, "the program has to be hashed first");
	uint8_t hash[WRIT_EXE_HASH_LEN];
	writ_rc rc = hash_file(h, exe, dirfd, name, sha256_file, limit, hash, err);
	if (rc != WRIT_OK)
		return rc;
	remember(h, exe, hash);
	memcpy(out, hash, sizeof(hash));
	return WRIT_OK;
}
