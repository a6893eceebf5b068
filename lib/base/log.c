/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/clock.h"
#include "base/log_line.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

/* PIPE_BUF: the kernel writes a line of this size whole or not at all. */
#define LINE_MAX_BYTES 4096
#define VALUE_MAX      1024
/* Kept free for what the end of a line may need: dropped=..., cut=true, the closing brace. */
#define LINE_TAIL   64
#define LIMIT_BURST 10

static const char *const level_names[] = { "error", "warning", "info", "debug" };

static struct {
	pthread_mutex_t lock; /* all but level */
	_Atomic int level;
	enum writ_log_format format;
	int fd;
	bool half;
	char *path, *program;
	int64_t dropped;
} logger = { .lock = PTHREAD_MUTEX_INITIALIZER, .level = WRIT_LOG_INFO, .fd = STDERR_FILENO };

struct writ_kv writ_kv_str(const char *key, struct writ_str v)
{
	return (struct writ_kv){ .key = key, .kind = WRIT_KV_STR, .str = v };
}

struct writ_kv writ_kv_cstr(const char *key, const char *v)
{
	return writ_kv_str(key, writ_cstr(v));
}

struct writ_kv writ_kv_int(const char *key, int64_t v)
{
	return (struct writ_kv){ .key = key, .kind = WRIT_KV_INT, .num = v };
}

struct writ_kv writ_kv_uint(const char *key, uint64_t v)
{
	return (struct writ_kv){ .key = key, .kind = WRIT_KV_UINT, .num = (int64_t)v };
}

struct writ_kv writ_kv_bool(const char *key, bool v)
{
	return (struct writ_kv){ .key = key, .kind = WRIT_KV_BOOL, .num = v };
}

struct writ_kv writ_kv_suppressed(int64_t lost)
{
	return writ_kv_int(lost ? "suppressed" : NULL, lost);
}

bool writ_log_enabled(enum writ_log_level level)
{
	return (int)level <= atomic_load_explicit(&logger.level, memory_order_relaxed);
}

void writ_log_set_level(enum writ_log_level level)
{
	atomic_store(&logger.level, (int)level);
}

writ_rc writ_log_level_parse(struct writ_str s, enum writ_log_level *ret, struct writ_err *err)
{
	static const struct {
		const char *name;
		enum writ_log_level level;
	} names[] = { { "error", WRIT_LOG_ERROR }, { "warn", WRIT_LOG_WARN },
		{ "warning", WRIT_LOG_WARN }, { "info", WRIT_LOG_INFO },
		{ "debug", WRIT_LOG_DEBUG } };
	char lower[8];
	if (s.n > 0 && s.n < sizeof(lower)) {
		for (size_t i = 0; i < s.n; i++)
			lower[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + 32 : s.p[i]);
		for (size_t i = 0; i < WRIT_COUNT(names); i++) {
			if (!writ_str_eq(writ_strn(lower, s.n), writ_cstr(names[i].name)))
				continue;
			*ret = names[i].level;
			return WRIT_OK;
		}
	}
	return writ_fail(err, WRIT_EINVAL,
		"'" WRIT_FMT "' is no log level; use error, warn, info or debug", WRIT_ARG(s));
}

bool writ_log_pass(struct writ_log_limit *l, int64_t *lost)
{
	int64_t now = writ_mono_ms();
	pthread_mutex_lock(&logger.lock);
	if (!l->started)
		*l = (struct writ_log_limit){ LIMIT_BURST * 1000, now, 0, true };
	l->tokens_milli += now > l->last_ms ? now - l->last_ms : 0;
	if (l->tokens_milli > LIMIT_BURST * 1000)
		l->tokens_milli = LIMIT_BURST * 1000;
	l->last_ms = now;
	bool pass = l->tokens_milli >= 1000;
	if (pass) {
		l->tokens_milli -= 1000;
		*lost = l->lost;
		l->lost = 0;
	} else {
		l->lost++;
	}
	pthread_mutex_unlock(&logger.lock);
	return pass;
}

