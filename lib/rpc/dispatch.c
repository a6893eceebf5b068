/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/server.h"

#include "base/clock.h"
#include "rpc/wire.h"

#include <assert.h>
#include <grpc/support/alloc.h>
#include <stdio.h>
#include <string.h>

static void post(struct writ_rpc_server *s, struct slot *slot)
{
	struct writ_call *c = writ_call_new(s, slot);
	grpc_completion_queue *cq = writ_cq_grpc(s->cq);
	grpc_call_error e;
	writ_cq_enter(s->cq);
	if (!slot->registered)
		e = grpc_server_request_call(
			s->grpc, &c->grpc, &c->details, &c->metadata, cq, cq, &c->arrived);
	else
		e = grpc_server_request_registered_call(s->grpc, slot->registered, &c->grpc,
			&c->deadline, &c->metadata,
			slot->m->kind == WRIT_RPC_BIDI ? NULL : &c->payload, cq, cq, &c->arrived);
	writ_cq_leave(s->cq);
	assert(e == GRPC_CALL_OK);
	(void)e;
	slot->posted++;
	s->n_posted++;
}

void writ_server_post(struct writ_rpc_server *s, struct slot *slot)
{
	while (slot->posted < slot->target)
		post(s, slot);
}

/* "fd:N" is all that gRPC says of a connection of ours. */
static struct writ_peer *find_peer(const struct writ_rpc_server *s, grpc_call *call)
{
	char *text = grpc_call_get_peer(call);
	uint64_t fd = 0;
	writ_rc rc = WRIT_EINVAL;
	if (text && strncmp(text, "fd:", 3) == 0)
		rc = writ_parse_u64(writ_cstr(text + 3), 0, INT32_MAX, &fd, NULL);
	gpr_free(text);
	if (rc != WRIT_OK)
		return NULL;
	if (s->front)
		return writ_front_peer(s->front, (int)fd);
	return fd < s->n_fd_peers ? s->fd_peers[fd] : NULL;
}

/* A path that no handler serves; the row of a method that is known all the same is for `after`. */
static void refuse_unknown(struct writ_call *c)
{
	struct writ_str path = writ_wire_str(&c->details.method);
	char seen[128], text[192];
	for (size_t i = 0; i < c->s->cfg.n_methods; i++)
		if (writ_str_eq(path, writ_cstr(c->s->cfg.methods[i].path)))
			c->slot = &c->s->slots[i];
	writ_wire_text(path, seen, sizeof(seen));
	snprintf(text, sizeof(text), "there is no method %s here", seen);
	writ_call_end(c, GRPC_STATUS_UNIMPLEMENTED, text);
}

static void begin(struct writ_call *c)
{
	if (c->s->state != SERVER_RUNS)
		writ_call_end(c, GRPC_STATUS_UNAVAILABLE, "the server is stopping");
	else if (!c->peer)
		writ_call_end(c, GRPC_STATUS_UNAVAILABLE, "the connection is gone");
	else if (!c->slot->registered)
		refuse_unknown(c);
	else if (c->slot->m->kind != WRIT_RPC_BIDI)
		writ_call_enter(c);
	else {
		writ_call_watch(c);
		writ_call_read(c);
		writ_server_wait(c);
	}
}

void writ_call_arrived(struct tag *t, bool ok)
{
	struct writ_call *c = writ_container(t, struct writ_call, arrived);
	struct writ_rpc_server *s = c->s;
	struct slot *slot = c->slot;
	slot->posted--;
	s->n_posted--;
	if (!ok) { /* gRPC gives it back: it is shutting down */
		writ_call_discard(c);
		writ_server_check(s);
		return;
	}
	if (slot->posted == 0 && slot->target < POSTED_MAX)
		slot->target *= 2;
	if (s->state < SERVER_CUTS)
		writ_server_post(s, slot);
	writ_call_arrive(c);
	writ_call_ref(c);
	c->peer = find_peer(s, c->grpc);
	if (c->peer)
		writ_peer_ref(c->peer);
	if (!slot->registered)
		c->deadline = c->details.deadline;
	begin(c);
	writ_call_unref(c);
}

void writ_server_on_deadline(void *arg)
{
	struct writ_rpc_server *s = arg;
	while (!writ_list_empty(&s->waiting)) {
		struct writ_call *c = writ_container(s->waiting.next, struct writ_call, waiting);
		int64_t left = c->limit_us - writ_mono_us();
		if (left > 0) {
			writ_timer_start(s->timer, left / 1000 + 1);
			return;
		}
		writ_list_remove(&c->waiting);
		writ_call_end(c, GRPC_STATUS_DEADLINE_EXCEEDED,
			"the server could not answer within its own deadline");
	}
}

/* All wait equally long, so that the list stays in order and one timer does. */
void writ_server_wait(struct writ_call *c)
{
	struct writ_rpc_server *s = c->s;
	c->limit_us = c->started_us + s->cfg.unary_deadline_ms * 1000;
	writ_list_push(&s->waiting, &c->waiting);
	if (!writ_timer_active(s->timer))
		writ_timer_start(s->timer, s->cfg.unary_deadline_ms + 1);
}
