/* SPDX-License-Identifier: Apache-2.0 */
/* path_template: agent_path_template, which makes the end of an agent's SPIFFE ID. Of Go's template
 * language it is text and {{ .Field }}, no functions and no pipes. Pure. */
#ifndef WRIT_SERVER_PATH_TEMPLATE_H
#define WRIT_SERVER_PATH_TEMPLATE_H

#include "base/buf.h"

#define WRIT_PATH_TEMPLATE_MAX 1024

/* May it be used with these fields (up to NULL; one that ends with '.' takes any name behind it)?
 * WRIT_EINVAL, and *at is the offset of what is wrong. */
WRIT_MUST writ_rc writ_path_template_check(
	struct writ_str text, const char *const *fields, size_t *at, struct writ_err *err);

struct writ_path_value {
	const char *name; /* as in the list of fields, whole */
	struct writ_str value;
	bool is_path; /* it may hold several segments */
};
/* Appends "/..." to path. WRIT_EDENIED: a field has no value, or one that is no segment of a SPIFFE
 * ID. text has passed the check. */
WRIT_MUST writ_rc writ_path_template_fill(struct writ_str text,
	const struct writ_path_value *values, size_t n, struct writ_buf *path,
	struct writ_err *err);

#endif
