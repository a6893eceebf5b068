/* SPDX-License-Identifier: Apache-2.0 */
/* link: the serving process's end of the talk with the attestation process. Loop thread. Each
 * question has a deadline; none is lost: done() comes exactly once unless it is forgotten. Users
 * take turns (turns.h): none makes the others wait by asking much. */
#ifndef WRIT_ATTESTOR_LINK_H
#define WRIT_ATTESTOR_LINK_H

#include "attestor/talk.h"
#include "base/list.h"
#include "loop/loop.h"

/* A first look may hash a large program. */
#define WRIT_ATTESTOR_WAIT_MS 10000

struct writ_attest_link;

/* One question; embedded in the asker's object, which stays until done() or forget. */
struct writ_attest_ask {
	/* rc and err: of the talk, or what the attestation process found. reply is borrowed; NULL
	 * when there is none. Never inside the call that asked. */
	void (*done)(struct writ_attest_ask *q, writ_rc rc, const struct writ_err *err,
		const struct writ_talk_reply *reply);
	struct writ_list node; /* the link's, as the rest */
	uint64_t id;
	uid_t uid;
	int64_t deadline_ms;
};

/* Owns fd. down(): the attestation process is gone; all that is asked then fails. */
WRIT_MUST writ_rc writ_attest_link_new(struct writ_loop *loop, int fd, void (*down)(void *arg),
	void *arg, struct writ_attest_link **ret, struct writ_err *err);
/* done() of what is still asked is not called; NULL is fine. */
void writ_attest_link_free(struct writ_attest_link *l);

/* Looks at this peer (its pidfd is borrowed). The handle is for the calls below, with the peer's
 * uid; it has to be let go also when the look failed. */
uint64_t writ_attest_link_look(struct writ_attest_link *l, struct writ_attest_ask *q,
	const struct writ_pin_facts *peer, bool groups_cut, unsigned flags);
void writ_attest_link_check(struct writ_attest_link *l, struct writ_attest_ask *q, uid_t uid,
	uint64_t handle, unsigned flags);
void writ_attest_link_let_go(struct writ_attest_link *l, uid_t uid, uint64_t handle);
void writ_attest_forget(struct writ_attest_ask *q); /* idempotent; also after done() */

#endif
