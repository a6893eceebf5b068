/* SPDX-License-Identifier: Apache-2.0 */
#include "run/newborn.h"

#include "attest/proc_text.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PF_FORKNOEXEC 0x40 /* linux/sched.h: forked, and no exec since; part of field 9 of stat */
#define TEXT_MAX      8192
#define FIELDS        18 /* after the name: state is the first, num_threads the last */

enum { STATE, PPID, FLAGS = 6, THREADS = 17 };

/* "42 (any) name) S 11 ...": all after the last ')' is numbers, whatever the name holds. */
static bool cut_fields(struct writ_str text, struct writ_str *pid, struct writ_str field[FIELDS])
{
	const char *end = text.n ? memrchr(text.p, ')', text.n) : NULL;
	struct writ_str rest = text;
	if (!end || !writ_str_cut(&rest, ' ', pid) || !rest.n || rest.p[0] != '(' || end < rest.p)
		return false;
	rest = writ_strn(end + 1, text.n - (size_t)(end + 1 - text.p));
	if (!rest.n || rest.p[0] != ' ')
		return false;
	rest = writ_strn(rest.p + 1, rest.n - 1);
	for (size_t i = 0; i < FIELDS; i++)
		if (!writ_str_cut(&rest, ' ', &field[i]))
			return false;
	return field[STATE].n == 1;
}

writ_rc writ_newborn_parse(
	struct writ_str text, struct writ_newborn_stat *ret, struct writ_err *err)
{
	struct writ_newborn_stat s;
	struct writ_str pid, field[FIELDS];
	if (!cut_fields(text, &pid, field) ||
		writ_parse_u64(pid, 1, INT32_MAX, &s.pid, NULL) != WRIT_OK ||
		writ_parse_u64(field[PPID], 0, INT32_MAX, &s.ppid, NULL) != WRIT_OK ||
		writ_parse_u64(field[FLAGS], 0, UINT64_MAX, &s.flags, NULL) != WRIT_OK ||
		writ_parse_u64(field[THREADS], 0, INT32_MAX, &s.threads, NULL) != WRIT_OK)
		return writ_fail(err, WRIT_EPROTO, "not the text of /proc/PID/stat");
	s.state = field[STATE].p[0];
	*ret = s;
	return WRIT_OK;
}

static writ_rc ended(pid_t pid, struct writ_err *err)
{
	return writ_fail(err, WRIT_EUNAUTH, "process %d has ended", (int)pid);
}

static writ_rc alive(const struct writ_newborn *n, struct writ_err *err)
{
	struct pollfd p = { .fd = n->pidfd, .events = POLLIN };
	int rc;
	do
		rc = poll(&p, 1, 0);
	while (rc < 0 && errno == EINTR);
	return rc == 0 ? WRIT_OK : ended(n->pid, err);
}

static writ_rc read_text(const struct writ_newborn *n, const char *name, char text[TEXT_MAX],
	struct writ_str *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_closep) int fd = openat(n->proc, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, TEXT_MAX);
	if (got < 0 && (errno == ESRCH || errno == ENOENT))
		return ended(n->pid, err);
	if (got < 0)
		return writ_fail_errno(err, errno, "read /proc/%d/%s", (int)n->pid, name);
	if (got == TEXT_MAX)
		return writ_fail(err, WRIT_ELIMIT, "/proc/%d/%s is longer than %d bytes",
			(int)n->pid, name, TEXT_MAX);
	*ret = writ_strn(text, (size_t)got);
	return WRIT_OK;
}

static bool all_are(const uint32_t ids[4], uint32_t want)
{
	return ids[0] == want && ids[1] == want && ids[2] == want && ids[3] == want;
}

