/* SPDX-License-Identifier: Apache-2.0 */
/* options: command-line flags from a table. Each has two spellings, as SPIRE writes it (-spiffeID)
 * and as GNU does (--spiffe-id); both work with one dash or two, with "=value" or the next
 * argument. No abbreviations: a script must not change its meaning with a new flag. */
#ifndef WRIT_BASE_OPTIONS_H
#define WRIT_BASE_OPTIONS_H

#include "base/str.h"

enum writ_option_kind {
	WRIT_OPT_FLAG,   /* -node, -node=true, -node=false */
	WRIT_OPT_STRING, /* the last one given counts */
	WRIT_OPT_LIST,   /* may be given more than once */
};

struct writ_option {
	const char *name;   /* "spiffeID": by this the program asks for it */
	const char *dashed; /* "spiffe-id"; NULL when both are the same */
	enum writ_option_kind kind;
	const char *arg; /* what the help calls the value: "ID"; NULL for flags */
	const char *help;
};

#define WRIT_ARGS_MAX 512

/* What was given: pointers into argv. */
struct writ_args {
	const struct writ_option *options;
	size_t n_options;
	struct {
		const struct writ_option *option;
		const char *value;
	} given[WRIT_ARGS_MAX];
	size_t n_given;
	const char *rest[WRIT_ARGS_MAX]; /* what is not a flag, and all after "--" */
	size_t n_rest;
	char *const *tail; /* with stop_at_rest: argv from the first of these on; else NULL */
	bool help;         /* -h, -help, --help */
};

/* argv without the program's and the command's words. WRIT_EINVAL names the flag and the nearest
 * one there is. With stop_at_rest the first argument that is not a flag ends the flags (for
 * commands that start other commands): it alone is in rest, and it and all behind it, however
 * many, are the tail. */
WRIT_MUST writ_rc writ_args_parse(struct writ_args *a, const struct writ_option *options, size_t n,
	int argc, char *const *argv, bool stop_at_rest, struct writ_err *err);
const char *writ_arg(const struct writ_args *a, const char *name); /* NULL when not given */
bool writ_arg_flag(const struct writ_args *a, const char *name);
/* WRIT_EINVAL when there is an argument that is not a flag. */
WRIT_MUST writ_rc writ_args_no_rest(const struct writ_args *a, struct writ_err *err);
/* Both, for programs that take flags alone; with -help nothing else is looked at. */
WRIT_MUST writ_rc writ_args_parse_flags(struct writ_args *a, const struct writ_option *options,
	size_t n, int argc, char *const *argv, struct writ_err *err);
bool writ_arg_given(const struct writ_args *a, const char *name);
/* The i-th value of a list; NULL behind the last. */
const char *writ_arg_at(const struct writ_args *a, const char *name, size_t i);

#endif
