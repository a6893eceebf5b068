/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fs.h"
#include "base/log_line.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

/* A record is never cut: what does not fit is an error, and the caller refuses what it would audit.
 */
#define RECORD_MAX (64 * 1024)

struct writ_audit {
	pthread_mutex_t lock;
	char *path; /* NULL: through the log */
	int fd;
	bool half;
};

static writ_rc open_file(const char *path, int *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_closep)
	int fd = open(path,
		O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		0600);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0)
		return writ_fail_errno(err, errno, "open the audit log %s", path);
	if (st.st_mode & 022)
		return writ_fail(err, WRIT_EDENIED,
			"audit log %s: mode is %04o, so others can write records; run: chmod 600 "
			"%s",
			path, st.st_mode & 07777, path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return writ_fail(err, WRIT_EDENIED,
			"audit log %s: owned by user %u, not by us (user %u)", path, st.st_uid,
			geteuid());
	writ_rc rc = S_ISREG(st.st_mode) ? writ_fs_check_single(fd, path, err) : WRIT_OK;
	if (rc == WRIT_OK)
		*ret = writ_steal_fd(fd);
	return rc;
}

writ_rc writ_audit_open(const char *path, struct writ_audit **ret, struct writ_err *err)
{
	int fd = -1;
	writ_rc rc = path ? open_file(path, &fd, err) : WRIT_OK;
	if (rc)
		return rc;
	struct writ_audit *a = writ_alloc(sizeof(*a));
	pthread_mutex_init(&a->lock, NULL);
	a->path = writ_strdup(path);
	a->fd = fd;
	*ret = a;
	return WRIT_OK;
}

writ_rc writ_audit_write(struct writ_audit *a, const char *event, const struct writ_kv *kv,
	size_t n, struct writ_err *err)
{
	struct writ_buf line = WRIT_BUF(RECORD_MAX);
	writ_log_line_start(&line, WRIT_LOG_JSON, "type", "audit", event);
	for (size_t i = 0; i < n; i++)
		writ_log_line_pair(&line, WRIT_LOG_JSON, &kv[i]);
	writ_log_line_end(&line, WRIT_LOG_JSON);
	writ_rc rc = writ_buf_check(&line, "audit record", err);
	if (!rc) {
		pthread_mutex_lock(&a->lock);
		int e = a->path ? writ_log_line_write(a->fd, writ_buf_str(&line), &a->half)
				: writ_log_through(writ_buf_str(&line));
		pthread_mutex_unlock(&a->lock);
		if (e)
			rc = writ_fail_errno(err, e, "write to the audit log %s",
				a->path ? a->path : "(through the log)");
	}
	writ_buf_done(&line);
	return rc;
}

writ_rc writ_audit_reopen(struct writ_audit *a, struct writ_err *err)
{
	int fd = -1;
	if (!a->path)
		return WRIT_OK;
	writ_rc rc = open_file(a->path, &fd, err);
	if (rc)
		return rc;
	pthread_mutex_lock(&a->lock);
	close(a->fd);
	a->fd = fd;
	a->half = false;
	pthread_mutex_unlock(&a->lock);
	return WRIT_OK;
}

void writ_audit_close(struct writ_audit *a)
{
	if (!a)
		return;
	if (a->fd >= 0)
		close(a->fd);
	pthread_mutex_destroy(&a->lock);
	writ_free(a->path);
	writ_free(a);
}
