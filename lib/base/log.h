/* SPDX-License-Identifier: Apache-2.0 */
/* log: an event name and typed pairs, one line each, as text or JSON. Every value is escaped: a
 * peer cannot forge a line. Programs log, libraries return errors. Any thread; the line is one
 * write(2), and a log that would block is dropped and counted. */
#ifndef WRIT_BASE_LOG_H
#define WRIT_BASE_LOG_H

#include "base/str.h"

enum writ_log_level { WRIT_LOG_ERROR, WRIT_LOG_WARN, WRIT_LOG_INFO, WRIT_LOG_DEBUG };
enum writ_log_format { WRIT_LOG_TEXT, WRIT_LOG_JSON };

struct writ_kv {
	const char *key; /* a name of ours; NULL: the pair is left out */
	enum { WRIT_KV_STR, WRIT_KV_INT, WRIT_KV_UINT, WRIT_KV_BOOL } kind;
	struct writ_str str;
	int64_t num;
};

struct writ_kv writ_kv_cstr(const char *key, const char *v);
struct writ_kv writ_kv_str(const char *key, struct writ_str v);
struct writ_kv writ_kv_int(const char *key, int64_t v);
struct writ_kv writ_kv_uint(const char *key, uint64_t v);
struct writ_kv writ_kv_bool(const char *key, bool v);
struct writ_kv writ_kv_suppressed(int64_t lost); /* nothing when lost is 0 */

/* WRIT_KV("pid", pid): picks the encoder by the type of the value. */
#define WRIT_KV(key, v)                                                                            \
	_Generic((v), char *: writ_kv_cstr, const char *: writ_kv_cstr,                            \
		struct writ_str: writ_kv_str, bool: writ_kv_bool, int: writ_kv_int,                \
		long: writ_kv_int, long long: writ_kv_int, unsigned: writ_kv_uint,                 \
		unsigned long: writ_kv_uint, unsigned long long: writ_kv_uint)(key, v)

/* The pairs of a log macro as an array; the first is an empty one, so that there may be none. */
#define WRIT_KVS(...) ((struct writ_kv[]){ { .key = NULL }, ##__VA_ARGS__ })

/* WRIT_LOG(INFO, "svid.issued", WRIT_KV("spiffe_id", id), WRIT_KV("ttl_s", ttl)).
 * error: someone must act. warn: someone may have to. info: what an operator follows. */
#define WRIT_LOG(level, event, ...)                                                                \
	do {                                                                                       \
		if (writ_log_enabled(WRIT_LOG_##level))                                            \
			writ_log_write(WRIT_LOG_##level, event, WRIT_KVS(__VA_ARGS__),             \
				sizeof(WRIT_KVS(__VA_ARGS__)) / sizeof(struct writ_kv));           \
	} while (0)

/* The same for what a peer can cause: a burst of 10 lines, then one a second for this call site;
 * the next line that passes says how many were left out ("suppressed"). */
#define WRIT_LOG_LIMITED(level, event, ...)                                                        \
	do {                                                                                       \
		static struct writ_log_limit writ_limit_;                                          \
		int64_t writ_lost_;                                                                \
		if (writ_log_enabled(WRIT_LOG_##level) &&                                          \
			writ_log_pass(&writ_limit_, &writ_lost_))                                  \
			WRIT_LOG(level, event, writ_kv_suppressed(writ_lost_), ##__VA_ARGS__);     \
	} while (0)

struct writ_log_limit {
	int64_t tokens_milli, last_ms, lost;
	bool started;
};
bool writ_log_pass(struct writ_log_limit *l, int64_t *lost);

bool writ_log_enabled(enum writ_log_level level);
void writ_log_write(
	enum writ_log_level level, const char *event, const struct writ_kv *kv, size_t n);
/* Start-up: level, format, file (NULL: stderr). The file is opened O_APPEND, 0640. */
WRIT_MUST writ_rc writ_log_open(enum writ_log_level level, enum writ_log_format format,
	const char *path, const char *program, struct writ_err *err);
WRIT_MUST writ_rc writ_log_reopen(
	struct writ_err *err); /* for SIGHUP and SIGUSR2; stderr: nothing */
void writ_log_set_level(enum writ_log_level level);
WRIT_MUST writ_rc writ_log_level_parse(
	struct writ_str s, enum writ_log_level *ret, struct writ_err *err);

/* A second sink of the same line form: audit records. Always JSON, each line starting with "time"
 * and "type":"audit". One per process is usual. A failed write is reported, never swallowed. */
struct writ_audit;
WRIT_MUST writ_rc writ_audit_open(const char *path, struct writ_audit **ret,
	struct writ_err *err); /* NULL path: through the log's fd */
WRIT_MUST writ_rc writ_audit_write(struct writ_audit *a, const char *event,
	const struct writ_kv *kv, size_t n, struct writ_err *err);
WRIT_MUST writ_rc writ_audit_reopen(struct writ_audit *a, struct writ_err *err);
void writ_audit_close(struct writ_audit *a);

#endif
