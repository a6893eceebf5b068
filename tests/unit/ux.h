/* SPDX-License-Identifier: Apache-2.0 */
/* ux: a front on a Unix socket in a folder of its own; the backend is the other end of the socket
 * pair. For tests; add ux.c. */
#ifndef WRIT_TEST_UX_H
#define WRIT_TEST_UX_H

#include "front/front.h"

struct ux {
	struct writ_loop *loop;
	struct writ_front *front;
	char dir[64], path[96];
	int fd; /* the newest backend end */
	int ready, closed, refused, opened, answered;
	bool answer;
	struct writ_peer *peer; /* of the newest connection; a reference */
	struct writ_conn *conn;
	char why[WRIT_ERR_MAX];
};

void ux_open_with(struct ux *x, const struct writ_front_limits *limits, bool http2);
void ux_open(struct ux *x);
void ux_close(struct ux *x);
void ux_turn(struct ux *x, int64_t ms);
void ux_wait(struct ux *x, const int *counter, int n); /* until *counter is n */
int ux_dial(const struct ux *x);
void ux_put(int fd, const void *p, size_t n);
void ux_get(
	struct ux *x, int fd, void *p, size_t n); /* exactly n bytes, turning the loop meanwhile */
bool ux_over(struct ux *x, int fd);               /* has the far side of fd closed it? */
int ux_open_fds(void);
int ux_call(struct ux *x); /* a client past its preface; x->fd is its backend */
void ux_on_ready(void *arg, int fd, struct writ_peer *peer);
void ux_on_closed(void *arg, struct writ_peer *peer, const char *why);
void ux_on_answer(void *arg, bool ok);

extern const char ux_hello[];
#define UX_HELLO       33
#define UX_PATIENCE_MS 5000

#endif
