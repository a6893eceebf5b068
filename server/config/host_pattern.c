/* SPDX-License-Identifier: Apache-2.0 */
#include "config/host_pattern.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <regex.h>
#include <string.h>

#define LABEL_MAX 63

struct writ_host_pattern {
	regex_t re;
};

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* What POSIX would take and read in another way than RE2. */
static writ_rc check_dialect(const char *text, struct writ_err *err)
{
	if (strlen(text) > WRIT_HOST_PATTERN_MAX)
		return writ_fail(err, WRIT_EINVAL, "the expression is longer than %d bytes",
			WRIT_HOST_PATTERN_MAX);
	const char *group = strstr(text, "(?");
	if (group)
		return writ_fail(err, WRIT_EINVAL, "\"%.3s\" is not known here", group);
	for (const char *p = text; *p; p++) {
		if (*p != '\\')
			continue;
		p++;
		if (is_alnum(*p) || *p == '[' || *p == ']' || !*p)
			return writ_fail(err, WRIT_EINVAL,
				"\"\\%.1s\" is not known here: write [0-9], [[:alnum:]_] and the "
				"like",
				p);
	}
	return WRIT_OK;
}

writ_rc writ_host_pattern_new(
	const char *text, struct writ_host_pattern **ret, struct writ_err *err)
{
	char why[128];
	writ_rc rc = check_dialect(text, err);
	if (rc != WRIT_OK)
		return rc;
	struct writ_host_pattern *p = writ_alloc(sizeof(*p));
	WRIT_AUTO(writ_freep) char *whole = writ_asprintf("^(%s)$", text);
	int code = regcomp(&p->re, whole, REG_EXTENDED | REG_NOSUB | REG_ICASE);
	if (code != 0) {
		(void)regerror(code, &p->re, why, sizeof(why));
		writ_free(p);
		return writ_fail(err, WRIT_EINVAL, "no regular expression: %s", why);
	}
	*ret = p;
	return WRIT_OK;
}

void writ_host_pattern_free(struct writ_host_pattern *p)
{
	if (!p)
		return;
	regfree(&p->re);
	writ_free(p);
}

bool writ_host_pattern_match(const struct writ_host_pattern *p, const char *host)
{
	return regexec(&p->re, host, 0, NULL, 0) == 0;
}

static bool is_label(struct writ_str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
			return false;
	}
	return s.n > 0 && s.n <= LABEL_MAX && s.p[0] != '-' && s.p[s.n - 1] != '-';
}

static bool is_number(struct writ_str label)
{
	for (size_t i = 0; i < label.n; i++) {
		if (label.p[i] < '0' || label.p[i] > '9')
			/* Resolvers read hexadecimal too. */
			return label.n > 1 && label.p[0] == '0' && (label.p[1] | 0x20) == 'x';
	}
	return true;
}

writ_rc writ_host_fold(struct writ_str name, char out[WRIT_HOST_MAX + 1], struct writ_err *err)
{
	struct writ_str rest = name, label = { NULL, 0 };
	uint8_t address[4];
	bool ok = name.n > 0 && name.n <= WRIT_HOST_MAX && name.p[name.n - 1] != '.';
	while (ok && rest.n) {
		(void)writ_str_cut(&rest, '.', &label);
		ok = is_label(label);
	}
	if (!ok)
		return writ_fail(err, WRIT_EINVAL,
			"hostname is not valid: a DNS name without a dot at its end is wanted");
	for (size_t i = 0; i < name.n; i++)
		out[i] =
			name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] | 0x20) : name.p[i];
	out[name.n] = 0;
	if (is_number(label) && inet_pton(AF_INET, out, address) != 1)
		return writ_fail(err, WRIT_EINVAL,
			"hostname is not valid: an address has four decimal parts");
	return WRIT_OK;
}
