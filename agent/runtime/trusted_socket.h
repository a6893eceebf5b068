/* SPDX-License-Identifier: Apache-2.0 */
/* trusted_socket: a connection to a Unix socket that nobody but its owner can have put there. */
#ifndef WRIT_RUNTIME_TRUSTED_SOCKET_H
#define WRIT_RUNTIME_TRUSTED_SOCKET_H

#include "base/err.h"

#include <sys/types.h>

/* Connects to the socket at an absolute path, and checks:
 * - each folder on the way is root's or owner's, and nobody else may write to it (in a sticky one,
 *   only what is theirs counts);
 * - the socket is owner's and not open to all; whoever listens there ran as owner;
 * - root's sockets may be behind symbolic links, those of others may not, nor on a file system that
 *   the owner could have mounted in his own folder.
 * The descriptor is non-blocking. WRIT_ENOENT: nothing there. WRIT_EDENIED: a check failed, or the
 * agent may not. WRIT_EUNAVAIL: nobody listens. Looks at the disk: for jobs. */
WRIT_MUST writ_rc writ_trusted_connect(
	const char *path, uid_t owner, int *ret, struct writ_err *err);
/* The same for a socket that is there for everybody, as the system bus's: it may be open to all. */
WRIT_MUST writ_rc writ_trusted_connect_public(
	const char *path, uid_t owner, int *ret, struct writ_err *err);

#endif
