/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/notify.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void writ_notify(const char *socket_path, const char *text)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t n = socket_path ? strlen(socket_path) : 0;
	if (!n || n >= sizeof(a.sun_path) || (socket_path[0] != '/' && socket_path[0] != '@'))
		return;
	memcpy(a.sun_path, socket_path, n);
	if (a.sun_path[0] == '@')
		a.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&a,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	close(fd);
}
