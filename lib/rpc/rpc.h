/* SPDX-License-Identifier: Apache-2.0 */
/* rpc: gRPC servers as tables. One row a method; everything that is the same for all (limits,
 * parsing into an arena, who may call, deadline, status mapping, audit, metrics) is done here. A
 * handler is a function from a checked request to a response or an error. The only folder that sees
 * <grpc/...>. All functions and callbacks: loop thread. */
#ifndef WRIT_RPC_RPC_H
#define WRIT_RPC_RPC_H

#include "base/buf.h"
#include "front/front.h"

#include <protobuf-c/protobuf-c.h>

struct writ_call;
struct writ_rpc_server;

enum writ_rpc_kind { WRIT_RPC_UNARY, WRIT_RPC_SERVER_STREAM, WRIT_RPC_BIDI };

struct writ_rpc_method {
	const char *path; /* "/spire.api.server.entry.v1.Entry/GetEntry" */
	enum writ_rpc_kind kind;
	unsigned who;  /* the program's bit mask of who may call */
	unsigned rate; /* the program's rate class, 0: none */
	const ProtobufCMessageDescriptor *in, *out;
	/* Unary and server stream: the request is there. Bidi: the first message is there. NULL:
	 * known, answers Unimplemented. */
	void (*handle)(struct writ_call *c);
	/* Bidi: a further message; writ_call_request gives it. It comes only when nothing is being
	 * sent, so that it can be answered at once. */
	void (*message)(struct writ_call *c);
	/* Bidi: the client is done sending, likewise. NULL: the call ends with OK. */
	void (*half_closed)(struct writ_call *c);
};

struct writ_rpc_server_config {
	struct writ_loop *loop;
	struct writ_front_config front; /* loop, http2, ready are filled in here; tls, closed,
					   refused, limits, name, arg are yours */
	const struct writ_rpc_method *methods;
	size_t n_methods;
	uint32_t max_request; /* bytes of one message */
	/* Without gRPC's filters for message size, deadlines and compression, which cost a fifth of
	 * a fresh call. Size is bounded by the guard then (a stream that sends more than its one
	 * small request ends the connection), deadlines by us. For servers whose requests are small
	 * and single. */
	bool light;
	int64_t unary_deadline_ms; /* the server's own; the client's wins when shorter. 0: 30,000 */
	void *program;             /* for writ_call_program */
	/* Before the handler: authorise, rate-limit. Must end in writ_call_run(c) or
	 * writ_call_fail(c), at once or later. NULL: run. */
	void (*before)(struct writ_call *c);
	/* After the end of each call, before its memory goes: audit and metrics. status is the gRPC
	 * code. May be NULL. */
	void (*after)(struct writ_call *c, int status, const char *message, int64_t took_us);
};

/* Owns listen_fd. Unknown paths are answered Unimplemented. */
WRIT_MUST writ_rc writ_rpc_server_start(const struct writ_rpc_server_config *cfg, int listen_fd,
	struct writ_rpc_server **ret, struct writ_err *err);
struct writ_front *writ_rpc_server_front(struct writ_rpc_server *s);
/* Stops accepting, ends open calls with Unavailable "the server is stopping" (never OK or
 * Canceled), waits up to deadline_ms for them to flush, then cuts; done() is called once, after
 * which nothing of the server is left. A handler that still holds a call without on_end is waited
 * for until it has answered. */
void writ_rpc_server_stop(
	struct writ_rpc_server *s, int64_t deadline_ms, void (*done)(void *arg), void *arg);

/* --- a call, as its handler sees it --- */
const struct writ_rpc_method *writ_call_method(const struct writ_call *c);
void *writ_call_program(const struct writ_call *c);
const ProtobufCMessage *writ_call_request(const struct writ_call
		*c); /* in the arena; until the call ends (bidi: until the next message) */
struct writ_peer *writ_call_peer(const struct writ_call *c); /* borrowed for the call's life */
/* Values of a request header. n: how many there are. */
struct writ_str writ_call_metadata(const struct writ_call *c, const char *key, size_t *n);
void *writ_call_alloc(
	struct writ_call *c, size_t n); /* zeroed; goes with the call. Bounded: WRIT_CALL_ARENA_MAX,
					   then aborts the call's growth by NULL */
int64_t writ_call_deadline_left_ms(const struct writ_call *c);
void writ_call_set_user(struct writ_call *c, void *user);
void *writ_call_user(const struct writ_call *c);
/* Runs once when the call has ended, whoever ended it; c is valid inside only. Set it in the
 * handler when something async holds c and can let go of it there: an end that is not the handler's
 * doing (client gone, deadline, server stop) is told by it at once, and c must not be answered
 * after. Without it c stays valid, and writ_call_cancelled true, until the handler has answered. */
void writ_call_on_end(struct writ_call *c, void (*ended)(struct writ_call *c));
bool writ_call_cancelled(const struct writ_call *c); /* the client is gone: answers are dropped
							silently, still answer exactly once */

void writ_call_run(struct writ_call *c); /* from `before` */
/* Unary: the answer. Packed at once: m may go afterwards. */
void writ_call_reply(struct writ_call *c, const ProtobufCMessage *m);
/* Streams: one message. WRIT_EBUSY while the one before is in flight: wait for writable. */
WRIT_MUST writ_rc writ_call_send(
	struct writ_call *c, const ProtobufCMessage *m, struct writ_err *err);
void writ_call_on_writable(struct writ_call *c,
	void (*writable)(struct writ_call *c)); /* after each message that was sent */
void writ_call_finish(struct writ_call *c);     /* streams: status OK, after what was sent */
/* Ends any call with the status of err->rc. A text that peers may not see is replaced by a general
 * one. */
void writ_call_fail(struct writ_call *c, const struct writ_err *err);
/* The same with an exact code and text; details: packed google.rpc.Status for
 * grpc-status-details-bin, or NULL. */
void writ_call_fail_status(
	struct writ_call *c, int code, const char *message, const void *details, size_t n_details);

#define WRIT_CALL_ARENA_MAX (8 * 1024 * 1024)

/* --- messages --- */
/* Checks bytes from a peer against a descriptor before they are unpacked: depth <= 32, no NUL and
 * only UTF-8 in strings, no group, sizes that cannot blow memory up beyond `budget` bytes.
 * protobuf-c itself checks none of these. */
WRIT_MUST writ_rc writ_pb_check(const ProtobufCMessageDescriptor *d, const void *p, size_t n,
	size_t budget, struct writ_err *err);
/* Checks, then unpacks into one block; freed as a whole by writ_pb_free. Default budget: 16 x n +
 * 64 KiB. */
WRIT_MUST writ_rc writ_pb_unpack(const ProtobufCMessageDescriptor *d, const void *p, size_t n,
	ProtobufCMessage **ret, struct writ_err *err);
void writ_pb_free(ProtobufCMessage *m); /* only for what writ_pb_unpack made */
WRIT_MUST writ_rc writ_pb_pack(
	const ProtobufCMessage *m, struct writ_buf *out, struct writ_err *err);

#endif
