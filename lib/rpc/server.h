/* SPDX-License-Identifier: Apache-2.0 */
/* server: a server and its calls from inside. Inside lib/rpc and its tests only. */
#ifndef WRIT_RPC_SERVER_H
#define WRIT_RPC_SERVER_H

#include "rpc/cq.h"
#include "rpc/rpc.h"

/* A method, and how many requests for its next calls wait at gRPC. */
struct slot {
	const struct writ_rpc_method *m;
	void *registered; /* NULL: the slot of all paths that are not served */
	unsigned posted, target;
};

enum server_state {
	SERVER_RUNS,
	SERVER_ENDS, /* new calls are answered, and open ones ended, with Unavailable */
	SERVER_CUTS, /* gRPC shuts down; nobody can call any more */
	SERVER_GOES, /* the last task is on its way */
};

struct writ_rpc_server {
	struct writ_rpc_server_config cfg;
	enum server_state state;
	struct writ_cq *cq;
	grpc_server *grpc;
	grpc_server_credentials *creds;
	struct writ_front *front;    /* NULL: connections come by writ_rpc_server_add_fd */
	size_t conns;                /* connections of the front that gRPC has */
	struct writ_peer **fd_peers; /* by descriptor: of connections that came by add_fd */
	size_t n_fd_peers;
	struct writ_list calls; /* arrived and not freed yet */
	struct writ_list
		waiting; /* those that have to be answered by a time of ours: soonest first */
	struct writ_timer *timer; /* for the first of them */
	size_t n_calls, n_posted;
	struct tag shut; /* gRPC has shut down */
	bool shut_done;
	struct writ_timer *cut; /* the end of patience while stopping */
	bool impatient;         /* ... has come */
	int64_t stop_ms;
	void (*stopped)(void *arg);
	void *stopped_arg;
	struct writ_task task; /* begins the stop, and ends it */
	struct slot unknown;
	struct slot slots[];
};

struct chunk;

struct writ_call {
	struct writ_rpc_server *s;
	struct slot *slot;
	grpc_call *grpc;
	struct writ_list node;    /* in s->calls */
	struct writ_list waiting; /* in s->waiting, or nowhere */
	/* One for the handler (until it has answered, or was told that it is over), one for each
	 * tag at gRPC, one while a function here works on the call. */
	int refs;
	bool of_handler; /* the handler's reference */
	bool seen; /* the program knows the call: it holds of_handler until it answers or on_end was
		      called */
	bool ran;  /* writ_call_run was called */
	bool ended;     /* what the status will be is decided */
	bool gone;      /* the client is: nothing can be sent */
	bool sending;   /* `sent` is at gRPC */
	bool end_waits; /* the status goes out when what is being sent has gone */
	bool head_sent, close_asked, reading;
	bool received_ok;
	bool received_waits; /* until what is being sent has gone */
	int cancelled;       /* gRPC's answer to close_asked */
	struct tag arrived, received, sent, closed;
	grpc_metadata_array metadata;
	grpc_call_details details; /* of calls to unknown paths */
	gpr_timespec deadline;     /* the client's */
	grpc_byte_buffer *payload;
	ProtobufCMessage *request;
	struct writ_peer *peer;
	int64_t started_us, ended_us;
	int64_t limit_us; /* when it is in s->waiting */
	int status;
	const char *message; /* in the arena */
	const void *details_bin;
	size_t n_details_bin;
	void (*on_end)(struct writ_call *c);
	void (*writable)(struct writ_call *c);
	void *user;
	struct chunk *chunks; /* the arena, after `small` is used up */
	size_t used, total;
	_Alignas(16) uint8_t small[128];
};

/* For tests: a connection that did not come through the front. fd is owned, peer is referenced.
 * listen_fd of writ_rpc_server_start is -1 then, and there is no front. */
void writ_rpc_server_add_fd(struct writ_rpc_server *s, int fd, struct writ_peer *peer);

/* Requests that wait at gRPC for calls to come, by method. They cost memory, so a method starts
 * with few and gets more when all were used at once. */
#define POSTED_FIRST 2
#define POSTED_MAX   64

/* dispatch.c */
void writ_server_post(struct writ_rpc_server *s, struct slot *slot);
void writ_server_wait(struct writ_call *c); /* answer within the server's own deadline */
void writ_server_on_deadline(void *arg);
void writ_call_arrived(struct tag *t, bool ok);
void writ_server_check(struct writ_rpc_server *s); /* stop.c: what was waited for may be there */

/* call.c */
struct writ_call *writ_call_new(struct writ_rpc_server *s, struct slot *slot);
void writ_call_discard(struct writ_call *c); /* one that never arrived */
void writ_call_arrive(struct writ_call *c);
void writ_call_ref(struct writ_call *c);
void writ_call_unref(struct writ_call *c);
void writ_call_batch(struct writ_call *c, const grpc_op *ops, size_t n, struct tag *t);

/* answer.c: the end of a call that is not the handler's doing. */
void writ_call_end(struct writ_call *c, int status, const char *message);
void writ_call_let_go(struct writ_call *c); /* the handler's reference */
void writ_call_watch(struct writ_call *c);  /* asks gRPC to say when the client is gone */
void writ_call_sent(struct tag *t, bool ok);
void writ_call_closed(struct tag *t, bool ok);

/* stream.c */
void writ_call_read(struct writ_call *c); /* bidi: the next message */
void writ_call_received(struct tag *t, bool ok);
void writ_call_deliver_waiting(struct writ_call *c);
void writ_call_enter(struct writ_call *c); /* the request is there */

#endif
