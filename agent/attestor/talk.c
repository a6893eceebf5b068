/* SPDX-License-Identifier: Apache-2.0 */
#include "attestor/talk.h"

#include "attest/codec.h"
#include "base/mem.h"

#include <errno.h>

void writ_talk_put_request(const struct writ_talk_request *q, struct writ_buf *out)
{
	writ_buf_add_byte(out, (uint8_t)q->op);
	writ_put_number(out, q->id, 8);
	writ_put_number(out, q->handle, 8);
	writ_put_number(out, q->flags, 4);
	if (q->op != WRIT_TALK_LOOK)
		return;
	writ_put_number(out, (uint32_t)q->pid, 4);
	writ_put_number(out, q->uid, 4);
	writ_put_number(out, q->gid, 4);
	writ_put_number(out, q->groups_cut, 1);
	writ_put_number(out, q->ngroups, 2);
	for (size_t i = 0; i < q->ngroups; i++)
		writ_put_number(out, q->groups[i], 4);
}

static void get_peer(struct writ_reader *r, struct writ_talk_request *q)
{
	uint64_t pid = writ_get_number(r, 4);
	q->pid = (pid_t)pid;
	q->uid = (uid_t)writ_get_number(r, 4);
	q->gid = (gid_t)writ_get_number(r, 4);
	uint64_t cut = writ_get_number(r, 1), n = writ_get_number(r, 2);
	if (pid > INT32_MAX || cut > 1 || n > WRIT_PIN_GROUPS_MAX) {
		r->failed = true;
		return;
	}
	q->groups_cut = cut;
	q->ngroups = (size_t)n;
	for (size_t i = 0; i < n; i++)
		q->groups[i] = (gid_t)writ_get_number(r, 4);
}

writ_rc writ_talk_get_request(
	struct writ_str bytes, struct writ_talk_request *ret, struct writ_err *err)
{
	struct writ_reader r = { .rest = bytes };
	struct writ_talk_request q = { .op = (enum writ_talk_op)writ_get_number(&r, 1) };
	q.id = writ_get_number(&r, 8);
	q.handle = writ_get_number(&r, 8);
	q.flags = (uint32_t)writ_get_number(&r, 4);
	if (q.op == WRIT_TALK_LOOK)
		get_peer(&r, &q);
	bool known = q.op == WRIT_TALK_LOOK || q.op == WRIT_TALK_CHECK || q.op == WRIT_TALK_FORGET;
	if (!known || r.failed || r.rest.n)
		return writ_fail(err, WRIT_EPROTO, "not a question to the attestation process");
	*ret = q;
	return WRIT_OK;
}

void writ_talk_put_reply(const struct writ_talk_reply *r, struct writ_buf *out)
{
	writ_put_number(out, r->id, 8);
	writ_put_number(out, (uint32_t)r->rc, 4);
	writ_put_bytes(out, r->error, 2);
	writ_put_bytes(out, r->snapshot, 4);
	writ_put_bytes(out, r->answer, 4);
}

writ_rc writ_talk_get_reply(
	struct writ_str bytes, struct writ_talk_reply *ret, struct writ_err *err)
{
	struct writ_reader r = { .rest = bytes };
	struct writ_talk_reply a = { .id = writ_get_number(&r, 8) };
	uint64_t rc = writ_get_number(&r, 4);
	a.rc = (writ_rc)rc;
	a.error = writ_get_bytes(&r, 2, WRIT_ERR_MAX);
	a.snapshot = writ_get_bytes(&r, 4, WRIT_TALK_REPLY_MAX);
	a.answer = writ_get_bytes(&r, 4, WRIT_TALK_REPLY_MAX);
	if (r.failed || r.rest.n || rc >= WRIT_RC_COUNT)
		return writ_fail(err, WRIT_EPROTO, "not an answer of the attestation process");
	*ret = a;
	return WRIT_OK;
}

bool writ_talk_is_passing(int error)
{
	return error == EAGAIN || error == EINTR || error == ENOMEM || error == ENOBUFS;
}
