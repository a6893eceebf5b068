/* SPDX-License-Identifier: Apache-2.0 */
/* stuck: a file system with one executable file that answers well until SIGUSR1, and never again:
 * what a user can do to whoever reads his programs. Speaks to the kernel as fuse(4) says.
 *
 * usage: stuck FOLDER PROGRAM [forget]     mounts at FOLDER the file "app", a copy of PROGRAM;
 * forget: the kernel is to ask for the name again each time it is used. Prints "ready"; SIGTERM
 * ends it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOT = 1, APP = 2, BUFFER = 1 << 20 };

static struct {
	int fd;
	uint8_t *bytes;
	size_t n;
	uint64_t seconds; /* for which the kernel may remember */
} fs;

static volatile sig_atomic_t silent, over;

static void on_signal(int sig)
{
	silent = 1;
	over = sig == SIGTERM;
}

static void reply(uint64_t unique, int error, const void *p, size_t n)
{
	static uint8_t out[BUFFER + 64];
	struct fuse_out_header h = {
		.len = (uint32_t)(sizeof(h) + n), .error = -error, .unique = unique
	};
	memcpy(out, &h, sizeof(h));
	if (n)
		memcpy(out + sizeof(h), p, n);
	(void)!write(fs.fd, out, sizeof(h) + n);
}

static struct fuse_attr attr_of(uint64_t node)
{
	struct fuse_attr a = { .ino = node, .nlink = 1, .blksize = 4096 };
	a.mode = node == ROOT ? S_IFDIR | 0755 : S_IFREG | 0755;
	a.size = node == ROOT ? 0 : fs.n;
	a.mtime = a.ctime = 1; /* long settled */
	return a;
}

static void on_init(const struct fuse_in_header *h, const void *arg)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 65536
	};
	const struct fuse_init_in *in = arg;
	out.max_readahead = in->max_readahead;
	out.max_background = 16;
	reply(h->unique, 0, &out, sizeof(out));
}

static void on_lookup(const struct fuse_in_header *h, const void *arg)
{
	struct fuse_entry_out out = { .nodeid = APP,
		.generation = 1,
		.entry_valid = fs.seconds,
		.attr_valid = fs.seconds,
		.attr = attr_of(APP) };
	bool is_app = h->nodeid == ROOT && strcmp(arg, "app") == 0;
	reply(h->unique, is_app ? 0 : ENOENT, &out, is_app ? sizeof(out) : 0);
}

static void on_getattr(const struct fuse_in_header *h, const void *arg)
{
	struct fuse_attr_out out = { .attr_valid = fs.seconds, .attr = attr_of(h->nodeid) };
	(void)arg;
	reply(h->unique, 0, &out, sizeof(out));
}

static void on_open(const struct fuse_in_header *h, const void *arg)
{
	struct fuse_open_out out = { .fh = 1, .open_flags = FOPEN_KEEP_CACHE };
	(void)arg;
	reply(h->unique, 0, &out, sizeof(out));
}

static void on_read(const struct fuse_in_header *h, const void *arg)
{
	const struct fuse_read_in *in = arg;
	size_t at = in->offset < fs.n ? in->offset : fs.n;
	size_t n = in->size < fs.n - at ? in->size : fs.n - at;
	reply(h->unique, 0, fs.bytes + at, n);
}

static void on_done(const struct fuse_in_header *h, const void *arg)
{
	(void)arg;
	reply(h->unique, 0, NULL, 0);
}

static void on_forget(const struct fuse_in_header *h, const void *arg)
{
	(void)h;
	(void)arg;
}

static void (*const handlers[64])(const struct fuse_in_header *h, const void *arg) = {
	[FUSE_INIT] = on_init,
	[FUSE_LOOKUP] = on_lookup,
	[FUSE_GETATTR] = on_getattr,
	[FUSE_OPEN] = on_open,
	[FUSE_READ] = on_read,
	[FUSE_RELEASE] = on_done,
	[FUSE_FLUSH] = on_done,
	[FUSE_OPENDIR] = on_open,
	[FUSE_RELEASEDIR] = on_done,
	[FUSE_FORGET] = on_forget,
	[FUSE_BATCH_FORGET] = on_forget,
	[FUSE_INTERRUPT] = on_forget,
};

static void serve(void)
{
	static uint8_t in[BUFFER];
	struct pollfd p = { .fd = fs.fd, .events = POLLIN };
	while (!over) {
		if (silent || poll(&p, 1, 1000) <= 0) {
			if (silent)
				(void)usleep(20000);
			continue;
		}
		ssize_t n = read(fs.fd, in, sizeof(in) - 1);
		if (n < (ssize_t)sizeof(struct fuse_in_header))
			continue;
		in[n] = 0;
		const struct fuse_in_header *h = (const void *)in;
		if (h->opcode < 64 && handlers[h->opcode])
			handlers[h->opcode](h, in + sizeof(*h));
		else
			reply(h->unique, ENOSYS, NULL, 0);
	}
}

static bool load(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return false;
	fs.n = (size_t)st.st_size;
	fs.bytes = malloc(fs.n);
	bool good = fs.bytes && read(fd, fs.bytes, fs.n) == st.st_size;
	(void)close(fd);
	return good;
}

int main(int argc, char **argv)
{
	char options[128];
	const struct sigaction act = { .sa_handler = on_signal };
	if (argc < 3 || !load(argv[2]))
		return 2;
	fs.seconds = argc > 3 ? 0 : 3600;
	fs.fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	(void)snprintf(options, sizeof(options),
		"fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fs.fd);
	if (fs.fd < 0 ||
		mount("stuck", argv[1], "fuse.stuck", MS_NOSUID | MS_NODEV, options) != 0) {
		(void)fprintf(stderr, "stuck: no FUSE here: %s\n", strerror(errno));
		return 77;
	}
	(void)sigaction(SIGUSR1, &act, NULL);
	(void)sigaction(SIGTERM, &act, NULL);
	printf("ready\n");
	(void)fflush(stdout);
	serve();
	(void)close(fs.fd); /* whoever waits gets an error now */
	(void)umount2(argv[1], MNT_DETACH);
	return 0;
}
