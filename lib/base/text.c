/* SPDX-License-Identifier: Apache-2.0 */
/* The half of str.h that turns text into numbers and back. */
#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

writ_rc writ_parse_u64(
	struct writ_str s, uint64_t min, uint64_t max, uint64_t *ret, struct writ_err *err)
{
	uint64_t v = 0;
	bool good = s.n > 0 && s.n <= 20;
	for (size_t i = 0; good && i < s.n; i++) {
		good = s.p[i] >= '0' && s.p[i] <= '9' &&
			!__builtin_mul_overflow(v, (uint64_t)10, &v) &&
			!__builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v);
	}
	if (!good)
		return writ_fail(err, WRIT_EINVAL, "'" WRIT_FMT "' is not a number", WRIT_ARG(s));
	if (v < min || v > max)
		return writ_fail(err, WRIT_EINVAL,
			"%" PRIu64 " is out of range, from %" PRIu64 " to %" PRIu64, v, min, max);
	*ret = v;
	return WRIT_OK;
}

static const struct {
	const char *unit;
	int64_t us;
} units[] = { { "ms", 1000 }, { "us", 1 }, { "h", 3600000000 }, { "m", 60000000 },
	{ "s", 1000000 } };

/* One "<digits>[.<digits>]<unit>" at the front of s, to micro-seconds. */
static bool cut_duration_part(struct writ_str *s, int64_t *us)
{
	int64_t whole = 0, frac = 0, scale = 1;
	size_t digits = 0;
	for (; s->n && s->p[0] >= '0' && s->p[0] <= '9'; s->p++, s->n--, digits++) {
		if (__builtin_mul_overflow(whole, 10, &whole) ||
			__builtin_add_overflow(whole, s->p[0] - '0', &whole))
			return false;
	}
	if (s->n && s->p[0] == '.') {
		s->p++;
		s->n--;
		for (; s->n && s->p[0] >= '0' && s->p[0] <= '9'; s->p++, s->n--, digits++) {
			if (scale < 1000000) {
				frac = frac * 10 + (s->p[0] - '0');
				scale *= 10;
			}
		}
	}
	if (!digits)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		struct writ_str unit = writ_cstr(units[i].unit);
		if (!writ_str_starts(*s, unit))
			continue;
		s->p += unit.n;
		s->n -= unit.n;
		int64_t a;
		if (__builtin_mul_overflow(whole, units[i].us, &a))
			return false;
		return !__builtin_add_overflow(a, frac * units[i].us / scale, us);
	}
	return false;
}

writ_rc writ_parse_duration_ms(struct writ_str s, int64_t *ret, struct writ_err *err)
{
	struct writ_str seen = s;
	int64_t total = 0;
	if (writ_str_eq(s, WRIT_STR("0"))) {
		*ret = 0;
		return WRIT_OK;
	}
	bool good = s.n > 0;
	while (good && s.n) {
		int64_t part = 0;
		good = cut_duration_part(&s, &part) && !__builtin_add_overflow(total, part, &total);
	}
	if (!good)
		return writ_fail(err, WRIT_EINVAL,
			"'" WRIT_FMT "' is not a duration; write it like 90s, 15m, 1h30m or 24h",
			WRIT_ARG(seen));
	*ret = total / 1000;
	return WRIT_OK;
}

const char *writ_format_duration(int64_t ms, char *buf, size_t n)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} parts[] = { { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 } };
	size_t at = 0;
	if (n)
		buf[0] = '\0';
	if (ms < 0)
		ms = 0;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int64_t k = ms / parts[i].ms;
		ms -= k * parts[i].ms;
		if (!k && !(ms == 0 && at == 0 && i == 2))
			continue;
		int w = snprintf(buf + at, n - at, "%" PRId64 "%s", k, parts[i].unit);
		if (w < 0 || (size_t)w >= n - at)
			break;
		at += (size_t)w;
		if (!ms)
			break;
	}
	return buf;
}

void writ_hex(const uint8_t *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
	out[2 * n] = '\0';
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

writ_rc writ_unhex(struct writ_str s, uint8_t *out, size_t cap, size_t *n, struct writ_err *err)
{
	if (s.n % 2 || s.n / 2 > cap)
		return writ_fail(
			err, WRIT_EINVAL, "not an even number of at most %zu hex digits", 2 * cap);
	for (size_t i = 0; i < s.n; i += 2) {
		int hi = nibble(s.p[i]), lo = nibble(s.p[i + 1]);
		if (hi < 0 || lo < 0)
			return writ_fail(err, WRIT_EINVAL, "not a hex digit at position %zu", i);
		out[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	*n = s.n / 2;
	return WRIT_OK;
}

const char *writ_format_time(int64_t unix_s, char *buf, size_t n)
{
	time_t t = (time_t)unix_s;
	struct tm tm;
	if (!gmtime_r(&t, &tm) || !strftime(buf, n, "%Y-%m-%dT%H:%M:%SZ", &tm))
		snprintf(buf, n, "%" PRId64, unix_s);
	return buf;
}
