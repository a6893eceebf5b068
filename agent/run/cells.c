/* SPDX-License-Identifier: Apache-2.0 */
#include "run/cells.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FOLDER_MODE 0711 /* nobody else opens it, so nobody else locks what is in it */
#define NAME_TRIES  3
#define SWEEP_MS    1000
#define SWEEP_MAX   1024 /* left-over folders that one start looks at */

/* --- where --- */

static bool is_v2(int fd)
{
	struct statfs sf;
	return fstatfs(fd, &sf) == 0 && sf.f_type == CGROUP2_SUPER_MAGIC;
}

static writ_rc open_v2(const char *root, int *ret, struct writ_err *err)
{
	WRIT_AUTO(writ_closep) int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && !is_v2(fd)) {
		int unified = openat(fd, "unified", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		writ_closep(&fd);
		fd = unified;
	}
	if (fd < 0 || !is_v2(fd))
		return writ_fail(err, WRIT_EPRECOND,
			"there is no cgroup v2 hierarchy at %s or %s/unified: mount one (mount -t "
			"cgroup2 "
			"none %s/unified)",
			root, root, root);
	*ret = writ_steal_fd(fd);
	return WRIT_OK;
}

static writ_rc cannot(int e, const char *what, struct writ_err *err)
{
	if (e == EROFS)
		return writ_fail(err, WRIT_EPRECOND,
			"%s: the cgroup file system is read-only here; a systemd unit needs "
			"ProtectControlGroups=no",
			what);
	if (e == EACCES || e == EPERM)
		return writ_fail(err, WRIT_EPRECOND,
			"%s: user %u may not change cgroups; start the agent as root, or with "
			"CAP_DAC_OVERRIDE "
			"(systemd: the drop-in writ-agent-run.conf)",
			what, (unsigned)geteuid());
	return writ_fail_errno(err, e, "%s", what);
}

/* Who can write there can put any process into a launch. */
static writ_rc check_folder(int fd, const char *name, struct writ_err *err)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return writ_fail_errno(err, errno, "look at the cgroup %s", name);
	bool trusted = st.st_uid == 0 || st.st_uid == geteuid();
	if (!trusted || (st.st_mode & 022) != 0)
		return writ_fail(err, WRIT_EPRECOND,
			"the cgroup %s belongs to user %u, mode %04o: others could put their "
			"processes into a "
			"launch; "
			"remove it (rmdir), or give it to root with mode 0711",
			name, (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));
	return WRIT_OK;
}

