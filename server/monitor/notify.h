/* SPDX-License-Identifier: Apache-2.0 */
/* notify: tells the service manager how we are (sd_notify(3), the datagram form). */
#ifndef WRIT_MONITOR_NOTIFY_H
#define WRIT_MONITOR_NOTIFY_H

#include "base/str.h"

/* Sends the lines of text that a child may say for us (READY, STATUS, STOPPING, RELOADING, WATCHDOG
 * and their times; never MAINPID or descriptors). socket: the value of NOTIFY_SOCKET; NULL or "":
 * nothing is sent. *ready is set when READY=1 is among them. */
void writ_notify_pass(const char *socket, struct writ_str text, bool *ready);

#endif
