/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/attestor.h"

#include <string.h>

#include "base/mem.h"

const struct writ_attestor_vt *const writ_attestors[] = {
	&writ_attestor_unix,
	&writ_attestor_systemd,
	&writ_attestor_container,
	&writ_attestor_cgroup,
	NULL,
};

const struct writ_attestor_vt *writ_attestor_find(struct writ_str name)
{
	for (size_t i = 0; writ_attestors[i]; i++)
		if (writ_str_eq(name, writ_cstr(writ_attestors[i]->name)))
			return writ_attestors[i];
	return NULL;
}

static writ_rc merge(struct writ_answer *all, struct writ_str bytes, struct writ_err *err)
{
	WRIT_AUTO(writ_answer_done) struct writ_answer one;
	writ_answer_init(&one);
	writ_rc rc = writ_answer_decode(bytes, &one, err);
	for (size_t i = 0; rc == WRIT_OK && i < one.selectors.n; i++) {
		struct writ_selector s = writ_selectors_at(&one.selectors, i);
		rc = writ_selectors_add(&all->selectors, s.type, s.value, err);
	}
	struct writ_str rest = writ_buf_str(&one.notes);
	struct writ_str line;
	while (rc == WRIT_OK && rest.n > 0) {
		(void)writ_str_cut(&rest, '\n', &line);
		writ_answer_note(all, WRIT_FMT, WRIT_ARG(line));
	}
	return rc;
}

static writ_rc ask(const struct writ_attestor_vt *vt, const struct writ_attest_ctx *ctx,
	const struct writ_attest_call *call, struct writ_answer *all, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf answer = WRIT_BUF(WRIT_WIRE_ANSWER_MAX);
	writ_rc rc = vt->attest(ctx, call, &answer, err);
	if (rc == WRIT_OK)
		rc = writ_buf_check(&answer, "an attestor's answer", err);
	if (rc == WRIT_OK)
		rc = merge(all, writ_buf_str(&answer), err);
	return rc;
}

writ_rc writ_attest(const struct writ_attestor_vt *const *list, const struct writ_attest_ctx *ctx,
	const struct writ_snapshot *snapshot, int dirfd, unsigned flags, struct writ_answer *ret,
	struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf request = WRIT_BUF(WRIT_WIRE_REQUEST_MAX);
	writ_request_encode(snapshot, &request);
	writ_rc rc = writ_buf_check(&request, "an attestation request", err);
	if (rc != WRIT_OK)
		return rc;
	struct writ_attest_call call = {
		.request = writ_buf_str(&request), .dirfd = dirfd, .flags = flags
	};
	WRIT_AUTO(writ_answer_done) struct writ_answer all;
	writ_answer_init(&all);
	size_t asked = 0;
	size_t failed = 0;
	struct writ_err last = { .rc = WRIT_OK };
	for (; list[asked]; asked++) {
		rc = ask(list[asked], ctx, &call, &all, &last);
		if (rc == WRIT_EBUSY)
			return writ_wrap(err, rc, "attest process %d", (int)snapshot->pid);
		if (rc == WRIT_OK)
			continue;
		failed++;
		writ_answer_note(&all, "%s: %s", list[asked]->name, last.msg);
	}
	if (failed > 0 && failed == asked)
		return writ_fail(err, WRIT_EUNAVAIL,
			"no attestor could say anything of process %d; %s: %s", (int)snapshot->pid,
			list[asked - 1]->name, last.msg);
	writ_selectors_seal(&all.selectors);
	*ret = all;
	writ_answer_init(&all);
	return WRIT_OK;
}
