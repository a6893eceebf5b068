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

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct writ_cgroup_trust t = { .trusted = trusted };
	struct writ_cgroup c = { .kind = WRIT_CGROUP_NONE };
	if (writ_cgroup_parse(writ_strn(p, n), &t, &c, NULL) != WRIT_OK)
		return 0;
	assert(c.container.n == 0 || c.container.n == 64);
	assert((c.kind == WRIT_CGROUP_CONTAINER) <= (c.container.n == 64 && c.unit.n == 0));
	assert(c.unit.n == 0 || writ_str_ends(c.unit, WRIT_STR(".service")));
	assert(c.path.n == 0 || c.path.p[0] == '/');
	if (writ_cgroup_parse(writ_strn(p, n), NULL, &c, NULL) == WRIT_OK)
		assert(c.kind == WRIT_CGROUP_NONE && c.unit.n == 0 && c.container.n == 0);
	return 0;
}
