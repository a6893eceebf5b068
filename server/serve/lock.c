/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/lock.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 20

writ_rc writ_serve_lock(const char *data_dir, int64_t wait_ms, int *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *path = writ_fs_join(data_dir, "lock");
	WRIT_AUTO(writ_closep)
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0)
		return writ_fail_errno(err, errno, "open %s", path);
	struct stat st;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return writ_fail(err, WRIT_EDENIED, "%s is no plain file: move it away", path);
	writ_rc rc = writ_fs_check_single(fd, path, err);
	if (rc)
		return rc;
	int64_t until = writ_mono_ms() + wait_ms;
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
		if (errno != EWOULDBLOCK && errno != EINTR)
			return writ_fail_errno(err, errno, "lock %s", path);
		if (writ_mono_ms() >= until)
			return writ_fail(err, WRIT_EBUSY,
				"another writ-server works on %s (it holds %s): end it first, or "
				"give this one a data_dir of its own",
				data_dir, path);
		nanosleep(&pause, NULL);
	}
	*ret = writ_steal_fd(fd);
	return WRIT_OK;
}
