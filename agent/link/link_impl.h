/* SPDX-License-Identifier: Apache-2.0 */
/* link_impl: what the files of the link share. Inside agent/link only. */
#ifndef WRIT_AGENT_LINK_IMPL_H
#define WRIT_AGENT_LINK_IMPL_H

#include "base/limiter.h"
#include "front/dial.h"
#include "link/fetch.h"
#include "link/join.h"
#include "link/link.h"
#include "link/sync.h"

enum link_state {
	LINK_WAIT, /* for the next try */
	LINK_DIAL,
	LINK_JOIN,   /* connected without an SVID: key and request, then AttestAgent */
	LINK_BUNDLE, /* still without: GetBundle, then to disk */
	LINK_UP,     /* connected with the SVID */
	LINK_END,
};

/* How to join. */
enum link_by { LINK_BY_KEY, LINK_BY_TOKEN, LINK_BY_PROVER };

/* A key, its request, then an SVID: for joining and for renewing. */
struct fresh {
	struct writ_job job;
	struct writ_key *key;
	struct writ_buf csr;
	struct writ_prover *prover; /* NULL: its payload is not wanted */
	struct writ_buf payload;    /* its own */
	struct writ_err err;
	bool running, again; /* again: somebody else wants one as well, then */
	void (*then)(struct writ_link *l);
};

/* The state on its way to disk. */
struct save {
	struct writ_job job;
	struct writ_state state;
	char *path;
	struct writ_err err;
	bool running, wanted;
};

struct writ_link {
	struct writ_link_config cfg;
	struct writ_state state;   /* what is on disk, or (bundle) about to be */
	struct writ_svid *pending; /* got, not on disk yet */
	bool pending_reattestable;
	enum link_state at;
	struct writ_dial *dial;
	struct writ_channel *channel;
	struct writ_rpc *rpc;    /* the unary call of the state, or the renewal */
	struct writ_join *join;  /* the one whose outcome counts */
	unsigned joins;          /* under way, older ones included */
	struct writ_join *proof; /* the one that the prover works for */
	bool proving;            /* the prover was started, and not stopped yet */
	struct writ_sync *sync;
	struct writ_fetch *fetch;
	struct fresh fresh;
	struct save save;
	struct writ_timer *timer, *renew, *settle;
	struct writ_backoff backoff;
	bool svid_refused, proof_refused; /* the server does not take the SVID; nor the key */
	enum link_by by;                  /* the join under way */
	bool bundle_came;                 /* while LINK_BUNDLE */
	bool hurried; /* a tainted SVID was renewed before its time, and the next one may be no
			 better */
	bool fatal, banned;
	unsigned closings; /* channels whose close is not done */
	struct writ_link_stats stats;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* link.c */
void writ__link_retry(struct writ_link *l, const char *what, const struct writ_err *err);
void writ__link_retry_in(
	struct writ_link *l, const char *what, const struct writ_err *err, int64_t wait_ms);
void writ__link_drop(struct writ_link *l);      /* the connection */
void writ__link_reconnect(struct writ_link *l); /* at once */
void writ__link_fatal(struct writ_link *l, const struct writ_err *err);
void writ__link_banned(struct writ_link *l); /* deletes the state; fatal */
void writ__link_settle(struct writ_link *l); /* frees the link when nothing of it is under way */
/* A status that says something about this agent rather than the call. True: it was dealt with. */
bool writ__link_judge(struct writ_link *l, const struct writ_rpc_status *s);
bool writ__link_has_svid(const struct writ_link *l); /* one that holds, and is not refused */

/* save.c: key and request, and the state to disk; jobs. */
void writ__link_fresh(struct writ_link *l, void (*done)(struct writ_link *l));
void writ__link_save(struct writ_link *l);
void writ__link_saved(struct writ_link *l, const struct writ_err *err); /* in own.c */

/* prove.c: the prover, one attestation at a time. */
WRIT_MUST writ_rc writ__link_prove(struct writ_link *l, struct writ_err *err); /* start */
/* The payload, where it was not made with the key. */
WRIT_MUST writ_rc writ__link_prove_payload(struct writ_link *l, struct writ_err *err);
void writ__link_proved(struct writ_link *l); /* stop; no attestation under way is fine */

/* own.c: the agent's own SVID. */
void writ__link_join(struct writ_link *l);   /* LINK_JOIN: the channel is there */
void writ__link_bundle(struct writ_link *l); /* LINK_BUNDLE */
void writ__link_plan_renewal(struct writ_link *l);
void writ__link_on_renew(void *arg);
void writ__link_new_bundle(struct writ_link *l, struct writ_bundle *b);

#endif
