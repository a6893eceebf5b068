/* SPDX-License-Identifier: Apache-2.0 */
#include "signer/lockin.h"

#include "base/secret.h"
#include "confine/caps.h"
#include "confine/filter.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE              65
#define PR_MDWE_REFUSE_EXEC_GAIN 1UL
#endif

/* Six inherited ones, a new socket to the server and a new record while the old ones still are
 * there, one that has just come, one to spare. poll(2) refuses more descriptors than this limit, so
 * it cannot be 0. */
#define FDS_MAX 10

static const char *const allowed[] = {
	"read",
	"write",
	"writev",
	"pread64",
	"recvfrom",
	"recvmsg",
	"sendto",
	"sendmsg",
	"poll",
	"ppoll",
	"close",
	"munmap",
	"mremap",
	"brk",
	"madvise",
	"mlock",
	"munlock",
	"futex",
	"getrandom",
	"clock_gettime",
	"gettimeofday",
	"time",
	"getpid",
	"fdatasync",
	"sched_yield",
	"restart_syscall",
	"rt_sigreturn",
	"rt_sigprocmask",
	"exit",
	"exit_group",
#ifdef WRIT_SANITIZED
	"sigaltstack",
	"gettid",
#endif
	NULL,
};

static writ_rc limit(struct writ_err *err)
{
	const struct rlimit fds = { FDS_MAX, FDS_MAX };
	if (setrlimit(RLIMIT_NOFILE, &fds) != 0)
		return writ_fail_errno(err, errno, "limit the descriptors");
	struct rlimit locked;
	/* A limit that is hit later would make an ordinary allocation fail: all or nothing. */
	if (getrlimit(RLIMIT_MEMLOCK, &locked) == 0 && locked.rlim_cur == RLIM_INFINITY)
		(void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
	return WRIT_OK;
}

static const struct writ_filter filter = {
	.kills = true,
	.allowed = allowed,
	.all_threads = true,
};

writ_rc writ_signer_lock_in(struct writ_err *err)
{
	writ_process_harden();
	(void)prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0,
		0); /* kernels before 6.3: the filter does it */
	writ_rc rc = writ_caps_keep(0, err);
	if (rc == WRIT_OK)
		rc = limit(err);
	return rc == WRIT_OK ? writ_filter_load(&filter, err) : rc;
}
