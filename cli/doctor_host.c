/* SPDX-License-Identifier: Apache-2.0 */
/* What writ doctor checks of the machine itself. */
#include "child.h"
#include "doctor.h"
#include "health.h"

#include "base/clock.h"
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#define CGROUP2_MAGIC 0x63677270
#define PID_MAX_GOOD  4194304
#define CONFIG_MS     5000
#define GATES         "/etc/writ/gate-*.conf"
#define GATES_MAX     16

/* --- programs and configuration --- */

void writ_check_programs(struct writ_doctor *d)
{
	static const char *const names[] = { "writ-agent", "writ-server", "writ-gate" };
	char self[4096];
	struct writ_err err;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = '\0';
	writ_found(d, WRIT_FOUND_OK, NULL, "writ %s, %s", WRIT_VERSION, self);
	for (size_t i = 0; i < WRIT_COUNT(names); i++) {
		char *path;
		if (writ_sibling(names[i], &path, &err) != WRIT_OK) {
			writ_found(d, WRIT_FOUND_NONE, NULL, "%s", err.msg);
			continue;
		}
		if (access(path, X_OK) == 0)
			writ_found(d, WRIT_FOUND_OK, NULL, "%s is there", path);
		else
			writ_found(d, WRIT_FOUND_NONE, NULL, "%s is not installed here", path);
		writ_free(path);
	}
}

/* Runs `PROGRAM validate -config path`; its words go to a pipe and the first error into text. */
static int validate(const char *program, const char *path, char *text, size_t size)
{
	const char *const argv[] = { program, "validate", "-config", path, NULL };
	const struct writ_child_spec spec = {
		.argv = argv, .log = "/dev/null", .pipe_output = true
	};
	struct writ_child c = { .out = -1 };
	struct writ_err err;
	text[0] = '\0';
	if (writ_child_start(&spec, &c, &err) != WRIT_OK) {
		(void)snprintf(text, size, "%.*s", (int)size - 1, err.msg);
		return -1;
	}
	int64_t until = writ_mono_ms() + CONFIG_MS;
	while (!writ_child_poll(&c) && writ_mono_ms() < until)
		(void)poll(NULL, 0, 5);
	int code = c.ended ? writ_child_exit_code(&c) : -1;
	writ_child_end(&c, 100);
	if (c.out >= 0)
		close(c.out);
	return code;
}

static void check_file(struct writ_doctor *d, const char *path)
{
	struct writ_err err;
	const char *name;
	char *program, text[256];
	writ_rc rc = writ_config_owner(path, &name, &err);
	if (rc == WRIT_EDENIED) {
		writ_found(d, WRIT_FOUND_WARN, "run writ doctor as root",
			"%s cannot be read by this user", path);
		return;
	}
	if (rc == WRIT_OK)
		rc = writ_sibling(name, &program, &err);
	if (rc != WRIT_OK) {
		writ_found(d, WRIT_FOUND_FAIL, NULL, "%s", err.msg);
		return;
	}
	int code = validate(program, path, text, sizeof(text));
	writ_free(program);
	(void)snprintf(text, sizeof(text), "%s validate -config %s", name, path);
	if (code == 0)
		writ_found(d, WRIT_FOUND_OK, NULL, "%s is valid for %s", path, name);
	else
		writ_found(d, WRIT_FOUND_FAIL, text, "%s is not valid for %s", path, name);
}

/* owner NULL: of whichever program it is. */
static void see_if(struct writ_doctor *d, const char *owner, const char *path,
	void (*see)(struct writ_doctor *d, const char *path))
{
	const char *name;
	if (!owner || (writ_config_owner(path, &name, NULL) == WRIT_OK && strcmp(name, owner) == 0))
		see(d, path);
}

static void see_all(struct writ_doctor *d, const char *owner, const char *pattern,
	void (*see)(struct writ_doctor *d, const char *path))
{
	glob_t found = { .gl_pathc = 0 };
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc && i < GATES_MAX; i++)
			see_if(d, owner, found.gl_pathv[i], see);
	globfree(&found);
}

