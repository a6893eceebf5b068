/* SPDX-License-Identifier: Apache-2.0 */
/* talk: what the agent's serving process and its attestation process say to each other, over a
 * SOCK_SEQPACKET socket pair, a message a packet. Pure; codec.h's numbers.
 *
 * Look: 'L', id (8), handle (8), flags (4), then of the peer pid, uid, gid (4 each), whether its
 * groups were cut (1), and its groups (4 each, after their number, 2). One descriptor comes along:
 * the peer's pidfd. Check: 'C', id, handle, flags. Forget: 'F', id (0), handle, flags (0); it is
 * not answered.
 *
 * Reply: id (8), writ_rc (4), error text (after its length, 2); for a look that went well the
 * snapshot and the answer, as in attest/wire.h, each after its length (4). */
#ifndef WRIT_ATTESTOR_TALK_H
#define WRIT_ATTESTOR_TALK_H

#include "attest/pin.h"
#include "base/buf.h"

#define WRIT_TALK_REQUEST_MAX (64 + 4 * WRIT_PIN_GROUPS_MAX)
/* What a caller with 256 groups of long names and the longest paths needs is a fraction of this. */
#define WRIT_TALK_REPLY_MAX (160 * 1024)

enum writ_talk_op {
	WRIT_TALK_LOOK = 'L',  /* pin the peer and say who it is */
	WRIT_TALK_CHECK = 'C', /* is it still what it was at that look? */
	WRIT_TALK_FORGET = 'F' /* the handle is not used any more */
};

enum writ_talk_flag {
	WRIT_TALK_PLACE = 1 << 30, /* check: also where it runs, namespaces and cgroup */
	WRIT_TALK_ALONE = 1 << 29  /* look, check: no other question is under way */
};

struct writ_talk_request {
	enum writ_talk_op op;
	uint64_t id;     /* of this question, given back with the answer */
	uint64_t handle; /* of the look; the asker numbers them */
	uint32_t flags;  /* enum writ_talk_flag; look: and enum writ_attest_flag */
	pid_t pid;
	uid_t uid;
	gid_t gid;
	bool groups_cut;
	gid_t groups[WRIT_PIN_GROUPS_MAX];
	size_t ngroups;
};

struct writ_talk_reply {
	uint64_t id;
	writ_rc rc;
	struct writ_str error, snapshot, answer; /* borrowed */
};

void writ_talk_put_request(const struct writ_talk_request *q, struct writ_buf *out);
/* WRIT_EPROTO: not one. */
WRIT_MUST writ_rc writ_talk_get_request(
	struct writ_str bytes, struct writ_talk_request *ret, struct writ_err *err);
void writ_talk_put_reply(const struct writ_talk_reply *r, struct writ_buf *out);
WRIT_MUST writ_rc writ_talk_get_reply(
	struct writ_str bytes, struct writ_talk_reply *ret, struct writ_err *err);

/* Of a system call on the socket between the two: is it to be made again? It would have to wait, or
 * the kernel had no memory just now. */
bool writ_talk_is_passing(int error);

#endif
