/* SPDX-License-Identifier: Apache-2.0 */
#include "mend.h"

#include "base/interp.h"
#include "base/mem.h"
#include "base/selector_text.h"

#include <string.h>

#define R(name) Writ__Agent__V1__##name

void writ_shell_word(struct writ_buf *out, const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._/:@%+=,";
	if (*s && strspn(s, plain) == strlen(s)) {
		writ_buf_add_cstr(out, s);
		return;
	}
	writ_buf_add_byte(out, '\'');
	for (; *s; s++) {
		if (*s == '\'')
			writ_buf_add_cstr(out, "'\\''");
		else
			writ_buf_add_byte(out, (uint8_t)*s);
	}
	writ_buf_add_byte(out, '\'');
}

static void add_selector(struct writ_buf *out, const char *s)
{
	writ_buf_add_cstr(out, " -selector ");
	writ_shell_word(out, s);
}

static bool is_interpreter(const char *path)
{
	return writ_interp_of(writ_cstr(path)) != WRIT_INTERP_NONE;
}

static const char *path_of(const char *selector)
{
	return strncmp(selector, "unix:path:", 10) == 0 ? selector + 10 : "";
}

/* The nearest entry, if a part of it holds already that tells something: any other entry is about
 * something else. */
static const R(Candidate) * nearest(const R(ExplainResponse) * r)
{
	for (size_t i = 0; i < r->n_entries; i++) {
		const R(Candidate) *e = r->entries[i];
		for (size_t k = 0; e->missing && k < e->n_parts; k++)
			if (e->parts[k]->has &&
				writ_selector_tells(writ_cstr(e->parts[k]->selector)))
				return e;
	}
	return NULL;
}

/* Units that are no boundary: a login has everything in one. */
static bool is_place(const char *s)
{
	static const char *const places[] = { "systemd:id:", "container:id:", "k8s:sa:", "k8s:ns:",
		"docker:image_id:", "slurm:job_id:" };
	if (strncmp(s, "systemd:id:session-", 19) == 0 || strcmp(s, "systemd:id:init.scope") == 0 ||
		strncmp(s, "systemd:id:user@", 16) == 0)
		return false;
	for (size_t i = 0; i < WRIT_COUNT(places); i++)
		if (strncmp(s, places[i], strlen(places[i])) == 0)
			return true;
	return false;
}

static void add_places(const R(ExplainResponse) * r, struct writ_buf *out)
{
	for (size_t i = 0; i < r->n_found; i++)
		if (is_place(r->found[i]->selector) && !r->found[i]->redacted)
			add_selector(out, r->found[i]->selector);
}

static bool has_place(const R(ExplainResponse) * r)
{
	for (size_t i = 0; i < r->n_found; i++)
		if (is_place(r->found[i]->selector) && !r->found[i]->redacted)
			return true;
	return false;
}

/* What holds stays; in place of what is missing comes what the process has of the same kind. The
 * path of an interpreter is every script's: where it runs says more. */
static size_t mend_entry(const R(ExplainResponse) * r, const R(Candidate) * e, struct writ_buf *out)
{
	size_t dropped = 0;
	bool placed = false;
	writ_buf_add_cstr(out, "writ entry update -entryID ");
	writ_shell_word(out, e->id);
	for (size_t i = 0; i < e->n_parts; i++) {
		const R(Part) *p = e->parts[i];
		const char *path = path_of(p->instead);
		if (p->has) {
			add_selector(out, p->selector);
		} else if (*path && is_interpreter(path) && has_place(r)) {
			if (!placed)
				add_places(r, out);
			placed = true;
		} else if (p->instead[0]) {
			add_selector(out, p->instead);
		} else {
			dropped++;
		}
	}
	return dropped;
}

/* Without one of these an entry is for strangers: docs/selectors.md. */
static bool is_boundary(const char *s)
{
	static const char *const users[] = { "unix:uid:", "unix:user:", "run:", "cgroup:path:",
		"systemd-user:", "podman-rootless:" };
	for (size_t i = 0; i < WRIT_COUNT(users); i++)
		if (strncmp(s, users[i], strlen(users[i])) == 0)
			return true;
	return is_place(s);
}

static bool drops(const R(Candidate) * e)
{
	for (size_t i = 0; i < e->n_parts; i++)
		if (!e->parts[i]->has && !e->parts[i]->instead[0])
			return true;
	return false;
}

static bool keeps_boundary(const R(Candidate) * e)
{
	for (size_t i = 0; i < e->n_parts; i++)
		if (is_boundary(e->parts[i]->has ? e->parts[i]->selector : e->parts[i]->instead))
			return true;
	return false;
}

static void new_entry(const R(ExplainResponse) * r, struct writ_buf *out)
{
	const char *td =
		strncmp(r->agent_id, "spiffe://", 9) == 0 ? r->agent_id + 9 : "TRUST-DOMAIN";
	size_t n = 0;
	writ_buf_add_cstr(out, "writ entry create -parentID ");
	writ_shell_word(out, r->agent_id[0] ? r->agent_id : "AGENT-ID");
	writ_buf_addf(out, " -spiffeID spiffe://%.*s/NAME", (int)strcspn(td, "/"), td);
	for (size_t i = 0; i < r->n_found; i++) {
		const char *s = r->found[i]->selector;
		const char *path = path_of(s);
		if (r->found[i]->redacted ||
			!(is_place(s) || strncmp(s, "unix:uid:", 9) == 0 ||
				(*path && !is_interpreter(path))))
			continue;
		add_selector(out, s);
		n++;
	}
	for (size_t i = 0; !n && i < r->n_found; i++) /* asked by selectors alone */
		add_selector(out, r->found[i]->selector);
}

bool writ_mend_is_kept_out(const R(ExplainResponse) * r)
{
	const R(Candidate) *e = r->matches ? NULL : nearest(r);
	for (size_t i = 0; e && i < e->n_parts; i++) {
		const R(Part) *p = e->parts[i];
		if (!p->has && !p->instead[0] &&
			(strncmp(p->selector, "proc:", 5) == 0 ||
				strncmp(p->selector, "run:", 4) == 0))
			return true;
	}
	return false;
}

size_t writ_mend(const R(ExplainResponse) * r, struct writ_buf *out)
{
	const R(Candidate) *e = nearest(r);
	if (r->matches || !r->synced || !r->n_found || writ_mend_is_kept_out(r))
		return 0;
	if (e && (!drops(e) || keeps_boundary(e)))
		return mend_entry(r, e, out);
	new_entry(r, out);
	return 0;
}
