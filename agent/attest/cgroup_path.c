/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/cgroup_path.h"

#include <string.h>

#include "attest/cgroup_form.h"
#include "base/mem.h"

static const char *const kind_names[] = {
	[WRIT_CGROUP_NONE] = "none",
	[WRIT_CGROUP_SESSION] = "session",
	[WRIT_CGROUP_UNIT] = "unit",
	[WRIT_CGROUP_MACHINE] = "machine",
	[WRIT_CGROUP_SLURM] = "slurm",
	[WRIT_CGROUP_ROOTLESS] = "rootless",
	[WRIT_CGROUP_MONITOR] = "monitor",
	[WRIT_CGROUP_CONTAINER] = "container",
};

const char *writ_cgroup_kind_name(enum writ_cgroup_kind kind)
{
	return (size_t)kind < WRIT_COUNT(kind_names) ? kind_names[kind] : "?";
}

/* One line: "4:memory:/a/b". */
struct line {
	uint64_t id;
	struct writ_str hierarchy, path;
};

struct walk {
	struct line lines[WRIT_CGROUP_LINES_MAX];
	size_t n;
};

static bool is_root(struct writ_str path)
{
	return path.n == 1;
}

static writ_rc check_path(struct writ_str path, struct writ_err *err)
{
	if (path.n == 0 || path.p[0] != '/' || memchr(path.p, '\0', path.n))
		return writ_fail(
			err, WRIT_EPROTO, "not a cgroup path: '" WRIT_FMT "'", WRIT_ARG(path));
	if (writ_str_ends(path, WRIT_STR(" (deleted)")))
		return writ_fail(
			err, WRIT_EUNAUTH, "the cgroup '" WRIT_FMT "' was removed", WRIT_ARG(path));
	struct writ_str rest = writ_strn(path.p + 1, path.n - 1);
	while (rest.n > 0) {
		struct writ_str part;
		bool more = writ_str_cut(&rest, '/', &part);
		if (writ_str_eq(part, WRIT_STR("..")))
			return writ_fail(err, WRIT_EUNAUTH,
				"the cgroup '" WRIT_FMT
				"' is outside the agent's cgroup namespace; run "
				"the agent in the host's",
				WRIT_ARG(path));
		if (part.n == 0 || writ_str_eq(part, WRIT_STR(".")) || (more && rest.n == 0))
			return writ_fail(err, WRIT_EPROTO, "not a cgroup path: '" WRIT_FMT "'",
				WRIT_ARG(path));
	}
	return WRIT_OK;
}

/* Only the first two ':' separate: names may contain more of them. */
static writ_rc parse_line(struct writ_str text, struct line *ret, struct writ_err *err)
{
	struct writ_str rest = text;
	struct writ_str id;
	struct line out;
	if (!writ_str_cut(&rest, ':', &id) || !writ_str_cut(&rest, ':', &out.hierarchy) ||
		writ_parse_u64(id, 0, UINT32_MAX, &out.id, NULL) != WRIT_OK ||
		(out.id == 0) != (out.hierarchy.n == 0))
		return writ_fail(err, WRIT_EPROTO, "not a line of a cgroup file: '" WRIT_FMT "'",
			WRIT_ARG(text));
	out.path = rest;
	*ret = out;
	return check_path(out.path, err);
}

static writ_rc parse_lines(struct writ_str text, struct walk *w, struct writ_err *err)
{
	if (text.n == 0 || text.p[text.n - 1] != '\n')
		return writ_fail(
			err, WRIT_EPROTO, "a cgroup file that does not end with a line end");
	while (text.n > 0) {
		struct writ_str line;
		(void)writ_str_cut(&text, '\n', &line);
		if (w->n == WRIT_CGROUP_LINES_MAX)
			return writ_fail(err, WRIT_EPROTO, "a cgroup file of more than %d lines",
				WRIT_CGROUP_LINES_MAX);
		writ_rc rc = parse_line(line, &w->lines[w->n], err);
		if (rc != WRIT_OK)
			return rc;
		for (size_t i = 0; i < w->n; i++)
			if (w->lines[i].id == w->lines[w->n].id)
				return writ_fail(err, WRIT_EPROTO,
					"cgroup hierarchy %u is listed twice",
					(unsigned)w->lines[i].id);
		w->n++;
	}
	return WRIT_OK;
}

bool writ_cgroup_parents_trusted(
	const struct writ_cgroup_trust *trust, struct writ_str hierarchy, struct writ_str path)
{
	if (path.n < 2)
		return true;
	if (!trust || !trust->trusted(trust, hierarchy, WRIT_STR("/")))
		return false;
	for (size_t i = 1; i < path.n; i++)
		if (path.p[i] == '/' && !trust->trusted(trust, hierarchy, writ_strn(path.p, i)))
			return false;
	return true;
}

/* Takes b into a; false when both say something and it differs. */
static bool agree_str(struct writ_str *a, struct writ_str b)
{
	if (b.n == 0 || writ_str_eq(*a, b))
		return true;
	if (a->n > 0)
		return false;
	*a = b;
	return true;
}

