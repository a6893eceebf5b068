/* SPDX-License-Identifier: Apache-2.0 */
/* The half of digest.h that turns bytes into text and back. */
#include "crypto/digest.h"

#include <string.h>

static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(struct writ_buf *out, const uint8_t *p, size_t n, const char *alphabet, bool pad)
{
	for (; n; p += 3) {
		size_t k = n < 3 ? n : 3;
		uint32_t v = (uint32_t)p[0] << 16;
		if (k > 1)
			v |= (uint32_t)p[1] << 8;
		if (k > 2)
			v |= p[2];
		char text[4] = { alphabet[v >> 18], alphabet[v >> 12 & 63], '=', '=' };
		if (k > 1)
			text[2] = alphabet[v >> 6 & 63];
		if (k > 2)
			text[3] = alphabet[v & 63];
		writ_buf_add(out, text, pad ? 4 : k + 1);
		n -= k;
	}
}

void writ_base64_add(struct writ_buf *out, const void *p, size_t n)
{
	encode(out, p, n, plain, true);
}

void writ_base64url_add(struct writ_buf *out, const void *p, size_t n)
{
	encode(out, p, n, url, false);
}

static int digit(uint8_t c, bool is_url)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (is_url ? '-' : '+'))
		return 62;
	return c == (is_url ? '_' : '/') ? 63 : -1;
}

/* Digits without padding. Only the one canonical spelling of the bytes passes: unused bits are 0.
 */
static writ_rc decode(struct writ_str s, bool is_url, struct writ_buf *out, struct writ_err *err)
{
	size_t start = out->n;
	uint32_t v = 0;
	unsigned bits = 0;
	if (s.n % 4 == 1)
		return writ_fail(
			err, WRIT_EINVAL, "base64: %zu digits are no whole number of bytes", s.n);
	uint8_t *to = writ_buf_room(out, s.n / 4 * 3 + (s.n % 4 ? s.n % 4 - 1 : 0));
	if (!to)
		return writ_buf_check(out, "base64", err);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		int d = digit((uint8_t)s.p[i], is_url);
		if (d < 0) {
			out->n = start;
			return writ_fail(err, WRIT_EINVAL,
				"base64: byte 0x%02x at position %zu is no digit",
				(unsigned)(uint8_t)s.p[i], i);
		}
		v = v << 6 | (uint32_t)d;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			to[n++] = (uint8_t)(v >> bits);
		}
	}
	if (v & ((1U << bits) - 1))
		return writ_fail(err, WRIT_EINVAL, "base64: unused bits are set in the last digit");
	writ_buf_grew(out, n);
	return WRIT_OK;
}

writ_rc writ_base64_decode(struct writ_str s, struct writ_buf *out, struct writ_err *err)
{
	if (s.n % 4)
		return writ_fail(
			err, WRIT_EINVAL, "base64: %zu digits, not a multiple of four", s.n);
	for (int i = 0; i < 2 && s.n && s.p[s.n - 1] == '='; i++)
		s.n--;
	return decode(s, false, out, err);
}

writ_rc writ_base64url_decode(struct writ_str s, struct writ_buf *out, struct writ_err *err)
{
	return decode(s, true, out, err);
}

#define PEM_LINE 64

void writ_pem_add(struct writ_buf *out, const char *label, const void *der, size_t n)
{
	const uint8_t *p = der;
	writ_buf_addf(out, "-----BEGIN %s-----\n", label);
	while (n) {
		size_t k = n < PEM_LINE / 4 * 3 ? n : PEM_LINE / 4 * 3;
		encode(out, p, k, plain, true);
		writ_buf_add_byte(out, '\n');
		p += k;
		n -= k;
	}
	writ_buf_addf(out, "-----END %s-----\n", label);
}

#define LABEL_MAX 31

/* "-----<what><label>-----": the label. */
static bool boundary(struct writ_str line, struct writ_str what, struct writ_str *label)
{
	if (!writ_str_starts(line, what) || !writ_str_ends(line, WRIT_STR("-----")) ||
		line.n < what.n + 5)
		return false;
	*label = writ_strn(line.p + what.n, line.n - what.n - 5);
	return true;
}

struct pem {
	struct writ_str rest;
	size_t line; /* of the text, from 1 */
};

static bool next_line(struct pem *at, struct writ_str *line)
{
	if (!at->rest.n)
		return false;
	writ_str_cut(&at->rest, '\n', line);
	*line = writ_str_trim(*line);
	at->line++;
	return true;
}

/* The body of a block, digits gathered over the lines; at stands behind its END line afterwards. */
static writ_rc read_body(
	struct pem *at, struct writ_str label, struct writ_buf *der, struct writ_err *err)
{
	size_t first = at->line;
	struct writ_str line, end;
	struct writ_buf digits = WRIT_BUF(der->max / 3 * 4 + 8);
	writ_rc rc = WRIT_EINVAL;
	bool ended = false;
	while (!ended && next_line(at, &line)) {
		if (boundary(line, WRIT_STR("-----END "), &end)) {
			ended = true;
			break;
		}
		if (writ_str_starts(line, WRIT_STR("-----")) || memchr(line.p, ':', line.n))
			break;
		writ_buf_add_str(&digits, line);
	}
	if (!ended)
		writ_fail(err, rc,
			"PEM line %zu: the block of line %zu does not end here as it should",
			at->line, first);
	else if (!writ_str_eq(end, label))
		writ_fail(err, rc, "PEM line %zu: the END does not match the BEGIN of line %zu",
			at->line, first);
	else if (digits.failed)
		rc = writ_fail(err, WRIT_ELIMIT, "PEM line %zu: a block of more than %zu bytes",
			first, der->max);
	else if (!digits.n)
		writ_fail(err, rc, "PEM line %zu: an empty block", first);
	else
		rc = writ_base64_decode(writ_buf_str(&digits), der, err);
	if (ended && rc != WRIT_OK && writ_str_eq(end, label) && digits.n && !digits.failed)
		writ_wrap(err, rc, "PEM block of line %zu", first);
	writ_buf_wipe(&digits); /* it may have been a private key */
	return rc;
}

writ_rc writ_pem_next(
	struct writ_str *text, char label[32], struct writ_buf *der, struct writ_err *err)
{
	struct pem at = { .rest = *text };
	struct writ_str line, name;
	while (next_line(&at, &line)) {
		if (!boundary(line, WRIT_STR("-----BEGIN "), &name))
			continue;
		if (!name.n || name.n > LABEL_MAX)
			return writ_fail(err, WRIT_EINVAL, "PEM line %zu: a label of %zu bytes",
				at.line, name.n);
		writ_buf_reset(der);
		writ_rc rc = read_body(&at, name, der, err);
		if (rc != WRIT_OK)
			return rc;
		memcpy(label, name.p, name.n);
		label[name.n] = '\0';
		*text = at.rest;
		return WRIT_OK;
	}
	*text = at.rest;
	return writ_fail(err, WRIT_ENOENT, "no PEM block is left");
}
