/* SPDX-License-Identifier: Apache-2.0 */
#include "confine/filter.h"

#include "base/mem.h"

#include <errno.h>
#include <seccomp.h>
#include <sys/mman.h>

static writ_rc add(scmp_filter_ctx ctx, uint32_t action, const char *call,
	const struct writ_filter_when *when, struct writ_err *err)
{
	int number = seccomp_syscall_resolve_name(call);
	if (number == __NR_SCMP_ERROR)
		return writ_fail(err, WRIT_EINTERNAL, "system call filter: no call is '%s'", call);
	struct scmp_arg_cmp arg = { 0 };
	if (when)
		arg = SCMP_CMP64(when->arg, SCMP_CMP_MASKED_EQ, when->mask, when->value);
	int e = seccomp_rule_add_array(ctx, action, number, when ? 1 : 0, when ? &arg : NULL);
	return e ? writ_fail_errno(err, -e, "system call filter: %s", call) : WRIT_OK;
}

static writ_rc add_list(
	scmp_filter_ctx ctx, uint32_t action, const char *const *calls, struct writ_err *err)
{
	writ_rc rc = WRIT_OK;
	for (; calls && *calls && rc == WRIT_OK; calls++)
		rc = add(ctx, action, *calls, NULL, err);
	return rc;
}

static writ_rc add_when(
	scmp_filter_ctx ctx, const struct writ_filter_when *when, struct writ_err *err)
{
	writ_rc rc = WRIT_OK;
	for (; when && when->call && rc == WRIT_OK; when++)
		rc = add(ctx, SCMP_ACT_ALLOW, when->call, when, err);
	return rc;
}

/* No executable memory, for anybody. */
static writ_rc add_memory(scmp_filter_ctx ctx, bool own_memory, struct writ_err *err)
{
	const struct scmp_arg_cmp mapped[] = {
		SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
		SCMP_A3_64(
			SCMP_CMP_MASKED_EQ, MAP_SHARED, 0), /* a bit of MAP_SHARED_VALIDATE, too */
	};
	static const struct writ_filter_when protect = { "mprotect", 2, PROT_EXEC, 0 };
	int e = seccomp_rule_add_array(
		ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), own_memory ? 2 : 1, mapped);
	return e ? writ_fail_errno(err, -e, "system call filter: mmap")
		 : add(ctx, SCMP_ACT_ALLOW, protect.call, &protect, err);
}

static void releasep(scmp_filter_ctx *ctx)
{
	seccomp_release(*ctx);
}

writ_rc writ_filter_load(const struct writ_filter *f, struct writ_err *err)
{
	WRIT_AUTO(releasep)
	scmp_filter_ctx ctx =
		seccomp_init(f->kills ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return writ_fail(err, WRIT_EIO, "system call filter: out of memory");
	writ_rc rc = add_list(ctx, SCMP_ACT_ALLOW, f->allowed, err);
	if (rc == WRIT_OK && !f->kills) /* libseccomp refuses a rule that says what holds anyway */
		rc = add_list(ctx, SCMP_ACT_KILL_PROCESS, f->deadly, err);
	if (rc == WRIT_OK)
		rc = add_when(ctx, f->when, err);
	if (rc == WRIT_OK)
		rc = add_memory(ctx, f->own_memory, err);
	if (rc != WRIT_OK)
		return rc;
	int e = f->all_threads ? seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1) : 0;
	if (!e)
		e = seccomp_load(ctx);
	return e ? writ_fail_errno(err, -e, "system call filter (does this kernel have seccomp?)")
		 : WRIT_OK;
}
