/* SPDX-License-Identifier: Apache-2.0 */
/* A process that did not call, looked at as if it had: for what operators ask. */
#include "wlapi/caller.h"

#include "attest/proc_text.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STATUS_MAX 16384 /* 256 groups and their line's rest fit */

static int read_status(pid_t pid, char *text, size_t *n)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	WRIT_AUTO(writ_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	ssize_t got = read(fd, text, STATUS_MAX);
	if (got < 0)
		return errno;
	*n = (size_t)got;
	return 0;
}

/* The groups of "Groups:\t4 24 27 \n". What is not a number ends them: fewer selectors, never
 * others. */
static size_t read_groups(struct writ_str text, gid_t *groups, bool *cut)
{
	struct writ_str line, word;
	size_t n = 0;
	do {
		(void)writ_str_cut(&text, '\n', &line);
	} while (text.n && !writ_str_starts(line, WRIT_STR("Groups:")));
	if (!writ_str_cut(&line, '\t', &word) || !writ_str_eq(word, WRIT_STR("Groups:")))
		return 0;
	while (line.n) {
		uint64_t gid;
		(void)writ_str_cut(&line, ' ', &word);
		if (writ_parse_u64(word, 0, UINT32_MAX, &gid, NULL) != WRIT_OK)
			break;
		*cut = n == WRIT_PIN_GROUPS_MAX;
		if (*cut)
			break;
		groups[n++] = (gid_t)gid;
	}
	return n;
}

static writ_rc no_process(pid_t pid, int e, struct writ_err *err)
{
	if (e == ENOENT || e == ESRCH || e == EINVAL)
		return writ_fail(err, WRIT_ENOENT, "there is no process %d", (int)pid);
	return writ_fail_errno(err, e, "look at process %d", (int)pid);
}

writ_rc writ_caller_of_pid(
	struct writ_attest_env *env, pid_t pid, struct writ_caller **ret, struct writ_err *err)
{
	WRIT_AUTO(writ_closep) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	char text[STATUS_MAX];
	gid_t groups[WRIT_PIN_GROUPS_MAX];
	struct writ_proc_status status;
	bool cut = false;
	size_t n = 0;
	if (pidfd < 0)
		return no_process(pid, errno, err);
	int e = read_status(pid, text, &n);
	if (e)
		return no_process(pid, e, err);
	writ_rc rc = writ_proc_status_parse(writ_strn(text, n), &status, err);
	if (rc != WRIT_OK)
		return rc;
	size_t n_groups = read_groups(writ_strn(text, n), groups, &cut);
	const struct writ_pin_facts facts = { .pid = pid,
		.uid = status.uid[1],
		.gid = status.gid[1],
		.groups = groups,
		.ngroups = n_groups,
		.pidfd = pidfd };
	return writ_caller_by_pidfd(env, &facts, cut, ret, err);
}

void writ_caller_attest_anew(struct writ_caller *c, unsigned flags, struct writ_attest_wait *w)
{
	writ_list_init(&w->node);
	const struct writ_facts *old = writ_caller_attest(c, flags, w);
	if (!old)
		return;
	writ_caller_outdated(c, old);
	(void)writ_caller_attest(c, flags, w);
}
