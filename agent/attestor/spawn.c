/* SPDX-License-Identifier: Apache-2.0 */
#include "attestor/spawn.h"

#include "attestor/lockin.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAME "writ-attestor"
#define ROOM (1024 * 1024) /* for the answers of a burst */

/* Ctrl-C reaches the whole group; the one that serves says when it is over. */
static void ignore_signals(void)
{
	static const int ours[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	for (size_t i = 0; i < WRIT_COUNT(ours); i++)
		(void)sigaction(ours[i], &ignore, NULL);
}

static _Noreturn void child(const struct writ_attestor_config *cfg, int fd, pid_t parent)
{
	struct writ_err err = { .rc = WRIT_OK };
	ignore_signals();
	(void)prctl(PR_SET_NAME, NAME, 0, 0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(0);
	writ_process_harden();
	writ_rc rc = writ_attestor_serve(cfg, fd, writ_attestor_lock_in, &err);
	if (rc != WRIT_OK)
		WRIT_LOG(ERROR, "attestor.failed", WRIT_KV("error", err.msg));
	_exit(rc == WRIT_OK ? 0 : 1);
}

writ_rc writ_attestor_spawn(
	const struct writ_attestor_config *cfg, int *fd, pid_t *pid, struct writ_err *err)
{
	int pair[2];
	const int room = ROOM;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return writ_fail_errno(err, errno, "make a socket pair");
	for (int i = 0; i < 2; i++) /* as far as the system lets us */
		(void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	const pid_t parent = getpid();
	pid_t p = fork();
	if (p == 0) {
		(void)close(pair[0]);
		child(cfg, pair[1], parent);
	}
	(void)close(pair[1]);
	if (p < 0) {
		int e = errno;
		(void)close(pair[0]);
		return writ_fail_errno(err, e, "start the attestation process");
	}
	*fd = pair[0];
	*pid = p;
	return WRIT_OK;
}
