/* SPDX-License-Identifier: Apache-2.0 */
/* proc_text: the two files of /proc/PID that are text, read strictly. The process chooses its own
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

/* WRIT_EPROTO: not what Linux writes there. *ret is untouched then. */
WRIT_MUST writ_rc writ_proc_stat_parse(
	struct writ_str text, struct writ_proc_stat *ret, struct writ_err *err);
WRIT_MUST writ_rc writ_proc_status_parse(
	struct writ_str text, struct writ_proc_status *ret, struct writ_err *err);

#endif
