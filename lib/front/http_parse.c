/* SPDX-License-Identifier: Apache-2.0 */
/* An answer of HTTP/1 (RFC 9112): the head, and bodies of each form. */
#include "front/http.h"

#include "base/secret.h"

#include <string.h>
#include <strings.h>

#define ODD_MAX    4096 /* bytes of chunk extensions and trailers */
#define DIGITS_MAX 8    /* of a chunk's length */

static writ_rc parse_status(struct writ_str line, struct writ_http_head *h, struct writ_err *err)
{
	struct writ_str version, status;
	uint64_t v = 0;
	(void)writ_str_cut(&line, ' ', &version);
	(void)writ_str_cut(&line, ' ', &status);
	if ((!writ_str_eq(version, WRIT_STR("HTTP/1.1")) &&
		    !writ_str_eq(version, WRIT_STR("HTTP/1.0"))) ||
		status.n != 3 || writ_parse_u64(status, 200, 599, &v, NULL) != WRIT_OK)
		return writ_fail(err, WRIT_EPROTO, "no status line of an HTTP/1 answer");
	h->status = (int)v;
	return WRIT_OK;
}

static bool is_name(struct writ_str s, const char *name)
{
	return s.n == strlen(name) && strncasecmp(s.p, name, s.n) == 0;
}

static writ_rc take_length(struct writ_http_head *h, struct writ_str value, struct writ_err *err)
{
	uint64_t n;
	if (writ_parse_u64(value, 0, INT64_MAX, &n, NULL) != WRIT_OK)
		return writ_fail(err, WRIT_EPROTO, "a Content-Length that is no number");
	if (h->has_length && h->length != n)
		return writ_fail(err, WRIT_EPROTO, "two different Content-Lengths");
	h->has_length = true;
	h->length = n;
	return WRIT_OK;
}

static writ_rc parse_field(struct writ_str line, struct writ_http_head *h, struct writ_err *err)
{
	struct writ_str name;
	if (!writ_str_cut(&line, ':', &name) || !name.n || memchr(name.p, ' ', name.n) ||
		memchr(name.p, '\t', name.n))
		return writ_fail(err, WRIT_EPROTO, "a line in the head that is no header");
	struct writ_str value = writ_str_trim(line);
	if (is_name(name, "Content-Length"))
		return take_length(h, value, err);
	if (!is_name(name, "Transfer-Encoding"))
		return WRIT_OK;
	if (h->chunked || !is_name(value, "chunked"))
		return writ_fail(err, WRIT_EPROTO, "a Transfer-Encoding that is not chunked");
	h->chunked = true;
	return WRIT_OK;
}

writ_rc writ_http_parse_head(
	struct writ_str bytes, struct writ_http_head *ret, struct writ_err *err)
{
	struct writ_http_head h = { 0 };
	struct writ_str rest = bytes, line;
	if (!writ_str_line(&rest, &line))
		return writ_fail(err, WRIT_EBUSY, "the head is not complete");
	writ_rc rc = parse_status(line, &h, err);
	while (rc == WRIT_OK && writ_str_line(&rest, &line)) {
		if (line.n) {
			rc = parse_field(line, &h, err);
			continue;
		}
		/* Who reads the one and who the other sees two different answers. */
		if (h.chunked && h.has_length)
			return writ_fail(
				err, WRIT_EPROTO, "both a Content-Length and a Transfer-Encoding");
		h.n = bytes.n - rest.n;
		*ret = h;
		return WRIT_OK;
	}
	return rc != WRIT_OK ? rc : writ_fail(err, WRIT_EBUSY, "the head is not complete");
}

enum { SIZE, EXTENSION, DATA, DATA_END, TRAILER };

void writ_http_body_init(
	struct writ_http_body *b, const struct writ_http_head *head, size_t max, bool no_body)
{
	*b = (struct writ_http_body){ .bytes = WRIT_BUF(max), .state = SIZE, .line_empty = true };
	bool none = no_body || head->status == 204 || head->status == 304;
	b->form = none             ? WRIT_HTTP_LENGTH
		: head->chunked    ? WRIT_HTTP_CHUNKED
		: head->has_length ? WRIT_HTTP_LENGTH
				   : WRIT_HTTP_UNTIL_END;
	b->left = b->form == WRIT_HTTP_LENGTH && !none ? head->length : 0;
	b->complete = b->form == WRIT_HTTP_LENGTH && !b->left;
}

