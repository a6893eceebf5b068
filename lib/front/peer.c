/* SPDX-License-Identifier: Apache-2.0 */
#include "front/identity.h"

#include "base/mem.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Debian 12's headers are those of Linux 6.1. */
#define OPT_PEERGROUPS 59
#define OPT_PEERPIDFD  77

struct writ_peer *writ_peer_ref(struct writ_peer *p)
{
	if (p)
		__atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
	return p;
}

void writ_peer_unref(struct writ_peer *p)
{
	if (!p || __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL))
		return;
	if (p->pidfd >= 0)
		(void)close(p->pidfd);
	if (p->user_free)
		p->user_free(p->user);
	writ_cert_unref(p->cert);
	writ_free(p->spiffe_id);
	writ_free(p);
}

struct writ_peer *writ_peer_new(enum writ_peer_kind kind)
{
	struct writ_peer *p = writ_alloc(sizeof(*p));
	p->refs = 1;
	p->kind = kind;
	p->pidfd = -1;
	p->spiffe_id = writ_strdup("");
	return p;
}

void writ_peer_gone(struct writ_peer *p)
{
	p->closed = true;
	p->conn = NULL;
	if (p->pidfd >= 0)
		(void)close(p->pidfd);
	p->pidfd = -1;
}

static writ_rc learn_groups(int fd, struct writ_peer *p, struct writ_err *err)
{
	socklen_t n = sizeof(p->groups);
	if (getsockopt(fd, SOL_SOCKET, OPT_PEERGROUPS, p->groups, &n) == 0) {
		p->n_groups = n / sizeof(p->groups[0]);
		return WRIT_OK;
	}
	if (errno != ERANGE)
		return writ_fail_errno(err, errno, "learn the caller's groups");
	p->groups_withheld = true;
	return WRIT_OK;
}

static writ_rc learn_pidfd(int fd, struct writ_peer *p, struct writ_err *err)
{
	socklen_t n = sizeof(p->pidfd);
	int pidfd = -1;
	if (getsockopt(fd, SOL_SOCKET, OPT_PEERPIDFD, &pidfd, &n) != 0) {
		if (errno != ENOPROTOOPT)
			return writ_fail_errno(
				err, errno, "pin the calling process %d", (int)p->pid);
		/* Before Linux 6.5. It may be another process by now: SCM credentials and the
		 * challenge tell. */
		pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
		if (pidfd < 0)
			return writ_fail_errno(
				err, errno, "pin the calling process %d", (int)p->pid);
	}
	p->pidfd = pidfd;
	return WRIT_OK;
}

static uid_t read_overflow_uid(void)
{
	char text[32] = "";
	int fd = open("/proc/sys/kernel/overflowuid", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (fd >= 0)
		(void)close(fd);
	uint64_t v = 65534;
	if (n > 0 &&
		writ_parse_u64(writ_str_trim(writ_strn(text, (size_t)n)), 0, UINT32_MAX, &v,
			NULL) != WRIT_OK)
		v = 65534;
	return (uid_t)v;
}

bool writ_overflow_uid(uid_t *ret)
{
	char text[256] = "";
	unsigned inside, outside, count;
	int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	if (fd >= 0)
		(void)close(fd);
	bool whole = n > 0 && sscanf(text, "%u %u %u", &inside, &outside, &count) == 3 &&
		inside == 0 && outside == 0 && count == UINT32_MAX;
	*ret = read_overflow_uid();
	return !whole;
}

writ_rc writ_peer_learn_unix(
	int fd, const uid_t *overflow, struct writ_peer **ret, struct writ_err *err)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0)
		return writ_fail_errno(err, errno, "learn who calls");
	if (cred.pid <= 0)
		return writ_fail(err, WRIT_EDENIED,
			"the caller is in a PID namespace that is not visible from here");
	if (cred.uid == (uid_t)-1 || (overflow && cred.uid == *overflow))
		return writ_fail(err, WRIT_EDENIED,
			"process %d: its uid has no number in this user namespace", (int)cred.pid);
	struct writ_peer *p = writ_peer_new(WRIT_PEER_UNIX);
	p->pid = cred.pid;
	p->uid = cred.uid;
	p->gid = cred.gid;
	(void)snprintf(
		p->addr, sizeof(p->addr), "unix:pid=%d,uid=%u", (int)p->pid, (unsigned)p->uid);
	*ret = p;
	return WRIT_OK;
}

writ_rc writ_peer_pin(int fd, struct writ_peer *p, struct writ_err *err)
{
	writ_rc rc = learn_groups(fd, p, err);
	return rc == WRIT_OK ? learn_pidfd(fd, p, err) : rc;
}

struct writ_peer *writ_peer_learn_tcp(const struct sockaddr *sa, uint8_t source[16])
{
	struct writ_peer *p = writ_peer_new(WRIT_PEER_TCP);
	char text[INET6_ADDRSTRLEN] = "?";
	memset(source, 0, 16);
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof(in));
		(void)inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
		(void)snprintf(p->addr, sizeof(p->addr), "%s:%u", text, ntohs(in.sin_port));
		memcpy(source, &in.sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, sa, sizeof(in6));
		(void)inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof(text));
		(void)snprintf(p->addr, sizeof(p->addr), "[%s]:%u", text, ntohs(in6.sin6_port));
		/* A host has a whole /64; an IPv4 address in IPv6 clothes is itself. */
		bool mapped = IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr);
		memcpy(source, &in6.sin6_addr, mapped ? 16 : 8);
	}
	return p;
}
