/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/control.h"

#include "base/fdpass.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/loop.h"

#include <errno.h>
#include <string.h>

struct writ_control {
	int fd;
	struct writ_poll *poll;
	const struct writ_control_events *events;
	void *arg;
};

writ_rc writ_control_send(
	int fd, enum writ_control_type type, struct writ_str text, int fd_out, struct writ_err *err)
{
	char packet[WRIT_CONTROL_MAX];
	if (text.n > sizeof(packet) - 1)
		return writ_fail(err, WRIT_ELIMIT, "control: %zu bytes, at most %zu fit", text.n,
			sizeof(packet) - 1);
	packet[0] = (char)type;
	if (text.n)
		memcpy(packet + 1, text.p, text.n);
	if (writ_fdpass_send(fd, packet, text.n + 1, fd_out) >= 0)
		return WRIT_OK;
	return errno == EAGAIN ? writ_fail(err, WRIT_EBUSY, "control: the other side does not read")
			       : writ_fail_errno(err, errno, "control: send");
}

writ_rc writ_control_recv(int fd, char buf[WRIT_CONTROL_MAX], enum writ_control_type *type,
	struct writ_str *text, int *fd_in, struct writ_err *err)
{
	ssize_t k = writ_fdpass_recv(fd, buf, WRIT_CONTROL_MAX, fd_in);
	if (k == 0)
		return writ_fail(err, WRIT_EUNAVAIL, "control: the other side is gone");
	if (k < 0)
		return errno == EAGAIN ? writ_fail(err, WRIT_EBUSY, "control: nothing there")
				       : writ_fail_errno(err, errno, "control: receive");
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
