/* SPDX-License-Identifier: Apache-2.0 */
#include "reach.h"

#include "base/fs.h"
#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

bool writ_reach(const struct sockaddr *to, socklen_t n, int64_t timeout_ms, int *errnum)
{
	socklen_t size = sizeof(*errnum);
	WRIT_AUTO(writ_closep)
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	*errnum = 0;
	if (fd >= 0 && connect(fd, to, n) == 0)
		return true;
	*errnum = errno;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	if (fd < 0 || errno != EINPROGRESS)
		return false;
	*errnum = ETIMEDOUT;
	if (poll(&p, 1, (int)timeout_ms) <= 0)
		return false;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, errnum, &size) == 0 && *errnum == 0;
}
