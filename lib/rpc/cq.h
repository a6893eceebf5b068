/* SPDX-License-Identifier: Apache-2.0 */
/* cq: gRPC's completion queue, brought to the loop. One thread for each loop runs the queue (and
 * with it all of gRPC's sockets); it only hands tags over, in batches. Inside lib/rpc only. */
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

/* The queue of this loop, made when it is the first to ask. */
struct writ_cq *writ_cq_get(struct writ_loop *l);
/* All operations that the holder started have come back. The last one to let go waits for the
 * thread (which is idle then); not from inside a done(). */
void writ_cq_put(struct writ_cq *q);
/* Around each call into gRPC on the loop that may complete something at once (a batch, a new
 * connection): what completes inside comes to the loop directly, after the present callback,
 * without waking the queue's thread and being woken by it. */
void writ_cq_enter(struct writ_cq *q);
void writ_cq_leave(struct writ_cq *q);
grpc_completion_queue *writ_cq_grpc(const struct writ_cq *q);

#endif
