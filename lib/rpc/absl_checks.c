/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/absl_checks.h"

#include <dlfcn.h>
#include <string.h>

#define IGNORE 0 /* absl/synchronization/mutex.h: enum class OnDeadlockCycle */

/* The name that Debian 12's library gives it. Other builds of abseil do not check by default. */
static const char name[] = "_ZN4absl7debian329SetMutexDeadlockDetectionModeENS0_15OnDeadlockCycleE";

bool writ_absl_checks_off(void)
{
	void (*set_mode)(int mode) = NULL;
	void *found = dlsym(RTLD_DEFAULT, name);
	memcpy(&set_mode, &found, sizeof(set_mode));
	if (!set_mode)
		return false;
	set_mode(IGNORE);
	return true;
}
