/* SPDX-License-Identifier: Apache-2.0 */
#include "attestor/lockin.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(cap) (1ULL << (cap))
#define KEEP     (BIT(CAP_SYS_PTRACE) | BIT(CAP_DAC_READ_SEARCH))

/* Libraries may try others and live without them: those fail with EPERM. */
static const int allowed[] = {
	/* looking */
	SCMP_SYS(read),
	SCMP_SYS(pread64),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(statx),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(fstatfs),
	SCMP_SYS(getdents64),
	SCMP_SYS(lseek),
	SCMP_SYS(openat2),
	SCMP_SYS(close),
	SCMP_SYS(ioctl),
	/* talking, and waiting */
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(eventfd2),
	SCMP_SYS(pipe2),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(fcntl),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(sigaltstack),
	/* memory and threads */
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(brk),
	SCMP_SYS(madvise),
	SCMP_SYS(mlock),
	SCMP_SYS(munlock),
	SCMP_SYS(futex),
	SCMP_SYS(clone3),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield),
	SCMP_SYS(getrandom),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getppid),
	SCMP_SYS(getcpu),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* What an attacker in here would want most: whoever tries is not us any more. */
static const int deadly[] = {
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(process_madvise),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(kcmp),
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(socket),
	SCMP_SYS(connect),
	SCMP_SYS(bind),
	SCMP_SYS(kill),
	SCMP_SYS(tkill),
	SCMP_SYS(tgkill),
	SCMP_SYS(pidfd_send_signal),
	SCMP_SYS(setns),
	SCMP_SYS(unshare),
	SCMP_SYS(mount),
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(io_uring_setup),
};

static writ_rc keep_caps(uint64_t keep, struct writ_err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];
	memset(caps, 0, sizeof(caps));
	for (unsigned cap = 0; prctl(PR_CAPBSET_READ, (unsigned long)cap, 0, 0, 0) >= 0; cap++)
		if (cap >= 64 || !(keep & BIT(cap))) /* without CAP_SETPCAP there is none to drop */
			(void)prctl(PR_CAPBSET_DROP, (unsigned long)cap, 0, 0, 0);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capget, &head, caps) != 0)
		return writ_fail_errno(err, errno, "read the capabilities");
	bool too_many = false;
	for (size_t i = 0; i < WRIT_COUNT(caps); i++) {
		uint32_t mask = (uint32_t)(keep >> 32 * i);
		too_many = too_many || caps[i].permitted & ~mask;
		caps[i].permitted &= mask;
		caps[i].effective = caps[i].permitted;
		caps[i].inheritable = 0;
	}
	if (too_many && syscall(SYS_capset, &head, caps) != 0)
		return writ_fail(err, errno == EPERM ? WRIT_EUNSUP : WRIT_EIO,
			"give up capabilities: capset: %s", strerror(errno));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return writ_fail_errno(err, errno, "give up new privileges");
	return WRIT_OK;
}

static int add_rules(scmp_filter_ctx ctx)
{
	int e = 0;
	for (size_t i = 0; i < WRIT_COUNT(allowed) && !e; i++)
		e = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < WRIT_COUNT(deadly) && !e; i++)
		e = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
	if (!e) /* for reading only */
		e = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
	if (!e) /* a thread, never a process */
		e = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, 0x10000 /* CLONE_THREAD */, 0x10000));
	if (!e) /* how much stack a new thread gets */
		e = seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0, 0));
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
	WRIT_AUTO(releasep) scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return writ_fail(err, WRIT_EIO, "system call filter: out of memory");
	int e = add_rules(ctx);
	if (!e)
		e = seccomp_load(ctx);
	return e ? writ_fail_errno(err, -e, "system call filter (does this kernel have seccomp?)")
		 : WRIT_OK;
}

writ_rc writ_attestor_lock_in(struct writ_err *err)
{
	const struct rlimit none = { 0, 0 };
	if (setrlimit(RLIMIT_FSIZE, &none) != 0)
		return writ_fail_errno(err, errno, "give up writing files");
	writ_rc rc = keep_caps(KEEP, err);
	return rc == WRIT_OK ? filter(err) : rc;
}

writ_rc writ_serving_drop_caps(struct writ_err *err)
{
	return keep_caps(0, err);
}
