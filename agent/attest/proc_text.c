/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/proc_text.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

/* A decimal number at the front of s, followed by one of the bytes in `ends` (which is taken too)
 * or by the end of s. writ_parse_u64 wants a slice that was cut before; this runs for every
 * request. */
static bool take_number(struct writ_str *s, const char *ends, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i = 0;
	while (i < s->n && s->p[i] >= '0' && s->p[i] <= '9') {
		uint64_t digit = (uint64_t)(s->p[i] - '0');
		if (v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
		i++;
	}
	if (i == 0)
		return false;
	if (i < s->n && !strchr(ends, s->p[i]))
		return false;
	size_t taken = i < s->n ? i + 1 : i;
	*s = writ_strn(s->p + taken, s->n - taken);
	*ret = v;
	return true;
}

static bool skip_field(struct writ_str *s)
{
	struct writ_str head;
	return writ_str_cut(s, ' ', &head) && head.n > 0;
}

static bool is_state(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* "12 (name" is passed over. All after the name is numbers, so the last ')' ends it, whatever the
 * name contains; *s is " S ..." then. */
static bool take_name(struct writ_str *s, uint64_t *pid)
{
	if (!take_number(s, " ", pid) || *pid == 0 || s->n == 0 || s->p[0] != '(')
		return false;
	const char *end = memrchr(s->p, ')', s->n);
	if (!end)
		return false;
	*s = writ_strn(end + 1, s->n - (size_t)(end + 1 - s->p));
	return true;
}

static bool take_state(struct writ_str *s, char *state)
{
	if (s->n <= 3 || s->p[0] != ' ' || !is_state(s->p[1]) || s->p[2] != ' ')
		return false;
	*state = s->p[1];
	*s = writ_strn(s->p + 3, s->n - 3);
	return true;
}

writ_rc writ_proc_stat_parse(struct writ_str text, struct writ_proc_stat *ret, struct writ_err *err)
{
	struct writ_proc_stat out;
	struct writ_str s = text;
	bool ok = take_name(&s, &out.pid) && take_state(&s, &out.state) &&
		take_number(&s, " ", &out.ppid);
	for (int field = 5; ok && field < 22; field++) /* numbered as in proc(5) */
		ok = skip_field(&s);
	if (!ok || !take_number(&s, " \n", &out.start_time))
		return writ_fail(err, WRIT_EPROTO, "not a process's stat line");
	*ret = out;
	return WRIT_OK;
}

static bool take_ids(struct writ_str value, uint32_t ids[4])
{
	for (int i = 0; i < 4; i++) {
		uint64_t v;
		if (!take_number(&value, "\t", &v) || v > UINT32_MAX)
			return false;
		ids[i] = (uint32_t)v;
	}
	return value.n == 0;
}

enum key { KEY_UID, KEY_GID, KEY_COUNT };

static const struct writ_str keys[KEY_COUNT] = {
	[KEY_UID] = { "Uid:\t", 5 },
	[KEY_GID] = { "Gid:\t", 5 },
};

writ_rc writ_proc_status_parse(
	struct writ_str text, struct writ_proc_status *ret, struct writ_err *err)
{
	struct writ_proc_status out;
	bool seen[KEY_COUNT] = { false };
	struct writ_str line;
	/* The kernel escapes line ends in "Name:", so a name cannot make a line. */
	for (size_t at = 0; at < text.n; at += line.n + 1) {
		const char *end = memchr(text.p + at, '\n', text.n - at);
		line = writ_strn(text.p + at, end ? (size_t)(end - text.p) - at : text.n - at);
		for (enum key k = 0; k < KEY_COUNT; k++) {
			if (!writ_str_starts(line, keys[k]))
				continue;
			size_t n = keys[k].n;
			if (seen[k] ||
				!take_ids(writ_strn(line.p + n, line.n - n),
					k == KEY_UID ? out.uid : out.gid))
				return writ_fail(err, WRIT_EPROTO,
					"not a process's status: '" WRIT_FMT "'", WRIT_ARG(line));
			seen[k] = true;
			break;
		}
	}
	for (enum key k = 0; k < KEY_COUNT; k++)
		if (!seen[k])
			return writ_fail(err, WRIT_EPROTO,
				"not a process's status: no line '" WRIT_FMT "'",
				(int)keys[k].n - 1, keys[k].p);
	*ret = out;
	return WRIT_OK;
}

static bool take_hex(struct writ_str s, uint64_t *ret)
{
	uint64_t v = 0;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool digit = c >= '0' && c <= '9';
		if (!digit && (c < 'a' || c > 'f'))
			return false;
		v = v << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
	}
	*ret = v;
	return s.n > 0 && s.n <= 16;
}

static bool take_decimal(struct writ_str s, uint64_t *ret)
{
	return take_number(&s, "", ret);
}

enum right { CAP_PRM, CAP_EFF, NO_NEW_PRIVS, SECCOMP, RIGHT_COUNT };

static const struct {
	struct writ_str key;
	bool (*take)(struct writ_str s, uint64_t *ret);
	uint64_t max;
	bool optional;
} rights[RIGHT_COUNT] = {
	[CAP_PRM] = { { "CapPrm:\t", 8 }, take_hex, UINT64_MAX, false },
	[CAP_EFF] = { { "CapEff:\t", 8 }, take_hex, UINT64_MAX, false },
	[NO_NEW_PRIVS] = { { "NoNewPrivs:\t", 12 }, take_decimal, 1, false },
	[SECCOMP] = { { "Seccomp:\t", 9 }, take_decimal, 2, true },
};

writ_rc writ_proc_rights_parse(
	struct writ_str text, struct writ_proc_rights *ret, struct writ_err *err)
{
	uint64_t value[RIGHT_COUNT] = { 0 };
	bool seen[RIGHT_COUNT] = { false };
	struct writ_str line;
	while (text.n > 0) {
		(void)writ_str_cut(&text, '\n', &line);
		for (enum right k = 0; k < RIGHT_COUNT; k++) {
			size_t n = rights[k].key.n;
			if (!writ_str_starts(line, rights[k].key))
				continue;
			if (seen[k] ||
				!rights[k].take(writ_strn(line.p + n, line.n - n), &value[k]) ||
				value[k] > rights[k].max)
				return writ_fail(err, WRIT_EPROTO,
					"not a process's status: '" WRIT_FMT "'", WRIT_ARG(line));
			seen[k] = true;
			break;
		}
	}
	for (enum right k = 0; k < RIGHT_COUNT; k++)
		if (!seen[k] && !rights[k].optional)
			return writ_fail(err, WRIT_EPROTO,
				"not a process's status: no line '" WRIT_FMT "'",
				(int)rights[k].key.n - 1, rights[k].key.p);
	*ret = (struct writ_proc_rights){ .cap_effective = value[CAP_EFF],
		.cap_permitted = value[CAP_PRM],
		.seccomp = (unsigned)value[SECCOMP],
		.has_seccomp = seen[SECCOMP],
		.no_new_privs = value[NO_NEW_PRIVS] != 0 };
	return WRIT_OK;
}
