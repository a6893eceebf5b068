/* SPDX-License-Identifier: Apache-2.0 */
/* lockin: from here on the process can compute, talk over the descriptors that it has, and end.
 * Linux only. */
#ifndef WRIT_SIGNER_LOCKIN_H
#define WRIT_SIGNER_LOCKIN_H

#include "base/err.h"

/* Gives up all capabilities, new privileges, executable memory and every system call but a short
 * list: no open, no socket, no exec, no fork. Whoever tries is killed by SIGSYS. Call it once, in a
 * process of one thread, when all libraries have loaded what they load at first use. There is no
 * way back. */
WRIT_MUST writ_rc writ_signer_lock_in(struct writ_err *err);

#endif
