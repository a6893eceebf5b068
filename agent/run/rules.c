/* SPDX-License-Identifier: Apache-2.0 */
#include "run/rules.h"

#include "spiffe/id.h"

#include <string.h>

writ_rc writ_run_path_check(struct writ_str path, struct writ_err *err)
{
	writ_rc rc = path.n ? writ_path_check(path, err)
			    : writ_fail(err, WRIT_EINVAL, "it is empty: write it like /agents/dev");
	const struct writ_id id = { .path = path };
	if (rc == WRIT_OK && writ_id_is_reserved(&id))
		rc = writ_fail(
			err, WRIT_EDENIED, "identities below /spire belong to servers and agents");
	return rc == WRIT_OK ? rc
			     : writ_wrap(err, rc, "the identity '" WRIT_FMT "'", WRIT_ARG(path));
}

static bool is_member(const struct writ_run_user *u, gid_t gid)
{
	bool found = u->gid == gid;
	for (size_t i = 0; i < u->n_groups; i++)
		found |= u->groups[i] == gid;
	return found;
}

static bool is_for(const struct writ_agent_run_rule *r, const struct writ_run_user *u)
{
	return (r->uid < 0 || (uid_t)r->uid == u->uid) &&
		(r->gid < 0 || is_member(u, (gid_t)r->gid)) && (r->uid >= 0 || r->gid >= 0);
}

/* "/agents/dev" covers itself and what is below it, not "/agents/devil". */
static bool covers(struct writ_str prefix, struct writ_str path)
{
	return writ_str_starts(path, prefix) && (path.n == prefix.n || path.p[prefix.n] == '/');
}

writ_rc writ_run_allowed(const struct writ_agent_run *run, const struct writ_run_user *user,
	struct writ_str path, bool children, struct writ_err *err)
{
	bool without = false;
	const struct writ_agent_run_rule *rules = run->allow.items;
	for (size_t i = 0; i < run->allow.n; i++) {
		if (!is_for(&rules[i], user) || !covers(writ_cstr(rules[i].prefix), path))
			continue;
		if (!children || rules[i].children)
			return WRIT_OK;
		without = true;
	}
	/* As narrow as what was asked for: who allows more has to write it himself. */
	if (without)
		return writ_fail(err, WRIT_EDENIED,
			"user %u may run as " WRIT_FMT
			", but not with -children; this line in agent.conf would allow it: run { "
			"allow = [ { uid = %u, prefix = \"" WRIT_FMT "\", children = true } ] }",
			(unsigned)user->uid, WRIT_ARG(path), (unsigned)user->uid, WRIT_ARG(path));
	return writ_fail(err, WRIT_EDENIED,
		"user %u may not run anything as " WRIT_FMT
		"; this line in agent.conf would allow it: run { allow = [ { uid = %u, prefix = "
		"\"" WRIT_FMT "\"%s } ] }",
		(unsigned)user->uid, WRIT_ARG(path), (unsigned)user->uid, WRIT_ARG(path),
		children ? ", children = true" : "");
}
