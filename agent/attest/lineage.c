/* SPDX-License-Identifier: Apache-2.0 */
/* The lineage attestor: which programs the caller descends from, and how far it is from the main
 * process of its unit, container or login. All of it or nothing: a link that cannot be confirmed
 * withholds every selector. It is the one attestor that has to be asked again before keys leave,
 * since a parent can end, or run another program, while the caller stays what it is. */
#include "attest/attestor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "attest/emit.h"
#include "base/mem.h"

#define GENERATIONS_MAX 32
#define FIRST_PID       1

struct run {
	const struct writ_attest_ctx *ctx;
	const struct writ_attest_call *call;
	const struct writ_snapshot *s;
	struct writ_answer *out;
	struct writ_scope scope;
	bool in_scope; /* what was looked at last is in it, and so is all below it */
	struct writ_kin top;
	int depth; /* of the caller below top, the last in the scope */
};

/* --- the program of an ancestor --- */

static int read_program(const struct run *r, int dirfd, struct writ_exe *exe, char *path, size_t *n)
{
	static const struct {
		enum writ_ns which;
		const char *file;
	} needed[] = { { WRIT_NS_USER, "ns/user" }, { WRIT_NS_MNT, "ns/mnt" } };
	int e = writ_exe_stat(dirfd, "exe", exe);
	ssize_t got = e == 0 ? readlinkat(dirfd, "exe", path, WRIT_SNAPSHOT_PATH_MAX) : 0;
	if (e != 0 || got < 0)
		return e != 0 ? e : errno;
	if (got == WRIT_SNAPSHOT_PATH_MAX)
		return ENAMETOOLONG;
	*n = (size_t)got;
	/* After exe, as in a snapshot. */
	for (size_t i = 0; i < WRIT_COUNT(needed); i++) {
		uint64_t ns;
		e = writ_ns_read(dirfd, needed[i].file, &ns);
		if (e == 0 && !writ_ns_is_ours(r->ctx->self, needed[i].which, ns))
			e = EXDEV;
		if (e != 0)
			return e;
	}
	return exe->nlink > 0 ? 0 : ENOENT;
}

/* WRIT_EBUSY only: an ancestor whose program cannot be named is no failure. */
static writ_rc emit_program(struct run *r, const struct writ_kin *k, struct writ_err *err)
{
	char path[WRIT_SNAPSHOT_PATH_MAX];
	size_t n = 0;
	struct writ_exe exe;
	struct writ_err why;
	if (!r->ctx->self || k->pid == FIRST_PID)
		return WRIT_OK;
	int e = read_program(r, k->dirfd, &exe, path, &n);
	if (e != 0) {
		writ_answer_note(r->out, "proc:ancestor-path of process %llu withheld: %s",
			(unsigned long long)k->pid,
			e == EXDEV            ? "it is in another user or mount namespace"
				: e == ENOENT ? "it runs no file that has a name"
					      : strerror(e));
		return WRIT_OK;
	}
	/* Which file the path names was settled at the first look. */
	writ_rc rc = r->call->flags & WRIT_ATTEST_AGAIN
		? WRIT_OK
		: writ_exe_path_check(writ_strn(path, n), &exe,
			  (r->call->flags & WRIT_ATTEST_MAY_BLOCK) != 0, &why);
	if (rc == WRIT_EBUSY)
		return writ_fail(err, rc, "proc:ancestor-path: %s", why.msg);
	if (rc == WRIT_OK)
		writ_emit(r->out, "proc", "ancestor-path", writ_strn(path, n));
	else
		writ_answer_note(r->out, "proc:ancestor-path of process %llu withheld: %s",
			(unsigned long long)k->pid, why.msg);
	return WRIT_OK;
}

/* --- the way up --- */

static bool is_in_scope(const struct run *r, const struct writ_kin *k)
{
	const struct writ_pin pin = { .pid = (pid_t)k->pid, .pidfd = -1, .dirfd = k->dirfd };
	char text[WRIT_SNAPSHOT_CGROUP_MAX];
	size_t n;
	return writ_pin_read(&pin, "cgroup", text, sizeof(text), &n) == 0 &&
		writ_scope_has(&r->scope, writ_strn(text, n));
}

