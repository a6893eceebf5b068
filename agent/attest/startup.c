/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/startup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attest/pin.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

#define LINK_CAP 64
#define PATH_CAP 512

#define PIDS_ENOUGH 4194304 /* the most that Linux has */

/* The numbers of the namespaces that the machine itself has are fixed (linux/nsfs.h, enum
 * init_ns_ino; the same since they came with Linux 3.8 and 4.6). Process 1 tells less: in a
 * container it is the container's own, and without its privileges it shows nothing. */
static const struct {
	const char *name, *machine, *what, *consequence, *remedy;
} namespaces[] = {
	{ "user", "user:[4026531837]", "user namespace",
		"users that are not mapped into it all look the same",
		"start it outside (docker: --userns=host)" },
	{ "pid", "pid:[4026531836]", "PID namespace", "process IDs would name other processes",
		"start it outside (docker: --pid=host, kubernetes: hostPID: true)" },
	{ "cgroup", "cgroup:[4026531835]", "cgroup namespace",
		"cgroup paths would not start at the host's root",
		"start it outside (docker: --cgroupns=host; kubernetes: a privileged container "
		"that "
		"enters it with nsenter -C -t 1)" },
};

static bool read_link(const char *proc, const char *rest, char *out)
{
	char path[PATH_CAP];
	int n = snprintf(path, sizeof(path), "%s/%s", proc, rest);
	if (n < 0 || (size_t)n >= sizeof(path))
		return false;
	ssize_t got = readlink(path, out, LINK_CAP - 1);
	if (got < 0)
		return false;
	out[got] = '\0';
	return true;
}

static writ_rc check_self(const char *proc, struct writ_err *err)
{
	char link[LINK_CAP];
	if (!read_link(proc, "self", link))
		return writ_fail(err, WRIT_EPRECOND,
			"%s/self cannot be read (%s): mount proc there, callers are identified "
			"through it",
			proc, strerror(errno));
	uint64_t pid;
	if (writ_parse_u64(writ_cstr(link), 1, INT32_MAX, &pid, NULL) != WRIT_OK ||
		(pid_t)pid != getpid())
		return writ_fail(err, WRIT_EPRECOND,
			"%s shows this process as %s, but its ID is %d: it is the proc file system "
			"of "
			"another PID namespace, and every caller would be mistaken for another "
			"process; "
			"mount proc in the agent's own, or give it the host's (docker: --pid=host)",
			proc, link, (int)getpid());
	return WRIT_OK;
}

static writ_rc check_namespace(const char *proc, size_t i, struct writ_err *err)
{
	char rest[LINK_CAP];
	char ours[LINK_CAP];
	(void)snprintf(rest, sizeof(rest), "self/ns/%s", namespaces[i].name);
	if (!read_link(proc, rest, ours)) /* a kernel that has none of this kind */
		return WRIT_OK;
	if (strcmp(ours, namespaces[i].machine) == 0)
		return WRIT_OK;
	return writ_fail(err, WRIT_EPRECOND,
		"the agent runs in a %s of its own (%s; the machine's is %s): %s; %s, or set "
		"allow_foreign_namespaces = true to serve only the processes in there with it",
		namespaces[i].what, ours, namespaces[i].machine, namespaces[i].consequence,
		namespaces[i].remedy);
}

bool writ_startup_has_peer_pidfd(void)
{
	int pair[2], fd = -1;
	socklen_t n = sizeof(fd);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	bool has = getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD, &fd, &n) == 0;
	if (has)
		(void)close(fd);
	(void)close(pair[0]);
	(void)close(pair[1]);
	return has;
}

uint64_t writ_startup_few_pids(const char *proc, bool has_peer_pidfd)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(64);
	WRIT_AUTO(writ_freep)
	char *path = writ_asprintf("%s/sys/kernel/pid_max", proc ? proc : "/proc");
	uint64_t v;
	if (has_peer_pidfd || writ_fs_read(path, &text, NULL) != WRIT_OK ||
		writ_parse_u64(writ_str_trim(writ_buf_str(&text)), 1, UINT64_MAX, &v, NULL) !=
			WRIT_OK)
		return 0;
	return v < PIDS_ENOUGH ? v : 0;
}

writ_rc writ_startup_check(const struct writ_startup_rules *rules, struct writ_err *err)
{
	const char *proc = rules->proc ? rules->proc : "/proc";
	writ_rc rc = check_self(proc, err);
	for (size_t i = 0; rc == WRIT_OK && i < WRIT_COUNT(namespaces); i++)
		if (!rules->allow_foreign_namespaces)
			rc = check_namespace(proc, i, err);
	return rc;
}
