/* SPDX-License-Identifier: Apache-2.0 */
/* caller: the process behind a connection. All connections of one process share it, and what is
 * known of it is kept for a while after the last one: a program that calls again is checked against
 * what was seen before instead of being looked at anew. Loop thread. */
#ifndef WRIT_AGENT_CALLER_H
#define WRIT_AGENT_CALLER_H

#include "attest/attestor.h"
#include "attestor/link.h"
#include "base/map.h"
#include "front/front.h"
#include "runtime/asks.h"

#define WRIT_ATTEST_ALL_MAX 32

/* What attesting needs; made once with writ_attest_env_init. */
struct writ_attest_env {
	struct writ_loop *loop;
	struct writ_attest_link *link; /* borrowed: the attestation process */
	/* What is asked in this process, after the other one has answered: names, which may need
	 * the network. attestors ends with NULL. */
	struct writ_attest_ctx ctx;
	const struct writ_attestor_vt *const *attestors;
	struct writ_asks *asks; /* borrowed: runtimes, asked last of all; NULL: none */
	/* Those of both processes; ends with NULL. For what is told to operators. */
	const struct writ_attestor_vt *all[WRIT_ATTEST_ALL_MAX + 1];
	unsigned wants;        /* enum writ_attest_flag: what the configuration always asks for */
	size_t idle_max;       /* callers without a connection that are remembered */
	struct writ_map known; /* the callers' own */
	struct writ_list idle; /* longest without a connection in front */
	size_t n_idle;
	size_t jobs;              /* under way */
	void (*quiet)(void *arg); /* once, when there is none any more; NULL: nobody waits */
	void *quiet_arg;
};

void writ_attest_env_init(struct writ_attest_env *env, struct writ_loop *loop,
	struct writ_attest_link *link, const struct writ_attest_ctx *ctx,
	const struct writ_attestor_vt *const *attestors,
	const struct writ_attestor_vt *const *elsewhere);
/* Runtimes that are asked beside the attestors, as what is told to operators: name and types. */
void writ_attest_env_show(
	struct writ_attest_env *env, const struct writ_attestor_vt *const *runtimes);
/* No connection and no job is left: see env->jobs and env->quiet. */
void writ_attest_env_done(struct writ_attest_env *env);

/* Who a caller is, at one moment. Immutable; by reference. */
struct writ_facts {
	int refs;
	unsigned flags;  /* enum writ_attest_flag that it was asked with */
	int64_t seen_ms; /* monotonic */
	struct writ_snapshot snapshot;
	struct writ_answer answer; /* sealed selectors, and notes on what was withheld */
	struct writ_attest_link *link;
	uint64_t handle; /* of the attestation process */
	uid_t uid;       /* as whom it connected */
};
struct writ_facts *writ_facts_ref(struct writ_facts *f);
void writ_facts_unref(struct writ_facts *f); /* NULL is fine */

struct writ_caller;

/* The caller of this connection. *ret is borrowed from the peer. */
WRIT_MUST writ_rc writ_caller_of(struct writ_attest_env *env, struct writ_front *front,
	struct writ_peer *peer, struct writ_caller **ret, struct writ_err *err);
/* The connection has ended: lets go of the caller now. The front keeps a peer until its number is
 * used again, which may be never. */
void writ_caller_closed(struct writ_peer *peer);
/* A process by its facts, without a connection; pidfd is borrowed. *ret is the asker's: unref. */
WRIT_MUST writ_rc writ_caller_by_pidfd(struct writ_attest_env *env,
	const struct writ_pin_facts *who, bool groups_cut, struct writ_caller **ret,
	struct writ_err *err);
/* The process with this number, as if it had called: for what operators ask (by_pid.c). *ret is the
 * asker's: unref. WRIT_ENOENT: there is none. */
WRIT_MUST writ_rc writ_caller_of_pid(
	struct writ_attest_env *env, pid_t pid, struct writ_caller **ret, struct writ_err *err);
int writ_caller_pidfd(const struct writ_caller *c); /* borrowed */
struct writ_caller *writ_caller_ref(struct writ_caller *c);
void writ_caller_unref(struct writ_caller *c);

/* One who waits for facts; embedded in his object until done() or forget. */
struct writ_attest_wait {
	/* facts: a reference to take with writ_facts_ref; NULL when rc says why not */
	void (*done)(struct writ_attest_wait *w, writ_rc rc, const struct writ_err *err,
		struct writ_facts *facts);
	struct writ_list node; /* the caller's, as the rest */
	unsigned flags;
};
/* What is known of the caller with at least these flags: a borrowed reference, or NULL after it has
 * begun to look: done() comes then, never inside this call. */
struct writ_facts *writ_caller_attest(
	struct writ_caller *c, unsigned flags, struct writ_attest_wait *w);
/* The same without regard to what is known: done() comes always. */
void writ_caller_attest_anew(struct writ_caller *c, unsigned flags, struct writ_attest_wait *w);
void writ_attest_wait_forget(struct writ_attest_wait *w); /* idempotent */
/* These facts hold no more: the next one looks anew. */
void writ_caller_outdated(struct writ_caller *c, const struct writ_facts *f);

/* The proof before keys leave: the connection's far end acknowledges a PING, by a message that the
 * kernel attributes to the caller, and after that the process is still what facts say, where it
 * was, and alive. done() comes exactly once, not inside the call, unless it is forgotten. */
struct writ_proof;
struct writ_proof *writ_caller_prove(struct writ_front *front, struct writ_peer *peer,
	struct writ_facts *facts, void (*done)(void *arg, writ_rc rc, const struct writ_err *err),
	void *arg);
void writ_proof_forget(struct writ_proof *p);

#endif
