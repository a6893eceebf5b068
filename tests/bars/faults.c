/* SPDX-License-Identifier: Apache-2.0 */
/* faults: runs a program and lets single system calls of it and of its children fail, without the
 * program's help: the kernel asks this process about each of them (seccomp_unotify(2)).
 *
 * usage: faults IN OUT PROGRAM ARGUMENT...   commands come on the FIFO IN, one a line, and answers
 * go to the FIFO OUT:
 *   record              forgets what was seen, and from now on notes each call
 *   report              prints what was noted, a call a line, then "."; stops noting
 *   fail N ERRNO TEXT   the N-th call from now on whose note is TEXT fails with that number
 *   fired               prints 1 when it has, else 0; and disarms it
 * A note is "NAME DETAIL": the path or the descriptor's file with pids as PID, or the option.
 *
 * usage: faults -old PROGRAM ARGUMENT...   takes away what Linux 6.1 does not have: SO_PEERPIDFD,
 * SO_PASSRIGHTS and PIDFD_GET_INFO; asks for nothing and replaces itself by the program. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOTES_MAX 4096
#define NOTE_LEN  160

/* How a call is noted: by its path (argument), its descriptor (argument 0), or its option. */
enum detail { BY_FD, BY_PATH0, BY_PATH1, BY_OPTION };

static const struct {
	long nr;
	const char *name;
	enum detail detail;
} calls[] = {
	{ SYS_accept4, "accept4", BY_FD },
	{ SYS_getsockopt, "getsockopt", BY_OPTION },
	{ SYS_setsockopt, "setsockopt", BY_OPTION },
	{ SYS_openat, "openat", BY_PATH1 },
	{ SYS_open, "open", BY_PATH0 },
	{ SYS_openat2, "openat2", BY_PATH1 },
	{ SYS_readlinkat, "readlinkat", BY_PATH1 },
	{ SYS_readlink, "readlink", BY_PATH0 },
	{ SYS_statx, "statx", BY_PATH1 },
	{ SYS_newfstatat, "newfstatat", BY_PATH1 },
	{ SYS_fstat, "fstat", BY_FD },
	{ SYS_read, "read", BY_FD },
	{ SYS_pread64, "pread64", BY_FD },
	{ SYS_ioctl, "ioctl", BY_FD },
	{ SYS_fcntl, "fcntl", BY_FD },
	{ SYS_recvmsg, "recvmsg", BY_FD },
	{ SYS_recvfrom, "recvfrom", BY_FD },
	{ SYS_sendmsg, "sendmsg", BY_FD },
	{ SYS_sendto, "sendto", BY_FD },
	{ SYS_epoll_ctl, "epoll_ctl", BY_FD },
	{ SYS_poll, "poll", BY_FD },
	{ SYS_pidfd_open, "pidfd_open", BY_OPTION },
	{ SYS_socketpair, "socketpair", BY_OPTION },
	{ SYS_dup, "dup", BY_FD },
};
#define N_CALLS (sizeof(calls) / sizeof(calls[0]))

static struct {
	char (*notes)[NOTE_LEN];
	size_t n;
	bool recording;
	char target[NOTE_LEN]; /* "": nothing is to fail */
	int error, after;
	bool fired;
	FILE *in, *out;
} state;

/* Each run of digits behind "/proc/" becomes PID, numbers in brackets go. */
static void normalise(char *s)
{
	char *out = s;
	for (const char *in = s; *in;) {
		bool number =
			isdigit((unsigned char)*in) && (in == s || in[-1] == '/' || in[-1] == '[');
		if (!number) {
			*out++ = *in++;
			continue;
		}
		bool pid = in == s || in[-1] == '/';
		while (isdigit((unsigned char)*in))
			in++;
		const char *text = pid ? "PID" : "N";
		while (*text && out < in)
			*out++ = *text++;
	}
	*out = '\0';
}

static void read_path(uint32_t tid, uint64_t at, char *out, size_t size)
{
	struct iovec to = { out, size - 1 }, from = { (void *)(uintptr_t)at, size - 1 };
	/* A path may end right before a page that is not there: less is tried then. */
	ssize_t n = -1;
	while (n < 0 && from.iov_len >= 8) {
		n = process_vm_readv((pid_t)tid, &to, 1, &from, 1, 0);
		if (n < 0)
			from.iov_len /= 2;
	}
	out[n < 0 ? 0 : n] = '\0';
	out[strnlen(out, size - 1)] = '\0';
}

