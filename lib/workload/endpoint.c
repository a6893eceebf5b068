/* SPDX-License-Identifier: Apache-2.0 */
#include "workload/endpoint.h"

#include "base/mem.h"

#include <strings.h>
#include <sys/un.h>

#define PATH_LEN_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

static writ_rc unix_path(struct writ_str s, const char *text, char **path, struct writ_err *err)
{
	if (writ_str_starts(s, WRIT_STR("//"))) {
		s = writ_strn(s.p + 2, s.n - 2);
		if (!s.n || s.p[0] != '/')
			return writ_fail(err, WRIT_EINVAL,
				"'%s': two slashes make the first part a host; did you mean "
				"unix:///" WRIT_FMT "?",
				text, WRIT_ARG(s));
	}
	if (s.n < 2 || s.p[0] != '/')
		return writ_fail(err, WRIT_EINVAL,
			"'%s': the path must be absolute: unix:///absolute/path", text);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '?' || s.p[i] == '#')
			return writ_fail(err, WRIT_EINVAL,
				"'%s': a socket address has no '%c' part", text, s.p[i]);
	}
	if (s.n > PATH_LEN_MAX)
		return writ_fail(err, WRIT_EINVAL,
			"'%s': the path is longer than the %zu bytes a socket can have", text,
			PATH_LEN_MAX);
	*path = writ_strndup(s.p, s.n);
	return WRIT_OK;
}

writ_rc writ_endpoint_parse(const char *text, char **path, struct writ_err *err)
{
	struct writ_str s = writ_cstr(text);
	if (!s.n)
		return writ_fail(err, WRIT_EINVAL,
			"the address is empty: write it as unix:///absolute/path");
	if (s.p[0] == '/')
		return unix_path(s, text, path, err);
	if (s.n >= 5 && strncasecmp(s.p, "unix:", 5) == 0)
		return unix_path(writ_strn(s.p + 5, s.n - 5), text, path, err);
	if (s.n >= 4 && strncasecmp(s.p, "tcp:", 4) == 0)
		return writ_fail(err, WRIT_EUNSUP,
			"'%s': the agent serves Unix sockets only: unix:///absolute/path", text);
	return writ_fail(err, WRIT_EINVAL,
		"'%s' is not an address: write it as unix:///absolute/path", text);
}
