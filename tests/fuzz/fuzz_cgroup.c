/* SPDX-License-Identifier: Apache-2.0 */
/* What is taken from a cgroup file is well-formed, and comes only from trusted folders. */
#include "attest/cgroup_path.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static bool trusted(const struct writ_cgroup_trust *t, struct writ_str h, struct writ_str dir)
{
	assert(dir.n > 0 && dir.p[0] == '/' && !memmem(dir.p, dir.n, "/../", 4) && t->trusted);
	assert(!writ_str_ends(dir, WRIT_STR("/..")));
	return h.n % 2 == 0;
}

static bool is_unit(struct writ_str s)
{
	return s.n == 0 || writ_str_ends(s, WRIT_STR(".service")) ||
		writ_str_ends(s, WRIT_STR(".scope"));
}

static void check(const struct writ_cgroup *c)
{
	bool has_container = c->container.n == 64;
	assert(c->container.n == 0 || has_container);
	assert(is_unit(c->unit) && (c->path.n == 0 || c->path.p[0] == '/'));
	assert(c->pod[0] == '\0' || strlen(c->pod) == 36 || strlen(c->pod) == 32);
	if (c->kind == WRIT_CGROUP_CONTAINER || c->kind == WRIT_CGROUP_SLURM)
		assert(c->unit.n == 0 && (has_container || (c->name.n > 0 && c->detail.n > 0)));
	if (c->kind == WRIT_CGROUP_ROOTLESS)
		assert(c->has_owner && has_container);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct writ_cgroup_trust t = { .trusted = trusted };
	struct writ_cgroup c = { .kind = WRIT_CGROUP_NONE };
	if (writ_cgroup_parse(writ_strn(p, n), &t, &c, NULL) != WRIT_OK)
		return 0;
	check(&c);
	struct writ_str folder = writ_cgroup_unit_folder(writ_strn(p, n), c.unit);
	assert(folder.n == 0 || (folder.p[0] == '/' && c.unit.n && folder.n >= c.unit.n));
	if (writ_cgroup_parse(writ_strn(p, n), NULL, &c, NULL) == WRIT_OK)
		assert(c.kind == WRIT_CGROUP_NONE && c.unit.n == 0 && c.container.n == 0);
	return 0;
}
