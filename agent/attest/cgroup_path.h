/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_path: from the text of /proc/PID/cgroup to the systemd unit or container a process is in.
 * The names below a delegated folder are chosen by its user, so every form is matched from the
 * root, the outermost match wins, and each folder above the match has to be root's alone. Pure: the
 * folders are looked at by a callback. Format: cgroups(7). */
#ifndef WRIT_ATTEST_CGROUP_PATH_H
#define WRIT_ATTEST_CGROUP_PATH_H

#include "base/str.h"

#define WRIT_CGROUP_LINES_MAX 64

/* In the order in which one outranks another. */
enum writ_cgroup_kind {
	WRIT_CGROUP_NONE,    /* no form: a process of the host, or something unknown */
	WRIT_CGROUP_SESSION, /* a login: owner_uid, name = "3" */
	WRIT_CGROUP_UNIT,    /* unit = "nginx.service"; with an owner: user@UID.service, and name is
				the unit of that user's own manager, as that user named it */
	/* From here on: what a runtime made. It outranks the place that the runtime runs in. */
	WRIT_CGROUP_MACHINE,   /* nspawn or LXC: name */
	WRIT_CGROUP_SLURM,     /* name = job or SLUID, detail = step; v1 has an owner */
	WRIT_CGROUP_ROOTLESS,  /* as UNIT; container and owner_uid as that user named them */
	WRIT_CGROUP_MONITOR,   /* conmon: beside a container, not in it; no container */
	WRIT_CGROUP_CONTAINER, /* container, perhaps pod; no unit */
};

/* All slices borrow from the text. */
struct writ_cgroup {
	enum writ_cgroup_kind kind;
	const char *runtime;       /* "docker", "containerd", "crio", "podman", ""; static */
	struct writ_str unit;      /* empty: none; of UNIT and ROOTLESS only */
	struct writ_str container; /* 64 lower-case hex digits */
	char pod[37];              /* UUID, or 32 hex digits of a static pod; "": none */
	bool has_owner;
	uint32_t owner_uid;
	struct writ_str name, detail;
	/* The path all hierarchies that hold the process agree on; empty when they do not.
	 * hierarchy is where it was seen: "" for v2, else the controllers as the kernel lists them.
	 */
	struct writ_str path, hierarchy;
};

/* May nobody but root create or rename a folder in dir ("/", "/system.slice") of that hierarchy? */
struct writ_cgroup_trust {
	bool (*trusted)(
		const struct writ_cgroup_trust *t, struct writ_str hierarchy, struct writ_str dir);
	/* A descriptor of that folder, the caller's; -1: none. May be NULL: there are no folders.
	 */
	int (*open)(
		const struct writ_cgroup_trust *t, struct writ_str hierarchy, struct writ_str dir);
};

/* trust NULL: nothing is trusted.
 * WRIT_EUNAUTH: do not guess. A path that leaves the agent's own cgroup namespace, a removed
 * cgroup, hierarchies that contradict each other, or a name that somebody else than root could have
 * made. WRIT_EPROTO: not what Linux writes. */
WRIT_MUST writ_rc writ_cgroup_parse(struct writ_str text, const struct writ_cgroup_trust *trust,
	struct writ_cgroup *ret, struct writ_err *err);

/* Are all folders above the last component of path trusted? "/" has none above it. */
bool writ_cgroup_parents_trusted(
	const struct writ_cgroup_trust *trust, struct writ_str hierarchy, struct writ_str path);

/* The folder of that unit in a text that gave it to writ_cgroup_parse: where all lines that name
 * the unit agree, else empty. Borrows from the text. */
struct writ_str writ_cgroup_unit_folder(struct writ_str text, struct writ_str unit);

/* "container", "unit": for messages. Static. */
const char *writ_cgroup_kind_name(enum writ_cgroup_kind kind);

#endif