static void read_fd(uint32_t tid, uint64_t fd, char *out, size_t size)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%u/fd/%d", tid, (int)fd);
	ssize_t n = readlink(path, out, size - 1);
	out[n < 0 ? 0 : n] = '\0';
}

/* A socket of packets is the one between the agent's own processes. */
static bool is_of_packets(uint32_t tid, uint64_t fd)
{
	int type = 0, pidfd = (int)syscall(SYS_pidfd_open, tid, O_EXCL /* a thread will do */);
	int copy = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, (int)fd, 0);
	socklen_t n = sizeof(type);
	bool is = copy >= 0 && getsockopt(copy, SOL_SOCKET, SO_TYPE, &type, &n) == 0 &&
		type == SOCK_SEQPACKET;
	if (copy >= 0)
		(void)close(copy);
	if (pidfd >= 0)
		(void)close(pidfd);
	return is;
}

static void describe(const struct seccomp_notif *q, char note[NOTE_LEN])
{
	char detail[100] = "?";
	size_t i = 0;
	while (i < N_CALLS && calls[i].nr != q->data.nr)
		i++;
	if (i == N_CALLS) {
		(void)snprintf(note, NOTE_LEN, "%d", q->data.nr);
		return;
	}
	const __u64 *arg = q->data.args;
	if (calls[i].detail == BY_FD && q->data.nr == SYS_poll) {
		struct pollfd p = { .fd = -1 };
		struct iovec to = { &p, sizeof(p) },
			     from = { (void *)(uintptr_t)arg[0], sizeof(p) };
		(void)process_vm_readv((pid_t)q->pid, &to, 1, &from, 1, 0);
		read_fd(q->pid, (uint64_t)p.fd, detail, sizeof(detail));
	} else if (calls[i].detail == BY_FD) {
		bool second = q->data.nr == SYS_epoll_ctl;
		read_fd(q->pid, arg[second ? 2 : 0], detail, sizeof(detail));
		if (strncmp(detail, "socket:", 7) == 0 &&
			is_of_packets(q->pid, arg[second ? 2 : 0]))
			(void)snprintf(detail, sizeof(detail), "packets");
	} else if (calls[i].detail == BY_OPTION) {
		(void)snprintf(detail, sizeof(detail), "option %d", (int)arg[2]);
	} else {
		read_path(q->pid, arg[calls[i].detail == BY_PATH1], detail, sizeof(detail));
	}
	if (calls[i].detail != BY_OPTION)
		normalise(detail);
	(void)snprintf(note, NOTE_LEN, "%s %s", calls[i].name, detail);
}

static void answer(int listener, struct seccomp_notif *q, struct seccomp_notif_resp *r)
{
	char note[NOTE_LEN];
	memset(q, 0, sizeof(*q));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, q) != 0)
		return;
	memset(r, 0, sizeof(*r));
	r->id = q->id;
	r->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	if (state.recording || state.target[0]) {
		describe(q, note);
		if (state.recording && state.n < NOTES_MAX)
			memcpy(state.notes[state.n++], note, NOTE_LEN);
		if (state.target[0] && !state.fired && strcmp(note, state.target) == 0 &&
			--state.after == 0) {
			state.fired = true;
			r->flags = 0;
			r->error = -state.error;
		}
	}
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, r);
}

static void obey(char *line)
{
	int used = 0;
	line[strcspn(line, "\n")] = '\0';
	if (strcmp(line, "record") == 0) {
		state.n = 0;
		state.recording = true;
	} else if (strcmp(line, "report") == 0) {
		state.recording = false;
		for (size_t i = 0; i < state.n; i++)
			(void)fprintf(state.out, "%s\n", state.notes[i]);
		(void)fprintf(state.out, ".\n");
	} else if (sscanf(line, "fail %d %d %n", &state.after, &state.error, &used) == 2) {
		state.fired = false;
		(void)snprintf(state.target, NOTE_LEN, "%s", line + used);
		(void)fprintf(state.out, "armed\n");
	} else if (strcmp(line, "fired") == 0) {
		(void)fprintf(state.out, "%d\n", state.fired);
		state.target[0] = '\0';
	}
	(void)fflush(state.out);
}

