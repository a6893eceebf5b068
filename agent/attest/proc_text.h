/* SPDX-License-Identifier: Apache-2.0 */
/* proc_text: the files of /proc/PID that are text, read strictly. The process chooses its own
 * name (comm), so nothing before the end of the name is believed. Pure. Formats: proc(5). */
#ifndef WRIT_ATTEST_PROC_TEXT_H
#define WRIT_ATTEST_PROC_TEXT_H

#include "base/str.h"

#include <sys/types.h>

struct writ_proc_stat {
	uint64_t pid;
	uint64_t ppid;
	uint64_t start_time; /* clock ticks since boot */
	char state;          /* R S D T t I Z X ... */
};

struct writ_proc_status {
	uint32_t uid[4]; /* real, effective, saved, file system */
	uint32_t gid[4];
};

/* What the main thread may do. */
struct writ_proc_rights {
	uint64_t cap_effective, cap_permitted;
	unsigned seccomp; /* 0: none, 1: strict, 2: filter */
	bool has_seccomp; /* the kernel has it */
	bool no_new_privs;
};

/* WRIT_EPROTO: not what Linux writes there. *ret is untouched then. */
WRIT_MUST writ_rc writ_proc_stat_parse(
	struct writ_str text, struct writ_proc_stat *ret, struct writ_err *err);
WRIT_MUST writ_rc writ_proc_status_parse(
	struct writ_str text, struct writ_proc_status *ret, struct writ_err *err);
WRIT_MUST writ_rc writ_proc_rights_parse(
	struct writ_str text, struct writ_proc_rights *ret, struct writ_err *err);

#endif
