/* SPDX-License-Identifier: Apache-2.0 */
/* str: a borrowed slice of bytes, NUL-terminated only by chance; and checks of text. */
#ifndef WRIT_BASE_STR_H
#define WRIT_BASE_STR_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct writ_str {
	const char *p;
	size_t n;
};

#define WRIT_STR(lit) ((struct writ_str){ ("" lit), sizeof(lit) - 1 })
#define WRIT_FMT      "%.*s"
#define WRIT_ARG(s)   (int)(s).n, (s).p

struct writ_str writ_cstr(const char *s); /* NULL gives an empty slice */
struct writ_str writ_strn(const void *p, size_t n);
bool writ_str_eq(struct writ_str a, struct writ_str b);
int writ_str_cmp(struct writ_str a, struct writ_str b); /* bytewise */
bool writ_str_starts(struct writ_str s, struct writ_str prefix);
bool writ_str_ends(struct writ_str s, struct writ_str suffix);
/* Cuts s at the first sep: *head gets what is before it, s what is after; false (and *head = s, s
 * empty) when there is none. */
bool writ_str_cut(struct writ_str *s, char sep, struct writ_str *head);
/* Cuts s behind its first line, which *line gets without its LF or CR LF; false: no line of s has
 * ended yet. */
bool writ_str_line(struct writ_str *s, struct writ_str *line);
struct writ_str writ_str_trim(struct writ_str s); /* ASCII blanks, tabs, CR, LF at both ends */

/* Whole-string decimal numbers; no sign, no blanks, no overflow: else WRIT_EINVAL with the text
 * seen. */
WRIT_MUST writ_rc writ_parse_u64(
	struct writ_str s, uint64_t min, uint64_t max, uint64_t *ret, struct writ_err *err);
/* Go's duration syntax: "1h30m", "90s", "500ms", "0"; to milliseconds. Not negative. */
WRIT_MUST writ_rc writ_parse_duration_ms(struct writ_str s, int64_t *ret, struct writ_err *err);
/* "1h30m", "45s", "0s": the shortest exact form. buf of at least 32 bytes. */
const char *writ_format_duration(int64_t ms, char *buf, size_t n);

bool writ_is_utf8(const void *p, size_t n);
/* Edit distance, for "did you mean"; strings over 64 bytes count as far apart. */
size_t writ_edit_distance(struct writ_str a, struct writ_str b);
/* The candidate nearest to s, or NULL when none is near enough to be meant. */
const char *writ_nearest(struct writ_str s, const char *const *candidates, size_t n);

/* Lower-case hex without separators; out needs 2*n+1 bytes. */
void writ_hex(const uint8_t *p, size_t n, char *out);
WRIT_MUST writ_rc writ_unhex(
	struct writ_str s, uint8_t *out, size_t cap, size_t *n, struct writ_err *err);

/* RFC 3339 in UTC, whole seconds: "2026-11-22T10:00:00Z"; buf of at least 32 bytes. */
const char *writ_format_time(int64_t unix_s, char *buf, size_t n);

#endif
