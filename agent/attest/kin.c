/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/kin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "attest/proc_text.h"
#include "base/mem.h"

#define STAT_MAX 1024

void writ_kin_close(struct writ_kin *k)
{
	writ_closep(&k->dirfd);
	k->dirfd = -1;
}

static writ_rc gone(uint64_t pid, struct writ_err *err)
{
	return writ_fail(err, WRIT_EUNAUTH, "process %llu has ended", (unsigned long long)pid);
}

static writ_rc read_stat(int dirfd, uint64_t pid, struct writ_proc_stat *ret, struct writ_err *err)
{
	const struct writ_pin pin = { .pid = (pid_t)pid, .pidfd = -1, .dirfd = dirfd };
	char text[STAT_MAX];
	size_t n;
	int e = writ_pin_read(&pin, "stat", text, sizeof(text), &n);
	if (e == ESRCH || e == ENOENT)
		return gone(pid, err);
	if (e != 0)
		return writ_fail_errno(err, e, "read /proc/%llu/stat", (unsigned long long)pid);
	writ_rc rc = writ_proc_stat_parse(writ_strn(text, n), ret, err);
	if (rc != WRIT_OK)
		return rc;
	bool ended = ret->state == 'Z' || ret->state == 'X' || ret->state == 'x';
	return ended || ret->pid != pid ? gone(pid, err) : WRIT_OK;
}

writ_rc writ_kin_parent(const struct writ_kin *child, struct writ_kin *ret, struct writ_err *err)
{
	struct writ_proc_stat stat;
	if (child->ppid == 0)
		return writ_fail(err, WRIT_ENOENT, "process %llu has no parent here",
			(unsigned long long)child->pid);
	char path[32];
	(void)snprintf(path, sizeof(path), "/proc/%llu", (unsigned long long)child->ppid);
	WRIT_AUTO(writ_kin_close) struct writ_kin parent = { .pid = child->ppid, .dirfd = -1 };
	parent.dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent.dirfd < 0 && errno == ENOENT)
		return gone(parent.pid, err);
	if (parent.dirfd < 0)
		return writ_fail_errno(err, errno, "open %s", path);
	writ_rc rc = read_stat(parent.dirfd, parent.pid, &stat, err);
	if (rc == WRIT_OK && stat.start_time > child->start_time)
		rc = writ_fail(err, WRIT_EUNAUTH, "process %llu is younger than its child %llu",
			(unsigned long long)parent.pid, (unsigned long long)child->pid);
	if (rc != WRIT_OK)
		return rc;
	parent.ppid = stat.ppid;
	parent.start_time = stat.start_time;
	*ret = parent;
	parent.dirfd = -1;
	return WRIT_OK;
}

writ_rc writ_kin_check(
	const struct writ_kin *child, const struct writ_kin *parent, struct writ_err *err)
{
	struct writ_proc_stat stat;
	writ_rc rc = read_stat(child->dirfd, child->pid, &stat, err);
	if (rc == WRIT_OK && stat.ppid != parent->pid)
		rc = writ_fail(err, WRIT_EUNAUTH, "process %llu lost its parent %llu meanwhile",
			(unsigned long long)child->pid, (unsigned long long)parent->pid);
	return rc;
}
