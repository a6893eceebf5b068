/* SPDX-License-Identifier: Apache-2.0 */
#include "run/confine.h"

#include "base/mem.h"
#include "confine/caps.h"
#include "confine/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READING ((uint64_t)LANDLOCK_ACCESS_FS_READ_FILE | (uint64_t)LANDLOCK_ACCESS_FS_READ_DIR)
#define CHANGING                                                                                   \
	(READING | (uint64_t)LANDLOCK_ACCESS_FS_WRITE_FILE |                                       \
		(uint64_t)LANDLOCK_ACCESS_FS_MAKE_DIR | (uint64_t)LANDLOCK_ACCESS_FS_REMOVE_DIR)
#define ALL_OF_ABI_1 ((uint64_t)LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1)

static const char *const allowed[] = {
	"openat",
	"close",
	"read",
	"write",
	"lseek",
	"getdents64",
	"newfstatat",
	"fstat",
	"fstatfs",
	"faccessat",
	"faccessat2",
	"mkdirat",
	"unlinkat",
	"flock",
	"fcntl",
	"pidfd_open",
	"poll",
	"ppoll",
	"recvfrom",
	"recvmsg",
	"sendto",
	"sendmsg",
	"geteuid",
	"getpid",
	"gettid",
	"getrandom",
	"clock_gettime",
	"munmap",
	"mremap",
	"brk",
	"madvise",
	"futex",
	"sched_yield",
	"sigaltstack",
	"rt_sigprocmask",
	"rt_sigreturn",
	"restart_syscall",
	"exit",
	"exit_group",
	NULL,
};

static const struct writ_filter filter = { .allowed = allowed };

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

writ_rc writ_keeper_confine(const char *root, struct writ_err *err)
{
	writ_rc rc = writ_caps_keep(WRIT_CAP(CAP_DAC_OVERRIDE) | WRIT_CAP(CAP_SYS_NICE), err);
	if (rc == WRIT_OK)
		rc = keep_one_folder(root, err);
	return rc == WRIT_OK ? writ_filter_load(&filter, err) : rc;
}
