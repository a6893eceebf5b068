/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_line.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* What reads well without quotes in the text form. */
static bool is_plain(struct writ_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool word =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!word && (!c || !strchr("-._/@^+", c)))
			return false;
	}
	return s.n > 0;
}

static void add_value(struct writ_buf *out, enum writ_log_format format, struct writ_str s)
{
	if (format == WRIT_LOG_TEXT && is_plain(s)) {
		writ_buf_add_str(out, s);
		return;
	}
	writ_buf_add_byte(out, '"');
	writ_buf_add_json(out, s);
	writ_buf_add_byte(out, '"');
}

void writ_log_line_pair(struct writ_buf *out, enum writ_log_format format, const struct writ_kv *kv)
{
	if (!kv->key)
		return;
	writ_buf_addf(out, format == WRIT_LOG_JSON ? ",\"%s\":" : " %s=", kv->key);
	if (kv->kind == WRIT_KV_INT)
		writ_buf_addf(out, "%" PRId64, kv->num);
	else if (kv->kind == WRIT_KV_UINT)
		writ_buf_addf(out, "%" PRIu64, (uint64_t)kv->num);
	else if (kv->kind == WRIT_KV_BOOL)
		writ_buf_add_cstr(out, kv->num ? "true" : "false");
	else
		add_value(out, format, kv->str);
}

void writ_log_line_start(struct writ_buf *out, enum writ_log_format format, const char *kind,
	const char *value, const char *event)
{
	char time[32];
	writ_format_time(writ_wall_s(), time, sizeof(time));
	if (format == WRIT_LOG_JSON)
		writ_buf_addf(out, "{\"time\":\"%s\"", time);
	else
		writ_buf_addf(out, "time=%s", time);
	struct writ_kv first = writ_kv_cstr(kind, value), msg = writ_kv_cstr("msg", event);
	writ_log_line_pair(out, format, &first);
	writ_log_line_pair(out, format, &msg);
}

void writ_log_line_end(struct writ_buf *out, enum writ_log_format format)
{
	writ_buf_add_cstr(out, format == WRIT_LOG_JSON ? "}\n" : "\n");
}

int writ_log_line_write(int fd, struct writ_str line, bool *half)
{
	struct pollfd ready = { .fd = fd, .events = POLLOUT };
	/* The flags of a standard stream are shared with other processes: ask, do not set
	 * O_NONBLOCK. */
	if (poll(&ready, 1, 0) == 0)
		return EAGAIN;
	union {
		const char *in;
		void *out;
	} text = { .in = line.p };
	char newline = '\n';
	struct iovec parts[2] = { { &newline, *half }, { text.out, line.n } };
	ssize_t k;
	do {
		k = writev(fd, parts, 2);
	} while (k < 0 && errno == EINTR);
	if (k < 0)
		return errno;
	*half = (size_t)k < line.n + *half;
	return *half ? ENOSPC : 0;
}
