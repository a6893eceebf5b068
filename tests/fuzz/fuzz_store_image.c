/* SPDX-License-Identifier: Apache-2.0 */
/* A store's file and its log, of any content: the first two bytes say how long the file is. What is
 * read is whole pages that begin as a database does. */
#include "store/image.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static char dir[] = "/tmp/writ-fuzz-XXXXXX", path[64], log_path[64];

static void remove_dir(void)
{
	(void)rmdir(dir);
}

static void make_dir(void)
{
	if (!mkdtemp(dir) || atexit(remove_dir) != 0)
		abort();
	(void)snprintf(path, sizeof(path), "%s/db", dir);
	(void)snprintf(log_path, sizeof(log_path), "%s/db-wal", dir);
}

static void put(const char *name, const uint8_t *p, size_t n)
{
	const struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } }; /* it has settled */
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, p, n) != (ssize_t)n || futimens(fd, old) != 0)
		abort();
	(void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct writ_image m;
	if (n < 2)
		return 0;
	if (!path[0])
		make_dir();
	size_t file = ((size_t)p[0] << 8 | p[1]) % (n - 1);
	put(path, p + 2, file);
	put(log_path, p + 2 + file, n - 2 - file);
	if (writ_image_read(path, &m, NULL) == WRIT_OK) {
		assert(m.n >= 512 && m.bytes[18] == 1 && memcmp(m.bytes, "SQLite", 6) == 0);
		writ_image_done(&m);
	}
	(void)unlink(path);
	(void)unlink(log_path);
	return 0;
}
