/* SPDX-License-Identifier: Apache-2.0 */
/* channel: the client's side of rpc: one channel is one connection (no resolver, no reconnect: the
 * owner dials again). Loop thread. */
#ifndef WRIT_RPC_CHANNEL_H
#define WRIT_RPC_CHANNEL_H

#include "loop/loop.h"

#include <protobuf-c/protobuf-c.h>

struct writ_channel;
struct writ_rpc;

/* How a call ended. */
struct writ_rpc_status {
	writ_rc rc;          /* WRIT_OK, or the nearest kind */
	int code;            /* gRPC status code */
	const char *message; /* as sent by the server, or our own; borrowed for the callback */
	const void *details; /* grpc-status-details-bin: packed google.rpc.Status; may be NULL */
	size_t n_details;
};
/* "what: PermissionDenied: text" into err; what may be NULL. Returns its rc. */
writ_rc writ_rpc_status_err(
	const struct writ_rpc_status *s, const char *what, struct writ_err *err);

/* fd: connected, non-blocking, plaintext HTTP/2 (a Unix socket, or the end that writ_dial gave);
 * owned. */
WRIT_MUST writ_rc writ_channel_new(
	struct writ_loop *loop, int fd, struct writ_channel **ret, struct writ_err *err);
/* keepalive_ms: how long a silent connection is believed in; 0: 310 s, the least that a grpc-go
 * server with default settings allows. */
struct writ_channel_options {
	int64_t keepalive_ms;
	bool relayed; /* fd is what writ_dial gave, on this loop */
};
WRIT_MUST writ_rc writ_channel_new_with(struct writ_loop *loop, int fd,
	const struct writ_channel_options *o, struct writ_channel **ret, struct writ_err *err);
/* Connects to a Unix socket. The messages name the path and what to do: no such file, nobody
 * listens, no permission (with mode). */
WRIT_MUST writ_rc writ_channel_unix(
	struct writ_loop *loop, const char *path, struct writ_channel **ret, struct writ_err *err);
void writ_channel_close(struct writ_channel *c, void (*done)(void *arg),
	void *arg); /* calls end with Canceled; done may be NULL */

struct writ_rpc_header {
	const char *key, *value;
};

struct writ_rpc_request {
	const char *path;                /* static string */
	const ProtobufCMessage *message; /* packed inside the call; may be NULL for a bidi stream
					    that sends later */
	const ProtobufCMessageDescriptor *out;
	const struct writ_rpc_header *headers; /* may be NULL */
	size_t n_headers;
	int64_t deadline_ms;   /* 0: none (streams only) */
	bool bidi;             /* keep the sending side open for writ_rpc_send */
	uint32_t max_response; /* bytes of one message; 0: 4 MiB */
	/* A message; borrowed for the callback. For unary calls: at most once, before ended with rc
	 * WRIT_OK. */
	void (*message_in)(void *arg, struct writ_rpc *r, const ProtobufCMessage *m);
	void (*ended)(void *arg, struct writ_rpc *r,
		const struct writ_rpc_status *status); /* exactly once, last: r is gone after it */
	void *arg;
};

/* Never completes inside this call. NULL never: failures come through ended. */
struct writ_rpc *writ_rpc_start(struct writ_channel *c, const struct writ_rpc_request *req);
WRIT_MUST writ_rc writ_rpc_send(struct writ_rpc *r, const ProtobufCMessage *m,
	struct writ_err *err); /* queued, at most 16 */
void writ_rpc_close_send(struct writ_rpc *r);
void writ_rpc_cancel(struct writ_rpc *r); /* ended comes with Canceled */

/* Inside message_in: the message is the caller's from now on, to be freed with writ_pb_free
 * (rpc/rpc.h). */
ProtobufCMessage *writ_rpc_take(struct writ_rpc *r);

/* Unary, waiting on the loop: for the CLI. *ret is freed with writ_pb_free. status may be NULL;
 * what it points to stays until the channel's next writ_rpc_call or its close. */
WRIT_MUST writ_rc writ_rpc_call(struct writ_channel *c, const char *path,
	const ProtobufCMessage *in, const ProtobufCMessageDescriptor *out, int64_t deadline_ms,
	ProtobufCMessage **ret, struct writ_rpc_status *status, struct writ_err *err);

/* gRPC itself: start before the first channel or server of a process, stop after the last. Installs
 * a log function that escapes, rate-limits and never blocks. */
void writ_rpc_init(void);
/* The same for a program that serves behind fronts, while it has one thread: it decides how gRPC
 * polls (docs/adr/0018), and has no use for abseil's checks for developers. */
void writ_rpc_init_program(void);
void writ_rpc_shutdown(void);

#endif