/* The front of s that the log shows, cut between characters. */
static bool shorten(struct writ_str *s)
{
	if (s->n <= VALUE_MAX)
		return false;
	s->n = VALUE_MAX;
	while (s->n > VALUE_MAX - 4 && ((unsigned char)s->p[s->n] & 0xc0) == 0x80)
		s->n--;
	return true;
}

/* Appends the pair if it leaves room for the tail; true when something had to be left out. */
static bool add_pair(struct writ_buf *line, const struct writ_kv *kv)
{
	size_t before = line->n;
	struct writ_kv shown = *kv;
	bool cut = shown.kind == WRIT_KV_STR && shorten(&shown.str);
	writ_log_line_pair(line, logger.format, &shown);
	if (line->n <= LINE_MAX_BYTES - LINE_TAIL && !line->failed)
		return cut;
	line->failed = false;
	line->n = before;
	return true;
}

void writ_log_write(
	enum writ_log_level level, const char *event, const struct writ_kv *kv, size_t n)
{
	struct writ_buf line = WRIT_BUF(2 * LINE_MAX_BYTES);
	pthread_mutex_lock(&logger.lock);
	bool cut = false;
	writ_log_line_start(&line, logger.format, "level", level_names[level], event);
	if (logger.format == WRIT_LOG_JSON && logger.program) {
		struct writ_kv program = writ_kv_cstr("program", logger.program);
		cut = add_pair(&line, &program);
	}
	for (size_t i = 0; i < n; i++)
		cut = add_pair(&line, &kv[i]) || cut;
	struct writ_kv tail[] = { writ_kv_bool(cut ? "cut" : NULL, cut),
		writ_kv_int(logger.dropped ? "dropped" : NULL, logger.dropped) };
	for (size_t i = 0; i < WRIT_COUNT(tail); i++)
		writ_log_line_pair(&line, logger.format, &tail[i]);
	writ_log_line_end(&line, logger.format);
	if (writ_log_line_write(logger.fd, writ_buf_str(&line), &logger.half) == 0)
		logger.dropped = 0;
	else
		logger.dropped++;
	pthread_mutex_unlock(&logger.lock);
	writ_buf_done(&line);
}

int writ_log_through(struct writ_str line)
{
	pthread_mutex_lock(&logger.lock);
	int e = writ_log_line_write(logger.fd, line, &logger.half);
	pthread_mutex_unlock(&logger.lock);
	return e;
}

/* Links are followed here: /dev/stdout is one, and is what containers log to. */
static writ_rc open_sink(const char *path, int *ret, struct writ_err *err)
{
	if (!path) {
		*ret = STDERR_FILENO;
		return WRIT_OK;
	}
	int fd =
		open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
	if (fd < 0)
		return writ_fail_errno(err, errno, "open the log file %s", path);
	*ret = fd;
	return WRIT_OK;
}

static void swap_fd(int fd)
{
	int old = logger.fd;
	logger.fd = fd;
	logger.half = false;
	if (old != STDERR_FILENO)
		close(old);
}

writ_rc writ_log_open(enum writ_log_level level, enum writ_log_format format, const char *path,
	const char *program, struct writ_err *err)
{
	int fd = -1;
	writ_rc rc = open_sink(path, &fd, err);
	if (rc)
		return rc;
	pthread_mutex_lock(&logger.lock);
	swap_fd(fd);
	writ_free(logger.path);
	writ_free(logger.program);
	logger.path = writ_strdup(path);
	logger.program = writ_strdup(program);
	logger.format = format;
	pthread_mutex_unlock(&logger.lock);
	writ_log_set_level(level);
	return WRIT_OK;
}

writ_rc writ_log_reopen(struct writ_err *err)
{
	int fd = -1;
	pthread_mutex_lock(&logger.lock);
	writ_rc rc = open_sink(logger.path, &fd, err);
	if (!rc)
		swap_fd(fd);
	pthread_mutex_unlock(&logger.lock);
	return rc;
}
