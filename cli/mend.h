/* SPDX-License-Identifier: Apache-2.0 */
/* mend: the one command that would give a process the identity that it lacks, out of what the agent
 * explained. Pure. */
#ifndef WRIT_CLI_MEND_H
#define WRIT_CLI_MEND_H

#include "base/buf.h"

#include "writ/agent/v1/admin.pb-c.h"

/* Does the nearest entry keep this process out on purpose: does it want the main process, or a
 * launch, and this is what such a one started? Then there is no command: one that left the selector
 * out would give every child the identity. */
bool writ_mend_is_kept_out(const Writ__Agent__V1__ExplainResponse *r);
/* Appends the command, fit to be pasted into a shell; nothing when none would help or none is
 * needed. Returns how many of the entry's selectors it leaves out, since the process has nothing
 * like them. */
size_t writ_mend(const Writ__Agent__V1__ExplainResponse *r, struct writ_buf *out);
/* Appends s as one word of a shell command, in quotes where it needs them. */
void writ_shell_word(struct writ_buf *out, const char *s);

#endif
