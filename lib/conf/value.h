/* SPDX-License-Identifier: Apache-2.0 */
/* value: one scalar's text into its place, by type. Private to lib/conf. */
#ifndef WRIT_CONF_VALUE_H
#define WRIT_CONF_VALUE_H

#include "conf/table.h"

/* Stores text at `at`; else says in why what is wrong ("is not ...: expected ..."), nothing stored.
 */
bool writ__conf_set_text(
	const struct writ_conf_field *f, const char *text, void *at, struct writ_buf *why);
/* What the type wants, for messages and the manual: "a port (1 to 65535)". */
void writ__conf_describe(const struct writ_conf_field *f, struct writ_buf *out);
bool writ__conf_takes(const struct writ_conf_field *f, enum writ_conf_kind kind);
void writ__conf_free_text(const struct writ_conf_field *f, char *text);
void writ__conf_add_string(struct writ_conf_strings *list, struct writ_str s);

#endif
