/* SPDX-License-Identifier: Apache-2.0 */
/* client: a channel and its calls from inside. Inside lib/rpc only. */
#ifndef WRIT_RPC_CLIENT_H
#define WRIT_RPC_CLIENT_H

#include "base/list.h"
#include "rpc/channel.h"
#include "rpc/cq.h"

#define WRIT_RPC_QUEUE 16

struct writ_channel {
	struct writ_loop *loop;
	struct writ_cq *cq;
	grpc_channel *grpc;
	struct writ_list calls;
	bool closing;
	void (*done)(void *arg);
	void *done_arg;
	struct writ_task task;
	char *last_text; /* of writ_rpc_call's last status */
	void *last_details;
};

struct writ_rpc {
	struct writ_channel *channel;
	struct writ_list node;       /* in channel->calls */
	grpc_call *grpc;             /* NULL: could not be started */
	int refs;                    /* tags at gRPC, and one while a function here works on it */
	struct writ_rpc_request req; /* message and headers are not kept */
	bool cancelled, sending, close_wanted, closed;
	struct tag sent, received, ended;
	struct writ_task task; /* ends a call that could not be started */
	grpc_byte_buffer *queue[WRIT_RPC_QUEUE];
	size_t first, n_queue;
	grpc_byte_buffer *payload;
	ProtobufCMessage *message; /* while message_in runs */
	grpc_metadata_array head, trailer;
	grpc_status_code code;
	grpc_slice text;
	struct writ_err err; /* what went wrong on this side; rc WRIT_OK: nothing */
};

/* client_call.c: the channel has no more call after the last. */
void writ_channel_check(struct writ_channel *c);

#endif
