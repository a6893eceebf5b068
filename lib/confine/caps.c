/* SPDX-License-Identifier: Apache-2.0 */
#include "confine/caps.h"

#include "base/mem.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void reduce_bounding_set(uint64_t mask)
{
	for (unsigned cap = 0; prctl(PR_CAPBSET_READ, (unsigned long)cap, 0, 0, 0) >= 0; cap++)
		if (cap >= 64 || !(mask & WRIT_CAP(cap)))
			/* without CAP_SETPCAP there is none to drop */
			(void)prctl(PR_CAPBSET_DROP, (unsigned long)cap, 0, 0, 0);
}

writ_rc writ_caps_keep(uint64_t mask, struct writ_err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct has[2], keep[2];
	memset(has, 0, sizeof(has));
	memset(keep, 0, sizeof(keep));
	reduce_bounding_set(mask);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capget, &head, has) != 0)
		return writ_fail_errno(err, errno, "read the capabilities");
	bool too_many = false;
	for (size_t i = 0; i < WRIT_COUNT(has); i++) {
		keep[i].permitted = has[i].permitted & (uint32_t)(mask >> 32 * i);
		keep[i].effective = keep[i].permitted;
		too_many = too_many || keep[i].permitted != has[i].permitted;
	}
	/* A process that has none too many may run where a filter forbids capset. */
	if (memcmp(has, keep, sizeof(has)) != 0 && syscall(SYS_capset, &head, keep) != 0 &&
		too_many)
		return writ_fail(err, errno == EPERM ? WRIT_EUNSUP : WRIT_EIO,
			"give up capabilities: capset: %s", strerror(errno));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return writ_fail_errno(err, errno, "give up new privileges");
	return WRIT_OK;
}
