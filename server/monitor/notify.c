/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/notify.h"

#include "base/buf.h"
#include "base/mem.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TEXT_MAX 2048

static bool may_pass(struct writ_str line)
{
	static const char *const names[] = { "READY=", "STATUS=", "STOPPING=", "RELOADING=",
		"WATCHDOG=", "MONOTONIC_USEC=", "EXTEND_TIMEOUT_USEC=", "ERRNO=" };
	for (size_t i = 0; i < WRIT_COUNT(names); i++)
		if (writ_str_starts(line, writ_cstr(names[i])))
			return true;
	return false;
}

/* A service manager that cannot be reached is no reason to stop serving. */
static void send_to(const char *path, struct writ_str text)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = strlen(path);
	if (n < 2 || n >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(to.sun_path, path, n);
	if (path[0] == '@')
		to.sun_path[0] = 0;
	WRIT_AUTO(writ_closep) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)sendto(fd, text.p, text.n, MSG_NOSIGNAL | MSG_DONTWAIT,
			(struct sockaddr *)&to,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}

void writ_notify_pass(const char *socket_path, struct writ_str text, bool *ready)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf out = WRIT_BUF(TEXT_MAX);
	struct writ_str line;
	while (text.n) {
		(void)writ_str_cut(&text, '\n', &line);
		if (!may_pass(line))
			continue;
		if (writ_str_eq(line, WRIT_STR("READY=1")))
			*ready = true;
		writ_buf_add_str(&out, line);
		writ_buf_add_byte(&out, '\n');
	}
	if (out.n && socket_path && *socket_path)
		send_to(socket_path, writ_buf_str(&out));
}
