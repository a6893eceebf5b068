/* SPDX-License-Identifier: Apache-2.0 */
/* wire: messages as gRPC carries them. Inside lib/rpc only. */
#ifndef WRIT_RPC_WIRE_H
#define WRIT_RPC_WIRE_H

#include "base/err.h"

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <protobuf-c/protobuf-c.h>

/* No message of ours is larger, in either direction; most peers take 4 MiB by default. */
#define WRIT_MESSAGE_MAX (64 * 1024 * 1024)
/* What a status may say: it travels in a header. */
#define WRIT_STATUS_TEXT_MAX 1024
#define WRIT_DETAILS_MAX     4096

/* *ret is destroyed by the caller: right after the batch that it was given to has started, because
 * that empties it. */
WRIT_MUST writ_rc writ_wire_pack(
	const ProtobufCMessage *m, grpc_byte_buffer **ret, struct writ_err *err);
/* Takes b (NULL: there was no message). *ret: writ_pb_free. */
WRIT_MUST writ_rc writ_wire_unpack(grpc_byte_buffer *b, const ProtobufCMessageDescriptor *d,
	size_t max, ProtobufCMessage **ret, struct writ_err *err);

/* The row of a trailing grpc-status-details-bin; unref its value after the batch has started. */
grpc_metadata writ_wire_details(const void *p, size_t n);
struct writ_str writ_wire_str(const grpc_slice *s); /* borrowed */
/* The first value of key, *n how many there are (may be NULL). */
struct writ_str writ_wire_find(const grpc_metadata_array *a, const char *key, size_t *n);
/* Text of a peer or for one: cut to n - 1 bytes, control bytes replaced. */
void writ_wire_text(struct writ_str text, char *out, size_t n);

#endif
