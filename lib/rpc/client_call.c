/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/client.h"

#include "rpc/rpc.h"
#include "rpc/wire.h"

#include <assert.h>
#include <grpc/support/time.h>
#include <string.h>

#define RESPONSE_MAX ((uint32_t)4 * 1024 * 1024)
#define HEADERS_MAX  16

static void drop_queue(struct writ_rpc *r)
{
	for (; r->n_queue > 0; r->n_queue--) {
		grpc_byte_buffer_destroy(r->queue[r->first]);
		r->first = (r->first + 1) % WRIT_RPC_QUEUE;
	}
}

static void report(struct writ_rpc *r)
{
	char text[WRIT_STATUS_TEXT_MAX];
	struct writ_rpc_status st = { .code = (int)r->code, .message = text };
	struct writ_str details = writ_wire_find(&r->trailer, "grpc-status-details-bin", NULL);
	writ_wire_text(writ_wire_str(&r->text), text, sizeof(text));
	if (details.n > 0) {
		st.details = details.p;
		st.n_details = details.n;
	}
	if (r->err.rc != WRIT_OK) {
		st = (struct writ_rpc_status){ .code = writ_rc_grpc(r->err.rc),
			.message = r->err.msg };
	}
	st.rc = r->err.rc != WRIT_OK ? r->err.rc : writ_rc_from_grpc(st.code);
	r->req.ended(r->req.arg, r, &st);
}

static void unref(struct writ_rpc *r)
{
	if (--r->refs > 0)
		return;
	struct writ_channel *c = r->channel;
	report(r);
	writ_list_remove(&r->node);
	drop_queue(r);
	if (r->payload)
		grpc_byte_buffer_destroy(r->payload);
	grpc_metadata_array_destroy(&r->head);
	grpc_metadata_array_destroy(&r->trailer);
	grpc_slice_unref(r->text);
	if (r->grpc)
		grpc_call_unref(r->grpc);
	writ_free(r);
	writ_channel_check(c);
}

static bool batch(struct writ_rpc *r, const grpc_op *ops, size_t n, struct tag *t)
{
	writ_cq_enter(r->channel->cq);
	grpc_call_error e = grpc_call_start_batch(r->grpc, ops, n, t, NULL);
	writ_cq_leave(r->channel->cq);
	if (e != GRPC_CALL_OK)
		return false;
	r->refs++;
	return true;
}

/* The call cannot go on, for a reason on this side. */
static void give_up(struct writ_rpc *r)
{
	if (r->grpc)
		grpc_call_cancel(r->grpc, NULL);
}

static void read_next(struct writ_rpc *r, bool first)
{
	grpc_op ops[2];
	size_t n = 0;
	memset(ops, 0, sizeof(ops));
	if (first) {
		ops[n].op = GRPC_OP_RECV_INITIAL_METADATA;
		ops[n++].data.recv_initial_metadata.recv_initial_metadata = &r->head;
	}
	ops[n].op = GRPC_OP_RECV_MESSAGE;
	ops[n++].data.recv_message.recv_message = &r->payload;
	bool ok = batch(r, ops, n, &r->received);
	assert(ok);
	(void)ok;
}

static void received(struct tag *t, bool ok)
{
	struct writ_rpc *r = writ_container(t, struct writ_rpc, received);
	grpc_byte_buffer *b = writ_steal(r->payload);
	struct writ_err err;
	if (!ok || !b || r->cancelled) { /* the status comes next */
		if (b)
			grpc_byte_buffer_destroy(b);
	} else if (writ_wire_unpack(b, r->req.out, r->req.max_response, &r->message, &err) !=
		WRIT_OK) {
		(void)writ_fail(&r->err, err.rc, "the answer is not usable: %.400s", err.msg);
		give_up(r);
	} else {
		if (r->req.message_in)
			r->req.message_in(r->req.arg, r, r->message);
		writ_pb_free(writ_rpc_take(r));
		read_next(r, false);
	}
	unref(r);
}

ProtobufCMessage *writ_rpc_take(struct writ_rpc *r)
{
	return writ_steal(r->message);
}

static void ended(struct tag *t, bool ok)
{
	(void)ok; /* always */
	unref(writ_container(t, struct writ_rpc, ended));
}

static void send_next(struct writ_rpc *r)
{
	grpc_op op;
	grpc_byte_buffer *b = NULL;
	memset(&op, 0, sizeof(op));
	if (r->sending)
		return;
	if (r->n_queue > 0) {
		b = r->queue[r->first];
		r->first = (r->first + 1) % WRIT_RPC_QUEUE;
		r->n_queue--;
		op.op = GRPC_OP_SEND_MESSAGE;
		op.data.send_message.send_message = b;
	} else if (r->close_wanted && !r->closed) {
		r->closed = true;
		op.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
	} else {
		return;
	}
	r->sending = batch(r, &op, 1, &r->sent);
	if (b)
		grpc_byte_buffer_destroy(b);
}