void writ_each_config(struct writ_doctor *d, const char *owner,
	void (*see)(struct writ_doctor *d, const char *path))
{
	const char *path;
	size_t n = 0;
	while ((path = writ_arg_at(&d->in->args, "config", n)) != NULL) {
		see_if(d, owner, path, see);
		n++;
	}
	if (n)
		return;
	see_all(d, owner, "/etc/writ/server.conf", see);
	see_all(d, owner, GATES, see);
}

void writ_check_files(struct writ_doctor *d)
{
	static const char *const usual[] = { "/etc/writ/agent.conf", "/etc/writ/server.conf" };
	const char *path;
	size_t n = 0;
	while ((path = writ_arg_at(&d->in->args, "config", n)) != NULL) {
		check_file(d, path);
		n++;
	}
	for (size_t i = 0; !n && i < WRIT_COUNT(usual); i++) {
		if (access(usual[i], F_OK) == 0)
			check_file(d, usual[i]);
		else
			writ_found(d, WRIT_FOUND_NONE, NULL, "no %s", usual[i]);
	}
	if (!n)
		see_all(d, NULL, GATES, check_file);
}

/* --- kernel --- */

void writ_check_release(struct writ_doctor *d)
{
	struct utsname u;
	unsigned major = 0, minor = 0;
	if (uname(&u) != 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2)
		return;
	if (major * 1000 + minor >= 6001)
		writ_found(d, WRIT_FOUND_OK, NULL, "Linux %s", u.release);
	else
		writ_found(d, WRIT_FOUND_FAIL, "use Linux 6.1 or later", "Linux %s is too old",
			u.release);
}

void writ_check_pidfd(struct writ_doctor *d)
{
	int pair[2], fd = -1;
	socklen_t n = sizeof(fd);
	int own = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (own < 0) {
		writ_found(d, WRIT_FOUND_FAIL,
			"let pidfd_open through (seccomp), or use Linux 6.1 or later",
			"pidfd_open: %s: callers cannot be pinned", strerror(errno));
		return;
	}
	close(own);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return;
	if (getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD, &fd, &n) == 0) {
		close(fd);
		writ_found(d, WRIT_FOUND_OK, NULL, "pidfd_open and SO_PEERPIDFD");
	} else {
		writ_found(d, WRIT_FOUND_WARN, "use Linux 6.5 or later",
			"pidfd_open, but no SO_PEERPIDFD: a caller is pinned a moment after it "
			"connected");
	}
	close(pair[0]);
	close(pair[1]);
}

static bool is_cgroup2(const char *path)
{
	struct statfs s;
	return statfs(path, &s) == 0 && (unsigned long)s.f_type == CGROUP2_MAGIC;
}

void writ_check_cgroups(struct writ_doctor *d)
{
	if (is_cgroup2("/sys/fs/cgroup"))
		writ_found(d, WRIT_FOUND_OK, NULL, "cgroup v2");
	else if (is_cgroup2("/sys/fs/cgroup/unified"))
		writ_found(d, WRIT_FOUND_OK, NULL, "cgroup v1 with v2 beside it (hybrid)");
	else if (access("/sys/fs/cgroup/systemd", F_OK) == 0 ||
		access("/sys/fs/cgroup/pids", F_OK) == 0)
		writ_found(d, WRIT_FOUND_OK, NULL, "cgroup v1");
	else
		writ_found(d, WRIT_FOUND_WARN, "mount -t cgroup2 none /sys/fs/cgroup",
			"no cgroups at /sys/fs/cgroup: no selectors of units, containers and pods");
}

static bool read_kernel_number(const char *path, uint64_t *ret)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf text = WRIT_BUF(256);
	return writ_fs_read(path, &text, NULL) == WRIT_OK &&
		writ_parse_u64(writ_str_trim(writ_buf_str(&text)), 0, UINT64_MAX, ret, NULL) ==
		WRIT_OK;
}

