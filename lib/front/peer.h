/* SPDX-License-Identifier: Apache-2.0 */
/* peer: who is at the other end of a connection, as the kernel (Unix socket) or a verified
 * certificate (TLS) says it. Immutable but for `closed`; shared by reference; loop thread only. */
#ifndef WRIT_FRONT_PEER_H
#define WRIT_FRONT_PEER_H

#include "crypto/cert.h"

#include <sys/types.h>

#define WRIT_PEER_GROUPS 64

struct writ_conn;

enum writ_peer_kind { WRIT_PEER_UNIX, WRIT_PEER_TCP };

struct writ_peer {
	int refs;
	uint64_t conn_id; /* number of the connection in its front, never used again */
	enum writ_peer_kind kind;
	bool closed; /* the connection is gone: pidfd is closed then */
	/* Unix: at connect() time, from SO_PEERCRED, SO_PEERGROUPS, SO_PEERPIDFD (or pidfd_open
	 * right after accept). */
	pid_t pid;
	uid_t uid;
	gid_t gid;
	gid_t groups[WRIT_PEER_GROUPS];
	size_t n_groups;
	bool groups_withheld; /* it has more than WRIT_PEER_GROUPS: n_groups is 0 */
	int pidfd;            /* owned by the front; -1 on TCP or once closed */
	/* TCP: "127.0.0.1:4711"; Unix: "unix:pid=4711,uid=1000". For logs. */
	char addr[64];
	/* TLS: the verified leaf; NULL when none was presented or it is a Unix socket. */
	struct writ_cert *cert;
	char *spiffe_id;        /* "" when there is none */
	struct writ_conn *conn; /* the front's own; NULL once closed */
	void *user; /* the program's own data for this connection (a pinned caller); freed by
		       user_free at the last unref */
	void (*user_free)(void *user);
};

struct writ_peer *writ_peer_ref(struct writ_peer *p);
void writ_peer_unref(struct writ_peer *p);

#endif
