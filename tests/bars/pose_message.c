/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on single messages: written by others, in every way that the kernel has, with credentials
 * or descriptors that do not belong there. */
#include "pose.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define RIGHTS_EACH 250 /* below the kernel's 253 */
#define RIGHTS_ALL  100000

/* --- A6: the ways to write --- */

static ssize_t by_write(int fd, const uint8_t *p, size_t n)
{
	return write(fd, p, n);
}

static ssize_t by_writev(int fd, const uint8_t *p, size_t n)
{
	struct iovec iov[2] = { { (void *)(uintptr_t)p, 1 },
		{ (void *)(uintptr_t)(p + 1), n - 1 } };
	return writev(fd, iov, 2);
}

static ssize_t by_oob(int fd, const uint8_t *p, size_t n)
{
	(void)!send(fd, "!", 1, MSG_OOB | MSG_NOSIGNAL);
	return send(fd, p, n, MSG_NOSIGNAL);
}

static ssize_t by_splice(int fd, const uint8_t *p, size_t n)
{
	int ends[2];
	if (pipe(ends) != 0 || write(ends[1], p, n) != (ssize_t)n)
		return -1;
	return splice(ends[0], NULL, fd, NULL, n, 0);
}

static ssize_t by_sendfile(int fd, const uint8_t *p, size_t n)
{
	int file = memfd_create("question", MFD_CLOEXEC);
	if (file < 0 || write(file, p, n) != (ssize_t)n || lseek(file, 0, SEEK_SET) != 0)
		return -1;
	return sendfile(fd, file, NULL, n);
}

static ssize_t by_sendmmsg(int fd, const uint8_t *p, size_t n)
{
	struct iovec iov[2] = { { (void *)(uintptr_t)p, 1 },
		{ (void *)(uintptr_t)(p + 1), n - 1 } };
	struct mmsghdr m[2] = { { .msg_hdr = { .msg_iov = iov, .msg_iovlen = 1 } },
		{ .msg_hdr = { .msg_iov = iov + 1, .msg_iovlen = 1 } } };
	return sendmmsg(fd, m, 2, MSG_NOSIGNAL) == 2 ? (ssize_t)n : -1;
}

static ssize_t byte_by_byte(int fd, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (send(fd, p + i, 1, MSG_NOSIGNAL) != 1)
			return (ssize_t)i;
	return (ssize_t)n;
}

static ssize_t (*const ways[])(int fd, const uint8_t *p, size_t n) = { by_write, by_writev, by_oob,
	by_splice, by_sendfile, by_sendmmsg, byte_by_byte };

/* R6: a child writes on its parent's connection while the parent becomes the trusted program; or
 * the parent has begun, and the child goes on within a frame. */
static void ways_to_write(struct pose *p)
{
	uint8_t out[ASK_MAX];
	size_t n = ask_bytes(out), own = p->n % 3 ? 0 : n / 2;
	int gate[2];
	(void)signal(SIGPIPE, SIG_IGN);
	pose_drop(p);
	int fd = pose_connect(p);
	if (pipe2(gate, O_CLOEXEC) != 0)
		pose_unready(p, "pipe");
	if (own && send(fd, out, own, MSG_NOSIGNAL) != (ssize_t)own)
		pose_unready(p, "begin to ask");
	if (fork() == 0) {
		(void)close(gate[1]);
		(void)pose_until_exec(gate[0]);
		(void)ways[p->n % (sizeof(ways) / sizeof(ways[0]))](fd, out + own, n - own);
		pose_tell(p, ask_wait(fd, p->wanted, pose_wait_ms(), true));
		_exit(0);
	}
	pose_become_trusted(p);
}

/* --- A14: somebody else's credentials --- */

static bool send_as(int fd, const uint8_t *p, size_t n, struct ucred as)
{
	char control[CMSG_SPACE(sizeof(as))] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)p, n };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	*c = (struct cmsghdr){ CMSG_LEN(sizeof(as)), SOL_SOCKET, SCM_CREDENTIALS };
	memcpy(CMSG_DATA(c), &as, sizeof(as));
	return sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)n;
}

/* The child gives the trusted program's number as its own; the kernel refuses that. */
static void forged(struct pose *p)
{
	uint8_t out[ASK_MAX];
	size_t n = ask_bytes(out);
	int gate[2];
	pose_drop(p);
	int fd = pose_connect(p);
	struct ucred as = { getpid(), p->uid, p->uid };
	if (pipe2(gate, O_CLOEXEC) != 0)
		pose_unready(p, "pipe");
	if (fork() == 0) {
		(void)close(gate[1]);
		(void)pose_until_exec(gate[0]);
		bool sent = send_as(fd, out, n, as);
		pose_tell(p, sent ? ask_wait(fd, p->wanted, pose_wait_ms(), false) : ASK_REFUSED);
		_exit(0);
	}
	pose_become_trusted(p);
}

static void write_text(const struct pose *p, const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		pose_unready(p, path);
	(void)close(fd);
}

/* Answers the agent's PING as process `as`. */
static void answer_as(int fd, struct ucred as)
{
	static const uint8_t settings[9] = { [3] = 4, [4] = 1 };
	uint8_t in[4096];
	(void)send_as(fd, settings, sizeof(settings), as);
	for (int i = 0; i < 20; i++) {
		ssize_t n = recv(fd, in, sizeof(in), MSG_PEEK);
		for (ssize_t at = 0; at + 17 <= n; at += 9 + in[at + 2]) {
			if (in[at + 3] != 6 || in[at + 4] & 1)
				continue;
			in[at + 4] = 1;
			(void)send_as(fd, in + at, 17, as);
			return;
		}
		(void)usleep(2000);
	}
}

