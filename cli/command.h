/* SPDX-License-Identifier: Apache-2.0 */
/* command: the one table of what `writ` can do. Dispatch, help, completion and the man page are
 * made from it. */
#ifndef WRIT_CLI_COMMAND_H
#define WRIT_CLI_COMMAND_H

#include "base/buf.h"
#include "base/mem.h"
#include "base/options.h"

struct writ_invocation {
	const struct writ_command *command;
	struct writ_args args;
	int exit_code;    /* -1: by the result code of run; a command may set its own */
	const char *next; /* what to do after a failure, printed under the error; static or owned
			     for the process's life */
};

struct writ_command {
	const char *words;    /* "entry create" */
	const char *summary;  /* one line, no full stop */
	const char *operands; /* "CMD [ARG...]", or NULL: takes none */
	const struct writ_option *options;
	size_t n_options;
	writ_rc (*run)(struct writ_invocation *in, struct writ_err *err);
	const char *detail; /* a paragraph for -help and the man page; may be NULL */
	bool runs_others;   /* the first operand ends the flags */
};

/* Each file of commands has one such array. */
struct writ_command_group {
	const char *title;
	const struct writ_command *commands;
	size_t n;
};
extern const struct writ_command_group writ_commands_entry, writ_commands_agent,
	writ_commands_token, writ_commands_bundle, writ_commands_x509, writ_commands_svid,
	writ_commands_run, writ_commands_curl, writ_commands_health, writ_commands_dev,
	writ_commands_help, writ_commands_explain, writ_commands_doctor;
extern const struct writ_command_group *const writ_command_groups[];
extern const size_t writ_n_command_groups;

/* The command that argv begins with, and how many words it has; NULL with err when there is none.
 */
const struct writ_command *writ_command_find(
	int argc, char *const *argv, int *words, struct writ_err *err);

void writ_help_overview(void);
void writ_help_command(const struct writ_command *c);

#endif
