/* SPDX-License-Identifier: Apache-2.0 */
/* entry_lint: what is right by the rules and yet seldom meant: an entry that more processes match
 * than its author thinks. */
#ifndef WRIT_CLI_ENTRY_LINT_H
#define WRIT_CLI_ENTRY_LINT_H

#include "base/buf.h"

#include "spire/api/types/entry.pb-c.h"

/* Appends a line for each warning: "W-ROOT unix:uid:0: why and what to do". Returns how many. */
size_t writ_entry_lint(const Spire__Api__Types__Entry *e, struct writ_buf *out);

#endif
