/* SPDX-License-Identifier: Apache-2.0 */
/* messages: parts of answers that several methods have. They live in their call's memory, of which
 * what there is comes from writ_call_alloc: NULL when the answer gets too large. Inside
 * agent/admin.
 */
#ifndef WRIT_AGENT_ADMIN_MESSAGES_H
#define WRIT_AGENT_ADMIN_MESSAGES_H

#include "admin/admin_impl.h"

#include "writ/agent/v1/admin.pb-c.h"

#define A(name) Writ__Agent__V1__##name

/* As UTF-8 without NUL: escaped as in JSON when it is not. "" when there is no room. */
char *writ__admin_text(struct writ_call *c, struct writ_str s);
/* A selector as it may be shown; *redacted (may be NULL) tells whether a part was left out. */
char *writ__admin_selector(struct writ_call *c, struct writ_str s, protobuf_c_boolean *redacted);
/* Lines of text as a list. */
char **writ__admin_lines(struct writ_call *c, struct writ_str text, size_t max, size_t *n);
A(Process) *
	writ__admin_process(struct writ_call *c, int pid, uid_t uid, gid_t gid, uint64_t start_time,
		struct writ_str binary, struct writ_str cgroup);
A(Decision) * writ__admin_decision(struct writ_call *c, const struct writ_decision *d);
/* Ends the call: the answer got too large, or what err says. */
void writ__admin_too_large(struct writ_call *c);
/* Reads and seals the selectors of a request. */
WRIT_MUST writ_rc writ__admin_read_selectors(
	char *const *texts, size_t n, struct writ_selectors *ret, struct writ_err *err);

#endif
