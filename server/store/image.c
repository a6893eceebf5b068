/* SPDX-License-Identifier: Apache-2.0 */
#include "store/image.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES     4
#define SETTLE_MS 60 /* more than a file's time of change may lag behind */

#define PAGE_MIN       512
#define PAGE_MAX       65536
#define HEADER_SIZE    100 /* of the database */
#define AT_PAGE_SIZE   16
#define AT_VERSIONS    18 /* of writing and of reading: 1 rollback journal, 2 write-ahead log */
#define LOG_HEADER     32
#define LOG_MAGIC      0x377f0682u /* the last bit: sums are of big-endian words */
#define FRAME_HEADER   24
#define FRAME_SUMMED   8 /* bytes of a frame's header that are in its sum */
#define LOG_AT_SIZE    8
#define LOG_AT_SALT    16
#define LOG_AT_SUM     24
#define FRAME_AT_COUNT 4
#define FRAME_AT_SALT  8
#define FRAME_AT_SUM   16

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* A write-ahead log; fd is -1 where there is none. */
struct wal {
	int fd;
	uint8_t header[LOG_HEADER]; /* zeros: it is empty */
	size_t page;
	uint32_t sum[2];
	bool big_endian;
	int64_t frames; /* up to the last commit */
	uint32_t pages; /* of the database then */
};

static void add_to_sum(struct wal *l, const uint8_t *p, size_t n)
{
	uint32_t (*word)(const uint8_t *) = l->big_endian ? be32 : le32;
	for (size_t i = 0; i + 8 <= n; i += 8) {
		l->sum[0] += word(p + i) + l->sum[1];
		l->sum[1] += word(p + i + 4) + l->sum[0];
	}
}

static bool sum_is(const struct wal *l, const uint8_t *p)
{
	return l->sum[0] == be32(p) && l->sum[1] == be32(p + 4);
}

