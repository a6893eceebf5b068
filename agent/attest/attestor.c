/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/attestor.h"

#include <string.h>

#include "base/mem.h"

const struct writ_attestor_vt *const writ_attestors[] = {
	&writ_attestor_unix,
	&writ_attestor_systemd,
	&writ_attestor_container,
	&writ_attestor_slurm,
	&writ_attestor_cgroup,
	&writ_attestor_process,
	&writ_attestor_script,
	&writ_attestor_lineage,
	NULL,
};

const struct writ_attestor_vt *writ_attestor_find(struct writ_str name)
{
	for (size_t i = 0; writ_attestors[i]; i++)
		if (writ_str_eq(name, writ_cstr(writ_attestors[i]->name)))
			return writ_attestors[i];
	return NULL;
}

writ_rc writ_answer_merge(
	struct writ_answer *all, const struct writ_answer *one, struct writ_err *err)
{
	writ_rc rc = WRIT_OK;
	for (size_t i = 0; rc == WRIT_OK && i < one->selectors.n; i++) {
		struct writ_selector s = writ_selectors_at(&one->selectors, i);
		rc = writ_selectors_add(&all->selectors, s.type, s.value, err);
	}
	struct writ_str rest = writ_buf_str(&one->notes);
	struct writ_str line;
	while (rc == WRIT_OK && rest.n > 0) {
		(void)writ_str_cut(&rest, '\n', &line);
		writ_answer_note(all, WRIT_FMT, WRIT_ARG(line));
	}
	return rc;
}

static writ_rc ask(const struct writ_attestor_vt *vt, const struct writ_attest_ctx *ctx,
	const struct writ_attest_call *call, const struct writ_snapshot *s, struct writ_answer *all,
	struct writ_err *err)
{
	WRIT_AUTO(writ_answer_done) struct writ_answer one;
	writ_answer_init(&one);
	writ_rc rc = vt->attest(ctx, call, s, &one, err);
	return rc == WRIT_OK ? writ_answer_merge(all, &one, err) : rc;
}

writ_rc writ_attest(const struct writ_attestor_vt *const *list, const struct writ_attest_ctx *ctx,
	const struct writ_snapshot *snapshot, int dirfd, unsigned flags, struct writ_answer *ret,
	struct writ_err *err)
{
	const struct writ_attest_call call = { .dirfd = dirfd, .flags = flags };
	WRIT_AUTO(writ_answer_done) struct writ_answer all;
	writ_answer_init(&all);
	const struct writ_attestor_vt *mute = NULL;
	bool any = false;
	struct writ_err last = { .rc = WRIT_OK };
	for (size_t i = 0; list[i]; i++) {
		if (list[i]->wanted && !(flags & list[i]->wanted))
			continue;
		writ_rc rc = ask(list[i], ctx, &call, snapshot, &all, &last);
		if (rc == WRIT_EBUSY)
			return writ_wrap(err, rc, "attest process %d", (int)snapshot->pid);
		any = any || rc == WRIT_OK;
		if (rc == WRIT_OK)
			continue;
		mute = list[i];
		writ_answer_note(&all, "%s: %s", mute->name, last.msg);
	}
	if (mute && !any)
		return writ_fail(err, WRIT_EUNAVAIL,
			"no attestor could say anything of process %d; %s: %s", (int)snapshot->pid,
			mute->name, last.msg);
	writ_selectors_seal(&all.selectors);
	*ret = all;
	writ_answer_init(&all);
	return WRIT_OK;
}

static bool has_type(const struct writ_selectors *s, struct writ_str type)
{
	for (size_t i = 0; i < s->n; i++)
		if (writ_str_eq(writ_selectors_at(s, i).type, type))
			return true;
	return false;
}

static bool has(const struct writ_selectors *s, struct writ_str text)
{
	for (size_t i = 0; i < s->n; i++)
		if (writ_str_eq(writ_selectors_at(s, i).text, text))
			return true;
	return false;
}

static writ_rc still_holds(const struct writ_selectors *seen, struct writ_str type,
	const struct writ_answer *now, uint64_t pid, struct writ_err *err)
{
	for (size_t i = 0; i < seen->n; i++) {
		struct writ_selector s = writ_selectors_at(seen, i);
		if (writ_str_eq(s.type, type) && !has(&now->selectors, s.text))
			return writ_fail(err, WRIT_EUNAUTH,
				"process %llu is not " WRIT_FMT " any more: it must call again",
				(unsigned long long)pid, WRIT_ARG(s.text));
	}
	return WRIT_OK;
}

writ_rc writ_attest_again(const struct writ_attestor_vt *const *list,
	const struct writ_attest_ctx *ctx, const struct writ_snapshot *snapshot, int dirfd,
	const struct writ_selectors *seen, struct writ_err *err)
{
	for (size_t i = 0; list[i]; i++) {
		struct writ_str type = writ_cstr(list[i]->again);
		if (!list[i]->again || !has_type(seen, type))
			continue;
		const struct writ_attest_call call = { .dirfd = dirfd,
			.flags = list[i]->wanted | WRIT_ATTEST_AGAIN };
		WRIT_AUTO(writ_answer_done) struct writ_answer now;
		writ_answer_init(&now);
		writ_rc rc = ask(list[i], ctx, &call, snapshot, &now, err);
		if (rc == WRIT_OK)
			rc = still_holds(seen, type, &now, snapshot->pid, err);
		if (rc != WRIT_OK)
			return rc;
	}
	return WRIT_OK;
}
