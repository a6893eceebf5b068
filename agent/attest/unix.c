/* SPDX-License-Identifier: Apache-2.0 */
/* The unix attestor: IDs and program of the caller, spelled as SPIRE spells them (unix_names.c has
 * the names). IDs are the socket's word alone. Path and hash only where nothing between the file
 * and the agent's view of it can have been arranged by the caller. */
#include "attest/attestor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "attest/emit.h"
#include "base/mem.h"

struct run {
	const struct writ_attest_ctx *ctx;
	const struct writ_attest_call *call;
	const struct writ_snapshot *s;
	struct writ_answer *out;
	bool may_block;
};

static void add_ids(struct run *r)
{
	writ_emit_number(r->out, "unix", "uid", r->s->uid);
	writ_emit_number(r->out, "unix", "gid", r->s->gid);
	for (size_t i = 0; i < r->s->ngroups; i++)
		writ_emit_number(r->out, "unix", "supplementary_gid", r->s->groups[i]);
	if (r->s->groups_cut)
		writ_answer_note(r->out, "only the first %d supplementary groups count",
			WRIT_PIN_GROUPS_MAX);
}

/* Why path and hash say nothing about this caller; NULL when they do. */
static const char *program_is_hidden(const struct writ_snapshot *s, char *text, size_t size)
{
	static const enum writ_snapshot_part needed[] = { WRIT_PART_EXE, WRIT_PART_AUXV,
		WRIT_PART_NS + WRIT_NS_USER, WRIT_PART_NS + WRIT_NS_MNT };
	for (size_t i = 0; i < WRIT_COUNT(needed); i++) {
		int e = (int)s->withheld[needed[i]];
		if (e == 0)
			continue;
		if (e == WRIT_AUXV_FIXED)
			return "the kernel was told to give its program the same addresses each "
			       "time (setarch -R, a debugger, or kernel.randomize_va_space=0), so "
			       "another program run in between would leave no trace";
		if (e == ENOENT && needed[i] == WRIT_PART_EXE)
			return "it runs no file: a thread of the kernel, or a process that is "
			       "ending";
		(void)snprintf(text, size,
			"the agent may not read the caller's %s (%s); it needs CAP_SYS_PTRACE and "
			"CAP_DAC_READ_SEARCH",
			writ_snapshot_part_name(needed[i]), strerror(e));
		return text;
	}
	if (!s->ns_ours[WRIT_NS_USER])
		return "the caller is in another user namespace, where it can pose as any program";
	if (!s->ns_ours[WRIT_NS_MNT])
		return "the caller is in another mount namespace, where a path names another file";
	if (s->exe.nlink == 0)
		return "the program's file was deleted, or never had a name";
	return NULL;
}

static writ_rc add_hash(struct run *r, struct writ_err *err)
{
	uint8_t hash[WRIT_EXE_HASH_LEN];
	char hex[2 * WRIT_EXE_HASH_LEN + 1];
	uint64_t limit = r->ctx->workload_size_limit;
	struct writ_err why;
	writ_rc rc = writ_exe_hashes_get(r->ctx->hashes, &r->s->exe, r->call->dirfd, "exe",
		r->ctx->sha256_file, limit ? limit : WRIT_EXE_SIZE_LIMIT, r->may_block, hash, &why);
	if (rc == WRIT_EBUSY)
		return writ_fail(err, rc, "unix:sha256: %s", why.msg);
	if (rc == WRIT_OK) {
		writ_hex(hash, sizeof(hash), hex);
		writ_emit(r->out, "unix", "sha256", writ_cstr(hex));
	} else {
		writ_answer_note(r->out, "unix:sha256 withheld: %s", why.msg);
	}
	return WRIT_OK;
}

static writ_rc add_program(struct run *r, struct writ_err *err)
{
	char text[256];
	struct writ_err why;
	if (!r->ctx->discover_workload_path)
		return WRIT_OK;
	const char *hidden = program_is_hidden(r->s, text, sizeof(text));
	if (hidden) {
		writ_answer_note(r->out, "unix:path and unix:sha256 withheld: %s", hidden);
		return WRIT_OK;
	}
	writ_rc rc = writ_exe_path_check(r->s->exe_path, &r->s->exe, r->may_block, &why);
	if (rc == WRIT_EBUSY)
		return writ_fail(err, rc, "unix:path: %s", why.msg);
	if (rc != WRIT_OK) {
		writ_answer_note(r->out, "unix:path and unix:sha256 withheld: %s", why.msg);
		return WRIT_OK;
	}
	writ_emit(r->out, "unix", "path", r->s->exe_path);
	if (!(r->call->flags & WRIT_ATTEST_SHA256) || !r->ctx->sha256_file)
		return WRIT_OK;
	return add_hash(r, err);
}

static writ_rc attest(const struct writ_attest_ctx *ctx, const struct writ_attest_call *call,
	const struct writ_snapshot *s, struct writ_answer *out, struct writ_err *err)
{
	struct run r = { .ctx = ctx, .call = call, .s = s, .out = out };
	r.may_block = (call->flags & WRIT_ATTEST_MAY_BLOCK) != 0;
	add_ids(&r);
	return add_program(&r, err);
}

const struct writ_attestor_vt writ_attestor_unix = {
	.name = "unix",
	.types = "unix:uid unix:gid unix:supplementary_gid unix:path unix:sha256",
	.attest = attest,
};