static writ_rc check_stat(const struct writ_newborn *n, pid_t parent, struct writ_err *err)
{
	char text[TEXT_MAX];
	struct writ_str s;
	struct writ_newborn_stat st;
	writ_rc rc = read_text(n, "stat", text, &s, err);
	if (rc == WRIT_OK)
		rc = writ_newborn_parse(s, &st, err);
	if (rc != WRIT_OK)
		return rc;
	if (st.state == 'Z' || st.state == 'X' || st.state == 'x')
		return ended(n->pid, err);
	if (st.ppid != (uint64_t)parent)
		return writ_fail(err, WRIT_EUNAUTH,
			"process %d is not a child of process %d, which asks for it", (int)n->pid,
			(int)parent);
	if (!(st.flags & PF_FORKNOEXEC) || st.threads != 1)
		return writ_fail(err, WRIT_EUNAUTH,
			"process %d runs a program already: a launch takes a child that was forked "
			"and "
			"waits",
			(int)n->pid);
	return WRIT_OK;
}

static writ_rc check_user(const struct writ_newborn *n, uid_t uid, gid_t gid, struct writ_err *err)
{
	char text[TEXT_MAX];
	struct writ_str s;
	struct writ_proc_status st;
	writ_rc rc = read_text(n, "status", text, &s, err);
	if (rc == WRIT_OK)
		rc = writ_proc_status_parse(s, &st, err);
	if (rc == WRIT_OK && (!all_are(st.uid, uid) || !all_are(st.gid, gid)))
		rc = writ_fail(err, WRIT_EUNAUTH,
			"process %d is not of user %u and group %u alone, as the caller is",
			(int)n->pid, (unsigned)uid, (unsigned)gid);
	return rc;
}

static writ_rc hold(struct writ_newborn *n, struct writ_err *err)
{
	char path[32];
	(void)snprintf(path, sizeof(path), "/proc/%d", (int)n->pid);
	n->pidfd = (int)syscall(SYS_pidfd_open, n->pid, 0);
	if (n->pidfd < 0)
		return errno == ESRCH || errno == EINVAL
			? ended(n->pid, err)
			: writ_fail_errno(err, errno, "hold process %d", (int)n->pid);
	n->proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (n->proc < 0)
		return writ_fail(err, WRIT_EUNAUTH,
			"process %d is not in /proc: it has ended, or hidepid hides it",
			(int)n->pid);
	/* Only now: alive after the open proves that the folder is that of the pidfd. */
	return alive(n, err);
}

writ_rc writ_newborn_open(pid_t pid, pid_t parent, uid_t uid, gid_t gid, struct writ_newborn *ret,
	struct writ_err *err)
{
	WRIT_AUTO(writ_newborn_close)
	struct writ_newborn n = { .pid = pid, .pidfd = -1, .proc = -1 };
	if (pid <= 1)
		return writ_fail(err, WRIT_EUNAUTH, "%d is no process that can be launched", pid);
	writ_rc rc = hold(&n, err);
	if (rc == WRIT_OK)
		rc = check_stat(&n, parent, err);
	if (rc == WRIT_OK)
		rc = check_user(&n, uid, gid, err);
	if (rc != WRIT_OK)
		return rc;
	*ret = n;
	n.pidfd = n.proc = -1;
	return WRIT_OK;
}

writ_rc writ_newborn_cgroup(
	const struct writ_newborn *n, char *path, size_t cap, struct writ_err *err)
{
	char text[TEXT_MAX];
	struct writ_str s;
	writ_rc rc = read_text(n, "cgroup", text, &s, err);
	if (rc == WRIT_OK)
		rc = alive(n, err);
	if (rc != WRIT_OK)
		return rc;
	s = writ_cgroup_v2_path(s);
	if (!s.n || s.n >= cap)
		return writ_fail(err, WRIT_EUNAVAIL, "process %d has no v2 cgroup", (int)n->pid);
	memcpy(path, s.p, s.n);
	path[s.n] = '\0';
	return WRIT_OK;
}

void writ_newborn_close(struct writ_newborn *n)
{
	writ_closep(&n->pidfd);
	writ_closep(&n->proc);
	n->pidfd = n->proc = -1;
}

struct writ_str writ_cgroup_v2_path(struct writ_str text)
{
	struct writ_str line;
	while (text.n > 0) {
		(void)writ_str_cut(&text, '\n', &line);
		if (writ_str_starts(line, WRIT_STR("0::")))
			return writ_strn(line.p + 3, line.n - 3);
	}
	return WRIT_STR("");
}
