/* SPDX-License-Identifier: Apache-2.0 */
/* log_quota: how many lines the callers of one user may cause, so that one user's flood does not
 * hide what another one's processes were refused for. What is left out is counted, and said in a
 * line of its own for each user. Loop thread. */
#ifndef WRIT_AGENT_LOG_QUOTA_H
#define WRIT_AGENT_LOG_QUOTA_H

#include "loop/loop.h"

#include <sys/types.h>

/* Each kind has a quota of its own: a burst of 10 lines, then one a second. */
enum writ_line_kind {
	WRIT_LINE_GRANT,
	WRIT_LINE_DENIAL,
	WRIT_LINE_GONE, /* denials of callers that had ended before they were looked at */
	WRIT_LINE_KINDS
};

#define WRIT_LOG_QUOTA_USERS      1024 /* known at a time; the one seen longest ago goes */
#define WRIT_LOG_QUOTA_SUMMARY_MS 5000 /* from the first line left out to the line that says so */

struct writ_log_quota;

struct writ_log_quota *writ_log_quota_new(struct writ_loop *l);
bool writ_log_quota_pass(struct writ_log_quota *q, uid_t uid, enum writ_line_kind kind);
/* Says now what was left out since it was said last: for the timer, and the end. */
void writ_log_quota_say(struct writ_log_quota *q);
void writ_log_quota_free(struct writ_log_quota *q);

#endif
