/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/server.h"

#include "rpc/wire.h"

#include <assert.h>
#include <string.h>

writ_rc writ_call_send(struct writ_call *c, const ProtobufCMessage *m, struct writ_err *err)
{
	grpc_byte_buffer *b = NULL;
	grpc_op ops[2];
	size_t n = 0;
	assert(c->slot->m->kind != WRIT_RPC_UNARY);
	if (c->ended || c->gone)
		return writ_fail(err, WRIT_ECANCELED, "the call has ended");
	if (c->sending)
		return writ_fail(err, WRIT_EBUSY, "the message before is still on its way");
	writ_rc rc = writ_wire_pack(m, &b, err);
	if (rc != WRIT_OK)
		return rc;
	memset(ops, 0, sizeof(ops));
	if (!c->head_sent)
		ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[n].op = GRPC_OP_SEND_MESSAGE;
	ops[n++].data.send_message.send_message = b;
	c->head_sent = c->sending = true;
	writ_call_batch(c, ops, n, &c->sent);
	grpc_byte_buffer_destroy(b);
	return WRIT_OK;
}

void writ_call_run(struct writ_call *c)
{
	assert(!c->ran);
	c->ran = true;
	if (c->ended) { /* while `before` had it */
		writ_call_let_go(c);
		return;
	}
	writ_call_ref(c);
	c->slot->m->handle(c);
	if (!c->ended && c->slot->m->kind == WRIT_RPC_BIDI)
		writ_call_read(c);
	writ_call_unref(c);
}

void writ_call_read(struct writ_call *c)
{
	if (c->reading || c->ended)
		return;
	grpc_op op;
	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_MESSAGE;
	op.data.recv_message.recv_message = &c->payload;
	c->reading = true;
	writ_call_batch(c, &op, 1, &c->received);
}

static bool unpack(struct writ_call *c)
{
	struct writ_err err;
	ProtobufCMessage *m = NULL;
	grpc_byte_buffer *b = writ_steal(c->payload);
	writ_rc rc = writ_wire_unpack(b, c->slot->m->in, c->s->cfg.max_request, &m, &err);
	if (rc != WRIT_OK) {
		writ_call_end(c, writ_rc_grpc(rc), err.msg);
		return false;
	}
	writ_pb_free(c->request);
	c->request = m;
	return true;
}

void writ_call_enter(struct writ_call *c)
{
	if (!unpack(c))
		return;
	c->seen = true;
	if (c->s->cfg.before)
		c->s->cfg.before(c);
	else
		writ_call_run(c);
	if (c->ended)
		return;
	writ_call_watch(c);
	if (c->slot->m->kind == WRIT_RPC_UNARY)
		writ_server_wait(c);
}

static void half_closed(struct writ_call *c)
{
	/* a client that is gone looks the same; `closed` comes for that one */
	if (grpc_call_failed_before_recv_message(c->grpc))
		return;
	if (!c->seen)
		writ_call_end(c, GRPC_STATUS_INVALID_ARGUMENT, "the stream had no message");
	else if (c->slot->m->half_closed)
		c->slot->m->half_closed(c);
	else
		writ_call_end(c, GRPC_STATUS_OK, "");
}

static void deliver(struct writ_call *c)
{
	if (c->ended || !c->received_ok) {
		/* the end of the call has been seen, or will be at once */
	} else if (!c->payload) {
		half_closed(c);
	} else if (!c->seen) {
		writ_list_remove(&c->waiting);
		writ_call_enter(c);
	} else if (!c->slot->m->message) {
		writ_call_end(c, GRPC_STATUS_INVALID_ARGUMENT, "one message is expected, not more");
	} else if (unpack(c)) {
		c->slot->m->message(c);
		writ_call_read(c);
	}
	writ_call_unref(c);
}

/* The answer to a message may be overtaken by the next one: the handler gets that one when it can
 * answer it. */
void writ_call_received(struct tag *t, bool ok)
{
	struct writ_call *c = writ_container(t, struct writ_call, received);
	c->reading = false;
	c->received_ok = ok;
	if (c->sending && !c->ended)
		c->received_waits = true;
	else
		deliver(c);
}

void writ_call_deliver_waiting(struct writ_call *c)
{
	if (!c->received_waits || (c->sending && !c->ended))
		return;
	c->received_waits = false;
	deliver(c);
}
