/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets, made so that nobody can slip in between two steps. */
#include "front/front.h"

#include "base/fs.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG        4096
#define OPT_PASSRIGHTS 83 /* Linux 6.16 */

static writ_rc make_address(const char *path, struct sockaddr_un *sa, struct writ_err *err)
{
	*sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
	size_t n = strlen(path);
	if (!n || n >= sizeof(sa->sun_path))
		return writ_fail(err, WRIT_EINVAL,
			"socket '%s': a path of %zu bytes, 1 to %zu are possible", path, n,
			sizeof(sa->sun_path) - 1);
	memcpy(sa->sun_path, path, n);
	return WRIT_OK;
}

static writ_rc check_dir(const char *path, struct writ_err *err)
{
	WRIT_AUTO(writ_freep) char *dir = writ_fs_dirname(path);
	struct stat st;
	if (stat(dir, &st) != 0)
		return writ_fail_errno(err, errno, "folder '%s' of socket '%s'", dir, path);
	writ_rc rc = writ_fs_ensure_dir(dir, 0755, err);
	return rc == WRIT_OK ? rc : writ_wrap(err, rc, "socket '%s'", path);
}

/* Only one process at a time looks for a stale socket, removes it and makes its own: *ret holds the
 * lock until it is closed. The lock is a file of mode 0600 rather than the folder, which anybody
 * could lock. */
static writ_rc take_lock(const char *lock, int *ret, struct writ_err *err)
{
	for (int i = 0; i < 100; i++) {
		WRIT_AUTO(writ_closep)
		int fd = open(lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		struct stat mine, there;
		if (fd < 0 || flock(fd, LOCK_EX) != 0 || fstat(fd, &mine) != 0)
			return writ_fail_errno(err, errno, "lock '%s'", lock);
		/* Whoever had it before removed it: the lock that counts is the one with a name. */
		if (stat(lock, &there) == 0 && mine.st_ino == there.st_ino &&
			mine.st_dev == there.st_dev) {
			*ret = writ_steal_fd(fd);
			return WRIT_OK;
		}
	}
	return writ_fail(err, WRIT_EBUSY, "lock '%s': it changes hands all the time", lock);
}

static writ_rc remove_stale(const struct sockaddr_un *sa, struct writ_err *err)
{
	struct stat st;
	if (lstat(sa->sun_path, &st) != 0)
		return errno == ENOENT ? WRIT_OK
				       : writ_fail_errno(err, errno, "socket '%s'", sa->sun_path);
	if (!S_ISSOCK(st.st_mode))
		return writ_fail(err, WRIT_EEXIST, "'%s' is there and is no socket: move it away",
			sa->sun_path);
	if (st.st_uid != geteuid())
		return writ_fail(err, WRIT_EEXIST, "socket '%s' belongs to uid %u, not to us (%u)",
			sa->sun_path, (unsigned)st.st_uid, (unsigned)geteuid());
	WRIT_AUTO(writ_closep)
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return writ_fail_errno(err, errno, "make a socket");
	if (connect(probe, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno != ECONNREFUSED)
		return writ_fail(err, WRIT_EEXIST,
			"socket '%s' is in use by another process (ss -xlp tells which)",
			sa->sun_path);
	if (unlink(sa->sun_path) != 0 && errno != ENOENT)
		return writ_fail_errno(err, errno, "remove stale socket '%s'", sa->sun_path);
	return WRIT_OK;
}

static writ_rc bind_unix(int fd, const struct sockaddr_un *sa, mode_t mode, struct writ_err *err)
{
	const int on = 1, off = 0;
	/* Inherited by every accepted socket, and so in force for what is sent before accept, too.
	 */
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0)
		return writ_fail_errno(
			err, errno, "socket '%s': ask for credentials", sa->sun_path);
	(void)setsockopt(fd, SOL_SOCKET, OPT_PASSRIGHTS, &off,
		sizeof(off)); /* else the first passed fd ends it */
	/* bind() makes the name with the socket's own mode less the umask: never looser than asked
	 * for. */
	if (fchmod(fd, mode) != 0 || bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) != 0)
		return writ_fail_errno(err, errno, "bind socket '%s'", sa->sun_path);
	if (listen(fd, BACKLOG) == 0 && chmod(sa->sun_path, mode) == 0)
		return WRIT_OK;
	writ_fail_errno(err, errno, "listen on socket '%s'", sa->sun_path);
	(void)unlink(sa->sun_path);
	return err ? err->rc : WRIT_EIO;
}

writ_rc writ_listen_unix(const char *path, mode_t mode, int *ret, struct writ_err *err)
{
	struct sockaddr_un sa;
	WRIT_AUTO(writ_closep) int fd = -1;
	WRIT_AUTO(writ_closep) int lock = -1;
	writ_rc rc = make_address(path, &sa, err);
	if (rc == WRIT_OK)
		rc = check_dir(path, err);
	if (rc != WRIT_OK)
		return rc;
	WRIT_AUTO(writ_freep) char *lock_path = writ_asprintf("%s.lock", path);
	rc = take_lock(lock_path, &lock, err);
	if (rc != WRIT_OK)
		return rc;
	rc = remove_stale(&sa, err);
	if (rc == WRIT_OK) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		rc = fd < 0 ? writ_fail_errno(err, errno, "make a socket")
			    : bind_unix(fd, &sa, mode, err);
	}
	(void)unlink(lock_path);
	if (rc == WRIT_OK)
		*ret = writ_steal_fd(fd);
	return rc;
}

static writ_rc parse_ip(const char *addr, uint16_t port, struct sockaddr_storage *sa, socklen_t *n,
	struct writ_err *err)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	*sa = (struct sockaddr_storage){ .ss_family = AF_UNSPEC };
	if (inet_pton(AF_INET, addr, &in.sin_addr) == 1) {
		memcpy(sa, &in, *n = sizeof(in));
		return WRIT_OK;
	}
	if (inet_pton(AF_INET6, addr, &in6.sin6_addr) == 1) {
		memcpy(sa, &in6, *n = sizeof(in6));
		return WRIT_OK;
	}
	return writ_fail(err, WRIT_EINVAL, "'%s' is no IP address", addr);
}

/* A peer that has vanished is noticed after half a minute. Inherited by accepted sockets. */
static void set_tcp_options(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ SOL_SOCKET, SO_REUSEADDR, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 15 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 5 },
		{ IPPROTO_TCP, TCP_KEEPCNT, 3 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, 30000 },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
	};
	for (size_t i = 0; i < WRIT_COUNT(options); i++)
		(void)setsockopt(
			fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

writ_rc writ_listen_tcp(
	const char *addr, uint16_t port, int *ret, uint16_t *port_ret, struct writ_err *err)
{
	struct sockaddr_storage sa;
	socklen_t n = 0;
	writ_rc rc = parse_ip(addr, port, &sa, &n, err);
	if (rc != WRIT_OK)
		return rc;
	WRIT_AUTO(writ_closep)
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return writ_fail_errno(err, errno, "make a socket");
	set_tcp_options(fd);
	if (bind(fd, (struct sockaddr *)&sa, n) != 0 || listen(fd, BACKLOG) != 0)
		return writ_fail_errno(err, errno, "listen on %s port %u", addr, port);
	n = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &n) != 0)
		return writ_fail_errno(err, errno, "listen on %s port %u", addr, port);
	/* The port stands at the same place in both kinds of address. */
	struct sockaddr_in in;
	memcpy(&in, &sa, sizeof(in));
	if (port_ret)
		*port_ret = ntohs(in.sin_port);
	*ret = writ_steal_fd(fd);
	return WRIT_OK;
}
