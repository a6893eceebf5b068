/* SPDX-License-Identifier: Apache-2.0 */
/* front_kit: a TLS front on a free port and dials to it, for tests. */
#ifndef WRIT_TEST_FRONT_KIT_H
#define WRIT_TEST_FRONT_KIT_H

#include "front/dial.h"
#include "front/front.h"
#include "tls_kit.h"

struct rig {
	struct writ_loop *loop;
	struct writ_front *front;
	uint16_t port;
	struct writ_tls_ctx *server; /* in force; tests swap it */
	int ready, opened, closed, refused;
	int fd; /* newest backend end */
	struct writ_conn *conn;
	struct writ_peer *peer; /* newest; a reference */
	char why[WRIT_ERR_MAX];
	writ_rc refused_rc;
};

/* One dial and what it reported. */
struct call {
	struct writ_dial *dial;
	int done, closed;
	int fd;
	writ_rc rc;
	struct writ_peer *peer; /* a reference */
	char why[WRIT_ERR_MAX];
	bool free_in_callback;
};

void rig_open(struct rig *x, const struct writ_front_limits *limits, bool http2,
	enum writ_tls_peer_mode mode);
void rig_close(struct rig *x);
void rig_turn(struct rig *x, int64_t ms);
void rig_wait(struct rig *x, const int *counter, int n);
void rig_get(struct rig *x, int fd, void *p, size_t n);
bool rig_over(struct rig *x, int fd);
void rig_dial(struct rig *x, struct call *c, const char *host, uint16_t port,
	const struct kit_ctx *client, int64_t ms);
void rig_hang_up(struct call *c);

extern const char rig_hello[];
#define RIG_HELLO 33

#endif