void writ_http_body_done(struct writ_http_body *b)
{
	writ_buf_wipe(&b->bytes);
}

static writ_rc too_large(const struct writ_http_body *b, struct writ_err *err)
{
	return writ_fail(err, WRIT_ELIMIT, "the answer has more than %zu bytes", b->bytes.max);
}

/* Takes what belongs to the run of bytes that is under way. */
static size_t take_run(struct writ_http_body *b, struct writ_str s)
{
	size_t n = s.n < b->left ? s.n : (size_t)b->left;
	writ_buf_add(&b->bytes, s.p, n);
	b->left -= n;
	return n;
}

static int hex(char c)
{
	return c >= '0' && c <= '9'                      ? c - '0'
		: (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
							 : -1;
}

static writ_rc bad_chunk(struct writ_err *err)
{
	return writ_fail(err, WRIT_EPROTO, "a chunk of the body that is malformed");
}

static void size_ended(struct writ_http_body *b)
{
	b->digits = 0;
	b->line_empty = true;
	b->state = b->left ? DATA : TRAILER;
}

static writ_rc on_size(struct writ_http_body *b, char c, struct writ_err *err)
{
	int v = hex(c);
	if (v >= 0 && b->digits < DIGITS_MAX) {
		b->left = (b->digits++ ? b->left * 16 : 0) + (unsigned)v;
		return WRIT_OK;
	}
	if (v >= 0 || !b->digits)
		return bad_chunk(err);
	if (c == '\n')
		size_ended(b);
	else if (c == ';' || c == ' ' || c == '\t' || c == '\r')
		b->state = EXTENSION;
	else
		return bad_chunk(err);
	return WRIT_OK;
}

static writ_rc on_odd(struct writ_http_body *b, char c, struct writ_err *err)
{
	if (++b->odd > ODD_MAX)
		return writ_fail(err, WRIT_ELIMIT, "too much between the chunks of the body");
	if (b->state == EXTENSION) {
		if (c == '\n')
			size_ended(b);
	} else if (c == '\n' && b->line_empty) {
		b->complete = true;
	} else if (c != '\r') {
		b->line_empty = c == '\n';
	}
	return WRIT_OK;
}

/* CR LF, or a bare LF, behind a chunk. */
static writ_rc on_data_end(struct writ_http_body *b, char c, struct writ_err *err)
{
	if (c == '\r' && b->line_empty) {
		b->line_empty = false;
		return WRIT_OK;
	}
	b->state = SIZE;
	b->line_empty = true;
	return c == '\n' ? WRIT_OK : bad_chunk(err);
}

static writ_rc feed_chunks(struct writ_http_body *b, struct writ_str s, struct writ_err *err)
{
	writ_rc rc = WRIT_OK;
	for (size_t i = 0; rc == WRIT_OK && i < s.n && !b->complete;) {
		if (b->state == DATA) {
			if (b->left > b->bytes.max - b->bytes.n)
				return too_large(b, err);
			i += take_run(b, writ_strn(s.p + i, s.n - i));
			if (!b->left)
				b->state = DATA_END;
			continue;
		}
		char c = s.p[i++];
		rc = b->state == SIZE          ? on_size(b, c, err)
			: b->state == DATA_END ? on_data_end(b, c, err)
					       : on_odd(b, c, err);
	}
	return rc;
}

writ_rc writ_http_body_feed(struct writ_http_body *b, struct writ_str bytes, struct writ_err *err)
{
	if (b->complete)
		return WRIT_OK;
	if (b->form == WRIT_HTTP_CHUNKED)
		return feed_chunks(b, bytes, err);
	if (b->form == WRIT_HTTP_LENGTH) {
		if (b->left > b->bytes.max - b->bytes.n)
			return too_large(b, err);
		(void)take_run(b, bytes);
		b->complete = !b->left;
		return WRIT_OK;
	}
	writ_buf_add_str(&b->bytes, bytes);
	return b->bytes.failed ? too_large(b, err) : WRIT_OK;
}

writ_rc writ_http_body_end(struct writ_http_body *b, struct writ_err *err)
{
	if (b->form == WRIT_HTTP_UNTIL_END)
		b->complete = true;
	return b->complete
		? WRIT_OK
		: writ_fail(err, WRIT_EPROTO, "the connection ended in the middle of the answer");
}
