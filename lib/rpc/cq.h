/* SPDX-License-Identifier: Apache-2.0 */
/* cq: gRPC's completion queue, brought to the loop. A thread hands over, in batches, what gRPC
 * completes by itself. Who works on gRPC's sockets depends:
 *   relayed: all of them are the far ends of relays on this loop. The hub tells when something was
 *     done to them, and the loop's thread looks: no other one is ever woken for a socket.
 *   else: the same thread waits for them in the kernel.
 * Inside lib/rpc only. */
#ifndef WRIT_RPC_CQ_H
#define WRIT_RPC_CQ_H

#include "loop/loop.h"

#include <grpc/grpc.h>

/* What every operation of gRPC is started with, embedded in the object it is for. done() runs on
 * the loop, once for each operation. */
struct tag {
	void (*done)(struct tag *t, bool ok);
};

struct writ_cq;

/* The queue of this loop and kind, made when it is the first to ask. */
WRIT_MUST writ_rc writ_cq_get(
	struct writ_loop *l, bool relayed, struct writ_cq **ret, struct writ_err *err);
/* All operations that the holder started have come back. The last one to let go waits for the
 * thread (which is idle then); not from inside a done(). */
void writ_cq_put(struct writ_cq *q);
/* Around each call into gRPC on the loop that may complete something at once (a batch, a new
 * connection): what completes inside comes to the loop directly, after the present callback,
 * without waking the queue's thread and being woken by it. */
void writ_cq_enter(struct writ_cq *q);
void writ_cq_leave(struct writ_cq *q);
grpc_completion_queue *writ_cq_grpc(const struct writ_cq *q);
/* What a server must know of besides, for its sockets; NULL: nothing. */
grpc_completion_queue *writ_cq_sockets(const struct writ_cq *q);
/* gRPC was given a socket. */
void writ_cq_stir(struct writ_cq *q);

#endif
