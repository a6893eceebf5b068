/* SPDX-License-Identifier: Apache-2.0 */
/* auxv: what the kernel gave a program at its start, as /proc/PID/auxv has it: pairs of words, of 4
 * or 8 bytes by what the program is (getauxval(3)). Pure. */
#ifndef WRIT_ATTEST_AUXV_H
#define WRIT_ATTEST_AUXV_H

#include "base/str.h"

/* Where the kernel does not choose a program's addresses (setarch -R, a debugger, a kernel told not
 * to), auxv is the same each time it is run, and a process that was another program in between
 * looks as if it had not been. It shows in the stack, which then ends where addresses end; neither
 * the process's personality(2) nor the kernel's setting of now says how it was at the exec. What
 * does not say where the stack ends counts as fixed, and so does a 32-bit program that the kernel
 * placed there by chance, about once in 2,000 starts. */
bool writ_auxv_is_fixed(struct writ_str auxv);

#endif
