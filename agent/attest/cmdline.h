/* SPDX-License-Identifier: Apache-2.0 */
/* cmdline: which of its arguments an interpreter takes for the script. A process can write its own
 * arguments, so this is what it says, not what it does. An option that is not known could have an
 * argument of its own, and then nothing is guessed. Pure. */
#ifndef WRIT_ATTEST_CMDLINE_H
#define WRIT_ATTEST_CMDLINE_H

#include "base/interp.h"

/* text: /proc/PID/cmdline, each argument ended by a NUL. *ret borrows from it and is not empty.
 * WRIT_ENOENT: it runs no script from a file. WRIT_EUNSUP: one cannot tell. */
WRIT_MUST writ_rc writ_cmdline_script(
	enum writ_interp kind, struct writ_str text, struct writ_str *ret, struct writ_err *err);

#endif
