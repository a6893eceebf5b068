/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/control.h"

#include "base/log.h"
#include "base/mem.h"
#include "loop/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct writ_control {
	int fd;
	struct writ_poll *poll;
	const struct writ_control_events *events;
	void *arg;
};

union control_room {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int))];
};

writ_rc writ_control_send(
	int fd, enum writ_control_type type, struct writ_str text, int fd_out, struct writ_err *err)
{
	union control_room control = { .room = { 0 } };
	char packet[WRIT_CONTROL_MAX];
	if (text.n > sizeof(packet) - 1)
		return writ_fail(err, WRIT_ELIMIT, "control: %zu bytes, at most %zu fit", text.n,
			sizeof(packet) - 1);
	packet[0] = (char)type;
	if (text.n)
		memcpy(packet + 1, text.p, text.n);
	struct iovec part = { packet, text.n + 1 };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
	if (fd_out >= 0) {
		m.msg_control = control.room;
		m.msg_controllen = sizeof(control.room);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd_out, sizeof(fd_out));
	}
	ssize_t k;
	do {
		k = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (k < 0 && errno == EINTR);
	if (k >= 0)
		return WRIT_OK;
	return errno == EAGAIN ? writ_fail(err, WRIT_EBUSY, "control: the other side does not read")
			       : writ_fail_errno(err, errno, "control: send");
}

writ_rc writ_control_recv(int fd, char buf[WRIT_CONTROL_MAX], enum writ_control_type *type,
	struct writ_str *text, int *fd_in, struct writ_err *err)
{
	union control_room control;
	struct iovec part = { buf, WRIT_CONTROL_MAX };
	/* Not all of the room: the bytes that align it would hold a second descriptor, of which
	 * nobody here would know. */
	struct msghdr m = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = CMSG_LEN(sizeof(int)) };
	ssize_t k;
	*fd_in = -1;
	do {
		k = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (k < 0 && errno == EINTR);
	if (k == 0)
		return writ_fail(err, WRIT_EUNAVAIL, "control: the other side is gone");
	if (k < 0)
		return errno == EAGAIN ? writ_fail(err, WRIT_EBUSY, "control: nothing there")
				       : writ_fail_errno(err, errno, "control: receive");
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd_in, CMSG_DATA(c), sizeof(*fd_in));
	*type = (enum writ_control_type)buf[0];
	*text = writ_strn(buf + 1, (size_t)k - 1);
	return WRIT_OK;
}

static void ready(void *arg, int events)
{
	struct writ_control *c = arg;
	char buf[WRIT_CONTROL_MAX];
	enum writ_control_type type;
	struct writ_str text;
	int fd;
	struct writ_err err;
	(void)events;
	writ_rc rc = writ_control_recv(c->fd, buf, &type, &text, &fd, &err);
	if (rc == WRIT_EBUSY)
		return;
	if (rc) {
		writ_poll_set(c->poll, 0);
		c->events->lost(c->arg);
		return;
	}
	if (type == WRIT_CONTROL_SIGNER && fd >= 0)
		c->events->signer(c->arg, fd);
	else
		writ_closep(&fd);
}

writ_rc writ_control_open(struct writ_loop *loop, int fd, const struct writ_control_events *events,
	void *arg, struct writ_control **ret, struct writ_err *err)
{
	struct writ_control *c = writ_alloc(sizeof(*c));
	*c = (struct writ_control){ .fd = fd, .events = events, .arg = arg };
	writ_rc rc = writ_poll_new(loop, fd, ready, c, &c->poll, err);
	if (rc) {
		writ_free(c);
		return rc;
	}
	writ_poll_set(c->poll, WRIT_READABLE);
	*ret = c;
	return WRIT_OK;
}

void writ_control_close(struct writ_control *c)
{
	if (!c)
		return;
	writ_poll_free(c->poll);
	writ_closep(&c->fd);
	writ_free(c);
}

static void tell(struct writ_control *c, enum writ_control_type type, struct writ_str text)
{
	struct writ_err err;
	if (writ_control_send(c->fd, type, text, -1, &err) != WRIT_OK)
		WRIT_LOG_LIMITED(WARN, "monitor.unheard", WRIT_KV("error", (const char *)err.msg));
}

void writ_control_notify(struct writ_control *c, const char *text)
{
	tell(c, WRIT_CONTROL_NOTIFY, writ_cstr(text));
}

void writ_control_stuck(struct writ_control *c)
{
	tell(c, WRIT_CONTROL_STUCK, WRIT_STR(""));
}
