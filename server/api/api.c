/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"

#include "base/mem.h"
#include "google/rpc/status.pb-c.h"
#include "spire/api/types/status.pb-c.h"

#include <stdio.h>
#include <string.h>

#define PERMISSION_DENIED 7
#define CHUNK_MIN         ((size_t)2048)
#define CHUNK_MAX         ((size_t)256 * 1024)

struct writ_api_chunk {
	struct writ_api_chunk *next;
	size_t size;
	_Alignas(16) uint8_t p[];
};

struct writ_api_call *writ_api_call(const struct writ_call *c)
{
	return writ_call_user(c);
}

static void push_chunk(struct writ_api_call *a, size_t at_least)
{
	size_t size = a->chunks ? a->chunks->size * 2 : CHUNK_MIN;
	size = size > CHUNK_MAX ? CHUNK_MAX : size;
	size = size < at_least ? at_least : size;
	struct writ_api_chunk *k = writ_alloc(sizeof(*k) + size);
	k->size = size;
	k->next = a->chunks;
	a->chunks = k;
	a->used = 0;
	a->total += size;
	if (a->total > WRIT_API_MEMORY_MAX)
		a->full = true;
}

void *writ_api_alloc(struct writ_call *c, size_t n)
{
	struct writ_api_call *a = writ_api_call(c);
	n = (n + 15) & ~(size_t)15;
	if (!a->chunks || n > a->chunks->size - a->used)
		push_chunk(a, n);
	void *p = a->chunks->p + a->used;
	a->used += n;
	return memset(p, 0, n); /* may have been used before a rewind */
}

struct writ_api_mark writ_api_mark(const struct writ_call *c)
{
	const struct writ_api_call *a = writ_api_call(c);
	return (struct writ_api_mark){ a->chunks, a->used, a->total };
}

void writ_api_rewind(struct writ_call *c, struct writ_api_mark mark)
{
	struct writ_api_call *a = writ_api_call(c);
	while (a->chunks != mark.chunk) {
		struct writ_api_chunk *k = a->chunks;
		a->chunks = k->next;
		writ_free(k);
	}
	a->used = mark.used;
	a->total = mark.total;
}

void writ_api_call_done(struct writ_call *c)
{
	writ_api_rewind(c, (struct writ_api_mark){ 0 });
}

char *writ_api_dup(struct writ_call *c, struct writ_str s)
{
	char *p = writ_api_alloc(c, s.n + 1);
	if (s.n)
		memcpy(p, s.p, s.n);
	return p;
}

char *writ_api_printf(struct writ_call *c, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return writ_api_dup(c, writ_cstr(text));
}

void *writ_api_new(struct writ_call *c, const ProtobufCMessageDescriptor *d)
{
	void *m = writ_api_alloc(c, d->sizeof_message);
	protobuf_c_message_init(d, m);
	return m;
}

void writ_api_reply(struct writ_call *c, const ProtobufCMessage *m)
{
	if (writ_api_call(c)->full)
		writ_api_fail(c, WRIT_ELIMIT, "the answer is too large: ask for fewer at once");
	else
		writ_call_reply(c, m);
}

void writ_api_end(
	struct writ_call *c, writ_rc rc, const ProtobufCMessage *m, const struct writ_err *err)
{
	if (rc == WRIT_OK)
		writ_api_reply(c, m);
	else
		writ_call_fail(c, err);
}

void writ_api_fail(struct writ_call *c, writ_rc rc, const char *fmt, ...)
{
	struct writ_err err;
	va_list ap;
	va_start(ap, fmt);
	(void)writ_vfail(&err, rc, fmt, ap);
	va_end(ap);
	writ_call_fail(c, &err);
}

/* google.rpc.Status with the reason as its one detail. */
static bool pack_reason(const char *message, int reason, struct writ_buf *out)
{
	struct writ_err err;
	WRIT_AUTO(writ_buf_done) struct writ_buf value = WRIT_BUF(64);
	Spire__Api__Types__PermissionDeniedDetails d =
		SPIRE__API__TYPES__PERMISSION_DENIED_DETAILS__INIT;
	d.reason = (Spire__Api__Types__PermissionDeniedDetails__Reason)reason;
	if (writ_pb_pack(&d.base, &value, &err) != WRIT_OK)
		return false;
	char type[] = "type.googleapis.com/spire.api.types.PermissionDeniedDetails";
	char text[256];
	snprintf(text, sizeof(text), "%s", message);
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT, *list[] = { &any };
	any.type_url = type;
	any.value = (ProtobufCBinaryData){ value.n, value.p };
	Google__Rpc__Status s = GOOGLE__RPC__STATUS__INIT;
	s.code = PERMISSION_DENIED;
	s.message = text;
	s.n_details = 1;
	s.details = list;
	return writ_pb_pack(&s.base, out, &err) == WRIT_OK;
}

void writ_api_deny(struct writ_call *c, const char *message, int reason)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf details = WRIT_BUF(1024);
	bool packed = pack_reason(message, reason, &details);
	writ_call_fail_status(
		c, PERMISSION_DENIED, message, packed ? details.p : NULL, packed ? details.n : 0);
}

void writ_api_note(struct writ_call *c, const char *key, struct writ_str value)
{
	struct writ_api_call *a = writ_api_call(c);
	if (a->n_notes < WRIT_API_NOTES)
		a->notes[a->n_notes++] = writ_kv_str(key, value);
}

static bool has_id(void *arg, const struct writ_peer *p)
{
	const struct writ_str *id = arg;
	return p->spiffe_id && writ_str_eq(*id, writ_cstr(p->spiffe_id));
}

size_t writ_api_cut(struct writ_api *api, struct writ_str spiffe_id, const char *why)
{
	if (!api->remote)
		return 0;
	return writ_front_cut(writ_rpc_server_front(api->remote), has_id, &spiffe_id, why);
}
