/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a request, as far as an endpoint without bodies needs it. */
#include "front/httpd.h"

#include <string.h>
#include <strings.h>

/* RFC 9110 5.6.2: what a method and the name of a header are made of. */
static bool is_token(struct writ_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
		if (!alnum && (!c || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return s.n > 0;
}

static bool is_target(struct writ_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c <= 0x20 || c >= 0x7f)
			return false;
	}
	return s.n > 0 && s.p[0] == '/';
}

static bool is_field(struct writ_str line)
{
	struct writ_str name;
	if (!writ_str_cut(&line, ':', &name) || !is_token(name))
		return false;
	for (size_t i = 0; i < line.n; i++) {
		unsigned char c = (unsigned char)line.p[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static writ_rc parse_start(
	struct writ_str line, struct writ_httpd_request *ret, struct writ_err *err)
{
	struct writ_str method, target, path;
	bool ok = writ_str_cut(&line, ' ', &method) && writ_str_cut(&line, ' ', &target);
	if (!ok || !is_token(method) || !is_target(target) ||
		(!writ_str_eq(line, WRIT_STR("HTTP/1.1")) &&
			!writ_str_eq(line, WRIT_STR("HTTP/1.0"))))
		return writ_fail(err, WRIT_EINVAL, "no HTTP/1 request line");
	bool head = writ_str_eq(method, WRIT_STR("HEAD"));
	if (!head && !writ_str_eq(method, WRIT_STR("GET")))
		return writ_fail(err, WRIT_EUNSUP, "only GET and HEAD are served here");
	(void)writ_str_cut(&target, '?', &path);
	*ret = (struct writ_httpd_request){ .head = head, .path = path };
	return WRIT_OK;
}

writ_rc writ_httpd_parse(
	struct writ_str bytes, struct writ_httpd_request *ret, struct writ_err *err)
{
	struct writ_str line, rest = bytes;
	struct writ_httpd_request req;
	if (!bytes.n || !writ_str_line(&rest, &line))
		return writ_fail(err, WRIT_EBUSY, "the head is not complete");
	writ_rc rc = parse_start(line, &req, err);
	if (rc != WRIT_OK)
		return rc;
	const char *headers = rest.p;
	while (rest.n && writ_str_line(&rest, &line)) {
		if (!line.n) {
			req.headers = writ_strn(headers, (size_t)(line.p - headers));
			*ret = req;
			return WRIT_OK;
		}
		if (!is_field(line))
			return writ_fail(err, WRIT_EINVAL, "no HTTP/1 header");
	}
	return writ_fail(err, WRIT_EBUSY, "the head is not complete");
}

struct writ_str writ_httpd_header(const struct writ_httpd_request *req, const char *name)
{
	struct writ_str rest = req->headers, line, key;
	size_t n = strlen(name);
	while (rest.n && writ_str_line(&rest, &line)) {
		if (writ_str_cut(&line, ':', &key) && key.n == n &&
			strncasecmp(key.p, name, n) == 0)
			return writ_str_trim(line);
	}
	return writ_strn("", 0);
}