static bool agree_pod(struct writ_cgroup *a, const struct writ_cgroup *b)
{
	if (b->pod[0] == '\0' || strcmp(a->pod, b->pod) == 0)
		return true;
	if (a->pod[0] != '\0')
		return false;
	memcpy(a->pod, b->pod, sizeof(a->pod));
	return true;
}

static bool is_inner(enum writ_cgroup_kind kind)
{
	return kind >= WRIT_CGROUP_MACHINE;
}

/* Takes b into a, of which both say the same kind of thing; false when they say different ones. */
static bool merge(struct writ_cgroup *a, const struct writ_cgroup *b)
{
	if (a->kind == WRIT_CGROUP_NONE) {
		*a = *b;
		return true;
	}
	if (a->kind != b->kind || a->has_owner != b->has_owner || a->owner_uid != b->owner_uid ||
		!agree_str(&a->unit, b->unit) || !agree_str(&a->container, b->container) ||
		!agree_str(&a->name, b->name) || !agree_str(&a->detail, b->detail) ||
		!agree_pod(a, b))
		return false;
	if (a->runtime[0] == '\0')
		a->runtime = b->runtime;
	return b->runtime[0] == '\0' || strcmp(a->runtime, b->runtime) == 0;
}

/* A runtime may put what it runs into some hierarchies only, and leave it where it was started
 * itself, in a unit or a login, in the others. That place is then the runtime's, so it is dropped;
 * but a unit of the user's manager does hold that user's containers. */
static bool combine(struct writ_cgroup *inner, const struct writ_cgroup *outer)
{
	if (inner->kind == WRIT_CGROUP_ROOTLESS)
		return outer->kind != WRIT_CGROUP_SESSION && agree_str(&inner->unit, outer->unit);
	if (inner->kind == WRIT_CGROUP_NONE)
		*inner = *outer;
	else
		inner->unit = writ_strn(NULL, 0);
	return true;
}

/* v2's path where the process is below its root, else systemd's own v1 hierarchy. */
static void choose_path(const struct walk *w, struct writ_cgroup *out)
{
	const struct line *best = NULL;
	for (size_t i = 0; i < w->n; i++) {
		const struct line *l = &w->lines[i];
		if (l->id != 0 && !writ_str_eq(l->hierarchy, WRIT_STR("name=systemd")))
			continue;
		if (best && !is_root(best->path) && !is_root(l->path) &&
			!writ_str_eq(best->path, l->path))
			return;
		if (!best || is_root(best->path))
			best = l;
	}
	if (!best)
		return;
	out->path = best->path;
	out->hierarchy = best->hierarchy;
}

static writ_rc contradiction(const struct writ_cgroup *one, struct writ_err *err)
{
	return writ_fail(err, WRIT_EUNAUTH,
		"the cgroup hierarchies contradict each other: one says %s, another line says "
		"something else",
		writ_cgroup_kind_name(one->kind));
}

writ_rc writ_cgroup_parse(struct writ_str text, const struct writ_cgroup_trust *trust,
	struct writ_cgroup *ret, struct writ_err *err)
{
	struct walk w;
	w.n = 0;
	writ_rc rc = parse_lines(text, &w, err);
	if (rc != WRIT_OK)
		return rc;
	struct writ_cgroup inner = { .kind = WRIT_CGROUP_NONE, .runtime = "" };
	struct writ_cgroup outer = inner;
	for (size_t i = 0; i < w.n; i++) {
		const struct line *l = &w.lines[i];
		struct writ_cgroup one;
		size_t anchor;
		writ_cgroup_form_match(l->path, &one, &anchor);
		if (one.kind == WRIT_CGROUP_NONE)
			continue;
		if (!writ_cgroup_parents_trusted(trust, l->hierarchy, writ_strn(l->path.p, anchor)))
			return writ_fail(err, WRIT_EUNAUTH,
				"the cgroup '" WRIT_FMT
				"' looks like a %s, but a folder above it is not "
				"root's alone: anybody could have made it",
				WRIT_ARG(l->path), writ_cgroup_kind_name(one.kind));
		if (!merge(is_inner(one.kind) ? &inner : &outer, &one))
			return contradiction(&one, err);
	}
	struct writ_cgroup seen = inner;
	if (!combine(&inner, &outer))
		return contradiction(&seen, err);
	choose_path(&w, &inner);
	*ret = inner;
	return WRIT_OK;
}

struct writ_str writ_cgroup_unit_folder(struct writ_str text, struct writ_str unit)
{
	const struct writ_str none = writ_strn(NULL, 0);
	struct writ_str found = none;
	struct walk w;
	w.n = 0;
	if (parse_lines(text, &w, NULL) != WRIT_OK)
		return none;
	for (size_t i = 0; i < w.n; i++) {
		struct writ_cgroup one;
		size_t anchor;
		writ_cgroup_form_match(w.lines[i].path, &one, &anchor);
		if (one.kind != WRIT_CGROUP_UNIT || !writ_str_eq(one.unit, unit))
			continue;
		struct writ_str folder = writ_strn(w.lines[i].path.p, anchor);
		if (found.n > 0 && !writ_str_eq(found, folder))
			return none;
		found = folder;
	}
	return found;
}
