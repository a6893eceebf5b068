/* SPDX-License-Identifier: Apache-2.0 */
/* monitor_stub: a small serving process for tests of the monitor, which starts it. It signs as fast
 * as it can and notes each certificate that it got in dir/answered: its serial number, one a line;
 * "ca ID" for each CA that became active, "failed WHY" for what was not signed. */
#ifndef MONITOR_STUB_H
#define MONITOR_STUB_H

int monitor_stub(const char *dir, const char *type); /* of the CA's key */

#endif
