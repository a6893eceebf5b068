/* SPDX-License-Identifier: Apache-2.0 */
/* identity: learning who is at the other end of a socket that was just accepted. Inside lib/front
 * only. */
#ifndef WRIT_FRONT_IDENTITY_H
#define WRIT_FRONT_IDENTITY_H

#include "front/peer.h"

struct sockaddr;

struct writ_peer *writ_peer_new(enum writ_peer_kind kind); /* owned */
void writ_peer_gone(struct writ_peer *p); /* the connection ended: closed, and no pidfd any more */

/* From the kernel, at once after accept: pid, uid and gid. overflow: the uid that stands for "no
 * number here", NULL: every uid has one. */
WRIT_MUST writ_rc writ_peer_learn_unix(
	int fd, const uid_t *overflow, struct writ_peer **ret, struct writ_err *err);
/* What costs more, for those who may stay: groups and pidfd. The caller is refused when it cannot
 * be pinned. */
WRIT_MUST writ_rc writ_peer_pin(int fd, struct writ_peer *p, struct writ_err *err);
/* source: what limits and debts are counted by: the address, of IPv6 the /64. */
struct writ_peer *writ_peer_learn_tcp(const struct sockaddr *sa, uint8_t source[16]);
/* True when this process sees only some of the system's uids (a user namespace): then *ret is the
 * number of all others. In the initial namespace that number is an ordinary user, nobody. */
bool writ_overflow_uid(uid_t *ret);

#endif
