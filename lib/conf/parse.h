/* SPDX-License-Identifier: Apache-2.0 */
/* parse: text in SPIRE's HCL-1 shape, or JSON (first byte '{'), to a tree. docs/adr/0004 says which
 * part of HCL 1 this is. Pure, but for writ_conf_load, which blocks on the file. */
#ifndef WRIT_CONF_PARSE_H
#define WRIT_CONF_PARSE_H

#include "conf/node.h"

#define WRIT_CONF_TEXT_MAX  (1024 * 1024) /* bytes of a file */
#define WRIT_CONF_DEPTH_MAX 16            /* blocks and lists in each other */
#define WRIT_CONF_NODES_MAX 20000         /* in a file */
#define WRIT_CONF_KEYS_MAX  1024          /* in one block */
#define WRIT_CONF_VALUE_MAX (64 * 1024)   /* bytes of one string, variables put in */

struct writ_conf_override { /* from the command line */
	const char *key;
	const char *value;
};

/* Where values from outside the file come from; all may be zero. With env, $NAME and ${NAME} in
 * strings, and in place of a number or of true/false, stand for variables; $$ is one $. A value
 * never changes the shape of the file: quotes in it are just text. A variable that is not set (env
 * gives NULL) is an error. */
struct writ_conf_source {
	const char *(*env)(void *arg, const char *name); /* borrowed until the parser returns */
	void *arg;
	const struct writ_conf_override *overrides;
	size_t n_overrides;
};

/* On success *ret is the root, owned by the caller. A syntax error goes to d and to err
 * (WRIT_EINVAL); there is one, for what follows it would be guessing. */
WRIT_MUST writ_rc writ_conf_parse(struct writ_str text, const struct writ_conf_source *source,
	struct writ_conf_diags *d, struct writ_conf_node **ret, struct writ_err *err);
/* The same for a file, and puts the overrides into `block`. d->file should name it. */
WRIT_MUST writ_rc writ_conf_load(const char *path, const char *block,
	const struct writ_conf_source *source, struct writ_conf_diags *d,
	struct writ_conf_node **ret, struct writ_err *err);

#endif
