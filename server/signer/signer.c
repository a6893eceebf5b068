/* SPDX-License-Identifier: Apache-2.0 */
#include "signer/signer.h"

#include "base/clock.h"
#include "base/mem.h"
#include "signer/frame.h"
#include "signer/signer_impl.h"
#include "spiffe/id.h"

#include <inttypes.h>
#include <string.h>

/* What the signer has decides what it may be asked. */
enum { HAS_NONE = 1, HAS_CA = 2, HAS_ACTIVE = 4, HAS_ANY = 7 };

static writ_rc status(struct writ_signer *s, const writ_signer_request *q, writ_signer_reply *r,
	struct writ_err *err)
{
	(void)s;
	(void)q;
	(void)r;
	(void)err;
	return WRIT_OK;
}

static const struct permit {
	int op;
	unsigned allowed;
	const char *name;
	writ_rc (*handle)(struct writ_signer *s, const writ_signer_request *q, writ_signer_reply *r,
		struct writ_err *err);
} permits[] = {
	{ WRIT__SIGNER__V1__REQUEST__OP_STATUS, HAS_ANY, "Status", status },
	{ WRIT__SIGNER__V1__REQUEST__OP_PREPARE_CA, HAS_ANY, "PrepareCa", writ_signer_prepare },
	{ WRIT__SIGNER__V1__REQUEST__OP_ACTIVATE_CA, HAS_CA | HAS_ACTIVE, "ActivateCa",
		writ_signer_activate },
	{ WRIT__SIGNER__V1__REQUEST__OP_DROP_CA, HAS_CA | HAS_ACTIVE, "DropCa", writ_signer_drop },
	{ WRIT__SIGNER__V1__REQUEST__OP_SIGN, HAS_ACTIVE, "Sign", writ_signer_sign },
};

writ_rc writ_signer_new(
	const struct writ_signer_config *c, struct writ_signer **ret, struct writ_err *err)
{
	writ_rc rc = writ_td_check(writ_cstr(c->trust_domain), err);
	if (rc)
		return writ_wrap(err, rc, "trust_domain");
	struct writ_signer *s = writ_alloc(sizeof(*s));
	s->config = *c;
	s->config.trust_domain = writ_strdup(c->trust_domain);
	s->certs = WRIT_BUF(WRIT_FRAME_MAX);
	writ_arena_init(&s->arena);
	*ret = s;
	return WRIT_OK;
}

void writ_signer_free(struct writ_signer *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		writ_slot_done(&s->slots[i]);
	writ_arena_done(&s->arena);
	writ_buf_done(&s->certs);
	writ_freep(&s->config.trust_domain);
	writ_free(s);
}

void writ_signer_freep(struct writ_signer **s)
{
	writ_signer_free(*s);
}

struct writ_slot *writ_signer_active(struct writ_signer *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->slots[i].state == WRIT_SLOT_ACTIVE)
			return &s->slots[i];
	return NULL;
}

writ_rc writ_signer_adopt(struct writ_signer *s, struct writ_str text, struct writ_err *err)
{
	if (s->n == WRIT_SIGNER_SLOTS_MAX)
		return writ_fail(
			err, WRIT_ELIMIT, "more than %d CA keys are kept", WRIT_SIGNER_SLOTS_MAX);
	WRIT_AUTO(writ_slot_done) struct writ_slot slot = { 0 };
	writ_rc rc = writ_slot_parse(text, &slot, err);
	if (rc)
		return rc;
	WRIT_AUTO(writ_freep) char *id = writ_asprintf("spiffe://%s", s->config.trust_domain);
	if (writ_cert_uri_count(slot.cert) != 1 ||
		!writ_str_eq(writ_cert_uri(slot.cert, 0), writ_cstr(id)))
		return writ_fail(err, WRIT_EINVAL,
			"the key of CA %s belongs to another trust domain than %s; use the "
			"data_dir of "
			"that one, or remove the key",
			slot.authority, s->config.trust_domain);
	struct writ_slot *active = slot.state == WRIT_SLOT_ACTIVE ? writ_signer_active(s) : NULL;
	/* Activating writes the new one before the old one: dying in between leaves two. */
	if (active && active->activated >= slot.activated)
		slot.state = WRIT_SLOT_OLD;
	else if (active)
		active->state = WRIT_SLOT_OLD;
	s->slots[s->n++] = slot;
	slot = (struct writ_slot){ 0 };
	return WRIT_OK;
}

static ProtobufCBinaryData bytes(struct writ_str s)
{
	union {
		const char *in;
		uint8_t *out;
	} p = { .in = s.p };
	return (ProtobufCBinaryData){ s.n, p.out };
}

