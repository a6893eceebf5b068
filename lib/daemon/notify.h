/* SPDX-License-Identifier: Apache-2.0 */
/* notify: systemd's readiness protocol (sd_notify(3)): datagrams of VARIABLE=value lines to the
 * socket in NOTIFY_SOCKET. */
#ifndef WRIT_DAEMON_NOTIFY_H
#define WRIT_DAEMON_NOTIFY_H

/* Best effort: nobody to tell is not an error. socket_path may start with '@' (abstract). NULL is
 * fine. */
void writ_notify(const char *socket_path, const char *text);

#endif
