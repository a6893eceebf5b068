/* SPDX-License-Identifier: Apache-2.0 */
/* confine: what the keeper gives up. It needs two rights, in one place: to write where files belong
 * to somebody else, and to move what has capabilities (docs/adr/0014-writ-run.md). Linux only; in a
 * process with one thread. */
#ifndef WRIT_AGENT_CONFINE_H
#define WRIT_AGENT_CONFINE_H

#include "base/err.h"

/* All capabilities but CAP_DAC_OVERRIDE and CAP_SYS_NICE; all files but those below root, and
 * reading /proc, where the kernel has Landlock; all system calls that it has no use for. None comes
 * back. */
WRIT_MUST writ_rc writ_keeper_confine(const char *root, struct writ_err *err);

#endif
