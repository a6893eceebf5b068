/* SPDX-License-Identifier: Apache-2.0 */
/* attestor: from a snapshot to selectors. Each attestor is a const table, takes values and gives
 * values that have a form as bytes (wire.h), and knows no loop and no connection: they run in the
 * attestation process, and the bytes are made once, at its boundary (attestor/talk.h). */
#ifndef WRIT_ATTEST_ATTESTOR_H
#define WRIT_ATTEST_ATTESTOR_H

#include "attest/cgroup_path.h"
#include "attest/exe_file.h"
#include "attest/mains.h"
#include "attest/names.h"
#include "attest/wants.h"
#include "attest/wire.h"

/* What attestors share; built once, then only read. Names and hashes lock for themselves. */
struct writ_attest_ctx {
	struct writ_names *names;              /* borrowed */
	struct writ_exe_hashes *hashes;        /* borrowed */
	writ_sha256_file_fn sha256_file;       /* NULL: no unix:sha256 */
	uint64_t workload_size_limit;          /* bytes; 0: WRIT_EXE_SIZE_LIMIT */
	bool discover_workload_path;           /* unix:path and unix:sha256 */
	const struct writ_cgroup_trust *trust; /* borrowed; NULL: nothing from cgroups */
	uint64_t host_net;                     /* writ_ns_host_net; 0: no ns:net */
	const struct writ_ns_self *self;       /* borrowed; NULL: no proc:ancestor-path */
	struct writ_mains *mains;              /* borrowed; NULL: no proc:main, no proc:depth */
};

struct writ_attest_call {
	int dirfd; /* borrowed: the caller's /proc folder; -1 outside the attestation process */
	unsigned flags; /* enum writ_attest_flag */
};

struct writ_attestor_vt {
	const char *name;  /* as in WorkloadAttestor "unix" */
	const char *types; /* the selectors it gives, for help and docs */
	unsigned wanted;   /* enum writ_attest_flag: asked only with one of these; 0: always */
	const char *again; /* the type of those that can cease to hold while the program stays the
			      same; NULL: none */
	/* Adds to an empty answer, which counts only with WRIT_OK. WRIT_EBUSY: has to run in a job.
	 */
	writ_rc (*attest)(const struct writ_attest_ctx *ctx, const struct writ_attest_call *call,
		const struct writ_snapshot *s, struct writ_answer *out, struct writ_err *err);
};

extern const struct writ_attestor_vt writ_attestor_unix;
extern const struct writ_attestor_vt writ_attestor_unix_names; /* outside the attestation process */
extern const struct writ_attestor_vt writ_attestor_systemd;
extern const struct writ_attestor_vt writ_attestor_container;
extern const struct writ_attestor_vt writ_attestor_slurm;
extern const struct writ_attestor_vt writ_attestor_cgroup;
extern const struct writ_attestor_vt writ_attestor_process;
extern const struct writ_attestor_vt writ_attestor_script;
extern const struct writ_attestor_vt writ_attestor_lineage;

/* All of the above but the names, in this order; ends with NULL. */
extern const struct writ_attestor_vt *const writ_attestors[];
const struct writ_attestor_vt *writ_attestor_find(struct writ_str name); /* NULL: none */

/* Adds what one found to all. */
WRIT_MUST writ_rc writ_answer_merge(
	struct writ_answer *all, const struct writ_answer *one, struct writ_err *err);

/* Asks all attestors of the list (ends with NULL) about one caller. One that fails gives no
 * selector and leaves a note; WRIT_EUNAVAIL when all fail; WRIT_EBUSY: call again from a job with
 * WRIT_ATTEST_MAY_BLOCK. *ret needs writ_answer_done after WRIT_OK. */
WRIT_MUST writ_rc writ_attest(const struct writ_attestor_vt *const *list,
	const struct writ_attest_ctx *ctx, const struct writ_snapshot *snapshot, int dirfd,
	unsigned flags, struct writ_answer *ret, struct writ_err *err);
/* Directly before keys are handed out, after writ_snapshot_recheck: does what can cease to hold
 * (vt->again) still hold of what was seen, a sealed set? Costs nothing when there is none of it.
 * Never waits for a disk. WRIT_EUNAUTH: no; the message names the selector. */
WRIT_MUST writ_rc writ_attest_again(const struct writ_attestor_vt *const *list,
	const struct writ_attest_ctx *ctx, const struct writ_snapshot *snapshot, int dirfd,
	const struct writ_selectors *seen, struct writ_err *err);

#endif
