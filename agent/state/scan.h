/* SPDX-License-Identifier: Apache-2.0 */
/* scan: reads the one JSON form of the state file without making copies, because one of its strings
 * is a private key. Inside agent/state only. */
#ifndef WRIT_AGENT_STATE_SCAN_H
#define WRIT_AGENT_STATE_SCAN_H

#include "base/str.h"

#define WRIT_SCAN_ITEMS 300 /* strings of one list */

enum writ_scan_kind { WRIT_SCAN_TEXT, WRIT_SCAN_LIST, WRIT_SCAN_BOOL };

struct writ_scan_field {
	const char *name;
	enum writ_scan_kind kind;
	bool seen;
	bool yes;                               /* of a BOOL */
	struct writ_str items[WRIT_SCAN_ITEMS]; /* TEXT: the first; borrowed from the text */
	size_t n;
};

/* Reads one object with these members, each at most once and no other. */
WRIT_MUST writ_rc writ_scan(
	struct writ_str text, struct writ_scan_field *fields, size_t n, struct writ_err *err);

#endif
