/* SPDX-License-Identifier: Apache-2.0 */
/* log_line: how a line looks, shared by the log and the audit log. Inside lib/base only. */
#ifndef WRIT_BASE_LOG_LINE_H
#define WRIT_BASE_LOG_LINE_H

#include "base/buf.h"
#include "base/log.h"

/* Appends one pair, with what separates it from the pair before; a pair without a key is nothing.
 */
void writ_log_line_pair(
	struct writ_buf *out, enum writ_log_format format, const struct writ_kv *kv);
/* Starts a line: time, then kind ("level" or "type") and its value, then msg. */
void writ_log_line_start(struct writ_buf *out, enum writ_log_format format, const char *kind,
	const char *value, const char *event);
void writ_log_line_end(struct writ_buf *out, enum writ_log_format format);

/* Writes a whole line to fd without waiting: 0, or errno (EAGAIN: nothing was written and it would
 * have blocked). *half: in, the line before was cut short; out, this one was. */
int writ_log_line_write(int fd, struct writ_str line, bool *half);
/* The same to wherever the log goes. */
int writ_log_through(struct writ_str line);

#endif