/* Root of a PID namespace may send as any process in it: the connection is that of a process in
 * there that has become the trusted program, and a sister answers for it. */
static void forged_in_namespace(struct pose *p)
{
	char map[64];
	int gate[2];
	pose_drop(p);
	if (unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0 || pipe2(gate, O_CLOEXEC) != 0)
		pose_unready(p, "make namespaces");
	(void)snprintf(map, sizeof(map), "0 %u 1", (unsigned)p->uid);
	write_text(p, "/proc/self/setgroups", "deny");
	write_text(p, "/proc/self/uid_map", map);
	write_text(p, "/proc/self/gid_map", map);
	if (fork() != 0) {
		(void)close(gate[1]);
		(void)wait(NULL);
		return;
	}
	int fd = pose_connect(p);
	struct ucred as = { getpid(), 0, 0 };
	if (fork() == 0) {
		uint8_t out[ASK_MAX];
		size_t n = ask_bytes(out);
		(void)close(gate[1]);
		(void)pose_until_exec(gate[0]);
		if (!send_as(fd, out, n, as))
			pose_unready(p, "send as another process of the namespace");
		answer_as(fd, as);
		pose_hear(p, fd);
		_exit(0);
	}
	pose_become_trusted(p);
}

/* --- A15: descriptors that nobody asked for --- */

static int send_rights(int fd, const int *rights, size_t n)
{
	static char control[CMSG_SPACE(RIGHTS_EACH * sizeof(int))];
	char byte = 'P';
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	*c = (struct cmsghdr){ CMSG_LEN(n * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(c), rights, n * sizeof(int));
	return (int)sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void rights_flood(struct pose *p)
{
	int rights[RIGHTS_EACH];
	pose_drop(p);
	for (int i = 0; i < RIGHTS_EACH; i++)
		rights[i] = STDERR_FILENO;
	int fd = pose_connect(p);
	for (long sent = 0; sent < RIGHTS_ALL;) {
		if (send_rights(fd, rights, RIGHTS_EACH) == 1) {
			sent += RIGHTS_EACH;
			continue;
		}
		if (errno == EPERM) { /* SO_PASSRIGHTS is off there: the kernel takes none */
			sent += RIGHTS_EACH;
			continue;
		}
		if (errno == ETOOMANYREFS || errno == EAGAIN) { /* too many are under way */
			(void)usleep(1000);
			continue;
		}
		(void)close(fd);
		fd = pose_connect(p);
	}
	(void)close(fd);
	pose_tell(p, ASK_REFUSED);
}

/* --- what the kernel does for a process after it has asked for it --- */

#include <linux/io_uring.h>

struct ring {
	int fd;
	unsigned *tail, *mask, *array;
	struct io_uring_sqe *sqes;
};

static bool ring_open(struct ring *r)
{
	struct io_uring_params par = { .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 2000 };
	r->fd = (int)syscall(SYS_io_uring_setup, 8, &par);
	if (r->fd < 0)
		return false;
	size_t n = par.sq_off.array + par.sq_entries * sizeof(unsigned);
	uint8_t *at = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	r->sqes = mmap(NULL, par.sq_entries * sizeof(*r->sqes), PROT_READ | PROT_WRITE, MAP_SHARED,
		r->fd, IORING_OFF_SQES);
	if (at == MAP_FAILED || r->sqes == MAP_FAILED)
		return false;
	r->tail = (unsigned *)(void *)(at + par.sq_off.tail);
	r->mask = (unsigned *)(void *)(at + par.sq_off.ring_mask);
	r->array = (unsigned *)(void *)(at + par.sq_off.array);
	return true;
}

static void ring_send(struct ring *r, int fd, const uint8_t *p, size_t n)
{
	unsigned tail = *r->tail, i = tail & *r->mask;
	r->sqes[i] = (struct io_uring_sqe){ .opcode = IORING_OP_SEND,
		.fd = fd,
		.addr = (uintptr_t)p,
		.len = (uint32_t)n,
		.msg_flags = MSG_NOSIGNAL };
	r->array[i] = i;
	__atomic_store_n(r->tail, tail + 1, __ATOMIC_RELEASE);
	(void)syscall(SYS_io_uring_enter, r->fd, 1, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0);
}

/* A thread of the kernel writes for the process that made the ring: its child, with the same ring,
 * has it write after that process became the trusted program. */
static void ring_writes(struct pose *p)
{
	struct ring r;
	int gate[2];
	uint8_t *out =
		mmap(NULL, ASK_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pose_drop(p);
	int fd = pose_connect(p);
	if (out == MAP_FAILED || pipe2(gate, O_CLOEXEC) != 0 || !ring_open(&r))
		pose_unready(p, "make a ring");
	size_t n = ask_bytes(out);
	(void)fcntl(r.fd, F_SETFD, 0);
	if (fork() == 0) {
		(void)close(gate[1]);
		(void)pose_until_exec(gate[0]);
		ring_send(&r, fd, out, n);
		pose_tell(p, ask_wait(fd, p->wanted, pose_wait_ms(), false));
		_exit(0);
	}
	pose_become_trusted(p);
}

const struct pose_attack pose_message_attacks[] = {
	{ "ways-to-write", ways_to_write, 0 },
	{ "forged", forged, 0 },
	{ "forged-in-namespace", forged_in_namespace, 0 },
	{ "rights-flood", rights_flood, 0 },
	{ "ring", ring_writes, 0 },
	{ NULL, NULL, 0 },
};
