/* SPDX-License-Identifier: Apache-2.0 */
/* interp: programs whose identity says nothing of what they do, because they run what a file says:
 * python, node, a shell. Pure. */
#ifndef WRIT_BASE_INTERP_H
#define WRIT_BASE_INTERP_H

#include "base/str.h"

enum writ_interp {
	WRIT_INTERP_NONE,
	WRIT_INTERP_PYTHON,
	WRIT_INTERP_NODE,
	WRIT_INTERP_SHELL,
	WRIT_INTERP_RUBY,
	WRIT_INTERP_PERL,
	WRIT_INTERP_JAVA,
	WRIT_INTERP_OTHER, /* known as one, and no more than that: php, lua, deno, bun */
	WRIT_INTERP_COUNT
};

/* By the name of the file at the end of path; versions do not matter: "/usr/bin/python3.11". */
enum writ_interp writ_interp_of(struct writ_str path);

#endif
