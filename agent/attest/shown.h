/* SPDX-License-Identifier: Apache-2.0 */
/* shown: selectors as people and logs may see them. The value of an environment variable is often a
 * secret, so of "docker:env:TOKEN=s3cr3t" only "docker:env:TOKEN=(redacted)" is shown; all else is
 * shown whole. Pure. */
#ifndef WRIT_ATTEST_SHOWN_H
#define WRIT_ATTEST_SHOWN_H

#include "attest/selectors.h"

#define WRIT_REDACTED "(redacted)"

/* Appends one selector; true when a part of it was left out. */
bool writ_selector_show(struct writ_str text, struct writ_buf *out);
/* Appends all of a sealed set, with sep between two. The number of those with a part left out. */
size_t writ_selectors_show(const struct writ_selectors *s, const char *sep, struct writ_buf *out);

#endif
