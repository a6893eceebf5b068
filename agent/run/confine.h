/* SPDX-License-Identifier: Apache-2.0 */
/* confine: what the keeper gives up. It needs one right, to write where files belong to somebody
 * else, and that in one place. Linux only; in a process with one thread. */
#ifndef WRIT_AGENT_CONFINE_H
#define WRIT_AGENT_CONFINE_H

#include "base/err.h"

/* All capabilities but CAP_DAC_OVERRIDE; all files but those below root, and reading /proc, where
 * the kernel has Landlock; all system calls that it has no use for. None comes back. */
WRIT_MUST writ_rc writ_keeper_confine(const char *root, struct writ_err *err);

#endif
