/* SPDX-License-Identifier: Apache-2.0 */
/* frame: 4 bytes of length (big-endian) and that many bytes, over a stream socket. The form of all
 * talk between server, monitor and signer: docs/protocol/signer.txt. */
#ifndef WRIT_SIGNER_FRAME_H
#define WRIT_SIGNER_FRAME_H

#include "base/buf.h"

#define WRIT_FRAME_HEAD 4
#define WRIT_FRAME_MAX  (1024 * 1024) /* bytes behind the head */

/* Takes what the socket has, without waiting, at most what buf's maximum leaves. fd_in: where a
 * descriptor that came along is put (one already there is closed); NULL: none is taken. WRIT_EBUSY:
 * nothing there now. WRIT_EUNAVAIL: the other side is gone. */
WRIT_MUST writ_rc writ_frame_fill(int fd, struct writ_buf *buf, int *fd_in, struct writ_err *err);

/* The first frame in buf, borrowed; afterwards writ_frame_drop. WRIT_ENOENT: not all of it is here
 * yet. WRIT_EPROTO: a length of 0 or over max. */
WRIT_MUST writ_rc writ_frame_peek(
	const struct writ_buf *buf, size_t max, struct writ_str *ret, struct writ_err *err);
void writ_frame_drop(struct writ_buf *buf, struct writ_str frame);

/* A frame is built in place: start, append, end. end: WRIT_ELIMIT when it became too long (buf is
 * as before start). */
size_t writ_frame_start(struct writ_buf *buf);
WRIT_MUST writ_rc writ_frame_end(struct writ_buf *buf, size_t start, struct writ_err *err);

/* Sends everything, and waits for room until the deadline (monotonic ms). Ends early with
 * WRIT_EUNAVAIL when the other side, or that of watch_fd (-1: none), is gone. */
WRIT_MUST writ_rc writ_frame_send(
	int fd, struct writ_str bytes, int watch_fd, int64_t deadline_ms, struct writ_err *err);
/* Waits until a whole frame is in buf, then as peek. WRIT_ETIMEOUT at the deadline. */
WRIT_MUST writ_rc writ_frame_recv(int fd, struct writ_buf *buf, int *fd_in, int64_t deadline_ms,
	struct writ_str *ret, struct writ_err *err);

#endif
