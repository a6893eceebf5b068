/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/messages.h"

#include "attest/shown.h"
#include "base/mem.h"

#include <string.h>

#define TEXT_MAX (64 * 1024)

static char empty[1];

char *writ__admin_text(struct writ_call *c, struct writ_str s)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(TEXT_MAX);
	if (writ_is_utf8(s.p, s.n) && !memchr(s.p ? s.p : "", '\0', s.n))
		writ_buf_add_str(&b, s);
	else
		writ_buf_add_json(&b, s);
	if (b.failed || !b.n)
		return empty;
	char *ret = writ_call_alloc(c, b.n + 1);
	if (!ret)
		return empty;
	memcpy(ret, b.p, b.n);
	return ret;
}

char *writ__admin_selector(struct writ_call *c, struct writ_str s, protobuf_c_boolean *redacted)
{
	WRIT_AUTO(writ_buf_done) struct writ_buf b = WRIT_BUF(TEXT_MAX);
	bool hidden = writ_selector_show(s, &b);
	if (redacted)
		*redacted = hidden;
	return writ__admin_text(c, writ_buf_str(&b));
}

char **writ__admin_lines(struct writ_call *c, struct writ_str text, size_t max, size_t *n)
{
	char **ret = writ_call_alloc(c, max * sizeof(*ret));
	struct writ_str line;
	*n = 0;
	while (ret && text.n && *n < max) {
		(void)writ_str_cut(&text, '\n', &line);
		if (line.n)
			ret[(*n)++] = writ__admin_text(c, line);
	}
	return ret;
}

A(Process) *
	writ__admin_process(struct writ_call *c, int pid, uid_t uid, gid_t gid, uint64_t start_time,
		struct writ_str binary, struct writ_str cgroup)
{
	A(Process) *p = writ_call_alloc(c, sizeof(*p));
	if (!p)
		return NULL;
	writ__agent__v1__process__init(p);
	p->pid = pid;
	p->uid = uid;
	p->gid = gid;
	p->start_time = start_time;
	p->binary = writ__admin_text(c, binary);
	p->cgroup = writ__admin_text(c, cgroup);
	return p;
}

A(Decision) * writ__admin_decision(struct writ_call *c, const struct writ_decision *d)
{
	A(Decision) *m = writ_call_alloc(c, sizeof(*m));
	char digest[2 * WRIT_DECISION_DIGEST + 1];
	if (!m)
		return NULL;
	writ__agent__v1__decision__init(m);
	writ_hex(d->digest, sizeof(d->digest), digest);
	m->trace = writ__admin_text(c, writ_cstr(d->trace));
	m->at_ms = d->at_ms;
	m->method = writ__admin_text(c, writ_cstr(d->method));
	m->granted = d->granted;
	m->reason = writ__admin_text(c, d->reason);
	m->process =
		writ__admin_process(c, d->pid, d->uid, d->gid, d->start_time, d->binary, d->cgroup);
	m->attested = d->attested;
	if (d->attested)
		m->selectors_digest = writ__admin_text(c, writ_cstr(digest));
	m->took_us = d->took_us;
	m->entries = writ__admin_lines(c, d->entries, 16, &m->n_entries);
	m->identities = d->n_entries;
	return m;
}

void writ__admin_too_large(struct writ_call *c)
{
	struct writ_err err = { 0 };
	(void)writ_fail(&err, WRIT_ELIMIT, "the answer is too large: ask for less of it");
	writ_call_fail(c, &err);
}

writ_rc writ__admin_read_selectors(
	char *const *texts, size_t n, struct writ_selectors *ret, struct writ_err *err)
{
	struct writ_selectors s;
	writ_rc rc = WRIT_OK;
	writ_selectors_init(&s);
	for (size_t i = 0; rc == WRIT_OK && i < n; i++)
		rc = writ_selectors_add_text(&s, writ_cstr(texts[i]), err);
	if (rc != WRIT_OK) {
		writ_selectors_done(&s);
		return writ_wrap(err, rc, "selector");
	}
	writ_selectors_seal(&s);
	*ret = s;
	return WRIT_OK;
}
