/* SPDX-License-Identifier: Apache-2.0 */
/* Attestors that read the same text: the systemd unit, the container, the job, the cgroup itself.
 * They are tables apart, so that an operator can choose, and one file, since each is a line or two.
 */
#include "attest/attestor.h"

#include <stdio.h>
#include <string.h>

#include "attest/emit.h"
#include "base/mem.h"

typedef void (*emit_fn)(
	const struct writ_attest_ctx *ctx, const struct writ_cgroup *c, struct writ_answer *out);

/* What one user made below the folders that root gave him: his ID, which root vouches for, is in
 * front of whatever he chose. */
static void add_of_user(struct writ_answer *out, const char *type, const struct writ_cgroup *c,
	const char *key, struct writ_str value)
{
	char prefixed[64];
	(void)snprintf(prefixed, sizeof(prefixed), "uid:%u:%s", c->owner_uid, key);
	writ_emit(out, type, prefixed, value);
}

static void emit_unit(
	const struct writ_attest_ctx *ctx, const struct writ_cgroup *c, struct writ_answer *out)
{
	(void)ctx;
	if (c->unit.n > 0)
		writ_emit(out, "systemd", "id", c->unit);
	if (c->kind == WRIT_CGROUP_UNIT && c->has_owner)
		add_of_user(out, "systemd-user", c, "id", c->name);
}

static void emit_container(
	const struct writ_attest_ctx *ctx, const struct writ_cgroup *c, struct writ_answer *out)
{
	const char *type = "container";
	(void)ctx;
	if (c->kind == WRIT_CGROUP_ROOTLESS) {
		add_of_user(out, "podman-rootless", c, "id", c->container);
		writ_answer_note(out,
			"container:id withheld: a rootless container's name is chosen by its user "
			"(uid %u)",
			c->owner_uid);
	}
	if (c->kind == WRIT_CGROUP_MACHINE)
		writ_emit(out, type, "machine", c->name);
	if (c->kind != WRIT_CGROUP_CONTAINER)
		return;
	writ_emit(out, type, "id", c->container);
	if (c->runtime[0] != '\0')
		writ_emit(out, type, "runtime", writ_cstr(c->runtime));
	if (c->pod[0] != '\0')
		writ_emit(out, type, "pod", writ_cstr(c->pod));
}

static void emit_job(
	const struct writ_attest_ctx *ctx, const struct writ_cgroup *c, struct writ_answer *out)
{
	char uid[16];
	const char *type = "slurm";
	(void)ctx;
	if (c->kind != WRIT_CGROUP_SLURM)
		return;
	writ_emit(out, type, c->name.p[0] == 's' ? "sluid" : "job_id", c->name);
	writ_emit(out, type, "step", c->detail);
	(void)snprintf(uid, sizeof(uid), "%u", c->owner_uid);
	if (c->has_owner)
		writ_emit(out, type, "uid", writ_cstr(uid));
}

static void emit_path(
	const struct writ_attest_ctx *ctx, const struct writ_cgroup *c, struct writ_answer *out)
{
	if (c->path.n == 0)
		writ_answer_note(out, "cgroup:path withheld: the hierarchies name different paths");
	else if (!writ_cgroup_parents_trusted(ctx->trust, c->hierarchy, c->path))
		writ_answer_note(out,
			"cgroup:path withheld: a folder above '" WRIT_FMT "' is not root's alone",
			WRIT_ARG(c->path));
	else
		writ_emit(out, "cgroup", "path", c->path);
}

static writ_rc read_cgroup(const struct writ_attest_ctx *ctx, const struct writ_snapshot *s,
	struct writ_cgroup *ret, struct writ_err *err)
{
	int e = (int)s->withheld[WRIT_PART_CGROUP];
	if (e != 0)
		return writ_fail_errno(err, e, "read the caller's cgroup");
	if (!ctx->trust)
		return writ_fail(err, WRIT_EUNAVAIL,
			"the agent cannot look at /sys/fs/cgroup; mount it, or remove this "
			"attestor");
	return writ_cgroup_parse(s->cgroup, ctx->trust, ret, err);
}

static writ_rc attest(const struct writ_attest_ctx *ctx, const struct writ_snapshot *s,
	emit_fn emit, struct writ_answer *out, struct writ_err *err)
{
	struct writ_cgroup c;
	writ_rc rc = read_cgroup(ctx, s, &c, err);
	if (rc == WRIT_OK)
		emit(ctx, &c, out);
	return rc;
}

static writ_rc attest_unit(const struct writ_attest_ctx *ctx, const struct writ_attest_call *call,
	const struct writ_snapshot *s, struct writ_answer *out, struct writ_err *err)
{
	(void)call;
	return attest(ctx, s, emit_unit, out, err);
}

static writ_rc attest_container(const struct writ_attest_ctx *ctx,
	const struct writ_attest_call *call, const struct writ_snapshot *s, struct writ_answer *out,
	struct writ_err *err)
{
	(void)call;
	return attest(ctx, s, emit_container, out, err);
}

static writ_rc attest_path(const struct writ_attest_ctx *ctx, const struct writ_attest_call *call,
	const struct writ_snapshot *s, struct writ_answer *out, struct writ_err *err)
{
	(void)call;
	return attest(ctx, s, emit_path, out, err);
}

static writ_rc attest_job(const struct writ_attest_ctx *ctx, const struct writ_attest_call *call,
	const struct writ_snapshot *s, struct writ_answer *out, struct writ_err *err)
{
	(void)call;
	return attest(ctx, s, emit_job, out, err);
}

const struct writ_attestor_vt writ_attestor_systemd = {
	.name = "systemd",
	.types = "systemd:id systemd-user:uid",
	.attest = attest_unit,
};

const struct writ_attestor_vt writ_attestor_container = {
	.name = "container",
	.types = "container:id container:runtime container:pod container:machine "
		 "podman-rootless:uid",
	.attest = attest_container,
};

const struct writ_attestor_vt writ_attestor_slurm = {
	.name = "slurm",
	.types = "slurm:job_id slurm:sluid slurm:step slurm:uid",
	.attest = attest_job,
};

const struct writ_attestor_vt writ_attestor_cgroup = {
	.name = "cgroup",
	.types = "cgroup:path",
	.attest = attest_path,
};
