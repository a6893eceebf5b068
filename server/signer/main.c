/* SPDX-License-Identifier: Apache-2.0 */
/* writ-signer: holds the CA keys. Started by writ-server with three descriptors; it has no command
 * line. */
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "crypto/key.h"
#include "signer/serve.h"
#include "signer/vault.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_socket(int fd)
{
	int type;
	socklen_t n = sizeof(type);
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM;
}

/* A service manager and a terminal signal every process of a group. The signer serves until the
 * monitor, which knows when the last request was answered, ends it. */
static void ignore_group_signals(void)
{
	static const int all[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	for (size_t i = 0; i < WRIT_COUNT(all); i++)
		(void)sigaction(all[i], &ignore, NULL);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf("writ-signer %s\n", WRIT_VERSION) < 0;
	if (argc != 1 || !is_socket(WRIT_SIGNER_FD_SERVER) || !is_socket(WRIT_SIGNER_FD_MONITOR)) {
		fprintf(stderr,
			"writ-signer: started by writ-server, not by hand; run: writ-server run\n");
		return WRIT_SIGNER_EXIT_SETUP;
	}
	writ_process_harden();
	ignore_group_signals();
	(void)close_range(WRIT_SIGNER_FD_MONITOR + 1, ~0U, 0);
	struct writ_err err = { 0 };
	const struct writ_signer_fds fds = { WRIT_SIGNER_FD_SERVER, WRIT_SIGNER_FD_RECORD,
		WRIT_SIGNER_FD_MONITOR };
	int status = WRIT_SIGNER_EXIT_SETUP;
	if (writ_log_open(WRIT_LOG_INFO, WRIT_LOG_TEXT, NULL, "writ-signer", &err) == WRIT_OK &&
		writ_crypto_init(&err) == WRIT_OK)
		status = writ_signer_serve(fds, &err);
	if (status != WRIT_SIGNER_EXIT_DONE)
		WRIT_LOG(ERROR, "signer.end", WRIT_KV("status", status),
			WRIT_KV("error", (const char *)err.msg));
	/* Not exit(): handlers of libraries may want what the lock-in forbids, and none of them is
	 * needed. */
	_exit(status);
}
