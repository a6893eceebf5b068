/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/server.h"

#include "base/clock.h"
#include "rpc/wire.h"

#include <assert.h>
#include <string.h>

/* A client ends a call at its own deadline; its clock and ours differ by the way between. */
#define DEADLINE_SLACK_MS 20

static const char general[] = "the request failed inside the server; its log says why";

static void send_status(struct writ_call *c, grpc_byte_buffer *reply)
{
	grpc_op ops[4];
	size_t n = 0;
	memset(ops, 0, sizeof(ops));
	if (!c->head_sent)
		ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
	if (reply) {
		ops[n].op = GRPC_OP_SEND_MESSAGE;
		ops[n++].data.send_message.send_message = reply;
	}
	grpc_slice text = grpc_slice_from_static_string(c->message);
	grpc_metadata details;
	ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
	ops[n].data.send_status_from_server.status = (grpc_status_code)c->status;
	ops[n].data.send_status_from_server.status_details = &text;
	if (c->n_details_bin > 0) {
		details = writ_wire_details(c->details_bin, c->n_details_bin);
		ops[n].data.send_status_from_server.trailing_metadata_count = 1;
		ops[n].data.send_status_from_server.trailing_metadata = &details;
	}
	n++;
	if (!c->close_asked) {
		ops[n].op = GRPC_OP_RECV_CLOSE_ON_SERVER;
		ops[n++].data.recv_close_on_server.cancelled = &c->cancelled;
	}
	c->head_sent = c->close_asked = c->sending = true;
	writ_call_batch(c, ops, n, &c->sent);
	if (c->n_details_bin > 0)
		grpc_slice_unref(details.value);
}

static const void *keep(struct writ_call *c, const void *p, size_t n)
{
	void *copy = n > 0 ? writ_call_alloc(c, n) : NULL;
	return copy ? memcpy(copy, p, n) : NULL;
}

/* Decides how the call ends, and says so as soon as it can be said. */
static void end(struct writ_call *c, int status, const char *message, grpc_byte_buffer *reply)
{
	assert(!c->ended);
	const char *copy = *message ? keep(c, message, strlen(message) + 1) : NULL;
	c->ended = true;
	c->ended_us = writ_mono_us();
	c->status = status;
	c->message = copy ? copy : "";
	writ_list_remove(&c->waiting);
	c->end_waits = c->sending;
	if (!c->gone && !c->sending)
		send_status(c, reply);
}

void writ_call_let_go(struct writ_call *c)
{
	if (!c->of_handler)
		return;
	c->of_handler = false;
	writ_call_unref(c);
}

void writ_call_end(struct writ_call *c, int status, const char *message)
{
	if (c->ended)
		return;
	writ_call_ref(c);
	end(c, status, message, NULL);
	if (c->on_end && c->of_handler) {
		void (*ended)(struct writ_call *) = c->on_end;
		c->on_end = NULL;
		ended(c);
		writ_call_let_go(c);
	}
	if (!c->seen)
		writ_call_let_go(c);
	writ_call_unref(c);
}

void writ_call_watch(struct writ_call *c)
{
	if (c->close_asked)
		return;
	grpc_op op;
	memset(&op, 0, sizeof(op));
	op.op = GRPC_OP_RECV_CLOSE_ON_SERVER;
	op.data.recv_close_on_server.cancelled = &c->cancelled;
	c->close_asked = true;
	writ_call_batch(c, &op, 1, &c->closed);
}

void writ_call_closed(struct tag *t, bool ok)
{
	struct writ_call *c = writ_container(t, struct writ_call, closed);
	(void)ok;
	c->gone = c->cancelled != 0;
	if (c->gone && writ_call_deadline_left_ms(c) <= DEADLINE_SLACK_MS)
		writ_call_end(c, GRPC_STATUS_DEADLINE_EXCEEDED, "the deadline passed");
	else if (c->gone)
		writ_call_end(c, GRPC_STATUS_CANCELLED, "the client is gone");
	writ_call_unref(c);
}

void writ_call_sent(struct tag *t, bool ok)
{
	struct writ_call *c = writ_container(t, struct writ_call, sent);
	c->sending = false;
	if (c->end_waits) {
		c->end_waits = false;
		if (!c->gone)
			send_status(c, NULL);
	} else if (ok && !c->ended && c->writable) {
		c->writable(c);
	}
	writ_call_deliver_waiting(c);
	writ_call_unref(c);
}

/* The handler's last word. After a call was ended by something else it is not heard any more. */
static void answer(struct writ_call *c, int status, const char *message, grpc_byte_buffer *reply)
{
	writ_call_ref(c);
	if (!c->ended)
		end(c, status, message, reply);
	writ_call_let_go(c);
	writ_call_unref(c);
}

void writ_call_reply(struct writ_call *c, const ProtobufCMessage *m)
{
	grpc_byte_buffer *b = NULL;
	struct writ_err err;
	assert(c->slot->m->kind == WRIT_RPC_UNARY);
	if (writ_wire_pack(m, &b, &err) != WRIT_OK) {
		writ_call_fail(c, &err);
		return;
	}
	answer(c, GRPC_STATUS_OK, "", b);
	grpc_byte_buffer_destroy(b);
}

void writ_call_finish(struct writ_call *c)
{
	assert(c->slot->m->kind != WRIT_RPC_UNARY);
	answer(c, GRPC_STATUS_OK, "", NULL);
}

void writ_call_fail_status(
	struct writ_call *c, int code, const char *message, const void *details, size_t n_details)
{
	char text[WRIT_STATUS_TEXT_MAX];
	writ_wire_text(writ_cstr(message), text, sizeof(text));
	if (!c->ended && n_details <= WRIT_DETAILS_MAX) {
		c->details_bin = keep(c, details, n_details);
		c->n_details_bin = c->details_bin ? n_details : 0;
	}
	answer(c, code, text, NULL);
}

void writ_call_fail(struct writ_call *c, const struct writ_err *err)
{
	bool open = writ_rc_is_public(err->rc) && err->rc != WRIT_OK;
	int code = err->rc == WRIT_OK ? GRPC_STATUS_INTERNAL : writ_rc_grpc(err->rc);
	writ_call_fail_status(c, code, open ? err->msg : general, NULL, 0);
}
