/* SPDX-License-Identifier: Apache-2.0 */
/* id: SPIFFE IDs and trust domain names (SPIFFE-ID.md 2). Parsed by byte length, rejected rather
 * than normalised: parse of print is the identity. Pure; any thread. */
#ifndef WRIT_SPIFFE_ID_H
#define WRIT_SPIFFE_ID_H

#include "base/str.h"

#define WRIT_ID_MAX 2048
#define WRIT_TD_MAX 255

/* A checked ID: slices of the text it was parsed from, borrowed. */
struct writ_id {
	struct writ_str uri;  /* "spiffe://td/path" */
	struct writ_str td;   /* "td" */
	struct writ_str path; /* "/path", empty for the trust domain itself */
};

WRIT_MUST writ_rc writ_id_parse(struct writ_str s, struct writ_id *ret, struct writ_err *err);
/* As parse, and the path must not be empty (a workload's, an agent's). */
WRIT_MUST writ_rc writ_id_parse_leaf(struct writ_str s, struct writ_id *ret, struct writ_err *err);
WRIT_MUST writ_rc writ_td_check(struct writ_str td, struct writ_err *err);
/* "td", "spiffe://td" or "spiffe://td/path": the name. For configuration and map keys; borrowed
 * from s. */
WRIT_MUST writ_rc writ_td_parse(struct writ_str s, struct writ_str *ret, struct writ_err *err);
WRIT_MUST writ_rc writ_path_check(
	struct writ_str path, struct writ_err *err); /* with leading '/', or empty */
/* Owned "spiffe://td/path" of parts that are checked here. */
WRIT_MUST writ_rc writ_id_make(
	struct writ_str td, struct writ_str path, char **ret, struct writ_err *err);
bool writ_id_is_reserved(const struct writ_id *id); /* path is "/spire" or below it */

/* A rule for peers: exact IDs and path prefixes on segment boundaries. "spiffe://td/a/" (or with a
 * star behind the slash) allows everything below it, "spiffe://td/" the whole domain. An empty list
 * allows nobody. */
struct writ_allow {
	char **rules; /* owned */
	size_t n;
};
WRIT_MUST writ_rc writ_allow_add(
	struct writ_allow *a, struct writ_str rule, struct writ_err *err); /* at most 1,024 */
bool writ_allow_match(const struct writ_allow *a, struct writ_str uri,
	const char **rule); /* rule: the one that matched, or NULL arg */
void writ_allow_done(struct writ_allow *a);

#endif