static ProtobufCBinaryData joined(struct writ_arena *a, struct writ_cert *const *certs, size_t n)
{
	ProtobufCBinaryData all = { 0 };
	for (size_t i = 0; i < n; i++)
		all.len += writ_cert_der(certs[i]).n;
	all.data = writ_arena_alloc(a, all.len);
	for (size_t i = 0, at = 0; all.data && i < n; i++) {
		struct writ_str der = writ_cert_der(certs[i]);
		memcpy(all.data + at, der.p, der.n);
		at += der.n;
	}
	all.len = all.data ? all.len : 0;
	return all;
}

static Writ__Signer__V1__Ca *describe(struct writ_arena *a, struct writ_slot *slot)
{
	Writ__Signer__V1__Ca *ca = writ_arena_alloc(a, sizeof(*ca));
	ProtobufCBinaryData *chain = writ_arena_alloc(a, sizeof(*chain) * (slot->n_chain + 1));
	if (!ca || !chain)
		return NULL;
	writ__signer__v1__ca__init(ca);
	ca->authority_id = slot->authority;
	ca->cert = bytes(writ_cert_der(slot->cert));
	for (size_t i = 0; i < slot->n_chain; i++)
		chain[i] = bytes(writ_cert_der(slot->chain[i]));
	ca->chain = chain;
	ca->n_chain = slot->n_chain;
	ca->root = joined(a, slot->roots, slot->n_roots);
	ca->active = slot->state == WRIT_SLOT_ACTIVE;
	ca->old = slot->state == WRIT_SLOT_OLD;
	return ca;
}

static writ_rc describe_all(struct writ_signer *s, writ_signer_reply *r, struct writ_err *err)
{
	r->cas = writ_arena_alloc(&s->arena, sizeof(*r->cas) * (s->n + 1));
	for (size_t i = 0; r->cas && i < s->n; i++) {
		r->cas[i] = describe(&s->arena, &s->slots[i]);
		if (!r->cas[i])
			return writ_fail(err, WRIT_ELIMIT, "answer: out of room");
		r->n_cas = i + 1;
	}
	return WRIT_OK;
}

static const struct permit *permit_of(int op)
{
	for (size_t i = 0; i < WRIT_COUNT(permits); i++)
		if (permits[i].op == op)
			return &permits[i];
	return NULL;
}

static writ_rc answer(struct writ_signer *s, const struct permit *p, const writ_signer_request *q,
	writ_signer_reply *r, struct writ_err *err)
{
	unsigned has = writ_signer_active(s) ? HAS_ACTIVE : s->n ? HAS_CA : HAS_NONE;
	if (!(p->allowed & has))
		return writ_fail(err, WRIT_EPRECOND, "%s: no CA is %s", p->name,
			p->allowed & HAS_CA ? "there" : "active");
	writ_rc rc = p->handle(s, q, r, err);
	if (!rc && p->handle != writ_signer_sign)
		rc = describe_all(s, r, err);
	return rc ? writ_wrap(err, rc, "%s", p->name) : WRIT_OK;
}

static writ_rc print(const writ_signer_reply *r, struct writ_buf *out, struct writ_err *err)
{
	size_t n = writ__signer__v1__reply__get_packed_size(r);
	uint8_t *at = n <= WRIT_FRAME_MAX ? writ_buf_room(out, n) : NULL;
	if (!at)
		return writ_fail(err, WRIT_ELIMIT, "an answer of %zu bytes, at most %d fit", n,
			WRIT_FRAME_MAX);
	writ_buf_grew(out, writ__signer__v1__reply__pack(r, at));
	return WRIT_OK;
}

writ_rc writ_signer_handle(
	struct writ_signer *s, struct writ_str request, struct writ_buf *out, struct writ_err *err)
{
	writ_arena_reset(&s->arena);
	writ_buf_reset(&s->certs);
	ProtobufCAllocator memory = writ_arena_allocator(&s->arena);
	writ_signer_request *q = NULL;
	if (request.n <= WRIT_FRAME_MAX)
		q = writ__signer__v1__request__unpack(
			&memory, request.n, (const uint8_t *)request.p);
	const struct permit *p = q ? permit_of((int)q->op_case) : NULL;
	if (!p)
		return writ_fail(err, WRIT_EPROTO, "%zu bytes that are no request", request.n);
	writ_signer_reply r = WRIT__SIGNER__V1__REPLY__INIT;
	struct writ_err why = { 0 };
	writ_rc rc = answer(s, p, q, &r, &why);
	if (!rc) {
		r.id = q->id;
		rc = print(&r, out, &why);
	}
	if (!rc)
		return WRIT_OK;
	writ_signer_reply no = WRIT__SIGNER__V1__REPLY__INIT;
	no.id = q->id;
	no.rc = (int32_t)rc;
	no.error = why.msg;
	return print(&no, out, err);
}
