/* SPDX-License-Identifier: Apache-2.0 */
/* page: the token with which an agent goes on fetching. It says all that the server has to know, so
 * that the server remembers nothing between pages. Pure. */
#ifndef WRIT_PUSH_PAGE_H
#define WRIT_PUSH_PAGE_H

#include "base/err.h"
#include "base/str.h"

#define WRIT_PUSH_PAGE_TEXT 96

struct writ_push_page {
	uint64_t epoch, revision; /* of the first page */
	bool full;
	uint64_t after; /* order of creation of the last entry that was sent */
};

void writ_push_page_print(const struct writ_push_page *p, char out[WRIT_PUSH_PAGE_TEXT]);
WRIT_MUST writ_rc writ_push_page_parse(
	struct writ_str s, struct writ_push_page *ret, struct writ_err *err);

#endif
