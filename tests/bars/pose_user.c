/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on what the kernel shows of a process: its user, its program, its main thread. */
#include "pose.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <linux/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A20: root connects, becomes the attacker, and asks. */
static void leave_root(struct pose *p)
{
	int fd = pose_connect(p);
	pose_drop(p);
	pose_ask_on(p, fd);
}

/* --- A7, A8, A16: a user namespace of one's own --- */

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		(void)close(fd);
	return good;
}

static void become_ns_root(struct pose *p, int more)
{
	char map[64];
	pose_drop(p);
	if (unshare(CLONE_NEWUSER | more) != 0)
		pose_unready(p, "make a user namespace");
	(void)snprintf(map, sizeof(map), "0 %u 1", (unsigned)p->uid);
	if (!write_file("/proc/self/setgroups", "deny") || !write_file("/proc/self/uid_map", map) ||
		!write_file("/proc/self/gid_map", map))
		pose_unready(p, "map itself to root");
}

static void namespace_root(struct pose *p)
{
	become_ns_root(p, 0);
	pose_ask_on(p, pose_connect(p));
}

/* It runs another program under the trusted one's path. */
static void bind_mount(struct pose *p)
{
	become_ns_root(p, CLONE_NEWNS);
	if (mount(p->self, p->trusted, NULL, MS_BIND, NULL) != 0)
		pose_unready(p, "mount over the trusted program");
	char fd[16], report[16];
	(void)snprintf(fd, sizeof(fd), "%d", pose_connect(p));
	(void)snprintf(report, sizeof(report), "%d", p->report);
	(void)execl(p->trusted, p->trusted, "inherited", fd, p->wanted, report, (char *)NULL);
	pose_unready(p, "run under the trusted program's path");
}

/* Copies a mapping of the program's file to memory without a file, in its place. */
static bool detach(unsigned long from, unsigned long to, int prot)
{
	size_t n = to - from;
	void *copy = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (copy == MAP_FAILED)
		return false;
	memcpy(copy, (const void *)from, n); /* NOLINT: a place in our own memory */
	return mprotect(copy, n, prot) == 0 &&
		mremap(copy, n, n, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)from) != MAP_FAILED;
}

/* The kernel lets go of a program's file only when nothing of it is mapped. */
static bool detach_all(const char *self)
{
	struct {
		unsigned long from, to;
		int prot;
	} maps[32];
	char line[4400], mode[8];
	size_t n = 0;
	FILE *f = fopen("/proc/self/maps", "re");
	while (f && n < 32 && fgets(line, sizeof(line), f)) {
		if (!strstr(line, self) ||
			sscanf(line, "%lx-%lx %7s", &maps[n].from, &maps[n].to, mode) != 3)
			continue;
		maps[n++].prot = (mode[0] == 'r' ? PROT_READ : 0) |
			(mode[1] == 'w' ? PROT_WRITE : 0) | (mode[2] == 'x' ? PROT_EXEC : 0);
	}
	if (f)
		(void)fclose(f);
	bool good = n > 0;
	for (size_t i = 0; good && i < n; i++)
		good = detach(maps[i].from, maps[i].to, maps[i].prot);
	return good;
}

/* The fields of prctl_mm_map that /proc/self/stat shows (proc(5)). */
static bool read_mm(struct prctl_mm_map *m)
{
	char text[2048] = "";
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	char *at = n > 0 ? strrchr(text, ')') : NULL;
	unsigned long long v[53] = { 0 };
	if (!at)
		return false;
	at += 4; /* field 4 */
	for (int i = 4; i < 53; i++) {
		int used = 0;
		long long one = 0;
		if (sscanf(at, "%lld%n", &one, &used) != 1)
			return false;
		v[i] = (unsigned long long)one;
		at += used;
	}
	*m = (struct prctl_mm_map){ .start_code = v[26],
		.end_code = v[27],
		.start_stack = v[28],
		.start_data = v[45],
		.end_data = v[46],
		.start_brk = v[47],
		.brk = (unsigned long long)(uintptr_t)sbrk(0),
		.arg_start = v[48],
		.arg_end = v[49],
		.env_start = v[50],
		.env_end = v[51] };
	return true;
}

enum set_by { BY_NOBODY, BY_ITSELF, BY_SHARER };

static int set_by_sharer(void *arg)
{
	struct prctl_mm_map *m = arg;
	_exit(prctl(PR_SET_MM, PR_SET_MM_MAP, m, sizeof(*m), 0) == 0 ? 0 : 1);
}

