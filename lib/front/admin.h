/* SPDX-License-Identifier: Apache-2.0 */
/* admin: the Unix socket of operators, as every daemon has it: for the group writ-admin where there
 * is one, else for the daemon's own user. Start-up code. */
#ifndef WRIT_FRONT_ADMIN_H
#define WRIT_FRONT_ADMIN_H

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

#define WRIT_ADMIN_GROUP "writ-admin"

struct writ_admin_socket {
	int fd; /* bound and listening; the caller's */
	bool has_group;
	gid_t group;    /* of the operators */
	bool not_given; /* there is such a group, and the socket could not be given to it */
};

/* Makes the folder (0750, of the group) when it is missing, and binds: 0660 for the group, else
 * 0600. The socket is at no moment open to another group. Blocks on the name service. */
WRIT_MUST writ_rc writ_listen_admin(
	const char *path, struct writ_admin_socket *ret, struct writ_err *err);

#endif
