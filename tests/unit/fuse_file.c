/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_NODE 2
#define BUFFER    (256 * 1024)

struct server {
	int fd;
	const volatile bool *mute;
	const char *bytes, *shown; /* shown: to all but the first who opens it */
	size_t size, shown_size;
	unsigned opened;
};

static void reply(const struct server *s, uint64_t unique, int error, const void *p, size_t n)
{
	struct fuse_out_header h = {
		.len = (uint32_t)(sizeof(h) + n), .error = -error, .unique = unique
	};
	struct iovec v[2] = { { &h, sizeof(h) }, { (void *)(uintptr_t)p, n } };
	if (writev(s->fd, v, n ? 2 : 1) < 0 && errno != ENOENT)
		_exit(0);
}

static struct fuse_attr attr_of(const struct server *s, uint64_t node)
{
	bool file = node == FILE_NODE;
	return (struct fuse_attr){ .ino = node,
		.size = file ? s->size : 0,
		.blocks = file ? s->size / 512 + 1 : 0,
		.mode = file ? S_IFREG | 0755 : S_IFDIR | 0755,
		.nlink = 1,
		.blksize = 4096 };
}

static void answer(struct server *s, const struct fuse_in_header *h, const char *body)
{
	switch (h->opcode) {
	case FUSE_INIT: {
		struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION,
			.minor = FUSE_KERNEL_MINOR_VERSION,
			.max_write = 4096,
			.max_background = 12,
			.congestion_threshold = 9,
			.time_gran = 1 };
		reply(s, h->unique, 0, &out, sizeof(out));
		return;
	}
	case FUSE_LOOKUP: {
		struct fuse_entry_out out = { .nodeid = FILE_NODE };
		out.attr = attr_of(s, FILE_NODE);
		bool known = strcmp(body, "program") == 0;
		reply(s, h->unique, known ? 0 : ENOENT, &out, known ? sizeof(out) : 0);
		return;
	}
	case FUSE_GETATTR: {
		struct fuse_attr_out out = { .attr = attr_of(s, h->nodeid) };
		reply(s, h->unique, 0, &out, sizeof(out));
		return;
	}
	case FUSE_OPEN: {
		bool is_first = s->opened++ == 0 || !s->shown;
		struct fuse_open_out out = { .fh = is_first,
			.open_flags = is_first ? 0 : FOPEN_DIRECT_IO };
		reply(s, h->unique, 0, &out, sizeof(out));
		return;
	}
	case FUSE_READ: {
		const struct fuse_read_in *in = (const void *)body;
		size_t size = in->fh ? s->size : s->shown_size;
		size_t at = in->offset < size ? (size_t)in->offset : size;
		size_t n = in->size < size - at ? in->size : size - at;
		reply(s, h->unique, 0, (in->fh ? s->bytes : s->shown) + at, n);
		return;
	}
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT: return;
	case FUSE_RELEASE:
	case FUSE_FLUSH: reply(s, h->unique, 0, NULL, 0); return;
	default: reply(s, h->unique, ENOSYS, NULL, 0);
	}
}

static _Noreturn void serve(struct server *s)
{
	static _Alignas(8) char buffer[BUFFER];
	for (;;) {
		ssize_t n = read(s->fd, buffer, sizeof(buffer));
		if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
			continue;
		if (n < (ssize_t)sizeof(struct fuse_in_header))
			_exit(0);
		if (!*s->mute)
			answer(s, (const void *)buffer, buffer + sizeof(struct fuse_in_header));
	}
}

static char *read_whole(const char *path, size_t *size)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return NULL;
	char *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	*size = (size_t)st.st_size;
	return p == MAP_FAILED ? NULL : p;
}

bool fuse_file_start(struct fuse_file *f, const char *dir, const char *like)
{
	return fuse_file_start_false(f, dir, like, NULL);
}

bool fuse_file_start_false(
	struct fuse_file *f, const char *dir, const char *like, const char *shows)
{
	struct server s = { .fd = open("/dev/fuse", O_RDWR | O_CLOEXEC) };
	char options[128];
	if (s.fd < 0)
		return false;
	snprintf(options, sizeof(options),
		"fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other", s.fd,
		(unsigned)geteuid(), (unsigned)getegid());
	s.bytes = read_whole(like, &s.size);
	s.shown = shows ? read_whole(shows, &s.shown_size) : NULL;
	if (!s.bytes || (shows && !s.shown) ||
		mount("test", dir, "fuse", MS_NOSUID | MS_NODEV, options) != 0) {
		close(s.fd);
		return false;
	}
	f->mute =
		mmap(NULL, sizeof(bool), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	s.mute = f->mute;
	f->server = fork();
	if (f->server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(&s);
	}
	close(s.fd);
	munmap((void *)(uintptr_t)s.bytes, s.size);
	if (s.shown)
		munmap((void *)(uintptr_t)s.shown, s.shown_size);
	return true;
}

void fuse_file_mute(struct fuse_file *f)
{
	*f->mute = true;
}

void fuse_file_stop(struct fuse_file *f, const char *dir)
{
	kill(f->server, SIGKILL);
	waitpid(f->server, NULL, 0);
	(void)umount2(dir, MNT_DETACH);
	munmap((void *)(uintptr_t)f->mute, sizeof(bool));
}