/* Root of a namespace of its own, in the memory of this process, which stays where it is. */
static bool set_from_namespace(struct prctl_mm_map *m)
{
	static char stack[64 * 1024] __attribute__((aligned(16)));
	int status = 1;
	pid_t pid = clone(set_by_sharer, stack + sizeof(stack),
		CLONE_VM | CLONE_VFORK | CLONE_NEWUSER | SIGCHLD, m);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void set_exe(struct pose *p, enum set_by who)
{
	bool with_namespace = who == BY_ITSELF;
	struct prctl_mm_map m;
	if (with_namespace)
		become_ns_root(p, 0);
	else
		pose_drop(p);
	int fd = pose_connect(p);
	if (!read_mm(&m) || !detach_all(p->self))
		pose_unready(p, "leave its own program file");
	int exe = open(p->trusted, O_RDONLY | O_CLOEXEC);
	m.exe_fd = (uint32_t)exe;
	bool posed = who == BY_SHARER ? set_from_namespace(&m)
				      : prctl(PR_SET_MM, PR_SET_MM_MAP, &m, sizeof(m), 0) == 0;
	char link[4096] = "";
	bool shown = readlink("/proc/self/exe", link, sizeof(link) - 1) > 0 &&
		strcmp(link, p->trusted) == 0;
	if (who != BY_NOBODY && (!posed || !shown))
		pose_unready(p, "pose by PR_SET_MM");
	pose_ask_on(p, fd);
}

static void mm_map(struct pose *p)
{
	set_exe(p, BY_ITSELF);
}

static void mm_map_shared(struct pose *p)
{
	set_exe(p, BY_SHARER);
}

static void mm_map_without_namespace(struct pose *p)
{
	set_exe(p, BY_NOBODY);
}

/* --- A9: names that look like a file --- */

static void run_inherited(struct pose *p, int program)
{
	char fd[16], report[16];
	char *const env[] = { NULL };
	(void)snprintf(fd, sizeof(fd), "%d", pose_connect(p));
	(void)snprintf(report, sizeof(report), "%d", p->report);
	char *const argv[] = { (char *)(uintptr_t)p->trusted, (char *)(uintptr_t) "inherited", fd,
		(char *)(uintptr_t)p->wanted, report, NULL };
	(void)syscall(SYS_execveat, program, "", argv, env, AT_EMPTY_PATH);
	pose_unready(p, "run the copy");
}

static int copy_self(struct pose *p, int to)
{
	int from = open(p->self, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (to < 0 || from < 0 || fstat(from, &st) != 0)
		pose_unready(p, "copy itself");
	for (off_t left = st.st_size; left > 0;) {
		ssize_t n = syscall(SYS_copy_file_range, from, NULL, to, NULL, (size_t)left, 0);
		char block[65536];
		if (n <= 0) {
			n = read(from, block, sizeof(block));
			if (n <= 0 || write(to, block, (size_t)n) != n)
				pose_unready(p, "copy itself");
		}
		left -= n;
	}
	(void)close(from);
	return to;
}

/* In memory, under the trusted program's path as a name. */
static void memory_file(struct pose *p)
{
	pose_drop(p);
	const char *name = strlen(p->trusted) < 240 ? p->trusted : "trusted";
	run_inherited(p, copy_self(p, memfd_create(name, 0)));
}

/* helper is a path "X (deleted)" of the trusted program; this one runs as X and deletes that. */
static void deleted_file(struct pose *p)
{
	char path[4096];
	size_t n = strlen(p->helper);
	if (n < 10 || n >= sizeof(path))
		pose_unready(p, "use that path");
	(void)snprintf(path, sizeof(path), "%.*s", (int)(n - 10), p->helper);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	(void)close(copy_self(p, fd));
	(void)chmod(path, 0755);
	int program = open(path, O_PATH | O_CLOEXEC);
	(void)unlink(path);
	pose_drop(p);
	run_inherited(p, program);
}

/* --- T42: a program that nobody has seen before --- */

/* A copy of the trusted program with other bytes behind it, in the folder that helper names. */
static void new_binary(struct pose *p)
{
	char path[4096];
	(void)snprintf(path, sizeof(path), "%s/new-%d-%u", p->helper, (int)getpid(), p->n);
	struct pose trusted = *p;
	trusted.self = p->trusted;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	(void)copy_self(&trusted, fd);
	if (write(fd, path, strlen(path)) < 0 || fchmod(fd, 0755) != 0)
		pose_unready(p, "make a new program");
	(void)close(fd);
	if (fork() == 0) {
		pose_drop(p);
		(void)dup2(p->report, STDOUT_FILENO);
		(void)execl(path, path, "ask", p->socket, p->wanted, (char *)NULL);
		pose_unready(p, "run it");
	}
	(void)wait(NULL);
	(void)unlink(path);
}

/* --- A10: the main thread has ended, another one asks --- */

static struct pose *of_thread;
static int conn_of_thread;

static void *ask_in_thread(void *arg)
{
	char text[256] = "";
	(void)arg;
	do { /* until the kernel shows it as a zombie */
		int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
		(void)!read(fd, text, sizeof(text) - 1);
		(void)close(fd);
	} while (!strstr(text, ") Z "));
	int fd = conn_of_thread >= 0 ? conn_of_thread : pose_connect(of_thread);
	pose_ask_on(of_thread, fd);
	return NULL;
}

static void leader_exits(struct pose *p)
{
	pthread_t t;
	pose_drop(p);
	of_thread = p;
	conn_of_thread = p->n % 2 ? pose_connect(p) : -1;
	if (pthread_create(&t, NULL, ask_in_thread, NULL) != 0)
		pose_unready(p, "start a thread");
	(void)syscall(SYS_exit, 0);
}

const struct pose_attack pose_user_attacks[] = {
	{ "leave-root", leave_root, 0 },
	{ "namespace-root", namespace_root, 0 },
	{ "bind-mount", bind_mount, 0 },
	{ "mm-map", mm_map, 0 },
	{ "mm-map-shared", mm_map_shared, 0 },
	{ "mm-map-without-namespace", mm_map_without_namespace, 0 },
	{ "memory-file", memory_file, 0 },
	{ "deleted-file", deleted_file, 0 },
	{ "new-binary", new_binary, 0 },
	{ "leader-exits", leader_exits, 0 },
	{ NULL, NULL, 0 },
};
