/* SPDX-License-Identifier: Apache-2.0 */
/* fdpass: a message between processes of ours, and one descriptor with it (unix(7), SCM_RIGHTS).
 * Never waits. */
#ifndef WRIT_BASE_FDPASS_H
#define WRIT_BASE_FDPASS_H

#include <sys/types.h>

/* Sends n bytes, and fd unless it is negative (a copy: fd stays the caller's). What send(2)
 * returns, with errno: EAGAIN when the other side does not read. */
ssize_t writ_fdpass_send(int sock, const void *p, size_t n, int fd);
/* Receives up to n bytes. *fd: the descriptor that came along, now the caller's; -1 when there was
 * none. One more in the same message is closed by the kernel. What recv(2) returns, with errno. */
ssize_t writ_fdpass_recv(int sock, void *p, size_t n, int *fd);

#endif
