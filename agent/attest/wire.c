/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "attest/codec.h"
#include "base/mem.h"

#define MAGIC_SIZE 4

static const char request_magic[] = "WAR1";
static const char answer_magic[] = "WAA1";

#define NUMBER(member) offsetof(struct writ_snapshot, member)

static const size_t numbers[] = {
	NUMBER(pid),
	NUMBER(uid),
	NUMBER(gid),
	NUMBER(ppid),
	NUMBER(start_time),
	NUMBER(state),
	NUMBER(groups_cut),
	NUMBER(exe.dev),
	NUMBER(exe.ino),
	NUMBER(exe.nlink),
	NUMBER(exe.size),
	NUMBER(exe.mtime_ns),
	NUMBER(exe.ctime_ns),
	NUMBER(ns[WRIT_NS_USER]),
	NUMBER(ns[WRIT_NS_MNT]),
	NUMBER(ns[WRIT_NS_CGROUP]),
	NUMBER(ns[WRIT_NS_PID]),
	NUMBER(ns_ours[WRIT_NS_USER]),
	NUMBER(ns_ours[WRIT_NS_MNT]),
	NUMBER(ns_ours[WRIT_NS_CGROUP]),
	NUMBER(ns_ours[WRIT_NS_PID]),
	NUMBER(withheld[WRIT_PART_CGROUP]),
	NUMBER(withheld[WRIT_PART_EXE]),
	NUMBER(withheld[WRIT_PART_AUXV]),
	NUMBER(withheld[WRIT_PART_NS + WRIT_NS_USER]),
	NUMBER(withheld[WRIT_PART_NS + WRIT_NS_MNT]),
	NUMBER(withheld[WRIT_PART_NS + WRIT_NS_CGROUP]),
	NUMBER(withheld[WRIT_PART_NS + WRIT_NS_PID]),
};

static bool get_magic(struct writ_reader *r, const char *magic)
{
	if (!writ_str_starts(r->rest, writ_strn(magic, MAGIC_SIZE)))
		return false;
	r->rest = writ_strn(r->rest.p + MAGIC_SIZE, r->rest.n - MAGIC_SIZE);
	return true;
}

static uint64_t number_at(const struct writ_snapshot *s, size_t offset)
{
	uint64_t v;
	memcpy(&v, (const char *)s + offset, sizeof(v));
	return v;
}

void writ_request_encode(const struct writ_snapshot *s, struct writ_buf *out)
{
	writ_buf_add(out, request_magic, MAGIC_SIZE);
	uint8_t b[8 * WRIT_COUNT(numbers)];
	for (size_t i = 0; i < WRIT_COUNT(numbers); i++)
		for (size_t k = 0; k < 8; k++)
			b[8 * i + k] = (uint8_t)(number_at(s, numbers[i]) >> (8 * k));
	writ_buf_add(out, b, sizeof(b));
	writ_put_number(out, s->ngroups * sizeof(uint32_t), 4);
	for (size_t i = 0; i < s->ngroups; i++)
		writ_put_number(out, s->groups[i], 4);
	writ_put_bytes(out, s->exe_path, 4);
	writ_put_bytes(out, s->cgroup, 4);
}

static bool plausible(const struct writ_snapshot *s)
{
	bool flags = s->groups_cut <= 1 && s->state < 128;
	for (size_t i = 0; i < WRIT_NS_COUNT; i++)
		flags = flags && s->ns_ours[i] <= 1;
	return flags && s->pid > 0 && s->pid <= INT32_MAX && s->uid < UINT32_MAX &&
		s->gid < UINT32_MAX;
}

writ_rc writ_request_decode(struct writ_str bytes, struct writ_snapshot *ret, struct writ_err *err)
{
	struct writ_reader r = { .rest = bytes };
	struct writ_snapshot s = { .bytes = NULL };
	if (!get_magic(&r, request_magic))
		return writ_fail(err, WRIT_EPROTO, "not an attestation request");
	for (size_t i = 0; i < WRIT_COUNT(numbers); i++) {
		uint64_t v = writ_get_number(&r, 8);
		memcpy((char *)&s + numbers[i], &v, sizeof(v));
	}
	struct writ_str groups = writ_get_bytes(&r, 4, WRIT_PIN_GROUPS_MAX * sizeof(uint32_t));
	struct writ_str path = writ_get_bytes(&r, 4, WRIT_SNAPSHOT_PATH_MAX);
	struct writ_str cgroup = writ_get_bytes(&r, 4, WRIT_SNAPSHOT_CGROUP_MAX);
	if (r.failed || r.rest.n > 0 || groups.n % sizeof(uint32_t) != 0 || !plausible(&s))
		return writ_fail(err, WRIT_EPROTO, "a malformed attestation request");
	s.bytes = writ_alloc(groups.n + path.n + cgroup.n + 1);
	uint32_t *ids = (uint32_t *)(void *)s.bytes;
	s.groups = ids;
	s.ngroups = groups.n / sizeof(uint32_t);
	struct writ_reader each = { .rest = groups };
	for (size_t i = 0; i < s.ngroups; i++)
		ids[i] = (uint32_t)writ_get_number(&each, 4);
	uint8_t *at = s.bytes + groups.n;
	memcpy(at, path.p ? path.p : "", path.n);
	s.exe_path = writ_strn(at, path.n);
	at += path.n;
	memcpy(at, cgroup.p ? cgroup.p : "", cgroup.n);
	s.cgroup = writ_strn(at, cgroup.n);
	*ret = s;
	return WRIT_OK;
}

