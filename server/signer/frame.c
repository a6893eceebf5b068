/* SPDX-License-Identifier: Apache-2.0 */
#include "signer/frame.h"

#include "base/clock.h"
#include "base/fdpass.h"
#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_STEP (64 * 1024)

/* The newest descriptor wins: a peer that sends many has one of them here. */
static ssize_t receive(int fd, void *p, size_t n, int *fd_in)
{
	WRIT_AUTO(writ_closep) int passed = -1;
	ssize_t k = writ_fdpass_recv(fd, p, n, &passed);
	if (fd_in && passed >= 0) {
		writ_closep(fd_in);
		*fd_in = writ_steal_fd(passed);
	}
	return k;
}

writ_rc writ_frame_fill(int fd, struct writ_buf *buf, int *fd_in, struct writ_err *err)
{
	size_t room = buf->max - buf->n;
	size_t want = room < READ_STEP ? room : READ_STEP;
	uint8_t *at = want ? writ_buf_room(buf, want) : NULL;
	if (!at)
		return writ_fail(
			err, WRIT_ELIMIT, "receive: %zu bytes wait to be worked on", buf->n);
	ssize_t k = receive(fd, at, want, fd_in);
	if (k > 0) {
		writ_buf_grew(buf, (size_t)k);
		return WRIT_OK;
	}
	if (k == 0)
		return writ_fail(err, WRIT_EUNAVAIL, "receive: the other side is gone");
	if (errno == EAGAIN)
		return writ_fail(err, WRIT_EBUSY, "receive: nothing there");
	return writ_fail_errno(err, errno, "receive");
}

writ_rc writ_frame_peek(
	const struct writ_buf *buf, size_t max, struct writ_str *ret, struct writ_err *err)
{
	if (buf->n < WRIT_FRAME_HEAD)
		return WRIT_ENOENT;
	const uint8_t *p = buf->p;
	size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	if (n == 0 || n > max)
		return writ_fail(
			err, WRIT_EPROTO, "a frame of %zu bytes, 1 to %zu are allowed", n, max);
	if (buf->n - WRIT_FRAME_HEAD < n)
		return WRIT_ENOENT;
	*ret = writ_strn(p + WRIT_FRAME_HEAD, n);
	return WRIT_OK;
}

void writ_frame_drop(struct writ_buf *buf, struct writ_str frame)
{
	writ_buf_drop(buf, WRIT_FRAME_HEAD + frame.n);
}

size_t writ_frame_start(struct writ_buf *buf)
{
	static const uint8_t head[WRIT_FRAME_HEAD];
	size_t start = buf->n;
	writ_buf_add(buf, head, sizeof(head));
	return start;
}

writ_rc writ_frame_end(struct writ_buf *buf, size_t start, struct writ_err *err)
{
	size_t n = buf->n - start - WRIT_FRAME_HEAD;
	if (buf->failed || n > WRIT_FRAME_MAX) {
		buf->failed = false;
		buf->n = start;
		return writ_fail(err, WRIT_ELIMIT, "a frame over %d bytes", WRIT_FRAME_MAX);
	}
	for (size_t i = 0; i < WRIT_FRAME_HEAD; i++)
		buf->p[start + i] = (uint8_t)(n >> (24 - 8 * i));
	return WRIT_OK;
}

/* Waits for one event: >0 ready, 0 deadline, <0 gone. */
static int wait_for(int fd, short events, int watch_fd, int64_t deadline_ms)
{
	for (;;) {
		int64_t left = deadline_ms - writ_mono_ms();
		if (left <= 0)
			return 0;
		struct pollfd p[2] = { { .fd = fd, .events = events }, { .fd = watch_fd } };
		int n = poll(p, 2, left > 60000 ? 60000 : (int)left);
		if (n < 0 && errno != EINTR)
			return -1;
		if (n <= 0)
			continue;
		return p[1].revents ? -1 : 1;
	}
}

writ_rc writ_frame_send(
	int fd, struct writ_str bytes, int watch_fd, int64_t deadline_ms, struct writ_err *err)
{
	while (bytes.n) {
		ssize_t k = send(fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (k >= 0) {
			bytes = writ_strn(bytes.p + k, bytes.n - (size_t)k);
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return writ_fail_errno(err, errno, "send");
		int w = wait_for(fd, POLLOUT, watch_fd, deadline_ms);
		if (w == 0)
			return writ_fail(err, WRIT_ETIMEOUT, "send: the other side does not read");
		if (w < 0)
			return writ_fail(err, WRIT_EUNAVAIL, "send: the other side is gone");
	}
	return WRIT_OK;
}

writ_rc writ_frame_recv(int fd, struct writ_buf *buf, int *fd_in, int64_t deadline_ms,
	struct writ_str *ret, struct writ_err *err)
{
	for (;;) {
		writ_rc rc = writ_frame_peek(buf, buf->max - WRIT_FRAME_HEAD, ret, err);
		if (rc != WRIT_ENOENT)
			return rc;
		int w = wait_for(fd, POLLIN, -1, deadline_ms);
		if (w == 0)
			return writ_fail(err, WRIT_ETIMEOUT, "receive: no answer in time");
		rc = w < 0 ? writ_fail_errno(err, errno, "receive")
			   : writ_frame_fill(fd, buf, fd_in, err);
		if (rc && rc != WRIT_EBUSY)
			return rc;
	}
}
