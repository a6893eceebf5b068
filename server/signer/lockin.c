/* SPDX-License-Identifier: Apache-2.0 */
#include "signer/lockin.h"

#include "base/mem.h"
#include "base/secret.h"

#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_MDWE
#define PR_SET_MDWE              65
#define PR_MDWE_REFUSE_EXEC_GAIN 1UL
#endif

/* Six inherited ones, a new socket to the server while the old one still is there, one to spare.
 * poll(2) refuses more descriptors than this limit, so it cannot be 0. */
#define FDS_MAX 8

static const int allowed[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(close),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(brk),
	SCMP_SYS(madvise),
	SCMP_SYS(mlock),
	SCMP_SYS(munlock),
	SCMP_SYS(futex),
	SCMP_SYS(getrandom),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getpid),
	SCMP_SYS(fdatasync),
	SCMP_SYS(sched_yield),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
#ifdef WRIT_SANITIZED
	SCMP_SYS(sigaltstack),
	SCMP_SYS(gettid),
#endif
};

static writ_rc drop_capabilities(struct writ_err *err)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0,
			0); /* without CAP_SETPCAP there is none to drop */
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2];
	memset(none, 0, sizeof(none));
	if (syscall(SYS_capset, &head, none) != 0)
		return writ_fail_errno(err, errno, "give up capabilities");
	return WRIT_OK;
}

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

static int add_rules(scmp_filter_ctx ctx)
{
	int e = 0;
	for (size_t i = 0; i < WRIT_COUNT(allowed) && !e; i++)
		e = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	const int memory[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) };
	for (size_t i = 0; i < WRIT_COUNT(memory) && !e; i++)
		e = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, memory[i], 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return e;
}

static void releasep(scmp_filter_ctx *ctx)
{
	seccomp_release(*ctx);
}

static writ_rc filter(struct writ_err *err)
{
	WRIT_AUTO(releasep) scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return writ_fail(err, WRIT_EIO, "system call filter: out of memory");
	int e = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!e)
		e = add_rules(ctx);
	if (!e)
		e = seccomp_load(ctx);
	return e ? writ_fail_errno(err, -e, "system call filter (does this kernel have seccomp?)")
		 : WRIT_OK;
}

writ_rc writ_signer_lock_in(struct writ_err *err)
{
	writ_process_harden();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return writ_fail_errno(err, errno, "give up new privileges");
	(void)prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0,
		0); /* kernels before 6.3: the filter does it */
	writ_rc rc = drop_capabilities(err);
	if (!rc)
		rc = limit(err);
	return rc ? rc : filter(err);
}
