/* SPDX-License-Identifier: Apache-2.0 */
/* json: members of JSON messages whose bytes are base64 (RFC 4648 4, padded), which is how Go
 * writes them and SPIRE's node attestors talk. The peer's sizes are bounded by the caller. Pure. */
#ifndef WRIT_SPIFFE_JSON_H
#define WRIT_SPIFFE_JSON_H

#include "base/buf.h"

struct json_t; /* jansson's */

/* An object, or WRIT_EINVAL with where it is not. A member twice is refused. Owned. */
WRIT_MUST writ_rc writ_json_parse(struct writ_str text, struct json_t **ret, struct writ_err *err);
void writ_json_freep(struct json_t **doc); /* for WRIT_AUTO */
/* A member that is an object; NULL when it is absent, null or something else. Borrowed. */
const struct json_t *writ_json_object(const struct json_t *obj, const char *name);
/* A text member; an empty slice when it is absent or something else. Borrowed. */
struct writ_str writ_json_text(const struct json_t *obj, const char *name);
/* The bytes of a member, 1 to max; or exactly n. WRIT_EINVAL names the member. */
WRIT_MUST writ_rc writ_json_bytes(const struct json_t *obj, const char *name, uint8_t *out,
	size_t max, size_t *n, struct writ_err *err);
WRIT_MUST writ_rc writ_json_exact(
	const struct json_t *obj, const char *name, uint8_t *out, size_t n, struct writ_err *err);
/* As bytes, appended to out, which has the maximum. */
WRIT_MUST writ_rc writ_json_add_bytes(
	const struct json_t *obj, const char *name, struct writ_buf *out, struct writ_err *err);
/* A list of such texts: how many (0: none, or no list), and one of them appended to out. */
size_t writ_json_count(const struct json_t *obj, const char *name);
WRIT_MUST writ_rc writ_json_add_item(const struct json_t *obj, const char *name, size_t i,
	struct writ_buf *out, struct writ_err *err);

/* Appends a quoted base64 text. */
void writ_json_put_bytes(struct writ_buf *out, const void *p, size_t n);

#endif