void writ_check_limits(struct writ_doctor *d)
{
	uint64_t v;
	if (read_kernel_number("/proc/sys/kernel/pid_max", &v)) {
		if (v >= PID_MAX_GOOD)
			writ_found(d, WRIT_FOUND_OK, NULL, "kernel.pid_max is %llu",
				(unsigned long long)v);
		else
			writ_found(d, WRIT_FOUND_WARN, "sysctl -w kernel.pid_max=4194304",
				"kernel.pid_max is %llu: numbers of processes come round soon",
				(unsigned long long)v);
	}
	if (!read_kernel_number("/proc/sys/kernel/yama/ptrace_scope", &v))
		writ_found(d, WRIT_FOUND_WARN,
			"boot with yama in lsm= (a kernel with CONFIG_SECURITY_YAMA)",
			"no Yama: a process can read the keys of others of its user");
	else if (v == 0)
		writ_found(d, WRIT_FOUND_WARN, "sysctl -w kernel.yama.ptrace_scope=1",
			"kernel.yama.ptrace_scope is 0: a process can read the keys of others of "
			"its "
			"user");
	else
		writ_found(d, WRIT_FOUND_OK, NULL, "kernel.yama.ptrace_scope is %llu",
			(unsigned long long)v);
}

void writ_check_namespaces(struct writ_doctor *d)
{
	/* Numbers of the first namespaces of a machine: include/uapi/linux/nsfs.h. */
	static const struct {
		const char *file, *name;
		unsigned long long first;
	} rows[] = { { "/proc/self/ns/user", "user", 0xEFFFFFFD },
		{ "/proc/self/ns/pid", "PID", 0xEFFFFFFC },
		{ "/proc/self/ns/cgroup", "cgroup", 0xEFFFFFFB } };
	size_t foreign = 0;
	for (size_t i = 0; i < WRIT_COUNT(rows); i++) {
		struct stat st;
		if (stat(rows[i].file, &st) != 0 || st.st_ino == rows[i].first)
			continue;
		foreign++;
		writ_found(d, WRIT_FOUND_WARN,
			"start agents outside (docker: --pid=host --userns=host "
			"--cgroupns=host)",
			"this is not the machine's own %s namespace: an agent here would not start",
			rows[i].name);
	}
	if (!foreign)
		writ_found(d, WRIT_FOUND_OK, NULL,
			"the machine's own user, PID and cgroup namespaces");
}

void writ_check_addresses(struct writ_doctor *d)
{
	char c = '?';
	WRIT_AUTO(writ_closep)
	int fd = open("/proc/sys/kernel/randomize_va_space", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, &c, 1) != 1)
		writ_found(d, WRIT_FOUND_NONE, NULL, "kernel.randomize_va_space cannot be read: %s",
			strerror(errno));
	else if (c == '0')
		writ_found(d, WRIT_FOUND_WARN, "sysctl -w kernel.randomize_va_space=2",
			"kernel.randomize_va_space is 0: a program that ran in between leaves no "
			"trace, so no caller has unix:path, unix:sha256 or script selectors");
	else
		writ_found(d, WRIT_FOUND_OK, NULL,
			"the kernel chooses the addresses of programs, an exec shows");
}

void writ_check_clock(struct writ_doctor *d)
{
	struct timex t = { .modes = 0 };
	int state = adjtimex(&t);
	if (state < 0)
		writ_found(d, WRIT_FOUND_NONE, NULL, "the clock's state cannot be read: %s",
			strerror(errno));
	else if (state == TIME_ERROR || (t.status & STA_UNSYNC))
		writ_found(d, WRIT_FOUND_WARN,
			"timedatectl set-ntp true (or start chrony); certificates live for minutes",
			"the kernel does not know the clock to be synchronised");
	else
		writ_found(
			d, WRIT_FOUND_OK, NULL, "the clock is synchronised, to %ld us", t.maxerror);
}
