/* SPDX-License-Identifier: Apache-2.0 */
/* held: a child that is forked and waits, before it becomes the command. It keeps this process's
 * group, terminal and files; it dies with this process while it waits. */
#ifndef WRIT_CLI_HELD_H
#define WRIT_CLI_HELD_H

#include "base/err.h"

#include <signal.h>
#include <sys/types.h>

struct writ_held {
	pid_t pid;  /* 0: none, or reaped */
	int pidfd;  /* owned */
	int go;     /* owned: what is written here lets it go */
	int report; /* owned: why it could not become the command */
	int status; /* of waitpid, once it was reaped */
};

/* Forks. Call while this process has one thread. mask: the signal mask that the command gets. */
WRIT_MUST writ_rc writ_held_start(
	char *const *argv, const sigset_t *mask, struct writ_held *ret, struct writ_err *err);
/* Lets it become the command; waits until it has. WRIT_ENOENT, WRIT_EDENIED, ...: it could not. */
WRIT_MUST writ_rc writ_held_go(struct writ_held *h, const char *name, struct writ_err *err);
void writ_held_signal(const struct writ_held *h, int signum);
/* Has it ended? Reaps it then; never waits. */
bool writ_held_ended(struct writ_held *h);
int writ_held_exit_code(const struct writ_held *h); /* 128 + N for a signal */
void writ_held_end(struct writ_held *h); /* kills and reaps what is left of it; idempotent */

#endif