/* Looks at the parent of *at, and moves *at there. WRIT_ENOENT: *at was the first. */
static writ_rc climb(struct run *r, struct writ_kin *at, int depth, struct writ_err *err)
{
	WRIT_AUTO(writ_kin_close) struct writ_kin parent = { .dirfd = -1 };
	writ_rc rc = writ_kin_parent(at, &parent, err);
	if (rc != WRIT_OK)
		return rc;
	if (r->in_scope) {
		r->in_scope = is_in_scope(r, &parent);
		r->top = *at;
		r->top.dirfd = -1;
		r->depth = depth;
	}
	rc = emit_program(r, &parent, err);
	if (rc == WRIT_OK)
		rc = writ_kin_check(at, &parent, err);
	if (rc != WRIT_OK)
		return rc;
	writ_kin_close(at);
	*at = parent;
	parent.dirfd = -1;
	return WRIT_OK;
}

static writ_rc climb_all(struct run *r, struct writ_err *err)
{
	WRIT_AUTO(writ_kin_close)
	struct writ_kin at = {
		.pid = r->s->pid, .ppid = r->s->ppid, .start_time = r->s->start_time
	};
	at.dirfd = fcntl(r->call->dirfd, F_DUPFD_CLOEXEC, 3);
	if (at.dirfd < 0)
		return writ_fail_errno(err, errno, "keep the caller's folder");
	writ_rc rc = WRIT_OK;
	int depth = 0;
	for (; rc == WRIT_OK && depth < GENERATIONS_MAX; depth++)
		rc = climb(r, &at, depth, err);
	if (rc == WRIT_OK)
		writ_answer_note(
			r->out, "only the first %d ancestors were looked at", GENERATIONS_MAX);
	if (rc == WRIT_OK || rc == WRIT_ENOENT)
		return WRIT_OK;
	return writ_wrap(err, rc, "the ancestors of process %llu", (unsigned long long)r->s->pid);
}

/* WRIT_EBUSY only. Asked again, what was said before is known; nothing is looked for. */
static writ_rc emit_place(struct run *r, const char *why_not, struct writ_err *err)
{
	struct writ_err why;
	writ_rc rc = WRIT_OK;
	if (!why_not && (r->in_scope || r->depth < 0))
		why_not = "no ancestor is outside of its cgroup";
	if (!why_not)
		rc = writ_mains_check(r->ctx->mains, r->ctx->trust, &r->scope, &r->top,
			(r->call->flags & WRIT_ATTEST_MAY_BLOCK) != 0, &why);
	if (rc == WRIT_EBUSY && !(r->call->flags & WRIT_ATTEST_AGAIN))
		return writ_fail(err, rc, "proc:main: %s", why.msg);
	if (rc != WRIT_OK)
		why_not = why.msg;
	/* The first process of a PID namespace adopts whoever lost its parent in there. */
	if (!why_not && r->depth > 0 && !r->s->ns_ours[WRIT_NS_PID])
		why_not = "in a PID namespace of its own a lost grandchild looks like a child";
	if (why_not) {
		writ_answer_note(r->out, "proc:main and proc:depth withheld: %s", why_not);
		return WRIT_OK;
	}
	writ_emit_number(r->out, "proc", "depth", (uint64_t)r->depth);
	if (r->depth == 0)
		writ_emit(r->out, "proc", "main", WRIT_STR("true"));
	return WRIT_OK;
}

static writ_rc collect(struct run *r, struct writ_err *err)
{
	struct writ_err no_scope = { .rc = WRIT_OK };
	if (r->s->withheld[WRIT_PART_CGROUP])
		(void)writ_fail(&no_scope, WRIT_EDENIED, "its cgroup cannot be read");
	else if (!r->ctx->trust)
		(void)writ_fail(
			&no_scope, WRIT_EUNAVAIL, "the agent cannot look at /sys/fs/cgroup");
	else
		r->in_scope =
			writ_scope_of(r->s->cgroup, r->ctx->trust, &r->scope, &no_scope) == WRIT_OK;
	bool has_scope = r->in_scope;
	writ_rc rc = climb_all(r, err);
	return rc == WRIT_OK ? emit_place(r, has_scope ? NULL : no_scope.msg, err) : rc;
}

static writ_rc attest(const struct writ_attest_ctx *ctx, const struct writ_attest_call *call,
	const struct writ_snapshot *s, struct writ_answer *out, struct writ_err *err)
{
	struct run r = { .ctx = ctx, .call = call, .s = s, .out = out, .depth = -1 };
	return collect(&r, err);
}

const struct writ_attestor_vt writ_attestor_lineage = {
	.name = "lineage",
	.types = "proc:main proc:depth proc:ancestor-path",
	.wanted = WRIT_ATTEST_LINEAGE,
	.again = "proc",
	.attest = attest,
};