static void sent(struct tag *t, bool ok)
{
	struct writ_rpc *r = writ_container(t, struct writ_rpc, sent);
	r->sending = false;
	if (ok)
		send_next(r);
	else
		drop_queue(r);
	unref(r);
}

static gpr_timespec deadline(int64_t ms)
{
	gpr_timespec never = gpr_inf_future(GPR_CLOCK_MONOTONIC);
	if (ms <= 0)
		return never;
	return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN));
}

static bool start_sending(
	struct writ_rpc *r, const struct writ_rpc_request *req, grpc_byte_buffer *b)
{
	grpc_metadata head[HEADERS_MAX];
	grpc_op ops[3];
	size_t n = 0;
	memset(ops, 0, sizeof(ops));
	memset(head, 0, sizeof(head));
	assert(req->n_headers <= HEADERS_MAX);
	for (size_t i = 0; i < req->n_headers; i++) {
		head[i].key = grpc_slice_from_copied_string(req->headers[i].key);
		head[i].value = grpc_slice_from_copied_string(req->headers[i].value);
	}
	ops[n].op = GRPC_OP_SEND_INITIAL_METADATA;
	ops[n].data.send_initial_metadata.count = req->n_headers;
	ops[n++].data.send_initial_metadata.metadata = head;
	if (b) {
		ops[n].op = GRPC_OP_SEND_MESSAGE;
		ops[n++].data.send_message.send_message = b;
	}
	if (!req->bidi) {
		ops[n++].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
		r->closed = r->close_wanted = true;
	}
	r->sending = batch(r, ops, n, &r->sent);
	for (size_t i = 0; i < req->n_headers; i++) {
		grpc_slice_unref(head[i].key);
		grpc_slice_unref(head[i].value);
	}
	return r->sending;
}

static void start(struct writ_rpc *r, const struct writ_rpc_request *req)
{
	grpc_byte_buffer *b = NULL;
	grpc_op op;
	if (r->channel->closing) {
		(void)writ_fail(&r->err, WRIT_ECANCELED, "%s: the channel is closed", req->path);
		return;
	}
	if (req->message && writ_wire_pack(req->message, &b, &r->err) != WRIT_OK)
		return;
	r->grpc = grpc_channel_create_call(r->channel->grpc, NULL, GRPC_PROPAGATE_DEFAULTS,
		writ_cq_grpc(r->channel->cq), grpc_slice_from_static_string(req->path), NULL,
		deadline(req->deadline_ms), NULL);
	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_STATUS_ON_CLIENT;
	op.data.recv_status_on_client.trailing_metadata = &r->trailer;
	op.data.recv_status_on_client.status = &r->code;
	op.data.recv_status_on_client.status_details = &r->text;
	if (start_sending(r, req, b) && batch(r, &op, 1, &r->ended)) {
		read_next(r, true);
	} else {
		(void)writ_fail(
			&r->err, WRIT_EINVAL, "%s: a header of the call is not valid", req->path);
		give_up(r);
	}
	if (b)
		grpc_byte_buffer_destroy(b);
}

static void not_started(struct writ_task *t)
{
	unref(writ_container(t, struct writ_rpc, task));
}

struct writ_rpc *writ_rpc_start(struct writ_channel *c, const struct writ_rpc_request *req)
{
	struct writ_rpc *r = writ_alloc(sizeof(*r));
	assert(req->message || req->bidi);
	r->channel = c;
	r->req = *req;
	r->req.message = NULL;
	r->req.headers = NULL;
	if (r->req.max_response == 0)
		r->req.max_response = RESPONSE_MAX;
	r->sent.done = sent;
	r->received.done = received;
	r->ended.done = ended;
	r->task.run = not_started;
	r->text = grpc_empty_slice();
	grpc_metadata_array_init(&r->head);
	grpc_metadata_array_init(&r->trailer);
	writ_list_push(&c->calls, &r->node);
	r->refs = 1;
	start(r, req);
	if (r->refs > 1)
		r->refs--; /* a tag will come */
	else
		writ_loop_post(c->loop, &r->task);
	return r;
}

writ_rc writ_rpc_send(struct writ_rpc *r, const ProtobufCMessage *m, struct writ_err *err)
{
	grpc_byte_buffer *b = NULL;
	if (!r->grpc || r->cancelled || r->close_wanted)
		return writ_fail(
			err, WRIT_ECANCELED, "%s: the sending side is closed", r->req.path);
	if (r->n_queue == WRIT_RPC_QUEUE)
		return writ_fail(err, WRIT_EBUSY, "%s: %d messages wait to be sent already",
			r->req.path, WRIT_RPC_QUEUE);
	writ_rc rc = writ_wire_pack(m, &b, err);
	if (rc != WRIT_OK)
		return rc;
	r->queue[(r->first + r->n_queue++) % WRIT_RPC_QUEUE] = b;
	send_next(r);
	return WRIT_OK;
}

void writ_rpc_close_send(struct writ_rpc *r)
{
	r->close_wanted = true;
	if (r->grpc)
		send_next(r);
}

void writ_rpc_cancel(struct writ_rpc *r)
{
	r->cancelled = true;
	give_up(r);
}
