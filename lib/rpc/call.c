/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/server.h"

#include "base/clock.h"
#include "rpc/wire.h"

#include <assert.h>
#include <grpc/support/time.h>

#define CHUNK ((size_t)1024)

struct chunk {
	struct chunk *next;
	_Alignas(16) uint8_t p[];
};

struct writ_call *writ_call_new(struct writ_rpc_server *s, struct slot *slot)
{
	struct writ_call *c = writ_alloc(sizeof(*c));
	c->s = s;
	c->slot = slot;
	c->arrived.done = writ_call_arrived;
	c->received.done = writ_call_received;
	c->sent.done = writ_call_sent;
	c->closed.done = writ_call_closed;
	c->message = "";
	writ_list_init(&c->node);
	writ_list_init(&c->waiting);
	grpc_metadata_array_init(&c->metadata);
	if (!slot->registered)
		grpc_call_details_init(&c->details);
	return c;
}

void writ_call_arrive(struct writ_call *c)
{
	c->refs = 1;
	c->of_handler = true;
	c->started_us = writ_mono_us();
	c->s->n_calls++;
	writ_list_push(&c->s->calls, &c->node);
}

void writ_call_ref(struct writ_call *c)
{
	c->refs++;
}

static void free_call(struct writ_call *c)
{
	while (c->chunks) {
		struct chunk *next = c->chunks->next;
		writ_free(c->chunks);
		c->chunks = next;
	}
	if (c->payload)
		grpc_byte_buffer_destroy(c->payload);
	writ_pb_free(c->request);
	grpc_metadata_array_destroy(&c->metadata);
	if (!c->slot->registered)
		grpc_call_details_destroy(&c->details);
	if (c->grpc)
		grpc_call_unref(c->grpc);
	if (c->peer)
		writ_peer_unref(c->peer);
	writ_free(c);
}

void writ_call_discard(struct writ_call *c)
{
	free_call(c);
}

void writ_call_unref(struct writ_call *c)
{
	if (--c->refs > 0)
		return;
	struct writ_rpc_server *s = c->s;
	assert(c->ended);
	if (c->on_end)
		c->on_end(c);
	if (s->cfg.after)
		s->cfg.after(c, c->status, c->message, c->ended_us - c->started_us);
	writ_list_remove(&c->node);
	s->n_calls--;
	free_call(c);
	writ_server_check(s);
}

void writ_call_batch(struct writ_call *c, const grpc_op *ops, size_t n, struct tag *t)
{
	c->refs++;
	writ_cq_enter(c->s->cq);
	grpc_call_error e = grpc_call_start_batch(c->grpc, ops, n, t, NULL);
	writ_cq_leave(c->s->cq);
	assert(e == GRPC_CALL_OK);
	(void)e;
}

const struct writ_rpc_method *writ_call_method(const struct writ_call *c)
{
	return c->slot->m;
}

void *writ_call_program(const struct writ_call *c)
{
	return c->s->cfg.program;
}

const ProtobufCMessage *writ_call_request(const struct writ_call *c)
{
	return c->request;
}

struct writ_peer *writ_call_peer(const struct writ_call *c)
{
	return c->peer;
}

struct writ_str writ_call_metadata(const struct writ_call *c, const char *key, size_t *n)
{
	return writ_wire_find(&c->metadata, key, n);
}

/* More than half a chunk gets a block of its own, which goes behind the one in use, or counts as
 * full: whatever is in use has room for a chunk. */
static void *alloc_more(struct writ_call *c, size_t n)
{
	bool own = n > CHUNK / 2;
	struct chunk *k = writ_alloc(sizeof(*k) + (own ? n : CHUNK));
	if (own && c->chunks) {
		k->next = c->chunks->next;
		c->chunks->next = k;
		return k->p;
	}
	k->next = c->chunks;
	c->chunks = k;
	c->used = own ? CHUNK : n;
	return k->p;
}

void *writ_call_alloc(struct writ_call *c, size_t n)
{
	size_t cap = c->chunks ? CHUNK : sizeof(c->small);
	if (n > WRIT_CALL_ARENA_MAX - c->total)
		return NULL;
	n = (n + 15) & ~(size_t)15;
	c->total = c->total + n < WRIT_CALL_ARENA_MAX ? c->total + n : WRIT_CALL_ARENA_MAX;
	if (n > cap - c->used)
		return alloc_more(c, n);
	uint8_t *p = (c->chunks ? c->chunks->p : c->small) + c->used;
	c->used += n;
	return p;
}

static int64_t client_left_ms(const struct writ_call *c)
{
	gpr_timespec at = gpr_convert_clock_type(c->deadline, GPR_CLOCK_MONOTONIC);
	if (gpr_time_cmp(at, gpr_inf_future(GPR_CLOCK_MONOTONIC)) == 0)
		return INT64_MAX;
	gpr_timespec left = gpr_time_sub(at, gpr_now(GPR_CLOCK_MONOTONIC));
	return left.tv_sec * 1000 + left.tv_nsec / 1000000;
}

int64_t writ_call_deadline_left_ms(const struct writ_call *c)
{
	int64_t left = client_left_ms(c);
	if (c->slot->m->kind == WRIT_RPC_UNARY) {
		int64_t limit = c->started_us / 1000 + c->s->cfg.unary_deadline_ms;
		int64_t ours = limit - writ_mono_ms();
		left = ours < left ? ours : left;
	}
	return left > 0 ? left : 0;
}

void writ_call_set_user(struct writ_call *c, void *user)
{
	c->user = user;
}

void *writ_call_user(const struct writ_call *c)
{
	return c->user;
}

void writ_call_on_end(struct writ_call *c, void (*ended)(struct writ_call *c))
{
	c->on_end = ended;
}

void writ_call_on_writable(struct writ_call *c, void (*writable)(struct writ_call *c))
{
	c->writable = writable;
}

bool writ_call_cancelled(const struct writ_call *c)
{
	return c->ended || c->gone;
}