void writ_answer_init(struct writ_answer *a)
{
	writ_selectors_init(&a->selectors);
	a->notes = WRIT_BUF(WRIT_WIRE_NOTES_MAX * (WRIT_WIRE_NOTE_MAX + 1));
	a->nnotes = 0;
}

void writ_answer_done(struct writ_answer *a)
{
	writ_selectors_done(&a->selectors);
	writ_buf_done(&a->notes);
	a->nnotes = 0;
}

void writ_answer_note(struct writ_answer *a, const char *fmt, ...)
{
	if (a->nnotes == WRIT_WIRE_NOTES_MAX)
		return;
	char line[WRIT_WIRE_NOTE_MAX + 1];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n <= 0)
		return;
	for (char *p = strchr(line, '\n'); p; p = strchr(p, '\n'))
		*p = ' ';
	writ_buf_add_cstr(&a->notes, line);
	writ_buf_add_byte(&a->notes, '\n');
	a->nnotes++;
}

void writ_answer_encode(struct writ_answer *a, struct writ_buf *out)
{
	writ_selectors_seal(&a->selectors);
	writ_buf_add(out, answer_magic, MAGIC_SIZE);
	writ_put_number(out, a->selectors.n, 2);
	for (size_t i = 0; i < a->selectors.n; i++)
		writ_put_bytes(out, writ_selectors_at(&a->selectors, i).text, 2);
	writ_put_number(out, a->nnotes, 2);
	struct writ_str rest = writ_buf_str(&a->notes);
	for (size_t i = 0; i < a->nnotes; i++) {
		struct writ_str line;
		(void)writ_str_cut(&rest, '\n', &line);
		writ_put_bytes(out, line, 2);
	}
}

static writ_rc get_selectors(struct writ_reader *r, struct writ_selectors *s, struct writ_err *err)
{
	uint64_t n = writ_get_number(r, 2);
	struct writ_str last = writ_strn(NULL, 0);
	for (uint64_t i = 0; i < n && !r->failed; i++) {
		struct writ_str text =
			writ_get_bytes(r, 2, WRIT_SELECTOR_TYPE_MAX + 1 + WRIT_SELECTOR_VALUE_MAX);
		if (r->failed || (i > 0 && writ_str_cmp(last, text) >= 0))
			return writ_fail(err, WRIT_EPROTO, "selectors that are not sorted");
		writ_rc rc = writ_selectors_add_text(s, text, err);
		if (rc != WRIT_OK)
			return writ_wrap(err, WRIT_EPROTO, "an attestor's answer");
		last = text;
	}
	return WRIT_OK;
}

static bool get_notes(struct writ_reader *r, struct writ_answer *a)
{
	uint64_t n = writ_get_number(r, 2);
	if (n > WRIT_WIRE_NOTES_MAX)
		return false;
	for (uint64_t i = 0; i < n; i++) {
		struct writ_str line = writ_get_bytes(r, 2, WRIT_WIRE_NOTE_MAX);
		if (r->failed || line.n == 0 || memchr(line.p, '\n', line.n) ||
			memchr(line.p, '\0', line.n))
			return false;
		writ_buf_add_str(&a->notes, line);
		writ_buf_add_byte(&a->notes, '\n');
		a->nnotes++;
	}
	return true;
}

writ_rc writ_answer_decode(struct writ_str bytes, struct writ_answer *ret, struct writ_err *err)
{
	struct writ_reader r = { .rest = bytes };
	if (!get_magic(&r, answer_magic))
		return writ_fail(err, WRIT_EPROTO, "not an attestor's answer");
	struct writ_answer a;
	writ_answer_init(&a);
	writ_rc rc = get_selectors(&r, &a.selectors, err);
	if (rc == WRIT_OK && (!get_notes(&r, &a) || r.failed || r.rest.n > 0))
		rc = writ_fail(err, WRIT_EPROTO, "a malformed answer of an attestor");
	if (rc != WRIT_OK) {
		writ_answer_done(&a);
		return rc;
	}
	writ_selectors_seal(&a.selectors);
	*ret = a;
	return WRIT_OK;
}
