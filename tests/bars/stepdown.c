/* SPDX-License-Identifier: Apache-2.0 */
/* stepdown: a set-user-ID program of the kind that Debian has none of: it uses its owner's rights
 * for a time, gives them up, and runs in the same process what its caller wants. See pose_setuid.c.
 *
 * usage: stepdown US GATE-FD REPORT-FD PROGRAM [ARGUMENT...]: the gate closes when PROGRAM runs. */
#include "ask.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char unready = ASK_UNREADY;
	uid_t uid = getuid();
	if (argc < 5)
		return 2;
	if (geteuid() == uid) { /* it was not made set-user-ID, or that does not count here */
		(void)!write(atoi(argv[3]), &unready, 1);
		return 1;
	}
	(void)usleep((useconds_t)atoi(argv[1]));
	(void)fcntl(atoi(argv[2]), F_SETFD, FD_CLOEXEC);
	if (setresuid(uid, uid, uid) == 0)
		(void)execv(argv[4], argv + 4);
	return 1;
}