static writ_rc open_folder(int v2, const char *name, int *ret, struct writ_err *err)
{
	if (mkdirat(v2, name, FOLDER_MODE) != 0 && errno != EEXIST)
		return cannot(errno, "make a cgroup for launches", err);
	WRIT_AUTO(writ_closep)
	int fd = openat(v2, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return cannot(errno, "open the cgroup for launches", err);
	writ_rc rc = check_folder(fd, name, err);
	if (rc == WRIT_OK)
		*ret = writ_steal_fd(fd);
	return rc;
}

static writ_rc open_top(const char *root, struct writ_cells *c, struct writ_err *err)
{
	WRIT_AUTO(writ_closep) int v2 = -1;
	uid_t uid = geteuid();
	writ_rc rc = open_v2(root, &v2, err);
	if (rc != WRIT_OK)
		return rc;
	/* To move a process one has to write in the nearest cgroup above both ends. */
	if (faccessat(v2, "cgroup.procs", W_OK, AT_EACCESS) != 0)
		return cannot(errno, "move processes between cgroups", err);
	if (uid)
		(void)snprintf(
			c->folder, sizeof(c->folder), WRIT_CELLS_FOLDER "-%u", (unsigned)uid);
	else
		(void)snprintf(c->folder, sizeof(c->folder), WRIT_CELLS_FOLDER);
	rc = open_folder(v2, c->folder, &c->top, err);
	/* An empty one that is not as it should be can go; one in use stays. */
	if (rc == WRIT_EPRECOND && unlinkat(v2, c->folder, AT_REMOVEDIR) == 0)
		rc = open_folder(v2, c->folder, &c->top, err);
	return rc;
}

/* --- one cell --- */

static bool is_hex(const char *s, size_t n)
{
	return strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

bool writ_cell_id_ok(const char *id)
{
	return is_hex(id, WRIT_CELL_ID);
}

static int write_file(int folder, const char *id, const char *name, const char *text)
{
	char path[WRIT_CELL_ID + 32];
	(void)snprintf(path, sizeof(path), "%s/%s", id, name);
	WRIT_AUTO(writ_closep) int fd = openat(folder, path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno;
	return write(fd, text, strlen(text)) < 0 ? errno : 0;
}

writ_rc writ_cell_make(struct writ_cells *c, const char *id, struct writ_err *err)
{
	return mkdirat(c->own, id, FOLDER_MODE) == 0
		? WRIT_OK
		: cannot(errno, "make a cgroup for the launch", err);
}

writ_rc writ_cell_put(struct writ_cells *c, const char *id, pid_t pid, struct writ_err *err)
{
	char text[16];
	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	int e = write_file(c->own, id, "cgroup.procs", text);
	if (e == ESRCH)
		return writ_fail(err, WRIT_EUNAUTH, "process %d has ended", (int)pid);
	/* Not EACCES: Linux 6.1's cpuset asks whether we may schedule a process that moves. */
	if (e == EPERM)
		return writ_fail(err, WRIT_EPRECOND,
			"move the command into its cgroup: process %d has capabilities, and this "
			"kernel wants CAP_SYS_NICE of who moves it where the cpuset controller is "
			"on; give the agent that right (the drop-in writ-agent-run.conf does), or "
			"launch it without capabilities",
			(int)pid);
	return e ? cannot(e, "move the command into its cgroup", err) : WRIT_OK;
}

writ_rc writ_cell_kill(struct writ_cells *c, const char *id, struct writ_err *err)
{
	int e = write_file(c->own, id, "cgroup.kill", "1");
	return e && e != ENOENT ? writ_fail_errno(err, e, "end what is in cgroup %s", id) : WRIT_OK;
}

void writ_cell_let_go(struct writ_cells *c, const char *id)
{
	char path[WRIT_CELL_ID + 32], text[1024];
	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", id);
	WRIT_AUTO(writ_closep) int fd = openat(c->own, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	struct writ_str rest = writ_strn(text, n > 0 ? (size_t)n : 0), line;
	while (rest.n > 0) {
		char pid[16];
		(void)writ_str_cut(&rest, '\n', &line);
		(void)snprintf(pid, sizeof(pid), WRIT_FMT, WRIT_ARG(line));
		(void)write_file(c->top, "..", "cgroup.procs", pid);
	}
}

writ_rc writ_cell_remove(struct writ_cells *c, const char *id, struct writ_err *err)
{
	if (unlinkat(c->own, id, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return WRIT_OK;
	if (errno == EBUSY)
		return writ_fail(err, WRIT_EBUSY, "processes of cgroup %s have not ended yet", id);
	return writ_fail_errno(err, errno, "remove cgroup %s", id);
}

/* --- what others left behind --- */

static void wait_a_little(void)
{
	(void)poll(NULL, 0, 2);
}

/* Ends and removes each cell of a folder whose agent is gone. */
static void empty_folder(struct writ_cells *c, int64_t until_ms)
{
	int fd = fcntl(c->own, F_DUPFD_CLOEXEC, 3);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct writ_err err;
	if (!dir) {
		writ_closep(&fd);
		return;
	}
	for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
		if (!writ_cell_id_ok(e->d_name))
			continue;
		(void)!writ_cell_kill(c, e->d_name, &err); /* an empty one goes all the same */
		while (writ_cell_remove(c, e->d_name, &err) == WRIT_EBUSY &&
			writ_mono_ms() < until_ms)
			wait_a_little();
	}
	(void)closedir(dir);
}

static void sweep_one(struct writ_cells *c, const char *name, int64_t until_ms)
{
	WRIT_AUTO(writ_closep)
	int fd = openat(c->top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
		return; /* its agent lives */
	struct writ_cells gone = { .top = -1, .own = fd };
	empty_folder(&gone, until_ms);
	if (unlinkat(c->top, name, AT_REMOVEDIR) == 0)
		c->swept++;
	else
		c->left++;
}

static void sweep(struct writ_cells *c)
{
	int fd = fcntl(c->top, F_DUPFD_CLOEXEC, 3);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (!dir) {
		writ_closep(&fd);
		return;
	}
	int64_t until = writ_mono_ms() + SWEEP_MS;
	size_t n = 0;
	for (const struct dirent *e; n < SWEEP_MAX && (e = readdir(dir)) != NULL;) {
		if (!is_hex(e->d_name, WRIT_CELL_ID))
			continue;
		n++;
		sweep_one(c, e->d_name, until);
	}
	(void)closedir(dir);
}

/* --- the folder of this agent --- */

static bool claim(struct writ_cells *c)
{
	uint8_t random[WRIT_CELL_ID / 2];
	struct stat mine, there;
	writ_rand(random, sizeof(random));
	writ_hex(random, sizeof(random), c->name);
	if (mkdirat(c->top, c->name, FOLDER_MODE) != 0)
		return false;
	WRIT_AUTO(writ_closep)
	int fd = openat(c->top, c->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* An agent that sweeps at this moment may have taken it for a left-over. */
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &mine) != 0 ||
		fstatat(c->top, c->name, &there, AT_SYMLINK_NOFOLLOW) != 0 ||
		mine.st_ino != there.st_ino)
		return false;
	c->own = writ_steal_fd(fd);
	return true;
}

/* Another agent that ends at this moment may take the folder of all away. */
writ_rc writ_cells_open(const char *root, struct writ_cells *ret, struct writ_err *err)
{
	struct writ_cells c = { .top = -1, .own = -1 };
	writ_rc rc = WRIT_OK;
	for (int i = 0; i < NAME_TRIES && c.own < 0; i++) {
		writ_closep(&c.top);
		c.top = -1;
		rc = open_top(root, &c, err);
		if (rc != WRIT_OK)
			return rc;
		sweep(&c);
		if (!claim(&c))
			rc = cannot(errno, "make a cgroup for this agent's launches", err);
	}
	if (c.own < 0) {
		writ_closep(&c.top);
		return rc;
	}
	*ret = c;
	return WRIT_OK;
}

void writ_cells_close(struct writ_cells *c)
{
	if (c->own >= 0)
		(void)unlinkat(c->top, c->name, AT_REMOVEDIR);
	char path[40];
	(void)snprintf(path, sizeof(path), "../%s", c->folder);
	if (c->top >= 0)
		(void)unlinkat(c->top, path, AT_REMOVEDIR);
	writ_closep(&c->own);
	writ_closep(&c->top);
	c->own = c->top = -1;
}
