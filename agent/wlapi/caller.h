/* SPDX-License-Identifier: Apache-2.0 */
/* caller: the process behind a connection, pinned once, and attested for each call. Loop thread. */
#ifndef WRIT_AGENT_CALLER_H
#define WRIT_AGENT_CALLER_H

#include "attest/attestor.h"
#include "front/front.h"
#include "loop/loop.h"

/* What attesting needs; made once. */
struct writ_attest_env {
	struct writ_loop *loop;
	struct writ_attest_ctx ctx;
	struct writ_ns_self self;
	struct writ_pin_rules rules;
	const struct writ_attestor_vt *const *attestors;
	unsigned wants; /* enum writ_attest_flag: what the configuration always asks for */
};

/* The pin of one connection; kept by its peer, and by calls that are under way. */
struct writ_caller {
	int refs;
	struct writ_pin pin;
	unsigned jobs;            /* that read through the pin's folder now */
	struct writ_poll *end;    /* of the process */
	struct writ_front *front; /* borrowed; its connection is cut when the process ends */
	uint64_t conn_id;
};

/* The caller of this connection: pins it at the first call. *ret is borrowed from the peer. */
WRIT_MUST writ_rc writ_caller_of(struct writ_attest_env *env, struct writ_front *front,
	struct writ_peer *peer, struct writ_caller **ret, struct writ_err *err);
/* The process with this number, as if it had called: for what operators ask (by_pid.c). *ret is the
 * asker's: unref. WRIT_ENOENT: there is none. */
WRIT_MUST writ_rc writ_caller_of_pid(
	struct writ_attest_env *env, pid_t pid, struct writ_caller **ret, struct writ_err *err);
/* The connection has ended: lets go of the pin now. The front keeps a peer until its number is used
 * again, which may be never, and a pin is three descriptors. */
void writ_caller_closed(struct writ_peer *peer);
struct writ_caller *writ_caller_ref(struct writ_caller *c);
void writ_caller_unref(struct writ_caller *c);

/* Who a caller is, at one moment. */
struct writ_facts {
	struct writ_snapshot snapshot;
	struct writ_answer answer; /* sealed selectors, and notes on what was withheld */
};
void writ_facts_done(struct writ_facts *f);

struct writ_attesting; /* one that runs in a job */

/* Attests; wants: enum writ_attest_flag of what entries ask for. WRIT_EBUSY: it takes a job; done()
 * is called then, exactly once, with facts that it may move from. WRIT_OK: *facts is there already,
 * and done is not called. */
WRIT_MUST writ_rc writ_caller_attest(struct writ_attest_env *env, struct writ_caller *c,
	unsigned wants, struct writ_facts *facts,
	void (*done)(void *arg, writ_rc rc, const struct writ_err *err, struct writ_facts *facts),
	void *arg, struct writ_attesting **ret, struct writ_err *err);
/* The last look before keys leave: the same process in the same state and place, and alive.
 * just_now: seen was taken in this very turn of the loop, so its place is not looked at again. */
WRIT_MUST writ_rc writ_caller_recheck(const struct writ_attest_env *env, struct writ_caller *c,
	const struct writ_facts *seen, bool just_now, struct writ_err *err);
/* Until the next look: gives back the descriptor of its folder. */
void writ_caller_rest(struct writ_caller *c);
/* done() will not be called. */
void writ_caller_forget(struct writ_attesting *a);

#endif
