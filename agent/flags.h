/* SPDX-License-Identifier: Apache-2.0 */
/* flags: writ-agent's command line, with SPIRE's names. */
#ifndef WRIT_AGENT_FLAGS_H
#define WRIT_AGENT_FLAGS_H

#include "base/options.h"
#include "base/secret.h"
#include "config/config.h"

WRIT_MUST writ_rc writ_agent_parse_flags(
	struct writ_args *a, int argc, char *const *argv, struct writ_err *err);
/* The command line is for everybody to read: the token of -joinToken moves to *token, and its bytes
 * in argv are wiped. Call it before anything that takes time. */
WRIT_MUST writ_rc writ_agent_take_token(const struct writ_args *a, int argc, char **argv,
	struct writ_secret *token, struct writ_err *err);
/* The file, with what the flags say over it. env: for -expandEnv. Mistakes go to stderr. */
WRIT_MUST writ_rc writ_agent_load_config(const struct writ_args *a,
	const char *(*env)(void *arg, const char *name), struct writ_agent_config *cfg,
	struct writ_err *err);
void writ_agent_print_usage(void);

#endif