static int install(const struct sock_filter *code, size_t n, unsigned flags)
{
	const struct sock_fprog prog = { (unsigned short)n, (struct sock_filter *)(uintptr_t)code };
	if (geteuid() != 0)
		(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

#define LOAD(field)   BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define SAME(v, t, f) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (v), (t), (f))
#define RETURN(v)     BPF_STMT(BPF_RET | BPF_K, (v))

static int install_questions(void)
{
	struct sock_filter code[N_CALLS * 2 + 2];
	size_t n = 0;
	code[n++] = (struct sock_filter)LOAD(nr);
	for (size_t i = 0; i < N_CALLS; i++) {
		code[n++] = (struct sock_filter)SAME((unsigned)calls[i].nr, 0, 1);
		code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_USER_NOTIF);
	}
	code[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	return install(code, n, SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

/* args[] are 64 bits wide; the numbers looked for are in the lower half, which comes first here. */
static int install_old_kernel(void)
{
	static const struct sock_filter code[] = {
		LOAD(nr),
		SAME(SYS_getsockopt, 2, 0),
		SAME(SYS_setsockopt, 1, 0),
		SAME(SYS_ioctl, 4, 8),
		LOAD(args[2]),
		SAME(77, 1, 0), /* SO_PEERPIDFD */
		SAME(83, 0, 5), /* SO_PASSRIGHTS */
		RETURN(SECCOMP_RET_ERRNO | ENOPROTOOPT),
		LOAD(args[1]),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xffff),
		SAME(0xff0b, 0, 1), /* PIDFD_GET_INFO, of whatever size */
		RETURN(SECCOMP_RET_ERRNO | ENOTTY),
		RETURN(SECCOMP_RET_ALLOW),
	};
	return install(code, sizeof(code) / sizeof(code[0]), 0);
}

/* The child hands over the descriptor on which the kernel asks, and becomes the program. */
static int start(char **argv, pid_t *pid)
{
	int ends[2], listener = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return -1;
	*pid = fork();
	if (*pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		int fd = install_questions();
		/* Without a call that would be asked about: the parent takes it from here. */
		(void)!write(ends[1], &fd, sizeof(fd));
		char go;
		while (syscall(SYS_readv, ends[1], &(struct iovec){ &go, 1 }, 1) != 1)
			;
		(void)execvp(argv[0], argv);
		_exit(127);
	}
	int theirs = -1;
	if (*pid < 0 || read(ends[0], &theirs, sizeof(theirs)) != (ssize_t)sizeof(theirs) ||
		theirs < 0)
		return -1;
	int pidfd = (int)syscall(SYS_pidfd_open, *pid, 0);
	listener = (int)syscall(SYS_pidfd_getfd, pidfd, theirs, 0);
	(void)close(pidfd);
	(void)!write(ends[0], "g", 1);
	return listener;
}

static int serve(int listener, pid_t pid)
{
	static struct {
		struct seccomp_notif q;
		uint8_t more[512];
	} q;
	static struct {
		struct seccomp_notif_resp r;
		uint8_t more[512];
	} r;
	char line[512];
	struct pollfd fds[2] = { { .fd = listener, .events = POLLIN },
		{ .fd = fileno(state.in), .events = POLLIN } };
	int status = 0;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		(void)poll(fds, 2, 200);
		if (fds[0].revents & POLLIN)
			answer(listener, &q.q, &r.r);
		if (fds[1].revents && !fgets(line, sizeof(line), state.in))
			fds[1].fd = -1;
		else if (fds[1].revents)
			obey(line);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	pid_t pid = -1;
	if (argc > 2 && strcmp(argv[1], "-old") == 0) {
		if (install_old_kernel() != 0)
			return 1;
		(void)execvp(argv[2], argv + 2);
		return 127;
	}
	if (argc < 4)
		return 2;
	/* Both ways: so opening does not wait, and the end of one who writes is no end here. */
	state.in = fopen(argv[1], "r+e");
	state.out = fopen(argv[2], "r+e");
	if (!state.in || !state.out)
		return 2;
	(void)setvbuf(state.in, NULL, _IONBF, 0);
	state.notes = calloc(NOTES_MAX, NOTE_LEN);
	int listener = state.notes ? start(argv + 3, &pid) : -1;
	if (listener < 0) {
		(void)fprintf(
			stderr, "faults: no seccomp notifications here: %s\n", strerror(errno));
		return 77;
	}
	return serve(listener, pid);
}