/* All n bytes, or nothing that counts. */
static bool read_at(int fd, uint8_t *out, size_t n, int64_t at)
{
	while (n) {
		ssize_t got = pread(fd, out, n, at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		out += got;
		at += got;
		n -= (size_t)got;
	}
	return true;
}

static int64_t frame_at(const struct wal *l, int64_t i)
{
	return LOG_HEADER + i * (int64_t)(FRAME_HEADER + l->page);
}

/* Finds the last commit. What follows it is of a transaction that is not over, or of a former log.
 */
static void find_commit(struct wal *l, uint8_t *frame)
{
	uint8_t *header = l->header;
	uint32_t magic = be32(header);
	if ((magic & ~1u) != LOG_MAGIC || be32(header + LOG_AT_SIZE) != l->page)
		return;
	l->big_endian = magic & 1;
	add_to_sum(l, header, LOG_AT_SUM);
	if (!sum_is(l, header + LOG_AT_SUM))
		return;
	for (int64_t i = 0; frame_at(l, i) < WRIT_IMAGE_MAX; i++) {
		if (!read_at(l->fd, frame, FRAME_HEADER + l->page, frame_at(l, i)) ||
			memcmp(frame + FRAME_AT_SALT, header + LOG_AT_SALT, 8) != 0)
			return;
		add_to_sum(l, frame, FRAME_SUMMED);
		add_to_sum(l, frame + FRAME_HEADER, l->page);
		if (!sum_is(l, frame + FRAME_AT_SUM) || !be32(frame))
			return;
		if (be32(frame + FRAME_AT_COUNT)) {
			l->frames = i + 1;
			l->pages = be32(frame + FRAME_AT_COUNT);
		}
	}
}

static writ_rc take(struct writ_image *m, int64_t n, struct writ_err *err)
{
	if (n > WRIT_IMAGE_MAX)
		return writ_fail(err, WRIT_ELIMIT, "it has %lld MB; up to %lld MB are looked at",
			(long long)(n >> 20), (long long)(WRIT_IMAGE_MAX >> 20));
	void *p = mmap(NULL, (size_t)n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return writ_fail_errno(err, errno, "memory for it");
	*m = (struct writ_image){ .bytes = p, .n = (size_t)n };
	return WRIT_OK;
}

void writ_image_done(struct writ_image *m)
{
	if (m->bytes)
		(void)munmap(m->bytes, m->n);
	*m = (struct writ_image){ 0 };
}

static bool apply(const struct wal *l, uint8_t *frame, struct writ_image *m)
{
	for (int64_t i = 0; i < l->frames; i++) {
		if (!read_at(l->fd, frame, FRAME_HEADER + l->page, frame_at(l, i)))
			return false;
		uint64_t end = (uint64_t)be32(frame) * l->page;
		/* A page beyond the end: the database has shrunk since. */
		if (end && end <= m->n)
			memcpy(m->bytes + end - l->page, frame + FRAME_HEADER, l->page);
	}
	return true;
}

/* page_size: as in the file's header. */
static size_t page_size(const uint8_t *header)
{
	size_t n = (size_t)header[AT_PAGE_SIZE] << 8 | header[AT_PAGE_SIZE + 1];
	n = n == 1 ? PAGE_MAX : n;
	return n >= PAGE_MIN && !(n & (n - 1)) ? n : 0;
}

/* The file's bytes with the log's laid over them; *settled: false when it changed meanwhile. */
static writ_rc read_both(int fd, int64_t size, struct wal *l, struct writ_image *ret, bool *settled,
	struct writ_err *err)
{
	static const char magic[] = "SQLite format 3";
	uint8_t header[HEADER_SIZE];
	if (!read_at(fd, header, sizeof(header), 0) || memcmp(header, magic, sizeof(magic)) != 0)
		return writ_fail(err, WRIT_EIO, "this is not a database");
	l->page = page_size(header);
	if (!l->page)
		return writ_fail(err, WRIT_EIO, "the size of its pages is damaged");
	WRIT_AUTO(writ_freep) uint8_t *frame = writ_alloc(FRAME_HEADER + l->page);
	if (l->fd >= 0)
		find_commit(l, frame);
	struct writ_image m = { 0 };
	int64_t n = l->frames ? (int64_t)l->pages * (int64_t)l->page : size;
	writ_rc rc = take(&m, n, err);
	if (rc != WRIT_OK)
		return rc;
	*settled = read_at(fd, m.bytes, (size_t)(n < size ? n : size), 0) && apply(l, frame, &m);
	m.bytes[AT_VERSIONS] = m.bytes[AT_VERSIONS + 1] = 1;
	*ret = m;
	return WRIT_OK;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
		a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool just_changed(const struct stat *st)
{
	int64_t age = writ_wall_ms() - (st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000);
	return age >= 0 && age < SETTLE_MS;
}

static int open_log(const char *path)
{
	WRIT_AUTO(writ_freep) char *name = writ_asprintf("%s-wal", path);
	return open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

static void read_log_header(int fd, uint8_t out[LOG_HEADER])
{
	memset(out, 0, LOG_HEADER);
	if (fd >= 0 && !read_at(fd, out, LOG_HEADER, 0))
		memset(out, 0, LOG_HEADER);
}

/* The file only changes when the server moves its log into it, the log's header when it begins a
 * new one: where neither did, both were of one moment. */
static writ_rc read_once(
	const char *path, struct writ_image *ret, bool *settled, struct writ_err *err)
{
	WRIT_AUTO(writ_closep)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat before, after;
	uint8_t header[LOG_HEADER];
	if (fd < 0 || fstat(fd, &before) != 0)
		return writ_fail_errno(err, errno, "open it");
	if (!S_ISREG(before.st_mode))
		return writ_fail(err, WRIT_EIO, "not a regular file");
	if (before.st_size < PAGE_MIN)
		return writ_fail(err, WRIT_EIO, "it has %d bytes, which is no database",
			(int)before.st_size);
	WRIT_AUTO(writ_closep) int log = open_log(path);
	struct wal l = { .fd = log };
	if (log < 0 && errno != ENOENT)
		return writ_fail_errno(err, errno, "open its write-ahead log");
	read_log_header(log, l.header);
	struct writ_image m = { 0 };
	writ_rc rc = read_both(fd, before.st_size, &l, &m, settled, err);
	if (rc != WRIT_OK)
		return rc;
	WRIT_AUTO(writ_closep) int log_after = open_log(path);
	read_log_header(log_after, header);
	*settled = *settled && stat(path, &after) == 0 && same_file(&before, &after) &&
		!just_changed(&before) && memcmp(header, l.header, LOG_HEADER) == 0;
	*ret = m;
	return WRIT_OK;
}

writ_rc writ_image_read(const char *path, struct writ_image *ret, struct writ_err *err)
{
	for (int i = 0; i < TRIES; i++) {
		struct writ_image m = { 0 };
		bool settled = false;
		writ_rc rc = read_once(path, &m, &settled, err);
		if (rc != WRIT_OK)
			return rc;
		if (settled) {
			*ret = m;
			return WRIT_OK;
		}
		writ_image_done(&m);
		(void)poll(NULL, 0, SETTLE_MS);
	}
	return writ_fail(err, WRIT_EBUSY, "it changes faster than it can be read: try again");
}
