/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/der.h"

#include <string.h>
#include <time.h>

struct writ_der writ_der(const void *p, size_t n)
{
	return (struct writ_der){ p, n };
}

bool writ_der_eq(struct writ_der a, struct writ_der b)
{
	return a.n == b.n && (!a.n || !memcmp(a.p, b.p, a.n));
}

/* The length octets at p: how many there are, 0 when they are malformed. */
static size_t read_len(const uint8_t *p, size_t n, size_t *len)
{
	if (n < 1)
		return 0;
	if (p[0] < 0x80) {
		*len = p[0];
		return 1;
	}
	size_t k = p[0] & 0x7f;
	if (k < 1 || k > 3 || n < 1 + k || p[1] == 0)
		return 0;
	size_t v = 0;
	for (size_t i = 1; i <= k; i++)
		v = v << 8 | p[i];
	if (v < 0x80)
		return 0;
	*len = v;
	return 1 + k;
}

bool writ_der_any(struct writ_der *at, uint8_t *tag, struct writ_der *body, struct writ_der *whole)
{
	size_t len = 0;
	if (at->n < 2 || (at->p[0] & 0x1f) == 0x1f)
		return false;
	size_t header = read_len(at->p + 1, at->n - 1, &len);
	if (!header || len > at->n - 1 - header)
		return false;
	header++;
	if (tag)
		*tag = at->p[0];
	if (body)
		*body = writ_der(at->p + header, len);
	if (whole)
		*whole = writ_der(at->p, header + len);
	at->p += header + len;
	at->n -= header + len;
	return true;
}

bool writ_der_is(const struct writ_der *at, uint8_t tag)
{
	return at->n && at->p[0] == tag;
}

bool writ_der_get(struct writ_der *at, uint8_t tag, struct writ_der *body)
{
	return writ_der_is(at, tag) && writ_der_any(at, NULL, body, NULL);
}

bool writ_der_get_bits(struct writ_der *at, struct writ_der *bytes)
{
	struct writ_der body;
	if (!writ_der_get(at, WRIT_DER_BITS, &body) || body.n < 1 || body.p[0] != 0)
		return false;
	*bytes = writ_der(body.p + 1, body.n - 1);
	return true;
}

static bool two_digits(const uint8_t *p, int low, int high, int *ret)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return false;
	*ret = (p[0] - '0') * 10 + (p[1] - '0');
	return *ret >= low && *ret <= high;
}

bool writ_der_get_time(struct writ_der *at, uint8_t *tag, int64_t *ret)
{
	struct writ_der body;
	struct tm tm = { 0 };
	int century = 0, year = 0;
	uint8_t seen = 0;
	if (!writ_der_any(at, &seen, &body, NULL) ||
		(seen != WRIT_DER_UTC && seen != WRIT_DER_TIME))
		return false;
	if (body.n != (seen == WRIT_DER_UTC ? 13 : 15) || body.p[body.n - 1] != 'Z')
		return false;
	const uint8_t *p = body.p;
	if (seen == WRIT_DER_TIME) {
		if (!two_digits(p, 0, 99, &century))
			return false;
		p += 2;
	}
	if (!two_digits(p, 0, 99, &year) || !two_digits(p + 2, 1, 12, &tm.tm_mon) ||
		!two_digits(p + 4, 1, 31, &tm.tm_mday) || !two_digits(p + 6, 0, 23, &tm.tm_hour) ||
		!two_digits(p + 8, 0, 59, &tm.tm_min) || !two_digits(p + 10, 0, 59, &tm.tm_sec))
		return false;
	if (seen == WRIT_DER_UTC)
		century = year >= 50 ? 19 : 20;
	tm.tm_year = century * 100 + year - 1900;
	tm.tm_mon--;
	int day = tm.tm_mday;
	time_t t = timegm(&tm);
	if (tm.tm_mday != day) /* 30 February and the like */
		return false;
	*tag = seen;
	*ret = (int64_t)t;
	return true;
}

size_t writ_der_open(struct writ_buf *b, uint8_t tag)
{
	uint8_t header[2] = { tag, 0 };
	writ_buf_add(b, header, 2);
	return b->n;
}

void writ_der_close(struct writ_buf *b, size_t mark)
{
	static const uint8_t zeros[2];
	if (b->failed)
		return;
	size_t len = b->n - mark, more = len < 0x80 ? 0 : len < 0x100 ? 1 : 2;
	writ_buf_add(b, zeros, more);
	if (len > 0xffff)
		b->failed = true; /* nothing here is that large */
	if (b->failed)
		return;
	uint8_t *p = b->p + mark;
	if (more)
		memmove(p + more, p, len);
	if (!more) {
		p[-1] = (uint8_t)len;
		return;
	}
	p[-1] = (uint8_t)(0x80 | more);
	p[0] = (uint8_t)(more == 2 ? len >> 8 : len);
	if (more == 2)
		p[1] = (uint8_t)len;
}

void writ_der_add(struct writ_buf *b, uint8_t tag, const void *p, size_t n)
{
	size_t mark = writ_der_open(b, tag);
	writ_buf_add(b, p, n);
	writ_der_close(b, mark);
}

void writ_der_add_raw(struct writ_buf *b, struct writ_der d)
{
	writ_buf_add(b, d.p, d.n);
}

void writ_der_add_uint(struct writ_buf *b, const uint8_t *p, size_t n)
{
	size_t mark = writ_der_open(b, WRIT_DER_INT);
	while (n > 1 && !p[0]) {
		p++;
		n--;
	}
	if (!n || p[0] & 0x80)
		writ_buf_add_byte(b, 0);
	writ_buf_add(b, p, n);
	writ_der_close(b, mark);
}

void writ_der_add_time(struct writ_buf *b, int64_t unix_s)
{
	time_t t = (time_t)unix_s;
	struct tm tm;
	char text[32];
	if (!gmtime_r(&t, &tm) || tm.tm_year < 50 || tm.tm_year > 9999 - 1900) {
		b->failed = true;
		return;
	}
	bool utc = tm.tm_year < 150;
	size_t n = strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", &tm), century = utc ? 2 : 0;
	writ_der_add(b, utc ? WRIT_DER_UTC : WRIT_DER_TIME, text + century, n - century);
}
