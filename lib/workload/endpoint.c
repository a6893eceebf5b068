/* SPDX-License-Identifier: Apache-2.0 */
#include "workload/endpoint.h"

#include "base/buf.h"
#include "base/mem.h"

#include <string.h>
#include <strings.h>
#include <sys/un.h>

#define PATH_LEN_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

static writ_rc check_path(struct writ_str s, const char *text, struct writ_err *err)
{
	if (!s.n || s.p[0] != '/')
		return writ_fail(err, WRIT_EINVAL,
			"'%s': the path must be absolute: unix:///absolute/path", text);
	if (s.n == 1)
		return writ_fail(err, WRIT_EINVAL,
			"'%s' names no socket: write it as unix:///absolute/path", text);
	if (s.n > PATH_LEN_MAX)
		return writ_fail(err, WRIT_EINVAL,
			"'%s': the path is longer than the %zu bytes a socket can have", text,
			PATH_LEN_MAX);
	return WRIT_OK;
}

static writ_rc decode(
	struct writ_str s, const char *text, struct writ_buf *out, struct writ_err *err)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t byte = (uint8_t)s.p[i];
		size_t n = 0;
		if (byte == '?' || byte == '#')
			return writ_fail(err, WRIT_EINVAL,
				"'%s': a socket address has no '%c' part", text, byte);
		if (byte == '%') {
			size_t left = s.n - i - 1;
			if (writ_unhex(writ_strn(s.p + i + 1, left < 2 ? left : 2), &byte, 1, &n,
				    NULL) != WRIT_OK ||
				n != 1 || !byte)
				return writ_fail(err, WRIT_EINVAL,
					"'%s': %% must be followed by two hex digits, and not by "
					"00",
					text);
			i += 2;
		}
		writ_buf_add_byte(out, byte);
	}
	return writ_buf_check(out, "the address", err);
}

static writ_rc uri_path(struct writ_str s, const char *text, char **path, struct writ_err *err)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf out = WRIT_BUF(4 * PATH_LEN_MAX);
	if (writ_str_starts(s, WRIT_STR("//"))) {
		s = writ_strn(s.p + 2, s.n - 2);
		if (s.n && s.p[0] != '/')
			return writ_fail(err, WRIT_EINVAL,
				"'%s': two slashes make the first part a host; did you mean "
				"unix:///" WRIT_FMT "?",
				text, WRIT_ARG(s));
	}
	writ_rc rc = decode(s, text, &out, err);
	if (rc == WRIT_OK)
		rc = check_path(writ_buf_str(&out), text, err);
	if (rc == WRIT_OK)
		*path = writ_buf_steal(&out);
	return rc;
}

static bool has_scheme(struct writ_str s, const char *scheme)
{
	size_t n = strlen(scheme);
	return s.n >= n && strncasecmp(s.p, scheme, n) == 0;
}

writ_rc writ_endpoint_parse(const char *text, char **path, struct writ_err *err)
{
	struct writ_str s = writ_cstr(text);
	if (!s.n)
		return writ_fail(err, WRIT_EINVAL,
			"the address is empty: write it as unix:///absolute/path");
	if (has_scheme(s, "unix:"))
		return uri_path(writ_strn(s.p + 5, s.n - 5), text, path, err);
	if (has_scheme(s, "tcp:"))
		return writ_fail(err, WRIT_EUNSUP,
			"'%s': the agent serves Unix sockets only: unix:///absolute/path", text);
	if (s.p[0] == '/')
		return writ_fail(err, WRIT_EINVAL,
			"'%s' is a path, an address is wanted: did you mean unix://%s?", text,
			text);
	return writ_fail(err, WRIT_EINVAL,
		"'%s' is not an address: write it as unix:///absolute/path", text);
}

writ_rc writ_endpoint_or_path(const char *text, char **path, struct writ_err *err)
{
	struct writ_str s = writ_cstr(text);
	if (!s.n || s.p[0] != '/')
		return writ_endpoint_parse(text, path, err);
	writ_rc rc = check_path(s, text, err);
	if (rc == WRIT_OK)
		*path = writ_strndup(s.p, s.n);
	return rc;
}
