/* SPDX-License-Identifier: Apache-2.0 */
/* wlapi_impl: what the files of the Workload API share. Inside agent/wlapi only. */
#ifndef WRIT_AGENT_WLAPI_IMPL_H
#define WRIT_AGENT_WLAPI_IMPL_H

#include "rpc/rpc.h"
#include "wlapi/wlapi.h"

struct stream;

/* What a stream sends. */
struct stream_kind {
	const char *name;
	bool wants_svids; /* waits until each entry has its SVID */
	/* Has what it sends changed since the last message? */
	bool (*is_news)(const struct stream *s);
	writ_rc (*send)(struct stream *s, struct writ_err *err);
};

struct stream {
	struct writ_list node; /* in w->streams */
	struct writ_wlapi *w;
	struct writ_call *call; /* NULL: it has ended */
	const struct stream_kind *kind;
	struct writ_caller *caller;   /* reference */
	struct writ_facts *facts;     /* reference; NULL: not known yet */
	struct writ_attest_wait wait; /* for them */
	struct writ_proof *proof;     /* NULL: none under way */
	bool sending, stale, waits, sent;
	bool run_child;    /* in a launch that does not mean it */
	bool known_before; /* facts are older than this stream */
	bool proven;       /* in this very turn of the loop */
	unsigned again;    /* looks since the last message, for what was known had expired */
	uint64_t round;    /* of w when it was looked at last */
	int64_t started_us, wait_until_ms;
	struct writ_entry **entries; /* watched; owned array */
	size_t n;
	uint64_t *versions; /* what was sent of each */
	size_t n_versions;
	struct writ_bundle *bundle; /* that was sent; reference */
};

struct writ_wlapi {
	struct writ_wlapi_config cfg;
	struct writ_rpc_server *server;
	struct writ_list streams; /* those looked at longest ago in front */
	size_t n_streams;
	uint64_t round;
	bool sweep_posted, stopping;
	struct writ_task sweep;
	struct writ_timer *patience; /* runs while a stream waits */
	struct writ_metric attest_seconds;
	struct writ_wlapi_stats stats;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

/* stream.c */
void writ__stream_open(struct writ_call *c, const struct stream_kind *kind);
void writ__stream_sweep(struct writ_task *t);
void writ__stream_patience(void *arg);
extern const struct stream_kind writ__stream_x509_svid; /* answers.c */
extern const struct stream_kind writ__stream_x509_bundles;

/* decide.c: decisions for the log and the audit. */
void writ__deny(struct stream *s, const struct writ_err *why);
void writ__grant(const struct stream *s);

/* run.c: launches. */
void writ__run_launch(struct writ_call *c);
/* The entries that fit this caller, with what a launch adds to its selectors. */
size_t writ__match(struct stream *s, struct writ_entry **found);

/* health.c */
void writ__health_check(struct writ_call *c);
void writ__health_watch(struct writ_call *c);

#endif
