/* SPDX-License-Identifier: Apache-2.0 */
/* plugin: the `plugins` block: `Type "name" { plugin_data { } }`, as SPIRE writes it. Ours are
 * compiled in; a table says which there are. */
#ifndef WRIT_CONF_PLUGIN_H
#define WRIT_CONF_PLUGIN_H

#include "conf/table.h"

#define WRIT_CONF_PLUGINS_MAX 64 /* in a file */

struct writ_conf_plugin { /* borrowed from the tree */
	const char *type;
	const char *name;
	const struct writ_conf_node *data; /* plugin_data; NULL when not written */
	struct writ_conf_pos pos;
	bool is_external; /* has plugin_cmd */
};

/* The enabled plugins in the file's order, at most max; n may be NULL. Accepts each form that HCL
 * and JSON have for labelled blocks. What is malformed goes to d. Returns how many. */
size_t writ_conf_plugins(const struct writ_conf_node *n, struct writ_conf_plugin *out, size_t max,
	struct writ_conf_diags *d);

/* What kinds there are, how many of a kind are wanted, and how grave a missing one is. */
struct writ_conf_plugin_type {
	const char *type;
	unsigned min, max;                /* of enabled ones; max 0: no limit */
	enum writ_conf_severity severity; /* of one that we do not have */
	const char *note;                 /* why, and what to do then */
	const char *missing;              /* what to do when there are fewer than min */
	enum writ_conf_severity missing_severity;
};

struct writ_conf_plugin_row {
	const char *type, *name;
	const struct writ_conf_table
		*table; /* of plugin_data; a WRIT_CONF_PRESENT row tells that it is there */
	size_t offset;
};

struct writ_conf_plugin_set {
	const struct writ_conf_plugin_type *types;
	size_t n_types;
	const struct writ_conf_plugin_row *rows;
	size_t n_rows;
};

/* Fills each row's struct in target (rows that the file does not name get their defaults), and
 * checks types, names and counts. root is the file's root. */
void writ_conf_fill_plugins(const struct writ_conf_plugin_set *set,
	const struct writ_conf_node *root, void *target, struct writ_conf_diags *d);
void writ_conf_done_plugins(const struct writ_conf_plugin_set *set, void *target);

void writ_conf_print_plugins(const struct writ_conf_plugin_set *set, struct writ_buf *out);

#endif
