/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper_kit.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "check.h"
#include "run/cells.h"
#include "run/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

char keeper_root[128];

int keeper_root_make(void **state)
{
	(void)state;
	static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	for (size_t i = 0; geteuid() == 0 && i < WRIT_COUNT(mounts); i++) {
		char procs[160];
		/* The number alone could be that of a test that was killed and left its own. */
		(void)snprintf(keeper_root, sizeof(keeper_root), "%s/writ-test-%d-%llx", mounts[i],
			(int)getpid(), (unsigned long long)writ_mono_us());
		(void)snprintf(procs, sizeof(procs), "%s/cgroup.kill", keeper_root);
		if (mkdir(keeper_root, 0755) == 0 && access(procs, W_OK) == 0)
			return 0;
		(void)rmdir(keeper_root);
	}
	keeper_root[0] = '\0';
	return 0;
}

int keeper_root_drop(void **state)
{
	char path[256];
	(void)state;
	(void)snprintf(path, sizeof(path), "%s/" WRIT_CELLS_FOLDER, keeper_root);
	(void)rmdir(path);
	return keeper_root[0] ? rmdir(keeper_root) : 0;
}

static void reap(void)
{
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

void children_signal(pid_t but, int signal)
{
	char kids[256] = "", path[64];
	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	WRIT_AUTO(writ_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && read(fd, kids, sizeof(kids) - 1) >= 0);
	struct writ_str rest = writ_str_trim(writ_cstr(kids)), word;
	while (rest.n > 0) {
		uint64_t pid = 0;
		(void)writ_str_cut(&rest, ' ', &word);
		if (writ_parse_u64(word, 1, INT32_MAX, &pid, NULL) == WRIT_OK && (pid_t)pid != but)
			(void)kill((pid_t)pid, signal);
	}
}

void children_kill(pid_t but)
{
	children_signal(but, SIGKILL);
}

int keeper_clean(void **state)
{
	struct writ_cells cells;
	(void)state;
	children_kill(0);
	reap();
	/* Opening ends and removes what the killed keeper left behind. */
	if (keeper_root[0] && writ_cells_open(keeper_root, &cells, NULL) == WRIT_OK)
		writ_cells_close(&cells);
	return 0;
}

int keeper_begin(void)
{
	struct writ_keeper_answer ready = { 0 };
	struct writ_err err = { 0 };
	int fd = -1;
	if (!keeper_root[0])
		skip();
	assert_ok(writ_keeper_start(keeper_root, &fd, &ready, &err), err);
	return fd;
}

size_t keeper_agents_left(void)
{
	char path[256];
	struct stat st;
	(void)snprintf(path, sizeof(path), "%s/" WRIT_CELLS_FOLDER, keeper_root);
	return stat(path, &st) == 0 ? (size_t)st.st_nlink - 2 : 0;
}

/* The keeper is our child: its end can be waited for. */
void keeper_end(int fd)
{
	(void)close(fd);
	reap();
	assert_int_equal(keeper_agents_left(), 0);
}

bool child_has_ended(const struct child *c, int64_t ms)
{
	int64_t until = writ_mono_ms() + ms;
	siginfo_t info = { .si_pid = 0 };
	while (!info.si_pid && writ_mono_ms() < until) {
		(void)waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT);
		(void)poll(NULL, 0, 2);
	}
	return info.si_pid != 0;
}
