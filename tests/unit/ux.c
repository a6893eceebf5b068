/* SPDX-License-Identifier: Apache-2.0 */
#include "ux.h"

#include "check.h"
#include "loop_kit.h"

#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

void ux_on_ready(void *arg, int fd, struct writ_peer *peer)
{
	struct ux *x = arg;
	x->fd = fd;
	x->ready++;
	writ_peer_unref(x->peer);
	x->peer = writ_peer_ref(peer);
	assert_ptr_equal(writ_front_peer(x->front, fd), peer);
}

static void on_open(void *arg, struct writ_conn *c, struct writ_peer *peer)
{
	struct ux *x = arg;
	x->opened++;
	x->conn = c;
	writ_peer_unref(x->peer);
	x->peer = writ_peer_ref(peer);
}

void ux_on_closed(void *arg, struct writ_peer *peer, const char *why)
{
	struct ux *x = arg;
	assert_true(peer->closed);
	assert_int_equal(peer->pidfd, -1);
	x->closed++;
	(void)snprintf(x->why, sizeof(x->why), "%s", why);
}

static void on_refused(void *arg, const char *addr, const struct writ_err *why)
{
	struct ux *x = arg;
	(void)addr;
	x->refused++;
	(void)snprintf(x->why, sizeof(x->why), "%s", why->msg);
}

void ux_on_answer(void *arg, bool ok)
{
	struct ux *x = arg;
	x->answered++;
	x->answer = ok;
}

void ux_open_with(struct ux *x, const struct writ_front_limits *limits, bool http2)
{
	struct writ_err err;
	int fd = -1;
	*x = (struct ux){ .fd = -1 };
	strcpy(x->dir, "/tmp/writ-front-XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	(void)snprintf(x->path, sizeof(x->path), "%s/api.sock", x->dir);
	assert_int_equal(writ_loop_new(&x->loop, &err), WRIT_OK);
	if (writ_listen_unix(x->path, 0777, &fd, &err) != WRIT_OK)
		fail_msg("%s", err.msg);
	struct writ_front_config cfg = { .loop = x->loop,
		.name = "test",
		.limits = limits ? *limits : WRIT_FRONT_LIMITS,
		.http2 = http2,
		.ready = ux_on_ready,
		.open = on_open,
		.closed = ux_on_closed,
		.refused = on_refused,
		.arg = x };
	if (writ_front_start(&cfg, fd, &x->front, &err) != WRIT_OK)
		fail_msg("%s", err.msg);
}

void ux_open(struct ux *x)
{
	ux_open_with(x, NULL, true);
}

void ux_close(struct ux *x)
{
	writ_peer_unref(x->peer);
	if (x->fd >= 0)
		close(x->fd);
	writ_front_free(x->front);
	writ_loop_free(x->loop);
	assert_int_equal(writ_fs_remove_tree(x->dir, NULL), WRIT_OK);
}

void ux_turn(struct ux *x, int64_t ms)
{
	loop_kit_turn(x->loop, ms);
}

void ux_wait(struct ux *x, const int *counter, int n)
{
	loop_kit_count(x->loop, counter, n, x->why);
}

int ux_dial(const struct ux *x)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	memcpy(sa.sun_path, x->path, strlen(x->path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

const char ux_hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

void ux_put(int fd, const void *p, size_t n)
{
	assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
}

void ux_get(struct ux *x, int fd, void *p, size_t n)
{
	loop_kit_get(x->loop, fd, p, n);
}

bool ux_over(struct ux *x, int fd)
{
	return loop_kit_over(x->loop, fd);
}

int ux_open_fds(void)
{
	int n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

int ux_call(struct ux *x)
{
	char back[UX_HELLO];
	int fd = ux_dial(x), before = x->ready;
	ux_put(fd, ux_hello, UX_HELLO);
	ux_wait(x, &x->ready, before + 1);
	ux_get(x, x->fd, back, UX_HELLO);
	return fd;
}
