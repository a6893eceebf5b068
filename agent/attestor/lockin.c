/* SPDX-License-Identifier: Apache-2.0 */
#include "attestor/lockin.h"

#include "attest/pin.h"
#include "confine/caps.h"
#include "confine/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/resource.h>

#define KEEP (WRIT_CAP(CAP_SYS_PTRACE) | WRIT_CAP(CAP_DAC_READ_SEARCH))

/* Libraries may try others and live without them: those fail with EPERM. */
static const char *const allowed[] = {
	/* looking */
	"read",
	"pread64",
	"readlink",
	"readlinkat",
	"statx",
	"fstat",
	"newfstatat",
	"fstatfs",
	"getdents64",
	"openat2",
	"close",
	/* talking, and waiting */
	"recvmsg",
	"recvfrom",
	"sendto",
	"sendmsg",
	"poll",
	"ppoll",
	"epoll_ctl",
	"epoll_wait",
	"epoll_pwait",
	"clock_gettime",
	"clock_nanosleep",
	"gettimeofday",
	"time",
	"restart_syscall",
	"rt_sigreturn",
	"rt_sigprocmask",
	"rt_sigaction",
	"sigaltstack",
	/* memory and threads */
	"munmap",
	"mremap",
	"brk",
	"madvise",
	"mlock",
	"munlock",
	"futex",
	"clone3",
	"set_robust_list",
	"rseq",
	"sched_getaffinity",
	"sched_yield",
	"getrandom",
	"getpid",
	"gettid",
	"getppid",
	"getcpu",
	"exit",
	"exit_group",
	NULL,
};

/* What an attacker in here would want most: whoever tries is not us any more. */
static const char *const deadly[] = {
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"process_madvise",
	"pidfd_getfd",
	"kcmp",
	"execve",
	"execveat",
	"socket",
	"connect",
	"bind",
	"kill",
	"tkill",
	"tgkill",
	"pidfd_send_signal",
	"setns",
	"unshare",
	"mount",
	"bpf",
	"perf_event_open",
	"init_module",
	"finit_module",
	"io_uring_setup",
	NULL,
};

/* openat2 keeps its flags where no filter sees them, so what it opens may be open for writing, the
 * memory of a process among it. Nothing that could write there is left: no write(2) of any kind,
 * no mapping that is shared, no ioctl(2) but one. */
static const struct writ_filter_when when[] = {
	/* for reading only */
	{ "openat", 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY },
	{ "ioctl", 1, UINT32_MAX, WRIT_PIN_GET_INFO },
	/* not F_SETOWN, which has signals sent */
	{ "fcntl", 1, UINT32_MAX, F_GETFL },
	{ "fcntl", 1, UINT32_MAX, F_SETFL },
	{ "fcntl", 1, UINT32_MAX, F_GETFD },
	{ "fcntl", 1, UINT32_MAX, F_SETFD },
	{ "fcntl", 1, UINT32_MAX, F_DUPFD_CLOEXEC },
	/* a thread, never a process */
	{ "clone", 0, CLONE_THREAD, CLONE_THREAD },
	/* how much stack a new thread gets */
	{ "prlimit64", 2, UINT64_MAX, 0 },
	{ 0 },
};

static const struct writ_filter filter = {
	.allowed = allowed, .when = when, .deadly = deadly, .own_memory = true
};

writ_rc writ_attestor_lock_in(struct writ_err *err)
{
	const struct rlimit none = { 0, 0 };
	if (setrlimit(RLIMIT_FSIZE, &none) != 0)
		return writ_fail_errno(err, errno, "give up writing files");
	writ_rc rc = writ_caps_keep(KEEP, err);
	return rc == WRIT_OK ? writ_filter_load(&filter, err) : rc;
}

writ_rc writ_serving_drop_caps(struct writ_err *err)
{
	return writ_caps_keep(0, err);
}
