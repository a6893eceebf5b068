/* SPDX-License-Identifier: Apache-2.0 */
/* lockin: what each of the agent's two processes gives up. Linux only; before the first thread. */
#ifndef WRIT_ATTESTOR_LOCKIN_H
#define WRIT_ATTESTOR_LOCKIN_H

#include "base/err.h"

/* The attestation process: keeps CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH of what it has, and only
 * system calls that look: no socket, no exec, no signal, nothing that writes to a file or to
 * another's memory. An attempt to trace, to reach into another process or to open a socket ends
 * it. No descriptor of a loop can be made after it. */
WRIT_MUST writ_rc writ_attestor_lock_in(struct writ_err *err);
/* The process that parses what callers write: no capability is left, none can come back.
 * WRIT_EUNSUP: a system call filter forbids capset. For a user that is not root they end with the
 * next exec then. */
WRIT_MUST writ_rc writ_serving_drop_caps(struct writ_err *err);

#endif
