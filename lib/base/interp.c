/* SPDX-License-Identifier: Apache-2.0 */
#include "base/interp.h"

#include <string.h>

#include "base/mem.h"

static const struct {
	struct writ_str name;
	enum writ_interp kind;
} names[] = {
	{ { "python", 6 }, WRIT_INTERP_PYTHON },
	{ { "pypy", 4 }, WRIT_INTERP_PYTHON },
	{ { "node", 4 }, WRIT_INTERP_NODE },
	{ { "nodejs", 6 }, WRIT_INTERP_NODE },
	{ { "bash", 4 }, WRIT_INTERP_SHELL },
	{ { "sh", 2 }, WRIT_INTERP_SHELL },
	{ { "dash", 4 }, WRIT_INTERP_SHELL },
	{ { "zsh", 3 }, WRIT_INTERP_SHELL },
	{ { "ksh", 3 }, WRIT_INTERP_SHELL },
	{ { "busybox", 7 }, WRIT_INTERP_OTHER },
	{ { "fish", 4 }, WRIT_INTERP_OTHER },
	{ { "ruby", 4 }, WRIT_INTERP_RUBY },
	{ { "perl", 4 }, WRIT_INTERP_PERL },
	{ { "java", 4 }, WRIT_INTERP_JAVA },
	{ { "php", 3 }, WRIT_INTERP_OTHER },
	{ { "lua", 3 }, WRIT_INTERP_OTHER },
	{ { "luajit", 6 }, WRIT_INTERP_OTHER },
	{ { "deno", 4 }, WRIT_INTERP_OTHER },
	{ { "bun", 3 }, WRIT_INTERP_OTHER },
	{ { "guile", 5 }, WRIT_INTERP_OTHER },
	{ { "tclsh", 5 }, WRIT_INTERP_OTHER },
	{ { "Rscript", 7 }, WRIT_INTERP_OTHER },
};

/* "3.11" of "python3.11"; an 'm' or 'd' of an old or a debugging build may follow. */
static bool is_version(struct writ_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		bool digit = s.p[i] >= '0' && s.p[i] <= '9';
		bool tail = i > 0 && i + 1 == s.n && (s.p[i] == 'm' || s.p[i] == 'd');
		if (!digit && s.p[i] != '.' && s.p[i] != '-' && !tail)
			return false;
	}
	return true;
}

enum writ_interp writ_interp_of(struct writ_str path)
{
	const char *slash = path.n > 0 ? memrchr(path.p, '/', path.n) : NULL;
	size_t at = slash ? (size_t)(slash - path.p) + 1 : 0;
	struct writ_str file = writ_strn(path.p + at, path.n - at);
	for (size_t i = 0; i < WRIT_COUNT(names); i++) {
		size_t n = names[i].name.n;
		if (writ_str_starts(file, names[i].name) &&
			is_version(writ_strn(file.p + n, file.n - n)))
			return names[i].kind;
	}
	return WRIT_INTERP_NONE;
}
