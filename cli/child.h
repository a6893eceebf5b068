/* SPDX-License-Identifier: Apache-2.0 */
/* child: programs that a command starts, and ends. They die with this process. */
#ifndef WRIT_CLI_CHILD_H
#define WRIT_CLI_CHILD_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

struct writ_child {
	pid_t pid;  /* 0: none */
	int out;    /* read end of its standard output; -1: not asked for */
	int status; /* of waitpid, once it has ended */
	bool ended;
	bool reported; /* the owner's */
};

struct writ_child_spec {
	const char *const *argv; /* argv[0] is a path, or is looked up in PATH when it has no slash;
				    ends with NULL */
	const char *const *env;  /* "NAME=value" to add; ends with NULL; may be NULL */
	const char *log; /* standard error (and output, unless piped) go there; NULL: inherited */
	bool pipe_output;
};

WRIT_MUST writ_rc writ_child_start(
	const struct writ_child_spec *spec, struct writ_child *ret, struct writ_err *err);
bool writ_child_poll(struct writ_child *c);           /* has it ended? never waits */
int writ_child_exit_code(const struct writ_child *c); /* once ended; 128 + N for a signal */
/* SIGTERM, then SIGKILL after the deadline; waits for the end. */
void writ_child_end(struct writ_child *c, int64_t deadline_ms);
/* The path of a program of ours: beside this one. Owned. */
WRIT_MUST writ_rc writ_sibling(const char *name, char **ret, struct writ_err *err);

#endif
