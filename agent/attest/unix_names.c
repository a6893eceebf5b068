/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the caller's user and groups. The lookup may ask a directory server, so this
 * attestor does not run in the attestation process, which has no network. */
#include "attest/attestor.h"

#include "attest/emit.h"
#include "base/mem.h"

struct run {
	const struct writ_attest_ctx *ctx;
	struct writ_answer *out;
	bool may_block;
};

/* WRIT_EBUSY only; a number without a name is no failure. */
static writ_rc add(
	struct run *r, const char *key, enum writ_name_kind kind, uint64_t id, struct writ_err *err)
{
	char name[WRIT_NAME_MAX];
	struct writ_err why;
	writ_rc rc = writ_names_get(r->ctx->names, kind, (uint32_t)id, r->may_block, name, &why);
	if (rc == WRIT_EBUSY)
		return writ_wrap(err, writ_fail(err, rc, "%s", why.msg), "unix:%s", key);
	if (rc == WRIT_OK)
		writ_emit(r->out, "unix", key, writ_cstr(name));
	else
		writ_answer_note(r->out, "unix:%s withheld: %s", key, why.msg);
	return WRIT_OK;
}

static writ_rc collect(struct run *r, const struct writ_snapshot *s, struct writ_err *err)
{
	writ_rc rc = add(r, "user", WRIT_NAME_USER, s->uid, err);
	if (rc == WRIT_OK)
		rc = add(r, "group", WRIT_NAME_GROUP, s->gid, err);
	for (size_t i = 0; rc == WRIT_OK && i < s->ngroups; i++)
		rc = add(r, "supplementary_group", WRIT_NAME_GROUP, s->groups[i], err);
	return rc;
}

static writ_rc attest(const struct writ_attest_ctx *ctx, const struct writ_attest_call *call,
	const struct writ_snapshot *s, struct writ_answer *out, struct writ_err *err)
{
	struct run r = { .ctx = ctx, .out = out };
	r.may_block = (call->flags & WRIT_ATTEST_MAY_BLOCK) != 0;
	return collect(&r, s, err);
}

const struct writ_attestor_vt writ_attestor_unix_names = {
	.name = "unix",
	.types = "unix:user unix:group unix:supplementary_group",
	.attest = attest,
};
