/* SPDX-License-Identifier: Apache-2.0 */
#include "run/confine.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READING ((uint64_t)LANDLOCK_ACCESS_FS_READ_FILE | (uint64_t)LANDLOCK_ACCESS_FS_READ_DIR)
#define CHANGING                                                                                   \
	(READING | (uint64_t)LANDLOCK_ACCESS_FS_WRITE_FILE |                                       \
		(uint64_t)LANDLOCK_ACCESS_FS_MAKE_DIR | (uint64_t)LANDLOCK_ACCESS_FS_REMOVE_DIR)
#define ALL_OF_ABI_1 ((uint64_t)LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1)

static const int allowed[] = {
	SCMP_SYS(openat),
	SCMP_SYS(close),
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(lseek),
	SCMP_SYS(getdents64),
	SCMP_SYS(newfstatat),
	SCMP_SYS(fstat),
	SCMP_SYS(fstatfs),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(mkdirat),
	SCMP_SYS(unlinkat),
	SCMP_SYS(flock),
	SCMP_SYS(fcntl),
	SCMP_SYS(pidfd_open),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(geteuid),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getrandom),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(brk),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

static writ_rc keep_one_capability(struct writ_err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2];
	memset(caps, 0, sizeof(caps));
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (cap != CAP_DAC_OVERRIDE) /* without CAP_SETPCAP there is none to drop */
			(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capget, &head, caps) != 0)
		return writ_fail_errno(err, errno, "read the capabilities");
	caps[0].permitted &= 1u << CAP_DAC_OVERRIDE;
	caps[0].effective = caps[0].permitted;
	caps[1].permitted = caps[1].effective = 0;
	caps[0].inheritable = caps[1].inheritable = 0;
	if (syscall(SYS_capset, &head, caps) != 0)
		return writ_fail_errno(err, errno, "give up capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return writ_fail_errno(err, errno, "give up new privileges");
	return WRIT_OK;
}

static bool allow_below(int rules, const char *path, uint64_t rights)
{
	WRIT_AUTO(writ_closep) int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct landlock_path_beneath_attr rule = { .allowed_access = rights,
		.parent_fd = fd };
	return fd >= 0 &&
		syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

static writ_rc keep_one_folder(const char *root, struct writ_err *err)
{
	const struct landlock_ruleset_attr all = { .handled_access_fs = ALL_OF_ABI_1 };
	WRIT_AUTO(writ_closep)
	int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
	if (rules < 0 || access(root, F_OK) != 0)
		return WRIT_OK; /* nothing to keep; or a kernel without Landlock, or with it turned
				   off */
	if (!allow_below(rules, root, CHANGING) || !allow_below(rules, "/proc", READING) ||
		syscall(SYS_landlock_restrict_self, rules, 0) != 0)
		return writ_fail_errno(err, errno, "give up all files but those of %s", root);
	return WRIT_OK;
}

static void releasep(scmp_filter_ctx *ctx)
{
	seccomp_release(*ctx);
}

static writ_rc filter(struct writ_err *err)
{
	WRIT_AUTO(releasep) scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	const int memory[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) };
	if (!ctx)
		return writ_fail(err, WRIT_EIO, "system call filter: out of memory");
	int e = 0;
	for (size_t i = 0; i < WRIT_COUNT(allowed) && !e; i++)
		e = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < WRIT_COUNT(memory) && !e; i++)
		e = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, memory[i], 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!e)
		e = seccomp_load(ctx);
	return e ? writ_fail_errno(err, -e, "system call filter (does this kernel have seccomp?)")
		 : WRIT_OK;
}

writ_rc writ_keeper_confine(const char *root, struct writ_err *err)
{
	writ_rc rc = keep_one_capability(err);
	if (rc == WRIT_OK)
		rc = keep_one_folder(root, err);
	return rc == WRIT_OK ? filter(err) : rc;
}
